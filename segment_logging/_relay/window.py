"""The bundles that the broker has delivered and that are not acknowledged yet. Pure."""

from __future__ import annotations

from collections.abc import Iterable


class Window:
    """Tags of unacknowledged messages, in the order of their delivery. For one thread.

    Args:
        size: how many messages the broker delivers before it waits for acknowledgements.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._open: dict[int, float] = {}

    def add(self, tag: int, now: float) -> None:
        """Add a message that was delivered at a monotonic time."""
        self._open[tag] = now

    def settle(self, tags: Iterable[int]) -> tuple[list[int], list[int]]:
        """Remove messages that may be acknowledged.

        Returns:
            The tags before which no message is unacknowledged, so that one acknowledgement is
            enough for all of them, and the other tags.
        """
        done = {tag for tag in tags if tag in self._open}
        first: list[int] = []
        for tag in self._open:
            if tag not in done:
                break
            first.append(tag)
        others = sorted(done.difference(first))
        for tag in done:
            del self._open[tag]
        return first, others

    @property
    def is_full(self) -> bool:
        """Whether the broker delivers no more messages until some are acknowledged."""
        return len(self._open) >= self._size

    @property
    def oldest(self) -> float | None:
        """When the oldest message was delivered, or None if there is none."""
        return next(iter(self._open.values()), None)

    def __len__(self) -> int:
        """Return the number of unacknowledged messages."""
        return len(self._open)
