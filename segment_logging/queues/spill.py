"""The journal, and the memory queue for when the disk does not take any more."""

from __future__ import annotations

from ..batch import Batch
from .journal import Journal
from .memory import MemoryQueue


class SpillingQueue:
    """Two queues as one: `put` goes to the journal, and to memory when that refuses.

    They take turns: what spilled would die with the process, and the journal has to empty.

    Args:
        journal: on disk.
        memory: takes over when the disk or the journal is full.
    """

    def __init__(self, journal: Journal, memory: MemoryQueue) -> None:
        self._journal = journal
        self._memory = memory
        self._first: Journal | MemoryQueue = memory  # whose turn it is
        self._second: Journal | MemoryQueue = journal

    def put(self, line: bytes) -> bool:
        return self._journal.put(line) or self._memory.put(line)

    def take(self) -> Batch | None:
        if not self._second.is_empty:
            self._first, self._second = self._second, self._first
        elif self._first.is_empty:
            return None
        return self._first.take()

    def acknowledge(self, *, set_aside: bool = False) -> None:
        self._first.acknowledge(set_aside=set_aside)

    def put_back(self) -> None:
        self._first.put_back()

    def watch(self, *, collecting: bool) -> None:
        self._journal.watch(collecting=collecting)
        self._memory.watch(collecting=collecting)

    def release(self) -> None:
        self._journal.release()

    def abandon(self) -> None:
        self._journal.abandon()

    @property
    def is_empty(self) -> bool:
        return self._journal.is_empty and self._memory.is_empty

    @property
    def has_full_batch(self) -> bool:
        return self._journal.has_full_batch or self._memory.has_full_batch

    @property
    def has_backlog(self) -> bool:
        return self._journal.has_backlog

    @property
    def lanes(self) -> tuple[tuple[int, int], ...]:
        return (*self._journal.lanes, *self._memory.lanes)

    @property
    def accepted(self) -> int:
        return self._journal.accepted + self._memory.accepted

    @property
    def acknowledged(self) -> int:
        return self._journal.acknowledged + self._memory.acknowledged

    @property
    def perishable(self) -> int:
        return self._memory.perishable
