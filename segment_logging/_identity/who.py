"""Whom an event is about: what can be bound, and what one binding on top of another means. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .merge import merge


class Identity(Protocol):
    """What can be bound to a context. It is asked for each event, in the thread that logs it."""

    @property
    def context(self) -> Mapping[str, Any] | None:
        """What goes under the event's own context."""

    def fill_in(self, user_id: Any, anonymous_id: Any) -> tuple[Any, Any]:
        """Return both ids of an event, those that are None filled in from here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIdentity:
    """What is known of the user whom the current context is about."""

    user_id: Any = None
    anonymous_id: Any = None
    context: Mapping[str, Any] | None = None

    def fill_in(self, user_id: Any, anonymous_id: Any) -> tuple[Any, Any]:
        """Return both ids, those that are None filled in from here.

        A user other than the bound one does not get that one's anonymous id: Segment would take
        the two for the same person.
        """
        if user_id is None:
            user_id = self.user_id
        elif self.user_id is not None and str(self.user_id) != str(user_id):
            return user_id, anonymous_id
        return user_id, self.anonymous_id if anonymous_id is None else anonymous_id

    def over(self, below: Identity) -> Identity:
        """Return what is bound once this is added to `below`, which is not asked before it must."""
        if isinstance(below, _Layers):
            return below.add(self)
        if not isinstance(below, KnownIdentity):
            return _Layers(below=below, above=self)
        user_id, anonymous_id = below.fill_in(self.user_id, self.anonymous_id)
        return KnownIdentity(
            user_id=user_id,
            anonymous_id=anonymous_id,
            context=merge(below.context, self.context),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layers:
    """A known identity on top of one that is asked only when an event is logged.

    Adding to it has the effect of binding one by one to a known identity. However often something
    is added, there are at most three layers: a connection may last for days.
    """

    below: Identity
    above: KnownIdentity
    is_another: bool = False
    """Whether one user was bound over another. The ids below then belong to somebody else."""

    @property
    def context(self) -> Mapping[str, Any] | None:
        return merge(self.below.context, self.above.context)

    def fill_in(self, user_id: Any, anonymous_id: Any) -> tuple[Any, Any]:
        ids = self.above.user_id, self.above.anonymous_id
        if not self.is_another:
            ids = self.below.fill_in(*ids)
        return KnownIdentity(user_id=ids[0], anonymous_id=ids[1]).fill_in(user_id, anonymous_id)

    def add(self, added: KnownIdentity) -> _Layers:
        before = self.above
        if before.user_id is None and before.anonymous_id and added.user_id is not None:
            return _Layers(below=self, above=added)  # only `below` knows whose anonymous id it is
        above = added.over(before)
        assert isinstance(above, KnownIdentity)
        changes = before.user_id is not None and str(above.user_id) != str(before.user_id)
        return _Layers(below=self.below, above=above, is_another=self.is_another or changes)


NOBODY = KnownIdentity()
