"""How structlog and loguru write a record: what of it is the caller's, and what is their own.

structlog passes a dict for the message, in which `event` is the text; or it renders that to
`extra`. What the caller named or bound to the logger stands before `event`, and after it what
processors added: the level, the place of the call, and what is bound to the context, which says
who it was and makes no line an event. Records of `wrap_for_formatter` are marked as structlog's.

loguru passes one dict `extra`, and for the message the text as the sink's format made it.

Pure. Nothing here imports either.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from .encoding import decode
from .errors import InvalidMessage
from .rules import read_iso

# Never the caller's, wherever it stands. The ones with an underscore are on the record, too.
_INTERNAL = frozenset(
    {
        "exc_info", "stack_info", "stack", "exception", "positional_args", "_record",
        "_from_structlog", "_logger", "_name",
    }
)  # fmt: skip
# What processors say of a line: natural names of properties, when the caller gives them.
_ADDED = frozenset(
    {
        "level", "level_number", "logger", "logger_name", "filename", "func_name", "lineno",
        "module", "pathname", "process", "process_name", "qual_module", "qual_name", "thread",
        "thread_name",
    }
)  # fmt: skip
_REPEATED = ("logger", "level_number", "level")
_TEXTS = ("event", "msg", "message")  # structlog's word for the text, and as what it is renamed


def read_event_dict(
    record: logging.LogRecord, event_dict: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the caller named in a message that is a dict, and what structlog added.

    Args:
        record: one that is not marked by structlog was made by hand: all of it is the caller's.
        event_dict: its message.
    """
    name_of_text = _name_of_text(event_dict)
    by_structlog = "_logger" in record.__dict__
    named: dict[str, Any] = {}
    added: dict[str, Any] = {}
    into = named
    for key, value in event_dict.items():
        if key == name_of_text:
            if by_structlog and key == "event":  # renaming would have moved it to the end
                into = added
        elif key not in _INTERNAL and (into is named or key not in _ADDED):
            into[key] = value
    if by_structlog:
        _forget_rendered_time(added if into is added else named)
    return named, added


def without_internal(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a record's extras without those that only structlog reads."""
    return {key: value for key, value in fields.items() if key not in _INTERNAL}


def forget_repeats(record: logging.LogRecord, fields: dict[str, Any]) -> None:
    """Remove from the fields what structlog's processors repeat of the record.

    Where they stand tells nothing when structlog renders to `extra`, or when the caller used the
    same name, so it is told by the value.
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
    """Remove a text that does not say its zone: made for people, of the time the record has."""
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
    """Return the message before its arguments are put in, None when there is no text."""
    if type(record.msg) is str and "extra" not in record.__dict__:
        return record.msg
    if isinstance(record.msg, Mapping):
        text = record.msg.get(_name_of_text(record.msg))
        return None if text is None else str(text)
    text = record.msg if isinstance(record.msg, str) else str(record.msg)
    if isinstance(record.__dict__.get("extra"), Mapping):  # loguru
        text = _serialized_text(text) or text
        # The default format, for a sink that was added without `format="{message}"`.
        _, prefix, rest = text.partition(f"{record.name}:{record.funcName}:{record.lineno} - ")
        text = rest if prefix else text
        if record.exc_info:  # a traceback follows, perhaps with the values of variables
            text = text.partition("\n")[0]
    return text


def _serialized_text(text: str) -> str | None:
    """Return the message in what loguru writes with `serialize=True`; else None."""
    if not text.startswith('{"text": '):
        return None
    try:
        message = decode(text)["record"]["message"]
    except (ValueError, LookupError, TypeError):
        return None
    return message if isinstance(message, str) else None


def text_of(record: logging.LogRecord) -> str | None:
    """Return the message with its arguments put in, None when there is no text."""
    text = template_of(record)
    args = arguments_of(record)
    if text is None or not args:
        return text
    try:
        if type(record.msg) is str and "extra" not in record.__dict__:
            return record.getMessage()  # of a record class, perhaps, that fills in its own way
        filled: str = text % args
    except Exception as error:
        raise InvalidMessage(
            f"the message's arguments cannot be put into its text ({type(error).__name__}): "
            "pass as many as it has %-signs, of their kinds"
        ) from error
    return filled


def arguments_of(record: logging.LogRecord) -> Any:
    """Return what is to be put into the message, as `%` takes it; nothing, when there is none."""
    if type(record.msg) is str or not isinstance(record.msg, Mapping):
        return record.args
    args: Any = record.msg.get("positional_args")
    one_mapping = args and len(args) == 1 and isinstance(args[0], Mapping)
    return args[0] if one_mapping else args


def _name_of_text(event_dict: Mapping[str, Any]) -> str:
    return next((name for name in _TEXTS if name in event_dict), "event")
