"""A bundle of messages that was received, until all of them are settled."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .._queues.journal.stored import is_message


class ReceivedBundle:
    """Messages that the broker delivered together, and that are acknowledged together.

    Args:
        tag: what the bundle is acknowledged with.
        lines: its encoded messages, at least one.
        on_settled: called with the bundle when all of its messages are settled.

    Attributes:
        size_bytes: the size of its messages in a batch, including a comma for each.
        is_sound: whether each line seems to be a message. The lines are not decoded.
        set_aside: the lines that were abandoned, but could not be moved to the dead-letter queue.
    """

    __slots__ = (
        "_is_settled_to", "_lines", "_on_settled", "_taken", "is_sound", "set_aside", "size_bytes",
        "tag",
    )  # fmt: skip

    def __init__(
        self, tag: int, lines: Sequence[bytes], on_settled: Callable[[ReceivedBundle], None]
    ) -> None:
        self.tag = tag
        self._on_settled = on_settled
        self._begin(lines)

    def _begin(self, lines: Sequence[bytes]) -> None:
        self._lines = lines
        self._taken = self._is_settled_to = 0
        self.size_bytes = sum(map(len, lines)) + len(lines)
        self.is_sound = all(map(is_message, lines))
        self.set_aside: list[bytes] = []

    def __len__(self) -> int:
        """Return the number of its messages."""
        return len(self._lines)

    @property
    def waiting(self) -> Sequence[bytes]:
        """The messages that were not taken yet."""
        return self._lines[self._taken :] if self._taken else self._lines

    def take(self, messages: int) -> bool:
        """Count messages as taken. Return whether those were the last ones."""
        self._taken += messages
        return self._taken == len(self._lines)

    def settle(self, messages: int, *, set_aside: bool) -> None:
        """Forget messages. See `Piece`."""
        first = self._is_settled_to
        self._is_settled_to += messages
        if set_aside:
            self.set_aside.extend(self._lines[first : self._is_settled_to])
        if self._is_settled_to == len(self._lines):
            self._on_settled(self)

    def begin_again(self) -> None:
        """Keep only the messages that were set aside, to try them again."""
        self._begin(self.set_aside)
