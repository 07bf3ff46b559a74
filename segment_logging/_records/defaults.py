"""The values that the handler's options add to every message: context, consent and integrations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .._identity.merge import copied, merge
from .._identity.who import KnownIdentity
from .._messages.lines import BEST, LineEncoder
from .._options.records import RecordOptions, check_categories
from .._reports import where
from .._version import __version__
from ..errors import InvalidMessage, SegmentError
from .page import page_query_of

LIBRARY = {"library": {"name": "segment-logging", "version": __version__}}
"""The part of every message's context that names the library that sent it."""

_MOST_READERS = 8  # handlers whose encoded context is kept on one identity


Copy = Callable[[dict[str, Any], str], dict[str, Any]]


class Context(NamedTuple):
    """A context without the event's own part.

    Attributes:
        value: the context.
        written: the same for a `LineEncoder`, encoded in advance if possible.
    """

    value: Mapping[str, Any]
    written: Any


class Defaults:
    """The defaults for every message.

    Args:
        options: the handler's options for records.
        encoder: the encoder for which contexts are encoded in advance.
        copy: takes an object and its key in the message, and returns the object that is sent. It
            raises ValueError if the object needs more care. None if nothing is changed or kept.
    """

    def __init__(
        self, options: RecordOptions, encoder: LineEncoder = BEST, copy: Copy | None = None
    ) -> None:
        consent = options.consent
        own = {**LIBRARY, **_consent_context(consent)} if isinstance(consent, Mapping) else LIBRARY
        self.encoder = encoder
        self.copy = copy
        self._extended = encoder.extended if copy is None else None
        self.integrations = options.integrations
        self._ask_for_consent = None if isinstance(consent, Mapping) else consent
        self.asks = self._ask_for_consent is not None
        """Whether the consent is asked for at each event."""
        self.clean = page_query_of(options.page_query)
        """Removes the query parameters that are not sent from the page of a context."""
        context = self.clean(merge(own, copied(options.context)) or own)
        self.context = Context(context, self._written(context))
        """The context of an event without an identity, excluding consent that is asked for."""

    def under(self, identity: KnownIdentity, bound: Mapping[str, Any] | None) -> Context:
        """Return the context of events with a bound context.

        Args:
            identity: the identity. Its whole context is only merged and encoded once.
            bound: its context, or the part of it that the event gets.
        """
        if self.asks or bound is not identity.context:
            value = self.now(bound)
            return Context(value, value)
        if not bound:
            return self.context
        context: Context | None = identity.written.get(self)
        if context is None:
            value = self.now(bound)
            context = Context(value, self._written(value))
            if len(identity.written) >= _MOST_READERS:
                identity.written.clear()
            identity.written[self] = context
        return context

    def with_own(self, lower: Context, upper: Mapping[str, Any]) -> Any:
        """Return an event's context: its own part over the others."""
        if "page" in upper:
            upper = self.clean(upper)
        if (
            self._extended is not None
            and type(lower.written) is str
            and type(upper) is dict
            and upper
            and lower.value.keys().isdisjoint(upper)
        ):
            return self._extended(lower.written, upper)
        return merge(lower.value, upper)

    def now(self, bound: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Return the context of events with a bound context, asking for consent if needed."""
        lower: Mapping[str, Any] | None = self.context.value
        if self._ask_for_consent is not None:
            lower = merge(lower, self._consent_now())
        return merge(lower, self.clean(bound)) or {}

    def _written(self, context: Mapping[str, Any]) -> Any:
        try:
            return self.encoder.written(
                context if self.copy is None else self.copy(dict(context), "context")
            )
        except Exception:
            return context

    def _consent_now(self) -> Mapping[str, Any] | None:
        assert self._ask_for_consent is not None
        try:
            consent = self._ask_for_consent()
            check_categories({} if consent is None else consent)
        except Exception as error:
            text = error if isinstance(error, SegmentError) else type(error).__name__
            raise InvalidMessage(
                f"consent failed ({text} in {where(error)}): fix it, or return None "
                "if nothing is known",
                field="context",
            ) from error
        return None if consent is None else _consent_context(consent)


def _consent_context(categories: Mapping[str, bool]) -> dict[str, Any]:
    return {"consent": {"categoryPreferences": dict(categories)}}
