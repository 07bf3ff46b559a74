"""Identities: the user that an event is about, and how two identities are combined. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .merge import merge

_PERSONAL = frozenset({"traits", "groupId", "externalIds", "consent"})
# Other keys describe the request or the program: address, page, browser, language, app.


class Identity(Protocol):
    """An identity that can be bound to a context."""

    def known(self) -> KnownIdentity:
        """Return the current identity. Called for each event, in the thread that logs it."""


class _Written:
    """What readers keep on an identity. It is not one of its values.

    Attributes:
        written: what each reader has made of the context, so that this is not repeated for each
            event.
    """

    __slots__ = ("written",)

    written: dict[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIdentity(_Written):
    """An identity whose values are known.

    Attributes:
        user_id: the user's id, or None if nobody is logged in.
        anonymous_id: the visitor's id, or None.
        context: defaults for the context of an event, or None.
    """

    user_id: Any = None
    anonymous_id: Any = None
    context: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "written", {})

    def known(self) -> KnownIdentity:
        return self

    def of(self, user_id: Any, anonymous_id: Any) -> KnownIdentity:
        """Return the identity of an event with these ids. Ids that are None are filled in.

        If the ids belong to someone else, neither the anonymous id nor the personal parts of the
        context are filled in, because Segment would take the two for the same person.
        """
        if user_id is None and anonymous_id is None:
            return self
        user_id, anonymous_id, context = self.fill_in(user_id, anonymous_id)
        return KnownIdentity(user_id=user_id, anonymous_id=anonymous_id, context=context)

    def fill_in(self, user_id: Any, anonymous_id: Any) -> tuple[Any, Any, Mapping[str, Any] | None]:
        """Return the ids and the context of an event with these ids; see `of`."""
        if user_id is None and anonymous_id is None:
            return self.user_id, self.anonymous_id, self.context
        if self.is_not(user_id, anonymous_id):
            return user_id, anonymous_id, _impersonal(self.context)
        return (
            self.user_id if user_id is None else user_id,
            self.anonymous_id if anonymous_id is None else anonymous_id,
            self.context,
        )

    def is_not(self, user_id: Any, anonymous_id: Any) -> bool:
        """Return whether these ids belong to someone else."""
        if self.user_id is not None:
            return user_id is not None and _differ(self.user_id, user_id)
        visitors = self.anonymous_id, anonymous_id
        return None not in visitors and user_id is None and _differ(*visitors)

    def over(self, below: Identity) -> Identity:
        """Return the result of adding this identity to `below`, without calling `below.known()`."""
        if isinstance(below, KnownIdentity):
            return self.over_known(below)
        return below.add(self) if isinstance(below, _Layers) else _Layers(below=below, above=self)

    def over_known(self, below: KnownIdentity) -> KnownIdentity:
        """Return the result of adding this identity to a known one."""
        whom = below.of(self.user_id, self.anonymous_id)
        return KnownIdentity(
            user_id=whom.user_id,
            anonymous_id=whom.anonymous_id,
            context=merge(whom.context, self.context),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layers:
    """A known identity on top of one that is determined only when an event is logged.

    Adding identities to it has the same effect as adding them one by one to a known identity. There
    are at most four layers, no matter how many are added, since a connection may last for days.
    """

    below: Identity
    above: KnownIdentity
    is_another: bool = False
    """Whether one user was bound over another. If so, `below` belongs to someone else."""
    is_another_visitor: bool = False
    """Whether one visitor was bound over another. This matters if `below` has no user."""
    last: dict[str, tuple[KnownIdentity, KnownIdentity]] = field(
        default_factory=dict, init=False, compare=False
    )
    """What was below at the last event, and the identity that resulted."""

    def known(self) -> KnownIdentity:
        below = self.below.known()
        last = self.last.get("pair")
        if last is not None and last[0] is below:
            return last[1]
        known = self._over(below)
        self.last["pair"] = below, known
        return known

    def _over(self, below: KnownIdentity) -> KnownIdentity:
        if self.is_another or (self.is_another_visitor and below.user_id is None):
            below = KnownIdentity(context=_impersonal(below.context))
        return self.above.over_known(below)

    def add(self, added: KnownIdentity) -> _Layers:
        before = self.above
        if before.user_id is None and _says_who(before):
            is_new_visitor = before.anonymous_id is None and added.anonymous_id is not None
            if added.user_id is not None or is_new_visitor:
                # Only `below` can tell whether this is another user.
                return _Layers(below=self, above=added)
        is_another = before.is_not(added.user_id, added.anonymous_id)
        is_visitor = before.user_id is None
        return _Layers(
            below=self.below,
            above=added.over_known(before),
            is_another=self.is_another or (is_another and not is_visitor),
            is_another_visitor=self.is_another_visitor or (is_another and is_visitor),
        )


def is_same_id(one: Any, other: Any) -> bool:
    """Return whether two ids are certainly the same. Only plain values are compared."""
    return one is other or (type(one) is type(other) and type(one) in (str, int) and one == other)


def _differ(one: Any, other: Any) -> bool:
    if type(one) is str and type(other) is str:
        return one != other
    return str(one) != str(other)  # Segment treats ids as strings


def _says_who(identity: KnownIdentity) -> bool:
    has_personal = identity.context is not None and not _PERSONAL.isdisjoint(identity.context)
    return identity.anonymous_id is not None or has_personal


def _impersonal(context: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return a context without its personal parts."""
    if context is None or _PERSONAL.isdisjoint(context):
        return context
    return {key: value for key, value in context.items() if key not in _PERSONAL}


NOBODY = KnownIdentity()
