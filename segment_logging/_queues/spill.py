"""A journal with a memory queue as the fallback for a full disk."""

from __future__ import annotations

import errno
import math
from collections.abc import Callable

from .._messages.batch import Batch
from .journal.journal import Journal
from .memory import MemoryQueue
from .message_queue import Refusal


class SpillingQueue:
    """A journal and a memory queue that act as one queue. See `MessageQueue`.

    `put` adds a message to the journal, or to memory if the journal refuses it. Batches are taken
    from both in turn: messages in memory would be lost if the process died, and the journal needs
    room for new messages. As soon as the disk takes writes again, the batches in memory are also
    written to files. The delivery thread does that, so that no caller has to wait for it.

    Args:
        journal: the queue on disk.
        memory: the queue that takes over when the disk or the journal is full.
    """

    def __init__(self, journal: Journal, memory: MemoryQueue) -> None:
        self.kept_in = journal.kept_in
        self._journal = journal
        self._memory = memory
        self._first: Journal | MemoryQueue = memory  # the queue that the last batch came from
        self._second: Journal | MemoryQueue = journal
        self._held_in: Journal | MemoryQueue | None = None
        self._store_at = 0.0
        self._last_trouble: OSError | None = None  # why a message was not stored

    def put(self, line: bytes) -> bool:
        if self._journal.put(line):
            return True
        # Another thread may have stored a message since then, which resets `trouble`.
        self._last_trouble = self._journal.trouble or self._last_trouble
        return self._memory.put(line)

    def watch(self, ring: Callable[[], None], *, collecting: bool) -> None:
        self._journal.watch(ring, collecting=collecting)
        self._memory.watch(ring, collecting=collecting)

    def take(self) -> Batch | None:
        if not self._second.is_empty:
            self._first, self._second = self._second, self._first
        elif self._first.is_empty:
            return None
        return self._first.take()

    def acknowledge(self, messages: int, *, set_aside: bool = False) -> None:
        self._first.acknowledge(messages, set_aside=set_aside)

    def put_back(self) -> None:
        self._first.put_back()
        if self._held_in is not None:
            self._held_in.put_back()
            self._second, self._held_in = self._held_in, None  # the next one to take from
            is_journal = self._second is self._journal
            self._first = self._memory if is_journal else self._journal

    def hold(self) -> None:
        self._first.hold()
        self._held_in = self._first

    def set_back(self) -> None:
        held_in, self._held_in = self._held_in or self._first, None
        held_in.set_back()
        if held_in is not self._first:
            self._first.put_back()  # what is left of the batch that was tried meanwhile

    def tend(self, now: float) -> float | None:
        again = self._store(now) if self._memory.perishable else math.inf
        return min(self._journal.tend(now), again)

    def _store(self, now: float) -> float:
        """Write one batch to the disk, and return when to call this again."""
        if now >= self._store_at:
            try:
                return now if self._memory.store(self._journal.store) else math.inf
            except OSError as error:  # the journal reports why
                self._note(error)
                self._store_at = now + _STORE_EVERY
        return self._store_at

    def _note(self, trouble: OSError) -> None:
        if trouble.errno != errno.EAGAIN:  # a message is being written at this moment
            self._last_trouble = trouble

    def release(self) -> None:
        try:
            while self._memory.perishable and self._memory.store(self._journal.store):
                pass
        except OSError as error:
            self._note(error)
        self._memory.leave_stored(self._journal.expect)
        self._journal.release()

    def abandon(self) -> None:
        self._journal.abandon()

    @property
    def is_empty(self) -> bool:
        return self._journal.is_empty and self._memory.is_empty

    @property
    def has_full_batch(self) -> bool:
        return self._journal.has_full_batch or self._memory.has_full_batch

    def look_again(self) -> None:
        self._journal.look_again()

    def is_left_elsewhere(self) -> bool:
        return self._journal.is_left_elsewhere()

    @property
    def has_backlog(self) -> bool:
        return self._journal.has_backlog

    @property
    def perishable(self) -> int:
        return self._memory.perishable

    @property
    def refusal(self) -> Refusal | None:
        trouble = self._last_trouble
        return None if trouble is None else self._journal.place.refusal_of(trouble)

    @property
    def lanes(self) -> tuple[tuple[int, int], ...]:
        return (*self._journal.lanes, *self._memory.lanes)

    @property
    def accepted(self) -> int:
        return self._journal.accepted + self._memory.accepted

    @property
    def lost(self) -> int:
        return self._journal.lost

    @property
    def damaged(self) -> int:
        return self._journal.damaged


_STORE_EVERY = 1.0  # seconds between two tries to write the messages in memory
