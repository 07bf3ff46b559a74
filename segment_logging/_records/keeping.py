"""A filter that stores the identity on records that are handled later or in another thread."""

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
    """A filter that stores the current identity on each event when it is logged.

    Add it to a `MemoryHandler` or `QueueHandler` in front of a `SegmentHandler`. These handlers
    pass records on later, when another identity or none may be bound.

        memory = logging.handlers.MemoryHandler(100, target=segment_handler)
        memory.addFilter(KeepIdentity())

    The identity is stored in the record's attribute `_segment_identity`. Most formatters
    that write extras skip names that begin with an underscore. The filter lets every record pass.

    Args:
        capture: which records are events, as in the handler's option: "marked" or "all".

    Raises:
        ConfigurationError: `capture` is neither of these.
    """

    def __init__(self, *, capture: str = "marked") -> None:
        super().__init__()
        self._reader = RecordReader(RecordOptions(capture=capture))

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        try:
            if KEPT_IDENTITY in record.__dict__ or self._reader.fields_of(record) is None:
                return True
            known = current_identity().known()
            kept = {name: getattr(known, name) for name in ("user_id", "anonymous_id", "context")}
        except Exception:  # the handler will refuse the record, and count it as invalid
            kept = {}
        record.__dict__[KEPT_IDENTITY] = kept  # not an object, as other handlers may encode it
        return True
