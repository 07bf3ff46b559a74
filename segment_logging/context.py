"""Who the current context is about: a context variable that fills in records' identities.

Read in the caller's thread, as the listener's does not see it, and only for a record that is an
event: what is bound may be costly to find out. It never makes a record an event.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from .errors import ConfigurationError

P = ParamSpec("P")
R = TypeVar("R")


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


@dataclass(frozen=True, slots=True)
class Binding:
    """Whom a context is about, and what is left of it at the end of what bound it.

    Attributes:
        bound: who it is.
        lasting: what `unbind` goes back to: as `bound` without what `bind` has added.
        blocks: the `identity` blocks that were entered and not left. Weak: a task that starts its
            own successor from within one would pile them up.
    """

    bound: Bound
    lasting: Bound
    blocks: tuple[weakref.ref[_Block], ...] = ()


class _Block:
    """An `identity` block that was entered, with what was bound around it."""

    __slots__ = ("__weakref__", "around")

    def __init__(self, around: Binding) -> None:
        self.around = around


_UNBOUND = Binding(NOBODY, NOBODY)

current_binding: ContextVar[Binding] = ContextVar("segment_logging.identity", default=_UNBOUND)
"""What is bound in the current thread or task."""


def current_identity() -> Bound:
    """Return whom the current context is about."""
    return current_binding.get().bound


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
    before = current_binding.get()
    current_binding.set(Binding(added.over(before.bound), before.lasting, before.blocks))


def unbind() -> None:
    """Forget what `bind` bound in this context. What an `identity` block around or a framework's
    request has bound stays until that ends."""
    before = current_binding.get()
    current_binding.set(Binding(before.lasting, before.lasting, before.blocks))


@contextmanager
def under(bound: Bound | Binding) -> Iterator[None]:
    """Have exactly `bound` bound inside the `with` block."""
    before = current_binding.get()
    current_binding.set(bound if isinstance(bound, Binding) else Binding(bound, bound))
    try:
        yield
    finally:
        current_binding.set(before)


class identity:  # used as a function is, like `contextlib.suppress`
    """Fill in the identity of every event logged inside the `with` block; see `bind`.

    Or inside a function that it decorates, async or not. As with every context variable, what a
    generator binds is seen between its steps, too, by who asks for them; it ends with the block,
    and nobody else's goes with it, wherever and in whatever order generators are closed.

    Args:
        user_id: text, number or UUID.
        anonymous_id: likewise.
        context: merged into Segment's context object of every event.

    Raises:
        ConfigurationError: a context that is no object, or a generator function to decorate.
    """

    def __init__(
        self,
        *,
        user_id: Any = None,
        anonymous_id: Any = None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        self._added = _identity_of(user_id, anonymous_id, context)
        self._entered: list[_Block] = []  # by any thread and task, when it is used again

    def __enter__(self) -> None:
        around = current_binding.get()
        bound = self._added.over(around.bound)
        block = _Block(around)
        self._entered.append(block)
        outer = (entered for entered in around.blocks if entered() is not None)
        current_binding.set(Binding(bound, bound, (*outer, weakref.ref(block))))

    def __exit__(self, *_: object) -> None:
        # Not by token, and not just back: a generator may end in another context, where its block
        # was never entered, or after the block around it.
        here = [entered() for entered in current_binding.get().blocks]
        for block in reversed(tuple(self._entered)):
            if block in here:
                self._entered.remove(block)
                current_binding.set(block.around)
                return

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise ConfigurationError(
                "identity cannot decorate a generator, as others run between its steps: "
                "use a `with` block in it that holds no `yield`"
            )
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def run_async(*args: P.args, **options: P.kwargs) -> Any:
                with self:
                    return await function(*args, **options)

            return cast("Callable[P, R]", run_async)

        @functools.wraps(function)
        def run(*args: P.args, **options: P.kwargs) -> R:
            with self:
                return function(*args, **options)

        return run


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
    merged = dict(lower.items())
    for key, value in upper.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged
