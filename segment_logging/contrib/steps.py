"""Responses that are generated step by step while they are sent, by code that may log events.

The view has already returned, and its thread or task may be serving other requests. So the identity
is bound for each step and unbound afterwards.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Generic, TypeVar

from typing_extensions import override

from .._identity.binding import Binding, current_binding, only_identity

T = TypeVar("T")


class Steps(Iterator[T], Generic[T]):
    """Iterates over `parts`, with `binding` in effect during each step.

    An identity that a step binds stays in effect for the following steps. Each step may run in a
    different thread.
    """

    def __init__(self, parts: Iterable[T], binding: Binding) -> None:
        self._binding = binding
        self._parts = parts
        with only_identity(binding):
            self._iterator = iter(parts)

    @override
    def __next__(self) -> T:
        with only_identity(self._binding):
            try:
                return next(self._iterator)
            finally:
                self._binding = current_binding.get()

    def close(self) -> None:
        """Close the iterable itself, as WSGI requires, even if iteration stopped early."""
        close = getattr(self._parts, "close", None)
        if close is not None:
            with only_identity(self._binding):
                close()


class AsyncSteps(AsyncIterator[T], Generic[T]):
    """Iterates over asynchronous `parts`, with `binding` in effect during each step.

    An identity that a step binds stays in effect for the following steps.
    """

    def __init__(self, parts: AsyncIterable[T], binding: Binding) -> None:
        self._binding = binding
        self._iterator = aiter(parts)

    @override
    async def __anext__(self) -> T:
        with only_identity(self._binding):
            try:
                return await anext(self._iterator)
            finally:
                self._binding = current_binding.get()


def keeping(binding: Binding, function: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls `function` with `binding` in effect."""

    def run() -> None:
        with only_identity(binding):
            function()

    return run
