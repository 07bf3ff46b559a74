"""Who the current context is about: a context variable that fills in records' identities.

Read in the caller's thread, as the listener's does not see it. It never makes a record an event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


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


NOBODY = Identity()

current_identity: ContextVar[Identity] = ContextVar("segment_logging.identity", default=NOBODY)
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
    """
    bound = current_identity.get()
    user_id, anonymous_id = bound.fill_in(user_id, anonymous_id)
    current_identity.set(
        Identity(user_id=user_id, anonymous_id=anonymous_id, context=merge(bound.context, context))
    )


def unbind() -> None:
    """Forget what was bound in this context."""
    current_identity.set(NOBODY)


@contextmanager
def identity(
    *,
    user_id: Any = None,
    anonymous_id: Any = None,
    context: Mapping[str, Any] | None = None,
) -> Iterator[None]:
    """Fill in the identity of every event logged inside the `with` block; see `bind`."""
    before = current_identity.get()
    bind(user_id=user_id, anonymous_id=anonymous_id, context=context)
    try:
        yield
    finally:
        current_identity.set(before)  # not by token: a generator may end in another context


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
