"""Selection of the queue for a handler's options."""

from __future__ import annotations

from .._options.delivery import DeliveryOptions
from .journal.journal import Journal
from .memory import MemoryQueue
from .message_queue import MessageQueue
from .spill import SpillingQueue


def queue_for(write_key: str, options: DeliveryOptions) -> MessageQueue:
    """Return a new queue for a handler.

    Args:
        write_key: the write key of the Segment source. Each write key has its own journal.
        options: the handler's options.
    """
    memory = MemoryQueue(max_messages=options.max_queue_messages, max_bytes=options.max_queue_bytes)
    if options.journal is None:
        return memory
    journal = Journal(
        options.journal,
        write_key,
        max_bytes=options.max_journal_bytes,
        sync=options.journal_sync,
        group=options.journal_group,
    )
    return SpillingQueue(journal, memory)
