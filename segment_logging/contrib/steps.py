"""Responses that are made while they are sent, by code that may log.

By then the view has returned and its thread or task may serve others, so the identity is put in
place for each step and taken away after it.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Generic, TypeVar

from typing_extensions import override

from .._identity.binding import Binding, current_binding, only_identity

T = TypeVar("T")


class Steps(Iterator[T], Generic[T]):
    """Goes through `parts` with `bound` bound at each step, and with what the steps bind.

    Each step may run in another thread.
    """

    def __init__(self, parts: Iterable[T], bound: Binding) -> None:
        self._bound = bound
        self._parts = parts
        with only_identity(bound):
            self._iterator = iter(parts)

    @override
    def __next__(self) -> T:
        with only_identity(self._bound):
            try:
                return next(self._iterator)
            finally:
                self._bound = current_binding.get()

    def close(self) -> None:
        """Close what WSGI says must be closed, the iterable, wherever it was left."""
        close = getattr(self._parts, "close", None)
        if close is not None:
            with only_identity(self._bound):
                close()


class AsyncSteps(AsyncIterator[T], Generic[T]):
    """Likewise for asynchronous parts."""

    def __init__(self, parts: AsyncIterable[T], bound: Binding) -> None:
        self._bound = bound
        self._iterator = aiter(parts)

    @override
    async def __anext__(self) -> T:
        with only_identity(self._bound):
            try:
                return await anext(self._iterator)
            finally:
                self._bound = current_binding.get()


def keeping(bound: Binding, function: Callable[[], None]) -> Callable[[], None]:
    """Return the function with `bound` bound while it runs."""

    def run() -> None:
        with only_identity(bound):
            function()

    return run
