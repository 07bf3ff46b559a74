"""Where a writer finds the extras and the text of records from structlog and loguru.

Which fields are the caller's follows from their names and their order, as in `dialects`, which is
the reference. It is therefore determined once for each sequence of names. Pure.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .attributes import MARKS, RECORD_ATTRIBUTES, ExtraNames
from .dialects import INTERNAL, fields_in, forget_rendered_time, name_of_text, template_of

Flat = Callable[[logging.LogRecord, Mapping[str, Any]], Mapping[str, Any]]
"""Takes a record and its attributes, and returns the extras. Raises an exception if the reference
has to decide."""

Text = Callable[[logging.LogRecord], Any]
"""Takes a record, and returns its message, or None if the reference has to decide."""


class Source(NamedTuple):
    """Where the extras of a record are.

    Attributes:
        names: the names of the extras.
        is_marked: whether one of them makes the record an event.
        flat: returns the extras.
        text: returns the message.
    """

    names: tuple[Any, ...]
    is_marked: bool
    flat: Flat
    text: Text


def of_structlog(
    names: ExtraNames, around: tuple[str, ...], keys: tuple[Any, ...]
) -> Source | None:
    """Return the source of records whose message is a dict of structlog's.

    Args:
        names: tells which names are the caller's.
        around: the names of the record's own extras.
        keys: the keys of the message.

    Returns:
        None if only the reference can read them.
    """
    if "positional_args" in keys or any(type(key) is not str for key in keys):
        return None
    text_key = name_of_text(keys)
    named, added = fields_in(keys, text_key)
    timed = added if "event" in keys else named
    named, added = _callers(names, named), _callers(names, added)
    own = tuple(name for name in around if name not in INTERNAL)
    inner = (*added, *named)
    has_time = "timestamp" in timed and "timestamp" in inner

    def flat(record: logging.LogRecord, extras: Mapping[str, Any]) -> Mapping[str, Any]:
        message: Any = record.msg
        if record.args:
            raise ValueError("they do not belong to the text")
        fields = {name: message[name] for name in inner}
        if has_time:
            moment = fields["timestamp"]
            if type(moment) is not str or not moment.endswith("Z"):  # else it has a zone
                forget_rendered_time(fields)
                fields.setdefault("timestamp", None)
        for name in own:
            fields[name] = extras[name]
        return fields

    def text(record: logging.LogRecord) -> Any:
        message: Any = record.msg
        found = message.get(text_key)
        return found if type(found) is str else None

    is_marked = not (names.marks.isdisjoint(around) and MARKS.isdisjoint(named))
    return Source(tuple(dict.fromkeys((*inner, *own))), is_marked, flat, text)


def of_loguru(names: ExtraNames, around: tuple[str, ...], keys: tuple[Any, ...]) -> Source:
    """Return the source of records of loguru's, whose extras are in the dict `extra`.

    Args:
        names: tells which names are the caller's.
        around: the names of the record's own extras, without `extra`.
        keys: the keys of that dict.
    """
    inner = _callers(names, keys)

    def flat(record: logging.LogRecord, extras: Mapping[str, Any]) -> Mapping[str, Any]:
        if record.args:
            raise ValueError("the text has arguments")
        bound = extras["extra"]
        fields = {name: bound[name] for name in inner}
        for name in around:
            fields[name] = extras[name]
        return fields

    is_marked = not (names.marks.isdisjoint(around) and MARKS.isdisjoint(inner))
    return Source(tuple(dict.fromkeys((*inner, *around))), is_marked, flat, template_of)


def _callers(names: ExtraNames, keys: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the names in a dict that are the caller's. See `ExtraNames.callers`."""
    return tuple(key for key in keys if names[key] is not None or key in RECORD_ATTRIBUTES)
