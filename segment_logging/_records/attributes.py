"""Which attributes of a record are extras of the caller's.

What a caller passes as `extra` and what others put on a record both end up in its `__dict__`. So
it goes by the names: those that every LogRecord has, those that the program's record factory puts
on every record, and those that tracing and cloud loggers are known for.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from .._identity.logger_bindings import LOGGER_BINDING
from .once import MESSAGE_ID

_LATER = frozenset({"message", "asctime"})  # set by a formatter, which may be after the extras

RECORD_ATTRIBUTES = frozenset(
    {*logging.LogRecord("", 0, "", 0, "", (), None).__dict__, *_LATER, "taskName"}
)
"""Names that logging lets no extra have. python-json-logger has the same list, but importing it
would take as long as a tenth of this package."""

_ADDED_LATER = _LATER if sys.version_info >= (3, 12) else _LATER | {"taskName"}
# They may stand behind the extras. Before 3.12, only a program itself sets `taskName`.

MARKS = frozenset(
    {
        "type", "user_id", "anonymous_id", "event", "properties", "traits", "group_id",
        "previous_id", "integrations", "message_id",
    }
)  # fmt: skip
"""The extras that make a record an event."""

KEYS = MARKS | {"timestamp", "context", "category"}
"""The extras that are ours, whatever the options say of other extras."""

KEPT_IDENTITY = "_segment_identity"
"""Where a record carries whom it is about, if it is to be read later or by another thread."""

_OURS = KEYS | {"segment", "extra"}

LEFT_OUT = (
    "_*",  # private to whoever put it there: google-cloud-logging, structlog, us
    "otel*", "trace_id", "span_id", "trace_flags", "trace_sampled",  # OpenTelemetry
    "traceId", "spanId", "traceSampled",  # OpenCensus
    "dd.*",  # Datadog
    "elasticapm_*",
    "aws_request_id",  # AWS Lambda
    "correlation_id", "celery_parent_id", "celery_current_id",  # asgi-correlation-id
    "task_id", "task_name",  # Celery
)  # fmt: skip
"""Patterns of what tracing, cloud loggers and task queues put on the records of others."""

_MOST_NAMES = 10_000  # of which the decision is kept; a program has a few dozen


class ExtraNames(dict[str, "bool | None"]):
    """Maps the name of an attribute to what it is.

    True for an extra, False for what every record has before its extras, None for all else. Each
    name is decided once and then looked up, as this is asked for every record.

    Args:
        exclude: patterns of more names that are not the caller's. One of our own names is meant
            only if it is written out.
        keep: patterns of names that are the caller's after all.
    """

    def __init__(self, exclude: Sequence[str] = (), keep: Sequence[str] = ()) -> None:
        self._exclude = tuple(exclude)
        self._keep = tuple(keep)
        self.factory: Callable[..., logging.LogRecord] = logging.LogRecord
        """The record factory of the program, as of the last look."""
        self._of_factory: frozenset[str] = frozenset()
        self.marks = MARKS
        """The extras that make a record an event. What is on every record makes none."""

    def learn(self, factory: Callable[..., logging.LogRecord]) -> None:
        """Find out what another record factory puts on every record, by having it make one."""
        self.factory = factory  # first, as it may log
        self._of_factory = _names_of(factory)
        self.marks = MARKS - self._of_factory
        self.clear()

    def callers(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of an event dict or a bound logger that are the caller's."""
        return {
            key: value
            for key, value in fields.items()
            if self[key] is not None or key in RECORD_ATTRIBUTES  # there, names like any other
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
