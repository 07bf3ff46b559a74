"""The caller's end of the queue, built on the standard library's QueueHandler.

It overrides two methods: the standard `prepare` formats and mutates the record, and the standard
`enqueue` prints a traceback for every record while the queue is full.
"""

from __future__ import annotations

from logging.handlers import QueueHandler
from typing import Any, cast

from typing_extensions import override

from .admission import Admission
from .message_queue import MessageQueue


class Intake(Admission, QueueHandler):  # type: ignore[misc]  # `enqueue` also returns a bool
    """Puts encoded messages into the queue, and blocks or drops them if it is full.

    Args:
        queue: the queue to put messages into.
        options: see `Admission`.
    """

    def __init__(self, queue: MessageQueue, **options: Any) -> None:
        QueueHandler.__init__(self, cast(Any, queue))
        Admission.__init__(self, queue.put, **options)

    @override
    def prepare(self, record: Any) -> Any:
        """Return the message unchanged, since it is already encoded."""
        return record
