"""The options that say how a record becomes a message, as checked, plain values.

The handler has them beside those of delivery; the formatter, which delivers nothing, has no others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from .checks import (
    check_callable,
    check_choice,
    check_number,
    check_object,
    check_switch,
    check_texts,
    plain,
)
from .errors import ConfigurationError
from .messages import Message

BeforeSend = Callable[[Message], "Message | None"]
"""What `before_send` is: called in the caller's thread; returns the message to send, or None."""

Consent = Mapping[str, bool] | Callable[[], Mapping[str, bool] | None]
"""Category ids to whether the user agreed to them; or what returns that for the current context,
None when nothing is known."""


@dataclass(kw_only=True, eq=False, repr=False)  # the rest would double the import's time
class Reading:
    """How records are read. The docstring of `SegmentHandler` says what each option means.

    Raises:
        ConfigurationError: a value that cannot work; names the option.
    """

    capture: str = "marked"
    context: Mapping[str, Any] | None = None
    integrations: Mapping[str, Any] | None = None
    include_extras: bool = True
    before_send: BeforeSend | None = None
    redact: Sequence[str] = ()
    hashed: Sequence[str] = ()
    allow_events: Sequence[str] | None = None
    deny_events: Sequence[str] = ()
    sample_rate: float = 1.0
    consent: Consent | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            setattr(self, field.name, plain(field.name, getattr(self, field.name)))
        check_choice("capture", self.capture, ("marked", "all"))
        for name in ("context", "integrations"):
            check_object(name, getattr(self, name))
        check_switch("include_extras", self.include_extras)
        check_callable("before_send", self.before_send)
        for name in ("redact", "hashed", "deny_events"):
            check_texts(name, getattr(self, name))
        if self.allow_events is not None:
            check_texts("allow_events", self.allow_events)
        check_number("sample_rate", self.sample_rate, at_least=0, at_most=1)
        if isinstance(self.consent, Mapping):
            check_categories(self.consent)
            if not self.consent:
                raise ConfigurationError(
                    "consent names no category, which Segment takes for no consent to anything: "
                    "name them, or pass None to say nothing of consent"
                )
        else:
            check_callable("consent", self.consent)


def check_categories(value: object) -> None:
    """Raise a ConfigurationError for what Segment could not read as category preferences."""
    if not isinstance(value, Mapping) or not all(
        isinstance(key, str) and isinstance(agreed, bool) for key, agreed in value.items()
    ):
        raise ConfigurationError(
            "consent must map category ids to true or false: write {'advertising': False}"
        )
