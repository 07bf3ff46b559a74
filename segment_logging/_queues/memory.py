"""The queue in memory. It is limited by count and by bytes, and does not outlive the process.

`put` must not take a lock: a signal handler or a `__del__` that logs in the middle of a `put` would
deadlock with its own thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from .._messages.batch import Batch
from .._messages.batcher import Batcher
from .._messages.limits import MAX_BATCH_BYTES, MAX_BATCH_MESSAGES

_NEVER = 1 << 62


class MemoryQueue:
    """A queue of encoded messages in memory, oldest first. See `MessageQueue`.

    Args:
        max_messages: the maximum number of messages, including those that are being sent.
        max_bytes: the maximum total size of these messages, in encoded bytes.
    """

    kept_in = None
    has_backlog = False
    lost = 0
    damaged = 0

    def __init__(self, *, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._lines: deque[bytes] = deque()  # under eventlet, `SimpleQueue` takes a lock
        self.accepted = 0
        self._bytes_in = 0  # total bytes put
        self._bytes_out = 0  # total bytes taken
        self._bytes_done = 0  # total bytes acknowledged
        self._ring: Callable[[], None] | None = None
        self._ring_at = _NEVER  # call `_ring` once `_bytes_in` reaches this
        # Used by the listener's thread only:
        self._batcher = Batcher(auto_timestamp=False)
        self._left_over: bytes | None = None  # taken from `_lines`, but did not fit in the batch
        self._taken: Batch | None = None
        self._was_put_back = False
        self._acknowledged = 0

    def put(self, line: bytes) -> bool:
        size_bytes = len(line)
        if (
            self.accepted - self._acknowledged >= self._max_messages
            or self._bytes_in - self._bytes_done + size_bytes > self._max_bytes
        ):
            self._ring_once()  # the listener must make room without waiting for the flush interval
            return False
        # This needs no lock: CPython switches threads and runs signal handlers only at calls and
        # loops, and there are none between reading and writing these counters. They are updated
        # before the message is added, so that `_acknowledged` never exceeds `accepted`.
        self.accepted += 1
        self._bytes_in += size_bytes
        self._lines.append(line)
        if self._bytes_in >= self._ring_at:
            self._ring_once()
        return True

    def _ring_once(self) -> None:
        if self._ring is not None and self._ring_at != _NEVER:
            self._ring_at = _NEVER
            try:
                self._ring()
            except BaseException:  # interrupted by Ctrl-C: ring at the next message instead
                self._ring_at = 0
                raise

    def watch(self, ring: Callable[[], None], *, collecting: bool) -> None:
        full = self._bytes_out + min(MAX_BATCH_BYTES, self._max_bytes // 2)
        self._ring = ring
        self._ring_at = full if collecting else 0

    def take(self) -> Batch | None:
        self._ring_at = _NEVER
        if not self._was_put_back:
            self._taken = self._collect()
        self._was_put_back = False
        return self._taken

    def _collect(self) -> Batch | None:
        self._left_over = self._batcher.fill(self._waiting())
        return None if self._batcher.is_empty else self._batcher.take()

    def _waiting(self) -> Iterator[bytes]:
        if self._left_over is not None:
            yield self._left_over
        try:
            while True:
                line = self._lines.popleft()
                self._bytes_out += len(line)
                yield line
        except IndexError:
            return

    def acknowledge(self, messages: int, *, set_aside: bool = False) -> None:
        assert self._taken is not None
        self._bytes_done += sum(map(len, self._taken.lines[:messages]))
        self._acknowledged += messages
        self._taken = self._taken.without(messages)

    def put_back(self) -> None:
        self._was_put_back = self._taken is not None

    def tend(self, now: float) -> float | None:
        return None

    def release(self) -> None:
        """Do nothing: no other process can deliver messages that are in memory."""

    def abandon(self) -> None:
        """Do nothing: the child's copy of the messages is freed with the queue."""

    @property
    def is_empty(self) -> bool:
        return not self._lines and self._left_over is None and not self._was_put_back

    @property
    def has_full_batch(self) -> bool:
        return (
            self._was_put_back
            or len(self._lines) >= min(MAX_BATCH_MESSAGES, self._max_messages)
            or self._bytes_in - self._bytes_out >= min(MAX_BATCH_BYTES, self._max_bytes // 2)
        )

    @property
    def perishable(self) -> int:
        return self.accepted - self._acknowledged

    @property
    def lanes(self) -> tuple[tuple[int, int], ...]:
        return ((self.accepted, self._acknowledged),)
