"""How structlog and loguru write a record: which part of it is the caller's, and which their own.

structlog passes a dict as the message, in which `event` is the text, or renders that dict to
`extra`. What the caller named or bound to the logger stands before `event`. What processors added
stands after it: the level, the place of the call, and what is bound to the context, which says who
it was but makes no line an event. Records of `wrap_for_formatter` are marked as structlog's.

loguru passes a dict `extra`, which `reader` unpacks, and as the message the text that the sink's
format made of it.

Pure. Nothing here imports either.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from .._messages.encoding import decode
from .._messages.values import read_iso
from ..errors import InvalidMessage
from .attributes import RECORD_ATTRIBUTES

# Never the caller's, wherever they stand. Those with an underscore are on the record as well.
_INTERNAL = frozenset(
    {
        "exc_info", "stack_info", "stack", "exception", "positional_args", "_record",
        "_from_structlog", "_logger", "_name",
    }
)  # fmt: skip
# What processors say about a line. If the caller gives them, these are natural property names.
_ADDED = frozenset(
    {
        "level", "level_number", "logger", "logger_name", "filename", "func_name", "lineno",
        "module", "pathname", "process", "process_name", "qual_module", "qual_name", "thread",
        "thread_name",
    }
)  # fmt: skip
_REPEATED = ("logger", "level_number", "level")
_TEXTS = ("event", "msg", "message")  # structlog's name of the text, and what it is renamed to


def read_event_dict(
    record: logging.LogRecord, event_dict: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the caller named in a message that is a dict, and what structlog added.

    Args:
        record: if structlog has not marked it, it was made by hand, and all of it is the caller's.
        event_dict: its message.
    """
    name_of_text = _name_of_text(event_dict)
    about = record.__dict__
    by_structlog = "_logger" in about
    named: dict[str, Any] = {}
    added: dict[str, Any] = {}
    into = named
    for key, value in event_dict.items():
        if key == name_of_text:
            if by_structlog and key == "event":  # if renamed, it stands at the end
                into = added
        elif key in RECORD_ATTRIBUTES and not by_structlog:
            # A formatter, such as watchtower's, writes parts of the record into the message, and
            # makes a message of it if it is text.
            if name_of_text == "event" and value is not about.get(key):
                into[key] = value
        elif key not in _INTERNAL and (into is named or key not in _ADDED):
            into[key] = value
    if by_structlog:
        _forget_rendered_time(added if into is added else named)
    return named, added


def without_internal(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a record's extras without those that are only for structlog."""
    return {key: value for key, value in fields.items() if key not in _INTERNAL}


def forget_repeats(record: logging.LogRecord, fields: dict[str, Any]) -> None:
    """Remove from the fields what structlog's processors repeat of the record.

    If structlog renders to `extra`, or the caller used the same name, their place tells nothing,
    so their value decides.
    """
    if fields.keys().isdisjoint(_REPEATED):
        return
    repeats = zip(_REPEATED, (record.name, record.levelno, record.levelname.lower()))
    for name, value in repeats:
        own = fields.get(name)
        if type(own) is type(value) and own == value:  # other types may compare as they like
            del fields[name]
            if name == "level":
                _forget_rendered_time(fields)


def _forget_rendered_time(fields: dict[str, Any]) -> None:
    """Remove a timestamp without a zone: the record's own time, made readable for people."""
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
    """Return the message before its arguments are put in, None if there is no text."""
    if type(record.msg) is str and "extra" not in record.__dict__:
        return record.msg
    if isinstance(record.msg, Mapping):
        text = record.msg.get(_name_of_text(record.msg))
        return None if text is None else str(text)
    text = record.msg if isinstance(record.msg, str) else str(record.msg)
    if isinstance(record.__dict__.get("extra"), Mapping):  # loguru
        text = _serialized_text(text) or text
        # The default format, of a sink that was added without `format="{message}"`.
        _, prefix, rest = text.partition(f"{record.name}:{record.funcName}:{record.lineno} - ")
        text = rest if prefix else text
        if record.exc_info:  # a traceback follows, which may show the values of variables
            text = text.partition("\n")[0]
    return text


def _serialized_text(text: str) -> str | None:
    """Return the message in a text that loguru wrote with `serialize=True`, else None."""
    if not text.startswith('{"text": '):
        return None
    try:
        message = decode(text)["record"]["message"]
    except (ValueError, LookupError, TypeError):
        return None
    return message if isinstance(message, str) else None


def text_of(record: logging.LogRecord) -> str | None:
    """Return the message with its arguments put in, None if there is no text."""
    text = template_of(record)
    args = arguments_of(record)
    if text is None or not args:
        return text
    try:
        if type(record.msg) is str and "extra" not in record.__dict__:
            return record.getMessage()  # a record class may have its own way
        filled: str = text % args
    except Exception as error:
        raise InvalidMessage(
            f"the message's arguments cannot be put into its text ({type(error).__name__}): "
            "pass one for each %-sign, of the right type"
        ) from error
    return filled


def arguments_of(record: logging.LogRecord) -> Any:
    """Return what is to be put into the message, as `%` takes it, or something empty."""
    if type(record.msg) is str or not isinstance(record.msg, Mapping):
        return record.args
    args: Any = record.msg.get("positional_args")
    one_mapping = args and len(args) == 1 and isinstance(args[0], Mapping)
    return args[0] if one_mapping else args


def _name_of_text(event_dict: Mapping[str, Any]) -> str:
    return next((name for name in _TEXTS if name in event_dict), "event")
