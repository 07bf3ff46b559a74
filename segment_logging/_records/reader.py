"""From a LogRecord to an encoded message, if it is an event.

This module decides which records are events, and applies the options to their messages:
`before_send`, the allow and deny patterns, sampling, redaction and the size limit. The `mapping`
module decides what a message contains.

Most events are written by `Writers`. `fields_of` and `line_of` are the reference, for events with
unusual values and for those that are refused. This code runs in the caller's thread for every
record, so features that a record does not use must cost nothing. It keeps no part of the record,
and changes nothing on it except for the message id.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from logging import getLogRecordFactory
from types import MappingProxyType
from typing import Any

from .._messages.calls import Call, own_call_of
from .._messages.encoding import decode, encode
from .._messages.limits import MAX_MESSAGE_BYTES
from .._messages.lines import BEST, UNENCODED, LineEncoder, plain_copy
from .._options.records import RecordOptions
from .._reports import is_report, where
from ..errors import InvalidMessage, MessageTooLarge, SegmentError
from .attributes import MARKS, ExtraNames
from .defaults import LIBRARY, Defaults
from .dialects import is_event_dict, read_event_dict, without_internal
from .mapping import Mapper
from .privacy import Redaction
from .refused import remains_of, unreadable
from .selection import Selection
from .writers import Writers


class RecordReader:
    """Reads records according to the handler's options.

    Args:
        options: the handler's options for records.
        encoder: encodes most events.

    Attributes:
        options: the handler's options for records.
    """

    def __init__(self, options: RecordOptions, encoder: LineEncoder = BEST) -> None:
        self.options = options
        self._takes_all = options.capture == "all"
        self._names = ExtraNames(options.exclude_extras, options.keep_extras)
        self._before_send = options.before_send
        self._selection: Selection | None = None
        if options.allow_events is not None or options.deny_events or options.sample_rate < 1:
            self._selection = Selection(
                options.allow_events, options.deny_events, options.sample_rate
            )
        self._redaction: Redaction | None = None
        if options.redact or options.hashed:
            self._redaction = Redaction(options.redact, options.hashed)
        self.has_hook = self._before_send is not None
        """Whether writers return a form, which `sent` passes to `before_send`."""
        if self.has_hook:
            defaults = Defaults(options, UNENCODED, lambda value, place: plain_copy(value))
        elif self._redaction is not None:
            defaults = Defaults(options, encoder, self._redaction.copy_of)
        else:
            defaults = Defaults(options, encoder)
        self._clean = defaults.clean
        self._mapper = Mapper(defaults, include_extras=options.include_extras)
        self.writer_of = Writers(
            self._names,
            defaults,
            None if self._selection is None else self._selection.wants,
            takes_all=self._takes_all,
            include_extras=options.include_extras,
        ).writer_of

    def fields_of(self, record: logging.LogRecord) -> dict[str, Any] | None:
        """Return an event's fields under this package's names, or None if it is not an event."""
        if self._takes_all and is_report(record):
            return None
        attributes, names = record.__dict__, self._names
        if names.factory is not getLogRecordFactory():
            names.learn(getLogRecordFactory())
        fields = {key: attributes[key] for key in attributes if names[key]}
        if type(record.msg) is not str or "segment" in fields or "extra" in fields:
            return self._nested_fields_of(record, fields)
        if self._takes_all or not names.marks.isdisjoint(fields):
            return fields
        return None

    def _nested_fields_of(
        self, record: logging.LogRecord, fields: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Return the fields of an event with nested extras, or from structlog or loguru."""
        nested = fields.get("segment")
        if type(nested) is dict and type(record.msg) is str and "extra" not in fields:
            del fields["segment"]
            fields.update(nested)
            return fields  # includes the calls of a `SegmentLogger`
        names = self._names
        marked = self._takes_all or not fields.keys().isdisjoint(names.marks)
        if is_event_dict(record.msg):
            named, added = read_event_dict(record, record.msg)
            marked = marked or not named.keys().isdisjoint(MARKS)
            added, named = names.callers(added), names.callers(named)
            fields = {**added, **named, **without_internal(fields)}
        if isinstance(fields.get("extra"), Mapping):  # loguru: the values bound to its logger
            nested = names.callers(fields.pop("extra"))
            marked = marked or not MARKS.isdisjoint(nested)
            fields = {**nested, **fields}
        if isinstance(fields.get("segment"), Mapping):
            marked = True
            fields.update(fields.pop("segment"))
        elif fields.get("segment") is True:  # only marks the record
            marked = True
            del fields["segment"]
        return fields if marked else None

    def excluded_by(self, record: logging.LogRecord) -> str | None:
        """Return the option that excludes an event, or None. This does not call `before_send`."""
        fields = self.fields_of(record)
        if fields is None or self._selection is None:
            return None
        try:
            return self._selection.excluded_by(self._mapper.form_of(record, fields))
        except Exception:  # it is invalid
            return None

    def line_after(
        self, written: dict[str, Any] | None, record: logging.LogRecord, fields: Any
    ) -> bytes | None:
        """Return the line of an event that its writer has not encoded; see `line_of`.

        Args:
            written: the writer's result.
            record: the event.
            fields: the result of `fields_of`; None if it was not called yet.
        """
        if written is not None:
            return self.sent(written)
        if fields is None:
            fields = self.fields_of(record)
        return None if fields is None else self.line_of(record, fields)

    def line_of(self, record: logging.LogRecord, fields: dict[str, Any]) -> bytes | None:
        """Return a record's encoded message, or None if the options exclude it.

        Args:
            record: an event.
            fields: the result of `fields_of` for this record. It is modified.

        Raises:
            InvalidMessage: if Segment would drop the message, or if it cannot be written as JSON.
            MessageTooLarge: if the message is larger than 32,000 bytes.
        """
        form = fields
        try:
            form = self._mapper.form_of(record, fields)
            if self._selection is not None and not self._selection.wants_form(form):
                return None
            if self._before_send is not None:
                # Decoded from JSON, so that it cannot change the caller's objects or ours.
                form = decode(encode(form))
            else:
                return self._encoded(form)
        except InvalidMessage as error:
            error.refused = self._kept_of(form if error.refused is None else error.refused)
            raise
        except Exception as error:
            failure = unreadable(error)
            failure.refused = self._kept_of(form)
            raise failure from error
        return self.sent(form)

    def sent(self, form: dict[str, Any]) -> bytes | None:
        """Return the encoded message that `before_send` makes of another one, or None.

        Args:
            form: the message in wire form. It contains only JSON's types, and nothing of the
                caller's.

        Raises:
            InvalidMessage: the same as `line_of`.
            MessageTooLarge: the same as `line_of`.
        """
        try:
            changed = self._changed(form)
            if changed is None:
                return None
            form = changed
            if self._selection is not None and not self._selection.wants_form(form):
                return None  # it has another name now
            form["context"] = self._clean(form["context"])
            return self._encoded(form)
        except InvalidMessage as error:
            error.refused = self._kept_of(form)
            raise
        except Exception as error:
            failure = unreadable(error)
            failure.refused = self._kept_of(form)
            raise failure from error

    def _encoded(self, form: dict[str, Any]) -> bytes:
        line = encode(form)
        if self._redaction is not None:
            line = self._redaction.line_of(line)
        if len(line) > MAX_MESSAGE_BYTES:
            raise MessageTooLarge(len(line), MAX_MESSAGE_BYTES)
        return line

    def refusal_of(
        self, record: logging.LogRecord, error: Exception, line: bytes | None
    ) -> InvalidMessage:
        """Return an InvalidMessage for an error, with the part of the message that is kept.

        Args:
            record: the record. If a filter raised, it may not even be an event.
            error: the error that was raised in the caller's thread.
            line: the encoded message, or None if it was not encoded yet.
        """
        if isinstance(error, InvalidMessage) and error.refused is not None:
            return error
        refusal = unreadable(error)
        about = record.__dict__.get
        places = {"logger": about("name"), "file": about("filename"), "line": about("lineno")}
        refusal.refused = remains_of(places) if line is None else decode(line)
        return refusal

    def _kept_of(self, refused: Mapping[str, Any]) -> Any:
        # Objects come last, because they may take up all the space.
        order = sorted(refused.items(), key=lambda item: type(item[1]) is dict)
        remains = remains_of(dict(order))
        if "context" in remains:
            remains["context"] = self._clean(remains["context"])
        return self.redacted(remains)

    def context_for_others(self, context: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a bound context without what is removed from messages, to send it elsewhere.

        Values that are hashed in messages are left alone: they will be hashed later.

        Returns:
            None if the context cannot be encoded as JSON.
        """
        cleaned = self._clean(context)
        if self._redaction is not None:
            return self._redaction.removed_from(cleaned)
        return dict(cleaned)

    def redacted(
        self, values: Mapping[str, Any], other_names: Mapping[str, str] = MappingProxyType({})
    ) -> Any:
        """Return redacted values that are not a complete message; see `Redaction.values_of`."""
        if self._redaction is None:
            return values
        return self._redaction.values_of(values, other_names)

    def _changed(self, form: dict[str, Any]) -> dict[str, Any] | None:
        """Return the wire form of the message that `before_send` returns, or None."""
        assert self._before_send is not None
        message = own_call_of(form)
        consent = form["context"].get("consent")
        try:
            changed = self._before_send(message)
        except Exception as error:
            # Our own errors contain no message data, and explain what is wrong with the new one.
            text = f": {error}" if isinstance(error, SegmentError) else ""
            raise InvalidMessage(
                f"before_send raised {type(error).__name__} ({where(error)}){text}: fix it; "
                "messages are frozen, so make a new one with dataclasses.replace"
            ) from error
        if changed is None:
            return None
        if not isinstance(changed, Call):
            raise InvalidMessage(
                f"before_send must return a message or None, not {type(changed).__name__}: "
                "make one with dataclasses.replace"
            )
        if changed is message:
            new = form  # contains the same objects, which may have been changed
        else:
            new = changed.wire_form()
            for key in ("timestamp", "messageId"):  # a newly made message may have neither
                new.setdefault(key, form[key])
        # The rest of a context that was removed is not restored.
        context = new.setdefault("context", LIBRARY)
        if consent is not None and context.get("consent") is None:
            # Without it, Segment would send the message to every destination.
            new["context"] = {**context, "consent": consent}
        return new
