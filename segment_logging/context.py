"""Who the current context is about: a context variable that fills in records' identities.

Read in the caller's thread, as the listener's does not see it, and only for a record that is an
event: what is bound may be costly to find out. It never makes a record an event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from .errors import ConfigurationError


class Bound(Protocol):
    """What may be bound to a context: asked for each event, in the thread that logs it."""

    @property
    def context(self) -> Mapping[str, Any] | None:
        """What goes under the event's own context."""

    def fill_in(self, user_id: Any, anonymous_id: Any) -> tuple[Any, Any]:
        """Return both ids of an event, with what is None taken from here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What is known of the user whom the current context is about."""

    user_id: Any = None
    anonymous_id: Any = None
    context: Mapping[str, Any] | None = None

    def fill_in(self, user_id: Any, anonymous_id: Any) -> tuple[Any, Any]:
        """Return both ids with what is None taken from here.

        Another user than the one bound does not get that one's anonymous id: Segment would take
        the two users for the same person.
        """
        if user_id is None:
            user_id = self.user_id
        elif self.user_id is not None and str(self.user_id) != str(user_id):
            return user_id, anonymous_id
        return user_id, self.anonymous_id if anonymous_id is None else anonymous_id

    def over(self, below: Bound) -> Bound:
        """Return what is bound when this is added to `below`, which is not asked before it must."""
        if isinstance(below, _Layers):
            return below.add(self)
        if not isinstance(below, Identity):
            return _Layers(below=below, above=self)
        user_id, anonymous_id = below.fill_in(self.user_id, self.anonymous_id)
        return Identity(
            user_id=user_id,
            anonymous_id=anonymous_id,
            context=merge(below.context, self.context),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layers:
    """An identity on top of one that is asked only when an event is logged.

    Adding to it gives what binding one by one to a known identity would, in at most three layers,
    however often something is added: a connection may last for days.
    """

    below: Bound
    above: Identity
    is_another: bool = False
    """Whether one user was bound over another: then the ids below are not this one's."""

    @property
    def context(self) -> Mapping[str, Any] | None:
        return merge(self.below.context, self.above.context)

    def fill_in(self, user_id: Any, anonymous_id: Any) -> tuple[Any, Any]:
        ids = self.above.user_id, self.above.anonymous_id
        if not self.is_another:
            ids = self.below.fill_in(*ids)
        return Identity(user_id=ids[0], anonymous_id=ids[1]).fill_in(user_id, anonymous_id)

    def add(self, added: Identity) -> _Layers:
        before = self.above
        if before.user_id is None and before.anonymous_id and added.user_id is not None:
            return _Layers(below=self, above=added)  # whose anonymous id it is, only `below` knows
        above = added.over(before)
        assert isinstance(above, Identity)
        changes = before.user_id is not None and str(above.user_id) != str(before.user_id)
        return _Layers(below=self.below, above=above, is_another=self.is_another or changes)


NOBODY = Identity()

current_identity: ContextVar[Bound] = ContextVar("segment_logging.identity", default=NOBODY)
"""The identity of the current thread, task or generator step."""


def bind(
    *,
    user_id: Any = None,
    anonymous_id: Any = None,
    context: Mapping[str, Any] | None = None,
) -> None:
    """Fill in the identity of every event logged in this context from now on.

    What is None stays as it was bound; `context` is merged. A context is a thread, an asyncio
    task or `asyncio.to_thread`; `run_in_executor` starts without one. End it with `unbind`, or
    use `identity`, which ends by itself.

    Args:
        user_id: text, number or UUID.
        anonymous_id: likewise.
        context: merged into Segment's context object of every event.

    Raises:
        ConfigurationError: a context that is no object.
    """
    added = _identity_of(user_id, anonymous_id, context)
    current_identity.set(added.over(current_identity.get()))


def unbind() -> None:
    """Forget what was bound in this context."""
    current_identity.set(NOBODY)


@contextmanager
def under(bound: Bound) -> Iterator[None]:
    """Have exactly `bound` bound inside the `with` block."""
    before = current_identity.get()
    current_identity.set(bound)
    try:
        yield
    finally:
        current_identity.set(before)  # not by token: a generator may end in another context


@contextmanager
def identity(
    *,
    user_id: Any = None,
    anonymous_id: Any = None,
    context: Mapping[str, Any] | None = None,
) -> Iterator[None]:
    """Fill in the identity of every event logged inside the `with` block; see `bind`."""
    added = _identity_of(user_id, anonymous_id, context)
    with under(added.over(current_identity.get())):
        yield


def _identity_of(user_id: Any, anonymous_id: Any, context: Any) -> Identity:
    if context is not None and not isinstance(context, Mapping):
        raise ConfigurationError(
            f"context must be an object, not {type(context).__name__}: pass a dict"
        )
    return Identity(user_id=user_id, anonymous_id=anonymous_id, context=context)


def merge(
    lower: Mapping[str, Any] | None, upper: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """Return both as one, objects inside merged likewise; `upper` wins. Neither is changed."""
    if not lower or not upper:
        return upper or lower
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged
