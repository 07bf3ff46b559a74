"""Putting messages into a queue, and waiting or dropping them if it has no room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._clock import monotonic
from .._process.threads import new_rlock, sleep


class Admission:
    """Puts encoded messages into a queue, and blocks or drops them if it is full.

    Args:
        put: adds a message to the queue, or returns False.
        overflow: "drop" or "block".
        block_timeout: the maximum number of seconds to block.
        make_room: called again and again while the caller is blocked, with the time at which it
            stops waiting. It makes sure that a thread delivers.
        on_drop: called with each message that is dropped, in the caller's thread.
    """

    def __init__(
        self,
        put: Callable[[bytes], bool],
        *,
        overflow: str,
        block_timeout: float,
        make_room: Callable[[float], object] = lambda end: None,
        on_drop: Callable[[bytes], object] = lambda line: None,
    ) -> None:
        self._put = put
        self._make_room = make_room
        self._on_drop = on_drop
        self.block_timeout = block_timeout if overflow == "block" else 0.0
        """Seconds to wait for room; 0 means that messages are dropped at once."""
        self._counting = new_rlock()
        self.dropped = 0
        """Number of messages that were dropped because there was no room."""

    def enqueue(self, record: Any) -> bool:
        """Put an encoded message into the queue. If there is no room, wait or drop the message.

        Args:
            record: the encoded message. `logging.handlers.QueueHandler` gives it this name.

        Returns:
            False if the message was dropped.
        """
        if self._put(record) or self._put_later(record):
            return True
        with self._counting:
            self.dropped += 1
        self._on_drop(record)
        return False

    def _put_later(self, line: bytes) -> bool:
        end = monotonic() + self.block_timeout
        while not self._put(line):  # the first try may have delivered waiting messages
            if monotonic() >= end:
                return False
            # The caller may be a signal handler that has interrupted the call that wakes the
            # thread, or starts it.
            self._make_room(end)
            sleep(0.005)  # a condition variable could deadlock in a signal handler
        return True
