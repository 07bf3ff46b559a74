"""Which attributes of a record are the caller's extras.

The caller's `extra` and the attributes that other code sets on a record all end up in its
`__dict__`. They can only be told apart by name. Names that are not the caller's are those that
every LogRecord has, those that the program's record factory sets on every record, and those that
tracing libraries and cloud loggers are known to set. Of this package's own names, a factory may set
values for events, such as the user id, but they do not make a record an event.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from .._identity.logger_bindings import LOGGER_BINDING
from .once import MESSAGE_ID

_LATER = frozenset({"message", "asctime"})  # set by formatters, possibly after the extras

RECORD_ATTRIBUTES = frozenset(
    {*logging.LogRecord("", 0, "", 0, "", (), None).__dict__, *_LATER, "taskName"}
)
"""Names that logging does not allow as extras. python-json-logger has the same list, but importing
it would add a tenth to this package's import time."""

_ADDED_LATER = _LATER if sys.version_info >= (3, 12) else _LATER | {"taskName"}
# These may come after the extras. Before 3.12, `taskName` is only set by programs themselves.

MARKS = frozenset(
    {
        "type", "user_id", "anonymous_id", "event", "properties", "traits", "group_id",
        "previous_id", "integrations", "message_id",
    }
)  # fmt: skip
"""The extras that make a record an event."""

KEYS = MARKS | {"timestamp", "context", "category"}
"""The extras that belong to this package. `include_extras` does not apply to them."""

KEPT_IDENTITY = "_segment_identity"
"""The attribute that keeps the identity on a record that is read later or by another thread."""

_OURS = KEYS | {"segment", "extra"}

LEFT_OUT = (
    "_*",  # private names, for example of google-cloud-logging, structlog or this package
    "otel*", "trace_id", "span_id", "trace_flags", "trace_sampled",  # OpenTelemetry
    "traceId", "spanId", "traceSampled",  # OpenCensus
    "dd.*",  # Datadog
    "elasticapm_*",
    "aws_request_id",  # AWS Lambda
    "correlation_id", "celery_parent_id", "celery_current_id",  # asgi-correlation-id
    "task_id", "task_name",  # Celery
)  # fmt: skip
"""Patterns of names that tracing libraries, cloud loggers and task queues set on records."""

_MOST_NAMES = 10_000  # the limit of the cache; a program has a few dozen names


class ExtraNames(dict[str, "bool | None"]):
    """Maps the name of an attribute to its kind.

    The kind is True for an extra, False for an attribute that every record has before its extras,
    and None for any other attribute. The kind of a name is cached, because each record needs it.

    Args:
        exclude: patterns of additional names that are not the caller's. A pattern with wildcards
            does not match this package's own names.
        keep: patterns of names that are the caller's even though other code is known to set them.
    """

    def __init__(self, exclude: Sequence[str] = (), keep: Sequence[str] = ()) -> None:
        self._exclude = tuple(exclude)
        self._keep = tuple(keep)
        self.factory: Callable[..., logging.LogRecord] = logging.LogRecord
        """The program's record factory when it was last checked."""
        self._of_factory: frozenset[str] = frozenset()
        self.marks = MARKS
        """The extras that make a record an event, excluding those that are on every record."""

    def learn(self, factory: Callable[..., logging.LogRecord]) -> None:
        """Find out what a new record factory sets on every record, by having it make a record."""
        self.factory = factory  # set this first, because the factory may log
        self._of_factory = _names_of(factory)
        self.marks = MARKS - self._of_factory
        self.clear()

    def callers(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return those fields of an event dict or a bound logger that are the caller's."""
        return {
            key: value
            for key, value in fields.items()
            if self[key] is not None or key in RECORD_ATTRIBUTES  # not reserved in these dicts
        }

    def __missing__(self, name: str) -> bool | None:
        if len(self) >= _MOST_NAMES:
            self.clear()
        self[name] = kind = self._kind_of(name)
        return kind

    def _kind_of(self, name: str) -> bool | None:
        if name in RECORD_ATTRIBUTES:
            return None if name in _ADDED_LATER else False
        if name in (LOGGER_BINDING, KEPT_IDENTITY):
            return True
        if name in _OURS:
            return True if name not in self._exclude else None
        if name == MESSAGE_ID or _matches(name, self._exclude):
            return None
        if _matches(name, self._keep):
            return True
        is_foreign = name in self._of_factory or _matches(name, LEFT_OUT)
        return None if is_foreign else True


def _names_of(factory: Callable[..., logging.LogRecord]) -> frozenset[str]:
    try:
        record = factory("segment_logging", logging.INFO, "", 0, "", (), None, None, None)
        return frozenset(vars(record)) - RECORD_ATTRIBUTES
    except Exception:
        return frozenset()


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(str(name), pattern) for pattern in patterns)
