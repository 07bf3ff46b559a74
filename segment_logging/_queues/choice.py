"""Which queue the options ask for."""

from __future__ import annotations

from .._options.delivery import DeliveryOptions
from .journal.journal import Journal
from .memory import MemoryQueue
from .message_queue import MessageQueue
from .spill import SpillingQueue


def queue_for(write_key: str, options: DeliveryOptions) -> MessageQueue:
    """Return a new queue.

    Args:
        write_key: of the Segment source: each has its own journal.
        options: those of the handler.
    """
    memory = MemoryQueue(max_messages=options.max_queue_messages, max_bytes=options.max_queue_bytes)
    if options.journal is None:
        return memory
    journal = Journal(
        options.journal,
        write_key,
        max_bytes=options.max_journal_bytes,
        sync=options.journal_sync,
    )
    return SpillingQueue(journal, memory)
