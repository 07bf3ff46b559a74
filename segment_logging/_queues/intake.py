"""The caller's half of the stdlib pair: a QueueHandler, privately.

It overrides what the stock one gets wrong for us: `prepare` would format and mutate the record, and
`enqueue` prints a traceback for each record when the queue is full.
"""

from __future__ import annotations

import time
from logging.handlers import QueueHandler
from typing import Any, cast

from typing_extensions import override

from .._process.clock import monotonic
from .._process.threads import new_rlock
from .message_queue import MessageQueue


class Intake(QueueHandler):
    """Puts encoded messages into the queue, and decides what happens when it is full.

    Args:
        queue: where the messages wait.
        overflow: "drop" or "block".
        block_timeout: seconds to block at most.
    """

    def __init__(self, queue: MessageQueue, *, overflow: str, block_timeout: float) -> None:
        super().__init__(cast(Any, queue))
        self._put = queue.put
        self.block_timeout = block_timeout if overflow == "block" else 0.0
        """Seconds to wait for room; 0 to drop at once."""
        self._counting = new_rlock()
        self.dropped = 0
        """Messages that were lost because there was no room."""

    @override
    def prepare(self, record: Any) -> Any:
        """Return the message as it is: it is already encoded."""
        return record

    @override
    def enqueue(self, record: Any) -> None:
        """Put an encoded message into the queue. If there is no room, wait for it or drop."""
        if not self._put(record) and not self._put_later(record):
            with self._counting:
                self.dropped += 1

    def _put_later(self, line: bytes) -> bool:
        end = monotonic() + self.block_timeout
        while not self._put(line):  # once more, as the first try may have delivered what waited
            if monotonic() >= end:
                return False
            time.sleep(0.005)  # not a condition variable: a signal handler may be calling
        return True
