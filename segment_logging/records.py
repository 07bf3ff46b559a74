"""From a LogRecord to an encoded message, "not an event", or InvalidMessage.

    call type      extra["type"]; else previous_id: alias, group_id with traits: group,
                   traits: identify; else track
    identity       the record's, then the current context's
    event name     extra["event"]; else the template `record.msg`, never the formatted text
    page, screen   the name is the message text
    properties     extra["properties"] over the other extras; traits for identify and group
    timestamp      extra["timestamp"]; else record.created
    context        the handler's under the bound one under the record's

Runs in the caller's thread, for every record: what is not needed for the record at hand costs
nothing. Nothing here changes the record or keeps anything of it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS

from ._version import __version__
from .context import NOBODY, current_identity, merge
from .encoding import encode
from .errors import InvalidMessage, MessageTooLarge
from .ids import new_message_id
from .limits import MAX_MESSAGE_BYTES
from .messages import Call, Message
from .reports import is_report
from .settings import Settings
from .wire import CONSENT_EVENT, FIELDS, track_form, wire_form, write_group_id

LIBRARY = {"library": {"name": "segment-logging", "version": __version__}}
"""What every message's context says of who sent it."""

MARKS = frozenset(
    {
        "type", "user_id", "anonymous_id", "event", "properties", "traits", "group_id",
        "previous_id", "integrations", "message_id",
    }
)  # fmt: skip
"""The extras that make a record an event."""

_KEYS = MARKS | {"timestamp", "context", "category"}  # what is ours, `include_extras` or not
_RESERVED = frozenset({*RESERVED_ATTRS, "taskName"})  # logging lets no extra have these names
_ADDED_LATER = frozenset({"message", "asctime"})  # by a formatter, perhaps after the extras
_OWN_KEYS = {call_type: frozenset(names) for call_type, names in FIELDS.items()}
# What structlog puts into every event dict for its own use.
_STRUCTLOG = frozenset(
    {
        "level", "logger", "logger_name", "exc_info", "stack_info", "stack", "exception",
        "positional_args", "_record", "_from_structlog", "_logger", "_name",
    }
)  # fmt: skip


class RecordReader:
    """Reads records as the handler's options say.

    Args:
        settings: `capture`, `context`, `integrations`, `include_extras` and `before_send`.
    """

    def __init__(self, settings: Settings) -> None:
        self._takes_all = settings.capture == "all"
        self._context = merge(LIBRARY, settings.context)
        self._integrations = settings.integrations
        self._include_extras = settings.include_extras
        self._before_send = settings.before_send

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
        marked = self._takes_all or not fields.keys().isdisjoint(MARKS)
        if isinstance(record.msg, Mapping):  # structlog: `event` is its word for the message
            told = {key: value for key, value in record.msg.items() if key not in _STRUCTLOG}
            marked = marked or not (told.keys() - {"event"}).isdisjoint(MARKS)
            fields = {**told, **fields}
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
            form = self._usual_form_of(record, fields) or self._form_of(record, fields)
            if self._before_send is not None:
                message = self._before_send(Message.from_dict(form))
                if message is None:
                    return None
                if not isinstance(message, Call):
                    raise InvalidMessage("before_send must return the message to send, or None")
                form = message.to_dict()
            line = encode(form)
            if len(line) > MAX_MESSAGE_BYTES:
                raise MessageTooLarge(len(line), MAX_MESSAGE_BYTES)
        except InvalidMessage as error:
            error.refused = form
            raise
        return line

    def _usual_form_of(
        self, record: logging.LogRecord, fields: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Return what `_form_of` would for the commonest call, a track of plain values; else None.

        Half of what a call costs beyond logging itself is saved here.
        """
        user_id, properties, event = fields.get("user_id"), fields.get("properties"), record.msg
        if (
            type(user_id) is not str or not user_id
            or type(properties) is not dict or len(fields) != 2
            or type(event) is not str or not event or event == CONSENT_EVENT
            or record.args
            or self._integrations is not None
            or current_identity.get() is not NOBODY
        ):  # fmt: skip
            return None
        return track_form(
            user_id,
            event,
            properties,
            created=record.created,
            context=self._context,
            message_id=new_message_id(),
        )

    def _form_of(self, record: logging.LogRecord, fields: dict[str, Any]) -> dict[str, Any]:
        """Return the call in wire form, with name, identity, defaults and extras filled in."""
        call_type = fields.pop("type", None) or _call_type_of(fields)
        if call_type == "track":
            _name_event(record, fields)
        elif call_type in ("page", "screen") and fields.get("name") is None:
            fields["name"] = _text_of(record) or None
        own_keys = _OWN_KEYS.get(call_type) if isinstance(call_type, str) else None
        if own_keys is not None and not fields.keys() <= own_keys:
            self._settle(call_type, fields, own_keys)
        self._identify(fields)
        if self._integrations is not None:
            fields["integrations"] = _merge_under(self._integrations, fields.get("integrations"))
        if fields.get("timestamp") is None:
            fields["timestamp"] = record.created
        if fields.get("message_id") is None:
            fields["message_id"] = new_message_id()
        return wire_form(call_type, fields)

    def _identify(self, fields: dict[str, Any]) -> None:
        """Fill in who it was, and the context: the handler's, what is bound, the record's."""
        bound = current_identity.get()
        context = self._context
        if bound is not NOBODY:
            fields["user_id"], fields["anonymous_id"] = bound.fill_in(
                fields.get("user_id"), fields.get("anonymous_id")
            )
            context = merge(context, bound.context)
        own = fields.get("context")
        fields["context"] = context if own is None else _merge_under(context, own)

    def _settle(self, call_type: str, fields: dict[str, Any], own_keys: frozenset[str]) -> None:
        """Move the extras that are no field of the call to where it can carry them.

        A group id and traits belong into the context of a call that has no such field; the rest
        become properties, or traits for identify and group. An alias has neither.
        """
        loose = {key: fields.pop(key) for key in fields.keys() - own_keys}
        context: dict[str, Any] = {}
        if loose.get("group_id") is not None:
            context["groupId"] = write_group_id(loose.pop("group_id"))
        if loose.get("traits") is not None:
            context["traits"] = loose.pop("traits")
        if context:
            fields["context"] = _merge_under(context, fields.get("context"))
        if not self._include_extras:
            loose = {key: value for key, value in loose.items() if key in _KEYS}
        name = "traits" if "traits" in own_keys else "properties"
        if loose and name in own_keys:
            fields[name] = _put_under(loose, fields.get(name))


def _call_type_of(fields: Mapping[str, Any]) -> str:
    if fields.get("previous_id") is not None:
        return "alias"
    if fields.get("traits") is not None:
        return "identify" if fields.get("group_id") is None else "group"
    return "track"


def _name_event(record: logging.LogRecord, fields: dict[str, Any]) -> None:
    """Name a track call by its template; what the arguments made of it becomes a property."""
    event = fields.get("event")
    if event is None:
        event = record.msg if isinstance(record.msg, str) else str(record.msg)
    fields["event"] = event.value if isinstance(event, Enum) else event
    if record.args:
        fields["properties"] = _put_under(
            {"message": record.getMessage()}, fields.get("properties")
        )


def _text_of(record: logging.LogRecord) -> str:
    if isinstance(record.msg, Mapping):  # structlog's word for the message
        return str(record.msg.get("event", ""))
    return record.getMessage()


def _merge_under(lower: Mapping[str, Any] | None, upper: Any) -> Any:
    """Return `upper` merged over `lower`; one that is no object is left for the rules to refuse."""
    return merge(lower, upper) if upper is None or isinstance(upper, Mapping) else upper


def _put_under(lower: dict[str, Any], upper: Any) -> Any:
    """Likewise, without looking into the values: an explicit property replaces a loose one."""
    if upper is None:
        return lower
    return {**lower, **upper} if isinstance(upper, Mapping) else upper
