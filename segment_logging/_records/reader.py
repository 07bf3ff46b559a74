"""From a LogRecord to an encoded message, to "not an event", or to InvalidMessage.

This file decides what is an event, and does what the options say with its message: `before_send`,
allowing and denying, sampling, redaction, and the limit of size. What stands in the message is
decided in `mapping`.

It runs in the caller's thread, for every record, so what the record at hand does not need must cost
nothing. Nothing here changes the record or keeps any part of it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .._messages.calls import Call, call_of
from .._messages.encoding import decode, encode
from .._messages.limits import MAX_MESSAGE_BYTES
from .._options.records import RecordOptions
from .._reports import is_report, where
from ..errors import InvalidMessage, MessageTooLarge, SegmentError
from .attributes import MARKS, ExtraNames
from .dialects import read_event_dict, without_internal
from .mapping import LIBRARY, Mapper
from .privacy import Redaction, Selection
from .refused import remains_of, unreadable


class RecordReader:
    """Reads records in the way that the handler's options say.

    Args:
        options: those of the handler that are about records.
    """

    def __init__(self, options: RecordOptions) -> None:
        self._takes_all = options.capture == "all"
        self._names = ExtraNames(options.exclude_extras, options.keep_extras)
        self._mapper = Mapper(options)
        self._before_send = options.before_send
        self._selection: Selection | None = None
        if options.allow_events is not None or options.deny_events or options.sample_rate < 1:
            self._selection = Selection(
                options.allow_events, options.deny_events, options.sample_rate
            )
        self._redaction: Redaction | None = None
        if options.redact or options.hashed:
            self._redaction = Redaction(options.redact, options.hashed)

    def fields_of(self, record: logging.LogRecord) -> dict[str, Any] | None:
        """Return what the record says of an event, by our names; None if it is not an event."""
        if self._takes_all and is_report(record):
            return None
        attributes, names = record.__dict__, self._names
        plain_text = type(record.msg) is str
        fields: dict[str, Any] = {}
        for key in reversed(attributes):  # extras come after what every record has
            is_extra = names[key]
            if is_extra:
                fields[key] = attributes[key]
            elif is_extra is False:
                break
        if not fields and plain_text and not self._takes_all:
            return None  # most records of most programs
        if names.factory is not logging.getLogRecordFactory():
            names.learn(logging.getLogRecordFactory())
            fields = {key: attributes[key] for key in reversed(attributes) if names[key]}
        elif next(iter(attributes)) != "name":  # a factory has put its own before the rest
            fields = {key: attributes[key] for key in reversed(attributes) if names[key]}
        if not plain_text or "segment" in fields or "extra" in fields:
            return self._nested_fields_of(record, fields)
        if self._takes_all or not fields.keys().isdisjoint(names.marks):
            return fields
        return None

    def _nested_fields_of(
        self, record: logging.LogRecord, fields: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Return the fields of nested extras, of structlog's event dicts, and of loguru."""
        nested = fields.get("segment")
        if type(nested) is dict and type(record.msg) is str and "extra" not in fields:
            del fields["segment"]
            fields.update(nested)
            return fields  # the calls of a `SegmentLogger`, among others
        names = self._names
        marked = self._takes_all or not fields.keys().isdisjoint(names.marks)
        if isinstance(record.msg, Mapping):  # structlog
            named, added = read_event_dict(record, record.msg)
            marked = marked or not named.keys().isdisjoint(MARKS)
            added, named = names.callers(added), names.callers(named)
            fields = {**added, **named, **without_internal(fields)}
        if isinstance(fields.get("extra"), Mapping):  # loguru: what was bound to its logger
            nested = names.callers(fields.pop("extra"))
            marked = marked or not MARKS.isdisjoint(nested)
            fields = {**nested, **fields}
        if isinstance(fields.get("segment"), Mapping):
            marked = True
            fields.update(fields.pop("segment"))
        elif fields.get("segment") is True:  # nothing but a mark
            marked = True
            del fields["segment"]
        return fields if marked else None

    def line_of(self, record: logging.LogRecord, fields: dict[str, Any]) -> bytes | None:
        """Return the encoded message of a record, None if the options want it unsent.

        Args:
            record: an event.
            fields: what `fields_of` returned for it; used up.

        Raises:
            InvalidMessage: Segment would drop it, or it cannot be written as JSON.
            MessageTooLarge: it is above 32,000 bytes.
        """
        form = fields
        try:
            mapper = self._mapper
            form = mapper.usual_form_of(record, fields) or mapper.form_of(record, fields)
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
            error.refused = self._kept_of(form if error.refused is None else error.refused)
            raise
        except Exception as error:
            failure = unreadable(error)
            failure.refused = self._kept_of(form)
            raise failure from error
        return line

    def refusal_of(
        self, record: logging.LogRecord, error: Exception, line: bytes | None
    ) -> InvalidMessage:
        """Return an error as the refusal of a record's message, with what is kept of that.

        Args:
            record: perhaps an event; a filter may have raised before anybody could tell.
            error: whatever was raised on the caller's way.
            line: the encoded message, if it came to that.
        """
        if isinstance(error, InvalidMessage) and error.refused is not None:
            return error
        refusal = unreadable(error)
        about = record.__dict__.get
        places = {"logger": about("name"), "file": about("filename"), "line": about("lineno")}
        refusal.refused = remains_of(places) if line is None else decode(line)
        return refusal

    def _kept_of(self, refused: Mapping[str, Any]) -> Any:
        return self.redacted(remains_of(refused))

    def redacted(
        self, values: Mapping[str, Any], other_names: Mapping[str, str] = MappingProxyType({})
    ) -> Any:
        """Return values that are not those of a message without what is to be left out."""
        if self._redaction is None:
            return values
        return self._redaction.values_of(values, other_names)

    def _changed(self, form: dict[str, Any]) -> dict[str, Any] | None:
        """Return what `before_send` makes of a message, None if it wants it unsent."""
        assert self._before_send is not None
        # By way of JSON: what it changes must be neither the caller's objects nor ours.
        message = call_of(decode(encode(form)))
        try:
            changed = self._before_send(message)
        except Exception as error:
            # Our own errors hold nothing of the message, and say what is wrong with the new one.
            text = f": {error}" if isinstance(error, SegmentError) else ""
            raise InvalidMessage(
                f"before_send raised {type(error).__name__} ({where(error)}){text}: mend it; "
                "messages are frozen, so make another one with dataclasses.replace"
            ) from error
        if changed is None:
            return None
        if not isinstance(changed, Call):
            raise InvalidMessage("before_send must return the message to send, or None")
        new = changed.wire_form()
        for key in ("timestamp", "messageId"):  # a message of its own making has neither
            new.setdefault(key, form[key])
        new.setdefault("context", LIBRARY)  # but a context that it has removed stays away
        return new
