"""The caller's half of the stdlib pair: a QueueHandler, privately.

What the stock one gets wrong for us is overridden here: `prepare` would format and mutate the
record, and `enqueue` prints a traceback for each record of a full queue.
"""

from __future__ import annotations

import time
from logging.handlers import QueueHandler
from threading import RLock
from typing import Any, cast

from typing_extensions import override

from .queues import MessageQueue


class MessageQueueHandler(QueueHandler):
    """The caller's half: encoded messages into the queue, and what to do when it is full.

    Args:
        queue: takes the messages.
        overflow: "drop" the message and count it, or "block" for room.
        block_timeout: seconds to wait for room at most; then the message is dropped.
    """

    def __init__(self, queue: MessageQueue, *, overflow: str, block_timeout: float) -> None:
        super().__init__(cast(Any, queue))
        self._put = queue.put
        self.block_timeout = block_timeout if overflow == "block" else 0.0
        """Seconds to wait for room; 0 to drop at once."""
        self._counting = RLock()
        self.dropped = 0
        """Messages lost because there was no room."""

    @override
    def prepare(self, record: Any) -> Any:
        """Return the message as it is: it is encoded already."""
        return record

    @override
    def enqueue(self, record: Any) -> None:
        """Put an encoded message into the queue; when there is no room, wait for it or drop."""
        if not self._put(record) and not self._put_later(record):
            with self._counting:
                self.dropped += 1

    def _put_later(self, line: bytes) -> bool:
        end = time.monotonic() + self.block_timeout
        while not self._put(line):  # once more: what waited may have been delivered by the first
            if time.monotonic() >= end:
                return False
            time.sleep(0.005)  # no condition variable: a signal handler may be calling
        return True
