"""The options that say how a record becomes a message.

The handler has them beside those of delivery. The formatter, which delivers nothing, has no others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from .._messages.message import Message
from ..errors import ConfigurationError
from .checks import (
    callable_or_none,
    number,
    object_or_none,
    one_of,
    switch,
    texts,
    texts_or_none,
)
from .table import Options, option

BeforeSend = Callable[[Message], "Message | None"]
"""What `before_send` is: called in the caller's thread; returns the message to send, or None."""

Consent = Mapping[str, bool] | Callable[[], Mapping[str, bool] | None]
"""Category ids to whether the user agreed to them; or what returns that for the current context,
and None if nothing is known."""


def _consent_or_none(name: str, value: Any) -> Any:
    """Categories, or what returns them, or None."""
    if not isinstance(value, Mapping):
        return callable_or_none(name, value)
    check_categories(value)
    if not value:
        raise ConfigurationError(
            f"{name} names no category, which Segment takes for consent to nothing: "
            "name the categories, or pass None to say nothing about consent"
        )
    return value


def check_categories(value: object) -> None:
    """Raise a ConfigurationError for what Segment could not read as category preferences."""
    if not isinstance(value, Mapping) or not all(
        isinstance(key, str) and isinstance(agreed, bool) for key, agreed in value.items()
    ):
        raise ConfigurationError(
            "consent must map category ids to true or false: write {'advertising': False}"
        )


# fmt: off
@dataclass(kw_only=True, eq=False, repr=False)
class RecordOptions(Options):
    """How records are read: name, type, default, check, sentence."""

    capture: str = option("marked", one_of("marked", "all"),
        '"marked": a record is an event if it carries an analytics key; "all": every record is')
    context: Mapping[str, Any] | None = option(None, object_or_none,
        "merged under the context of every message")
    integrations: Mapping[str, Any] | None = option(None, object_or_none,
        "merged under the integrations of every message")
    include_extras: bool = option(True, switch,
        "whether other extras become properties, or traits of identify and group")
    exclude_extras: Sequence[str] = option((), texts,
        "patterns of more extras that do not: those of tracing and cloud loggers never do")
    keep_extras: Sequence[str] = option((), texts,
        'patterns of those that do after all, such as "task_id"')
    before_send: BeforeSend | None = option(None, callable_or_none,
        "called with each message in the caller's thread; returns the message to send, or None")
    redact: Sequence[str] = option((), texts,
        'keys to leave out of properties, traits and context: "password", "*.pin", "context.ip"')
    hashed: Sequence[str] = option((), texts,
        "keys whose value is replaced by the SHA-256 of its text")
    allow_events: Sequence[str] | None = option(None, texts_or_none,
        'patterns like "Order *": all other tracks, pages and screens are ignored')
    deny_events: Sequence[str] = option((), texts,
        "patterns of the tracks, pages and screens to ignore")
    sample_rate: float = option(1.0, number(at_least=0, at_most=1),
        "the share of users to keep, with all of their messages: from 0 to 1")
    consent: Consent | None = option(None, _consent_or_none,
        "category ids to True or False; or a function that returns that, and None if nothing is "
        "known")
# fmt: on


class RecordKeywords(TypedDict, total=False):
    """The same names and types, for type checkers."""

    capture: str
    context: Mapping[str, Any] | None
    integrations: Mapping[str, Any] | None
    include_extras: bool
    exclude_extras: Sequence[str]
    keep_extras: Sequence[str]
    before_send: BeforeSend | None
    redact: Sequence[str]
    hashed: Sequence[str]
    allow_events: Sequence[str] | None
    deny_events: Sequence[str]
    sample_rate: float
    consent: Consent | None
