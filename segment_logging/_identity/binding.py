"""Who it was, said once for all events of a thread, a task or a request: `bind` and `identity`.

It is kept in a context variable, read in the caller's thread (the listener's does not see it), and
read only for a record that is an event, as finding it out may be costly. Being bound never makes a
record an event.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

from .._public import public_in
from ..errors import ConfigurationError
from .who import NOBODY, Identity, KnownIdentity

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Binding:
    """Whom a context is about, and what is left of that at the end of what bound it.

    Attributes:
        identity: who it is.
        lasting: what `unbind` goes back to: `identity` without what `bind` has added.
        blocks: the `identity` blocks that were entered and not left yet. The references are weak,
            or a task that starts its own successor inside a block would pile them up.
    """

    identity: Identity
    lasting: Identity
    blocks: tuple[weakref.ref[_Block], ...] = ()


class _Block:
    """An `identity` block that was entered, with what was bound around it."""

    __slots__ = ("__weakref__", "around")

    def __init__(self, around: Binding) -> None:
        self.around = around


_UNBOUND = Binding(NOBODY, NOBODY)

current_binding: ContextVar[Binding] = ContextVar("segment_logging.identity", default=_UNBOUND)
"""What is bound in the current thread or task."""


def current_identity() -> Identity:
    """Return whom the current context is about."""
    return current_binding.get().identity


@public_in("segment_logging")
def bind(
    *,
    user_id: Any = None,
    anonymous_id: Any = None,
    context: Mapping[str, Any] | None = None,
) -> None:
    """Fill in the identity of every event that is logged in this context from now on.

    What is None stays as it was bound; `context` is merged. A context is a thread, an asyncio
    task or an `asyncio.to_thread`; `run_in_executor` starts without one. `unbind` ends it; an
    `identity` block ends by itself.

    Args:
        user_id: text, a number or a UUID.
        anonymous_id: text, a number or a UUID.
        context: merged into Segment's context object of every event.

    Raises:
        ConfigurationError: the context is not an object.
    """
    added = _identity_of(user_id, anonymous_id, context)
    before = current_binding.get()
    current_binding.set(Binding(added.over(before.identity), before.lasting, before.blocks))


@public_in("segment_logging")
def unbind() -> None:
    """Forget what `bind` has bound in this context.

    What an `identity` block or a framework's request has bound stays until that ends.
    """
    before = current_binding.get()
    current_binding.set(Binding(before.lasting, before.lasting, before.blocks))


@contextmanager
def only_identity(bound: Identity | Binding) -> Iterator[None]:
    """Have exactly `bound` in force inside the `with` block, whatever is bound around it."""
    before = current_binding.get()
    current_binding.set(bound if isinstance(bound, Binding) else Binding(bound, bound))
    try:
        yield
    finally:
        current_binding.set(before)


@public_in("segment_logging")
class identity:  # in lower case, as it is used like a function: see `contextlib.suppress`
    """Fill in the identity of every event that is logged inside the `with` block; see `bind`.

    It also decorates functions, async or not. As with any context variable, what a generator binds
    is visible between its steps to whoever asks for them. It ends with the block, and takes nobody
    else's binding along, wherever and in whatever order generators are closed.

    Args:
        user_id: text, a number or a UUID.
        anonymous_id: text, a number or a UUID.
        context: merged into Segment's context object of every event.

    Raises:
        ConfigurationError: the context is not an object, or a generator function is decorated.
    """

    def __init__(
        self,
        *,
        user_id: Any = None,
        anonymous_id: Any = None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        self._added = _identity_of(user_id, anonymous_id, context)
        self._entered: list[_Block] = []  # by any thread or task, if it is used more than once

    def __enter__(self) -> None:
        around = current_binding.get()
        bound = self._added.over(around.identity)
        block = _Block(around)
        self._entered.append(block)
        outer = (entered for entered in around.blocks if entered() is not None)
        current_binding.set(Binding(bound, bound, (*outer, weakref.ref(block))))

    def __exit__(self, *_: object) -> None:
        # Not by token, and not simply back: a generator may end in another context, where its
        # block was never entered, or after the block around it.
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
                "use a `with` block inside it that holds no `yield`"
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


def _identity_of(user_id: Any, anonymous_id: Any, context: Any) -> KnownIdentity:
    if context is not None and not isinstance(context, Mapping):
        raise ConfigurationError(
            f"context must be an object, not {type(context).__name__}: pass a dict"
        )
    return KnownIdentity(user_id=user_id, anonymous_id=anonymous_id, context=context)
