"""`bind` and `identity`: set the identity for all events of a thread, a task or a request.

The identity is kept in a context variable. It is read in the caller's thread, because the
listener's thread does not see it, and only for events, because determining it may be expensive. A
bound identity never turns a record into an event.
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
from .merge import copied
from .who import NOBODY, Identity, KnownIdentity

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Binding:
    """The identity that is bound to a context, and the data needed to restore it.

    Attributes:
        identity: the bound identity.
        lasting: the identity that `unbind` restores: `identity` excluding what `bind` added.
        blocks: the `identity` blocks that were entered and not left yet. The references are weak,
            because a task that starts its successor inside a block would accumulate blocks.
    """

    identity: Identity
    lasting: Identity
    blocks: tuple[weakref.ref[_Block], ...] = ()


class _Block:
    """An `identity` block that was entered, with the binding outside the block."""

    __slots__ = ("__weakref__", "around")

    def __init__(self, around: Binding) -> None:
        self.around = around


UNBOUND = Binding(NOBODY, NOBODY)

current_binding: ContextVar[Binding] = ContextVar("segment_logging.identity", default=UNBOUND)
"""The binding of the current thread or task."""


def current_identity() -> Identity:
    """Return the identity that is bound to the current context."""
    return current_binding.get().identity


@public_in("segment_logging")
def bind(
    *,
    user_id: Any = None,
    anonymous_id: Any = None,
    context: Mapping[str, Any] | None = None,
) -> None:
    """Fill in the identity of every event that is logged in this context from now on.

    Arguments that are None keep their previous values. A copy of `context` is merged into the
    previous one. A context is a thread, an asyncio task or an `asyncio.to_thread` call. Functions
    run by `run_in_executor` start without an identity. The binding lasts until `unbind` is called.
    To limit it to a block, use `identity`.

    Args:
        user_id: a string, a number or a UUID.
        anonymous_id: a string, a number or a UUID.
        context: an object to merge into the Segment context of every event.

    Raises:
        ConfigurationError: the context is not an object.
    """
    added = _identity_of(user_id, anonymous_id, context)
    before = current_binding.get()
    current_binding.set(Binding(added.over(before.identity), before.lasting, before.blocks))


@public_in("segment_logging")
def unbind() -> None:
    """Remove what `bind` has bound in this context.

    Bindings of an `identity` block or a framework's request stay until the block or request ends.
    """
    before = current_binding.get()
    current_binding.set(Binding(before.lasting, before.lasting, before.blocks))


@contextmanager
def only_identity(bound: Identity | Binding) -> Iterator[None]:
    """Bind exactly `bound` inside the `with` block, regardless of what is bound outside it."""
    before = current_binding.get()
    current_binding.set(bound if isinstance(bound, Binding) else Binding(bound, bound))
    try:
        yield
    finally:
        current_binding.set(before)


@public_in("segment_logging")
class identity:  # lower case, like `contextlib.suppress`, because it is used like a function
    """Fill in the identity of every event that is logged inside the `with` block. See `bind`.

    It also works as a decorator of functions, async or not. If a generator yields inside the block,
    the code that iterates over it sees the identity too, as with any context variable. The binding
    ends with the block. It does not affect other bindings, regardless of where and in which order
    generators are closed.

    Args:
        user_id: a string, a number or a UUID.
        anonymous_id: a string, a number or a UUID.
        context: an object to merge into the Segment context of every event.

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
        self._entered: list[_Block] = []  # by any thread or task, since an object may be reused

    def __enter__(self) -> None:
        around = current_binding.get()
        bound = self._added.over(around.identity)
        block = _Block(around)
        self._entered.append(block)
        outer = (entered for entered in around.blocks if entered() is not None)
        current_binding.set(Binding(bound, bound, (*outer, weakref.ref(block))))

    def __exit__(self, *_: object) -> None:
        # Do not reset the variable by its token or restore the outer binding unconditionally. A
        # generator may be closed in another context, in which its block was never entered, or after
        # the outer block has ended.
        here = [entered() for entered in current_binding.get().blocks]
        for block in reversed(tuple(self._entered)):
            if block in here:
                self._entered.remove(block)
                current_binding.set(block.around)
                return

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise ConfigurationError(
                "identity cannot decorate a generator, since other code runs between its steps: "
                "use a `with` block without a `yield` inside the generator"
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
    context = copied(context)
    return KnownIdentity(user_id=user_id, anonymous_id=anonymous_id, context=context)
