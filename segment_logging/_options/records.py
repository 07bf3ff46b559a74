"""Options for turning records into messages.

The handler has these options and the delivery options. The formatter has only these, because it
delivers nothing.
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
"""The type of `before_send`, which is called in the caller's thread.

It returns the message to send, or None to send nothing.
"""

Consent = Mapping[str, bool] | Callable[[], Mapping[str, bool] | None]
"""A mapping of category ids to whether the user agreed, or a function that returns one.

The function is called in the current context. It returns None if nothing is known.
"""


def _consent_or_none(name: str, value: Any) -> Any:
    """Check that the value is a mapping of categories, a function or None."""
    if not isinstance(value, Mapping):
        return callable_or_none(name, value)
    check_categories(value)
    if not value:
        raise ConfigurationError(
            f"{name} has no categories, which Segment treats as consent to nothing: "
            "list the categories, or pass None to send no consent preferences"
        )
    return value


def check_categories(value: object) -> None:
    """Raise a ConfigurationError if Segment could not read the value as category preferences."""
    if not isinstance(value, Mapping) or not all(
        isinstance(key, str) and isinstance(agreed, bool) for key, agreed in value.items()
    ):
        raise ConfigurationError(
            "consent must map category ids to true or false: write {'advertising': False}"
        )


def _query_names(name: str, value: Any) -> Any:
    """Check that the value is "campaign", "all" or a list of patterns."""
    return one_of("campaign", "all")(name, value) if isinstance(value, str) else texts(name, value)


# fmt: off
@dataclass(kw_only=True, eq=False, repr=False)
class RecordOptions(Options):
    """Options for reading records: name, type, default, check and sentence."""

    capture: str = option("marked", one_of("marked", "all"),
        'which records are events: "marked" (those with an analytics key) or "all"')
    context: Mapping[str, Any] | None = option(None, object_or_none,
        "default context for every message; the message's own values win")
    integrations: Mapping[str, Any] | None = option(None, object_or_none,
        "default integrations for every message; the message's own values win")
    include_extras: bool = option(True, switch,
        "whether all other extras become properties (or, for identify and group, traits)")
    exclude_extras: Sequence[str] = option((), texts,
        "patterns of extras to leave out, in addition to those of tracing and cloud loggers")
    keep_extras: Sequence[str] = option((), texts,
        'patterns of extras to keep that would otherwise be left out, such as "task_id"')
    page_query: str | Sequence[str] = option("campaign", _query_names,
        'which query parameters stay in the URLs of `context.page`: "campaign" (utm_*, gclid and '
        'the like), "all", or a list of patterns of names to keep in addition to "campaign"')
    before_send: BeforeSend | None = option(None, callable_or_none,
        "called in the caller's thread with each message; returns the message to send, or None")
    redact: Sequence[str] = option((), texts,
        'keys to remove from properties, traits and context, such as "password", "*.pin" or '
        '"context.ip"')
    hashed: Sequence[str] = option((), texts,
        "keys whose values are replaced with the SHA-256 of their text")
    allow_events: Sequence[str] | None = option(None, texts_or_none,
        'patterns of the tracks, pages and screens to send, such as "Order *"; None means all')
    deny_events: Sequence[str] = option((), texts,
        "patterns of the tracks, pages and screens to ignore")
    sample_rate: float = option(1.0, number(at_least=0, at_most=1),
        "fraction of users to keep, from 0 to 1; all messages of other users are ignored")
    consent: Consent | None = option(None, _consent_or_none,
        "a mapping of category ids to True or False, or a function that returns one (or None if "
        "nothing is known)")
# fmt: on


class RecordKeywords(TypedDict, total=False):
    """The names and types of the options, for type checkers."""

    capture: str
    context: Mapping[str, Any] | None
    integrations: Mapping[str, Any] | None
    include_extras: bool
    exclude_extras: Sequence[str]
    keep_extras: Sequence[str]
    page_query: str | Sequence[str]
    before_send: BeforeSend | None
    redact: Sequence[str]
    hashed: Sequence[str]
    allow_events: Sequence[str] | None
    deny_events: Sequence[str]
    sample_rate: float
    consent: Consent | None
