"""Whom an event is about: what can be bound, and what one binding on top of another means. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .merge import merge

_PERSONAL = frozenset({"traits", "groupId", "externalIds"})
# All else in a context is of the request or the program: address, page, browser, language, app.


class Identity(Protocol):
    """What can be bound to a context."""

    def known(self) -> KnownIdentity:
        """Return who it is now. Asked for each event, in the thread that logs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIdentity:
    """What is known of the user whom the current context is about.

    Attributes:
        user_id: None if nobody is logged in.
        anonymous_id: of the visitor.
        context: what goes under the context of an event.
    """

    user_id: Any = None
    anonymous_id: Any = None
    context: Mapping[str, Any] | None = None

    def known(self) -> KnownIdentity:
        return self

    def of(self, user_id: Any, anonymous_id: Any) -> KnownIdentity:
        """Return whom an event with these ids is about, where None is filled in from here.

        If that is somebody else, neither the anonymous id nor anything personal in the context is
        theirs: Segment would take the two for the same person.
        """
        if self.is_not(user_id, anonymous_id):
            return KnownIdentity(
                user_id=user_id,
                anonymous_id=anonymous_id,
                context=_impersonal(self.context),
            )
        return KnownIdentity(
            user_id=self.user_id if user_id is None else user_id,
            anonymous_id=self.anonymous_id if anonymous_id is None else anonymous_id,
            context=self.context,
        )

    def is_not(self, user_id: Any, anonymous_id: Any) -> bool:
        """Whether these ids are somebody else's."""
        if self.user_id is not None:
            return user_id is not None and _differ(self.user_id, user_id)
        visitors = self.anonymous_id, anonymous_id
        return None not in visitors and user_id is None and _differ(*visitors)

    def over(self, below: Identity) -> Identity:
        """Return what is bound once this is added to `below`, which is not asked before it must."""
        if isinstance(below, KnownIdentity):
            return self.over_known(below)
        return below.add(self) if isinstance(below, _Layers) else _Layers(below=below, above=self)

    def over_known(self, below: KnownIdentity) -> KnownIdentity:
        """The same, where it is known what is below."""
        whom = below.of(self.user_id, self.anonymous_id)
        return KnownIdentity(
            user_id=whom.user_id,
            anonymous_id=whom.anonymous_id,
            context=merge(whom.context, self.context),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layers:
    """A known identity on top of one that is asked only when an event is logged.

    Adding to it has the effect of binding one by one to a known identity. However often something
    is added, there are at most four layers: a connection may last for days.
    """

    below: Identity
    above: KnownIdentity
    is_another: bool = False
    """Whether one user was bound over another. What is below then belongs to somebody else."""
    is_another_visitor: bool = False
    """Whether one visitor was. It does if nobody is logged in below."""

    def known(self) -> KnownIdentity:
        below = self.below.known()
        if self.is_another or (self.is_another_visitor and below.user_id is None):
            below = KnownIdentity(context=_impersonal(below.context))
        return self.above.over_known(below)

    def add(self, added: KnownIdentity) -> _Layers:
        before = self.above
        if before.user_id is None and _says_who(before):
            is_new_visitor = before.anonymous_id is None and added.anonymous_id is not None
            if added.user_id is not None or is_new_visitor:
                return _Layers(below=self, above=added)  # only `below` knows whom that is about
        is_another = before.is_not(added.user_id, added.anonymous_id)
        is_visitor = before.user_id is None
        return _Layers(
            below=self.below,
            above=added.over_known(before),
            is_another=self.is_another or (is_another and not is_visitor),
            is_another_visitor=self.is_another_visitor or (is_another and is_visitor),
        )


def _differ(one: Any, other: Any) -> bool:
    return str(one) != str(other)  # ids are text to Segment


def _says_who(identity: KnownIdentity) -> bool:
    has_personal = identity.context is not None and not _PERSONAL.isdisjoint(identity.context)
    return identity.anonymous_id is not None or has_personal


def _impersonal(context: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return a context without what is of one person alone."""
    if context is None or _PERSONAL.isdisjoint(context):
        return context
    return {key: value for key, value in context.items() if key not in _PERSONAL}


NOBODY = KnownIdentity()
