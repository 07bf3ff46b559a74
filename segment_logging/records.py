"""From a LogRecord to an encoded message, "not an event", or InvalidMessage.

What is an event, and what becomes of one: called for by `before_send`, the options of privacy and
the limits. What stands in its message is decided in `forms`.

Runs in the caller's thread, for every record: what is not needed for the record at hand costs
nothing. Nothing here changes the record or keeps anything of it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .dialects import read_event_dict, without_internal
from .encoding import decode, encode
from .errors import InvalidMessage, MessageTooLarge, SegmentError
from .forms import LIBRARY, MARKS, Forms
from .limits import MAX_MESSAGE_BYTES
from .messages import Call
from .privacy import Redaction, Selection
from .reading import Reading
from .reports import is_report, where

# What every record has, and logging lets no extra be called. python-json-logger lists the same;
# importing it for that takes as long as a tenth of us.
_RESERVED = frozenset(
    {*logging.LogRecord("", 0, "", 0, "", (), None).__dict__, "message", "asctime", "taskName"}
)
# By a formatter, perhaps after the extras; before 3.12 `taskName` is nobody's but the program's.
_ADDED_LATER = frozenset(
    {"message", "asctime"} if sys.version_info >= (3, 12) else {"message", "asctime", "taskName"}
)


class RecordReader:
    """Reads records as the handler's options say.

    Args:
        reading: the options.
    """

    def __init__(self, reading: Reading) -> None:
        self._takes_all = reading.capture == "all"
        self._forms = Forms(reading)
        self._before_send = reading.before_send
        self._selection: Selection | None = None
        if reading.allow_events is not None or reading.deny_events or reading.sample_rate < 1:
            self._selection = Selection(
                reading.allow_events, reading.deny_events, reading.sample_rate
            )
        self._redaction: Redaction | None = None
        if reading.redact or reading.hashed:
            self._redaction = Redaction(reading.redact, reading.hashed)

    def fields_of(self, record: logging.LogRecord) -> dict[str, Any] | None:
        """Return what the record says of an event, by our names; None when it is none."""
        if self._takes_all and is_report(record):
            return None
        attributes = record.__dict__
        plain_text = type(record.msg) is str
        fields: dict[str, Any] = {}
        for key in reversed(attributes):  # extras come after what every record has
            if key not in _RESERVED:
                fields[key] = attributes[key]
            elif key not in _ADDED_LATER:
                break
        if not fields and plain_text and not self._takes_all:
            return None  # most records of most programs
        if next(iter(attributes)) != "name":  # a record factory set its own before the usual ones
            fields = {key: attributes[key] for key in attributes.keys() - _RESERVED}
        if not plain_text or "segment" in fields or "extra" in fields:
            return self._nested_fields_of(record, fields)
        if self._takes_all or not fields.keys().isdisjoint(MARKS):
            return fields
        return None

    def _nested_fields_of(
        self, record: logging.LogRecord, fields: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Return the fields of extras that nest, of structlog's event dicts and of loguru."""
        nested = fields.get("segment")
        if type(nested) is dict and type(record.msg) is str and "extra" not in fields:
            del fields["segment"]
            fields.update(nested)
            return fields  # the calls of a `SegmentLogger`, among others
        marked = self._takes_all or not fields.keys().isdisjoint(MARKS)
        if isinstance(record.msg, Mapping):  # structlog
            named, added = read_event_dict(record, record.msg)
            marked = marked or not named.keys().isdisjoint(MARKS)
            fields = {**added, **named, **without_internal(fields)}
        if isinstance(fields.get("extra"), Mapping):  # loguru: what was bound to its logger
            nested = fields.pop("extra")
            marked = marked or not MARKS.isdisjoint(nested)
            fields = {**nested, **fields}
        if isinstance(fields.get("segment"), Mapping):
            marked = True
            fields.update(fields.pop("segment"))
        elif fields.get("segment") is True:  # no more than a mark
            marked = True
            del fields["segment"]
        return fields if marked else None

    def line_of(self, record: logging.LogRecord, fields: dict[str, Any]) -> bytes | None:
        """Return the encoded message of a record, None when `before_send` wants it unsent.

        Args:
            record: an event.
            fields: what `fields_of` returned for it; used up.

        Raises:
            InvalidMessage: Segment would drop it, or it cannot be written as JSON.
            MessageTooLarge: above 32,000 bytes.
        """
        form = fields
        try:
            form = self._forms.usual_of(record, fields) or self._forms.of(record, fields)
            if self._selection is not None and not self._selection.wants(form):
                return None
            if self._before_send is not None:
                changed = self._changed(form)
                if changed is None:
                    return None
                form = changed
            line = encode(form)
            if self._redaction is not None:
                line = self._redaction.line_of(line)
            if len(line) > MAX_MESSAGE_BYTES:
                raise MessageTooLarge(len(line), MAX_MESSAGE_BYTES)
        except InvalidMessage as error:
            error.refused = self.redacted(form if error.refused is None else error.refused)
            raise
        return line

    def redacted(
        self, values: Mapping[str, Any], other_names: Mapping[str, str] = MappingProxyType({})
    ) -> Any:
        """Return the values of a record that is no event without what is to be left out."""
        if self._redaction is None:
            return values
        return self._redaction.values_of(values, other_names)

    def _changed(self, form: dict[str, Any]) -> dict[str, Any] | None:
        """Return what `before_send` makes of a message, None when it wants it unsent."""
        assert self._before_send is not None
        # Through JSON: what it changes must not change the caller's objects, nor ours.
        message = Call.read(decode(encode(form)))
        try:
            changed = self._before_send(message)
        except Exception as error:
            # What is ours holds nothing of the message, and says what was wrong with the new one.
            text = f": {error}" if isinstance(error, SegmentError) else ""
            raise InvalidMessage(
                f"before_send raised {type(error).__name__} ({where(error)}){text}: mend it; "
                "messages are frozen, make another by dataclasses.replace"
            ) from error
        if changed is None:
            return None
        if not isinstance(changed, Call):
            raise InvalidMessage("before_send must return the message to send, or None")
        new = changed.wire_form()
        for key in ("timestamp", "messageId"):  # a message that it made itself has none
            new.setdefault(key, form[key])
        new.setdefault("context", LIBRARY)  # and one that it removed stays away
        return new
