"""Messages for which a relay has no write key: they are moved to the dead-letter queue."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .._broker.address import Address
from .._clock import monotonic
from .._reports import Reporter, counted, were
from ..errors import DeliveryError
from .dead_queue import DeadQueue

PAUSE = 60.0
"""Seconds until messages that could not be moved are tried again."""


@dataclass(slots=True)
class _Stray:
    tag: int
    lines: list[bytes]
    key_name: str | None


class Strays:
    """Moves bundles of unknown write keys to the dead-letter queue, so that they block no others.

    Bundles are moved one at a time, because the thread that does it must also answer heartbeats.

    Args:
        address: the queue that the bundles came from.
        on_moved: called with the tag of each bundle that was moved.
        clock: returns the monotonic time in seconds.
    """

    def __init__(
        self,
        address: Address,
        *,
        on_moved: Callable[[int], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._address = address
        self._on_moved = on_moved
        self._clock = clock
        self._letters = DeadQueue(address)
        self._waiting: deque[_Stray] = deque()
        self._not_before = -math.inf
        self._reporter = Reporter(clock=clock)
        self.received = 0
        """How many messages were received."""
        self.moved = 0
        """How many messages were moved."""

    def add(self, tag: int, lines: list[bytes], key_name: str | None) -> None:
        """Add a bundle.

        Args:
            tag: what it is acknowledged with.
            lines: its encoded messages.
            key_name: the name of its write key. None if it has none.
        """
        self.received += len(lines)
        self._waiting.append(_Stray(tag, lines, key_name))

    def move_one(self) -> bool:
        """Move the next bundle. Return whether another one can be moved now."""
        self._reporter.catch_up()
        if not self._waiting or self._clock() < self._not_before:
            return False
        stray = self._waiting[0]
        try:
            self._letters.publish(stray.lines, _REASON, stray.key_name)
            moved = len(stray.lines)
        except DeliveryError as error:
            moved = error.delivered
            del stray.lines[:moved]
            self._not_before = self._clock() + PAUSE
            self._reporter.once("moving", _NOT_MOVED.format(error))
        else:
            self._waiting.popleft()
            self._on_moved(stray.tag)
            self._reporter.over("moving")
        if moved:
            self.moved += moved
            self._reporter.each("strays", moved, self._text_of)
        return bool(self._waiting) and self._clock() >= self._not_before

    def _text_of(self, number: int) -> str:
        queue = self._address.dead_queue
        return (
            f"{counted(number, 'message')} {were(number)} moved to {queue}, because this relay has "
            "no write key for them: add it to --write-key-file, restart the relays, and run one "
            f"with --queue {queue}"
        )

    def close(self) -> None:
        """Report what was not reported yet, and close the connection."""
        self._reporter.catch_up(at_last=True)
        self._letters.close()


_NOT_MOVED = (
    "messages whose write keys this relay does not have cannot be moved ({}): fix the broker, or "
    "add the keys to --write-key-file and restart the relay"
)
_REASON = DeliveryError("no write key: add it to --write-key-file", retryable=False)
