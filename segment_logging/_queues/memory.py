"""The queue in memory: limited by count and by bytes, and lost when the process dies.

The caller's side takes no lock. With one, a signal handler or `__del__` that logs in the middle of
a `put` would wait for its own thread forever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from .._messages.batch import Batch
from .._messages.batcher import Batcher
from .._messages.limits import MAX_BATCH_BYTES, MAX_BATCH_MESSAGES
from .outgoing import Outgoing, Portion

if TYPE_CHECKING:
    from .journal.stored import StoredFile

_NEVER = 1 << 62


class MemoryQueue:
    """Encoded messages in memory, oldest first. See `MessageQueue`.

    Args:
        max_messages: the most messages to hold, including those that were taken but are not
            acknowledged yet.
        max_bytes: the limit on the sum of their encoded sizes, counted in the same way.
    """

    kept_in = refusal = None
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
        self._stored = 0  # messages that are also in a file, and not acknowledged
        self._ring: Callable[[], None] | None = None
        self._ring_at = _NEVER  # ring when this many bytes were ever put
        # For the delivery thread:
        self._batcher = Batcher(auto_timestamp=False)
        self._left_over: bytes | None = None  # taken from the lines, but did not fit the batch
        self._outgoing = Outgoing()

    def look_again(self) -> None:
        pass

    def is_left_elsewhere(self) -> bool:
        return False

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

    def store(self, write: Callable[[Sequence[bytes]], StoredFile]) -> bool:
        """Write a batch into a file, from which it is delivered if this process dies.

        The batch is still delivered from here, in its turn, also if it was taken already. Its file
        is settled together with it.

        Args:
            write: writes the lines into a file.

        Returns:
            False if all batches are in files.

        Raises:
            OSError: the batch could not be written.
        """
        pieces = (piece for portion in self._outgoing.unsettled() for piece in _pieces_of(portion))
        piece = next((piece for piece in pieces if piece.file is None), None)
        if piece is not None:
            piece.file = write(piece.lines)
        elif (portion := self._collect()) is not None:
            piece = next(_pieces_of(portion))
            try:
                piece.file = write(piece.lines)
            except BaseException:  # others may still join the batch
                self._undo_collect(piece.lines)
                raise
            self._outgoing.add(portion)
        else:
            return False
        self._stored += len(piece.lines)
        return True

    def _undo_collect(self, lines: tuple[bytes, ...]) -> None:
        if self._left_over is not None:
            lines, self._left_over = (*lines, self._left_over), None
        self._lines.extendleft(reversed(lines))
        self._bytes_out -= sum(map(len, lines))

    def leave_stored(self, expect: Callable[[StoredFile], object]) -> None:
        """Forget the batches that are in files, because they are delivered from there.

        Args:
            expect: called with each file before its messages are forgotten.
        """
        for portion in tuple(self._outgoing.unsettled()):
            for piece in _pieces_of(portion):
                if piece.file is None:
                    continue
                expect(piece.file)
                self._outgoing.drop(portion)
                messages, size_bytes = len(piece.lines), sum(map(len, piece.lines))
                # As in `put`, there is no call in between, so that no other thread interferes.
                self._stored -= messages
                self.accepted -= messages
                self._bytes_in -= size_bytes
                self._bytes_out -= size_bytes

    def forget(self, lines: tuple[bytes, ...], *, is_stored: bool) -> None:
        """Make room, because these lines are settled."""
        if is_stored:  # first, so that `perishable` is never too small
            self._stored -= len(lines)
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
        return self.accepted - self._done - self._stored

    @property
    def lanes(self) -> tuple[tuple[int, int], ...]:
        return ((self.accepted, self._outgoing.settled[0]),)


class _InMemory:
    """The lines of a batch. See `Piece`."""

    __slots__ = ("_queue", "file", "lines")

    def __init__(self, queue: MemoryQueue, batch: Batch) -> None:
        self._queue = queue
        self.lines = batch.lines
        self.file: StoredFile | None = None

    def settle(self, messages: int, *, set_aside: bool) -> None:
        settled, self.lines = self.lines[:messages], self.lines[messages:]
        self._queue.forget(settled, is_stored=self.file is not None)
        if self.file is not None:
            self.file.settle(messages, set_aside=set_aside)


def _pieces_of(portion: Portion) -> Iterator[_InMemory]:
    return (piece for piece, _ in portion.pieces if isinstance(piece, _InMemory))
