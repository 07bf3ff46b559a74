"""Which queue the options ask for."""

from __future__ import annotations

from .journal.queue import Journal
from .memory import MemoryQueue
from .queue import MessageQueue
from .spill import SpillingQueue


def queue_for(
    write_key: str,
    *,
    max_queue_messages: int,
    max_queue_bytes: int,
    journal: str | None,
    journal_sync: str,
    max_journal_bytes: int,
) -> MessageQueue:
    """Return a new queue. The arguments are the handler's options of these names.

    Args:
        write_key: of the Segment source: each has its own journal.
    """
    memory = MemoryQueue(max_messages=max_queue_messages, max_bytes=max_queue_bytes)
    if journal is None:
        return memory
    on_disk = Journal(journal, write_key, max_bytes=max_journal_bytes, sync=journal_sync)
    return SpillingQueue(on_disk, memory)
