"""Whom a record is about, for handlers that pass it on later or in another thread."""

from __future__ import annotations

import logging

from typing_extensions import override

from .._identity.binding import current_identity
from .._options.records import RecordOptions
from .._public import public_in
from .attributes import KEPT_IDENTITY
from .reader import RecordReader


@public_in("segment_logging")
class KeepIdentity(logging.Filter):
    """A filter that keeps on each event who is bound while it is logged.

    For a `MemoryHandler` or `QueueHandler` in front of a `SegmentHandler`: those pass records on
    when somebody else is bound, or nobody.

        memory = logging.handlers.MemoryHandler(100, target=segment_handler)
        memory.addFilter(KeepIdentity())

    On the record its name is `_segment_identity`; formatters that write extras leave out such
    names. It lets every record pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self._reader = RecordReader(RecordOptions())

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        if self._reader.fields_of(record) is not None and KEPT_IDENTITY not in record.__dict__:
            record.__dict__[KEPT_IDENTITY] = current_identity().known()
        return True
