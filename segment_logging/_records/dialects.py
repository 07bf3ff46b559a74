"""Records from structlog and loguru: which fields are the caller's, and which the library added.

structlog passes a dict as the message, with the text under the key `event`, or renders that dict to
`extra`. Fields that the caller passed or bound to the logger come before `event`. Fields that
processors added come after it: the level, the location of the call, and values bound to the
context. Context values, such as a user id, are added to events, but do not make a record an event.
structlog marks the records of `wrap_for_formatter` as its own.

loguru passes a dict `extra`, which `reader` unpacks. The message is the text as formatted by the
sink.

Pure. Neither library is imported here.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Mapping
from typing import Any, TypeGuard

from .._messages.encoding import decode
from .._messages.values import read_iso
from ..errors import InvalidMessage
from .attributes import RECORD_ATTRIBUTES

# Names with an underscore are also on the record.
INTERNAL = frozenset(
    {
        "exc_info", "stack_info", "stack", "exception", "positional_args", "_record",
        "_from_structlog", "_logger", "_name",
    }
)  # fmt: skip
"""structlog's fields that are never the caller's, in any position."""
# Fields that processors add. If the caller passes these names, they are ordinary properties.
_ADDED = frozenset(
    {
        "level", "level_number", "logger", "logger_name", "filename", "func_name", "lineno",
        "module", "pathname", "process", "process_name", "qual_module", "qual_name", "thread",
        "thread_name",
    }
)  # fmt: skip
REPEATED = frozenset({"logger", "level_number", "level"})
"""Fields in which structlog's processors may repeat values of the record."""
_TEXTS = ("event", "msg", "message")  # structlog's key for the text, and keys it may be renamed to


def read_event_dict(
    record: logging.LogRecord, event_dict: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the caller's fields of a message that is a dict, and the fields that structlog added.

    Args:
        record: if structlog has not marked it, the program made the dict, and all of it is the
            caller's.
        event_dict: the record's message.
    """
    text_key = name_of_text(event_dict)
    about = record.__dict__
    if "_logger" in about:
        names, more = fields_in(event_dict, text_key)
        named = {key: event_dict[key] for key in names}
        added = {key: event_dict[key] for key in more}
        forget_rendered_time(added if "event" in event_dict else named)
        return named, added
    named = {}
    for key, value in event_dict.items():
        if key in RECORD_ATTRIBUTES and key != text_key:
            # A formatter such as watchtower's copies parts of the record into the message. It turns
            # a message that is text into a dict.
            if text_key == "event" and value is not about.get(key):
                named[key] = value
        elif key not in INTERNAL and key != text_key:
            named[key] = value
    return named, {}


def is_event_dict(message: object) -> TypeGuard[Mapping[str, Any]]:
    """Return whether a record's message is a dict. A lazy message is not evaluated for that."""
    return issubclass(type(message), Mapping)


def without_internal(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a record's extras without structlog's internal fields."""
    return {key: value for key, value in fields.items() if key not in INTERNAL}


def forget_repeats(record: logging.LogRecord, fields: dict[str, Any]) -> None:
    """Remove fields in which structlog's processors repeat values of the record.

    If structlog renders to `extra`, or if the caller used the same name, the position of a field
    does not show who added it. In these cases, a field is removed if its value is the record's.
    """
    for name in REPEATED.intersection(fields):
        if is_repeat(record, name, fields[name]):
            del fields[name]
            if name == "level":
                forget_rendered_time(fields)


def is_repeat(record: logging.LogRecord, name: str, value: object) -> bool:
    """Return whether the value of one of the `REPEATED` fields is the record's."""
    if name == "level":
        own: object = record.levelname.lower()
    else:
        own = record.name if name == "logger" else record.levelno
    return type(value) is type(own) and value == own  # other types may define their own `==`


def fields_in(keys: Iterable[str], text_key: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the caller's fields in a dict of structlog's, and of those it added.

    Args:
        keys: the dict's keys.
        text_key: the key of its text; see `name_of_text`.
    """
    named: list[str] = []
    added: list[str] = []
    into = named
    for key in keys:
        if key == text_key:
            if key == "event":  # a renamed text is at the end
                into = added
        elif key not in INTERNAL and (into is named or key not in _ADDED):
            into.append(key)
    return tuple(named), tuple(added)


def forget_rendered_time(fields: dict[str, Any]) -> None:
    """Remove a timestamp without a zone, which is the record's own time in a readable format."""
    text = fields.get("timestamp")
    if not isinstance(text, str):
        return
    try:
        moment = read_iso(text)
    except ValueError:
        del fields["timestamp"]
    else:
        if moment.tzinfo is None:
            del fields["timestamp"]


def template_of(record: logging.LogRecord) -> str | None:
    """Return the message before its arguments are filled in, or None if there is no text."""
    if type(record.msg) is str and "extra" not in record.__dict__:
        return record.msg
    if is_event_dict(record.msg):
        text = record.msg.get(name_of_text(record.msg))
        return None if text is None else str(text)
    if record.msg is None:
        return None
    text = record.msg if isinstance(record.msg, str) else str(record.msg)
    if isinstance(record.__dict__.get("extra"), Mapping):  # loguru
        text = _serialized_text(text) or text
        # The prefix of the default format, if the sink was added without `format="{message}"`.
        _, prefix, rest = text.partition(f"{record.name}:{record.funcName}:{record.lineno} - ")
        text = rest if prefix else text
        if record.exc_info:  # a traceback follows, which may show the values of variables
            text = text.partition("\n")[0]
    return text


def _serialized_text(text: str) -> str | None:
    """Return the message from a text that loguru wrote with `serialize=True`, otherwise None."""
    if not text.startswith('{"text": '):
        return None
    try:
        message = decode(text)["record"]["message"]
    except (ValueError, LookupError, TypeError):
        return None
    return message if isinstance(message, str) else None


def text_of(record: logging.LogRecord) -> str | None:
    """Return the message with its arguments filled in, or None if there is no text."""
    text = template_of(record)
    args = arguments_of(record)
    if text is None or not args:
        return text
    try:
        if type(record.msg) is str and "extra" not in record.__dict__:
            return record.getMessage()  # record classes may override it
        filled: str = text % args
    except Exception as error:
        raise InvalidMessage(
            f"the message's arguments do not fit its text ({type(error).__name__}): "
            "pass one argument of the right type for each placeholder"
        ) from error
    return filled


def arguments_of(record: logging.LogRecord) -> Any:
    """Return the message's arguments for the `%` operator, or an empty value if there are none."""
    if type(record.msg) is str or not is_event_dict(record.msg):
        return record.args
    args: Any = record.msg.get("positional_args")
    one_mapping = args and len(args) == 1 and isinstance(args[0], Mapping)
    return args[0] if one_mapping else args


def name_of_text(event_dict: Container[str]) -> str:
    """Return the key of the text in a message that is a dict, or in such a message's keys."""
    return next((name for name in _TEXTS if name in event_dict), "event")
