"""The queue in memory: limited by count and by bytes, and lost when the process dies.

The caller's side takes no lock. With one, a signal handler or `__del__` that logs in the middle of
a `put` would wait for its own thread forever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from .._messages.batch import Batch
from .._messages.batcher import Batcher
from .._messages.limits import MAX_BATCH_BYTES, MAX_BATCH_MESSAGES
from .outgoing import Outgoing, Portion

_NEVER = 1 << 62


class MemoryQueue:
    """Encoded messages in memory, oldest first. See `MessageQueue`.

    Args:
        max_messages: the most messages to hold, including those that were taken but are not
            acknowledged yet.
        max_bytes: the limit on the sum of their encoded sizes, counted in the same way.
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
        self._bytes_in = 0  # ever put
        self._bytes_out = 0  # ever taken
        self._bytes_done = 0  # ever acknowledged
        self._done = 0  # messages ever acknowledged
        self._ring: Callable[[], None] | None = None
        self._ring_at = _NEVER  # ring when this many bytes were ever put
        # For the delivery thread:
        self._batcher = Batcher(auto_timestamp=False)
        self._left_over: bytes | None = None  # taken from the lines, but did not fit the batch
        self._outgoing = Outgoing()

    def put(self, line: bytes) -> bool:
        size_bytes = len(line)
        if (
            self.accepted - self._done >= self._max_messages
            or self._bytes_in - self._bytes_done + size_bytes > self._max_bytes
        ):
            self._ring_once()  # make room, whatever the flush interval says
            return False
        # No lock: CPython switches threads and runs signal handlers only at calls and loops, and
        # there is none between these reads and their writes. Count first, so that there are never
        # more messages settled than accepted.
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
            except BaseException:  # Ctrl-C during the call: the next message rings instead
                self._ring_at = 0
                raise

    def watch(self, ring: Callable[[], None], *, collecting: bool) -> None:
        full = self._bytes_out + min(MAX_BATCH_BYTES, self._max_bytes // 2)
        self._ring = ring
        self._ring_at = full if collecting else 0

    def take(self) -> Batch | None:
        self._ring_at = _NEVER
        return self._outgoing.take(self._collect)

    def _collect(self) -> Portion | None:
        self._left_over = self._batcher.fill(self._waiting())
        if self._batcher.is_empty:
            return None
        batch = self._batcher.take()
        return Portion(batch, [(_InMemory(self, batch), len(batch))])

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

    def forget(self, lines: tuple[bytes, ...]) -> None:
        """Make room, because these lines are settled."""
        self._bytes_done += sum(map(len, lines))
        self._done += len(lines)

    def acknowledge(self, messages: int, *, set_aside: bool = False) -> None:
        self._outgoing.acknowledge(messages, set_aside=set_aside)

    def put_back(self) -> None:
        self._outgoing.put_back()

    def hold(self) -> None:
        self._outgoing.hold()

    def set_back(self) -> None:
        self._outgoing.set_back(self.accepted)

    def tend(self, now: float) -> float | None:
        return None

    def release(self) -> None:
        """Do nothing, because no other process can deliver what is in memory."""

    def abandon(self) -> None:
        """Do nothing, because the child's copy is deleted with the queue."""

    @property
    def is_empty(self) -> bool:
        return not self._lines and self._left_over is None and self._outgoing.is_empty

    @property
    def has_full_batch(self) -> bool:
        return (
            self._outgoing.is_due
            or len(self._lines) >= min(MAX_BATCH_MESSAGES, self._max_messages)
            or self._bytes_in - self._bytes_out >= min(MAX_BATCH_BYTES, self._max_bytes // 2)
        )

    @property
    def perishable(self) -> int:
        return self.accepted - self._done

    @property
    def lanes(self) -> tuple[tuple[int, int], ...]:
        return ((self.accepted, self._outgoing.settled[0]),)


class _InMemory:
    """The lines of a batch. See `Piece`."""

    __slots__ = ("_lines", "_queue")

    def __init__(self, queue: MemoryQueue, batch: Batch) -> None:
        self._queue = queue
        self._lines = batch.lines

    def settle(self, messages: int, *, set_aside: bool) -> None:
        settled, self._lines = self._lines[:messages], self._lines[messages:]
        self._queue.forget(settled)
