"""Determines which of several nested or overlapping blocks is in effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Layers(Generic[T]):
    """A stack of blocks, of which the most recently entered one is in effect.

    Blocks do not have to end in reverse order, because blocks in concurrent tasks may not.

    Args:
        put_in_force: called with the value that takes effect, or with None if no block is left.
    """

    def __init__(self, put_in_force: Callable[[T | None], object]) -> None:
        self._put_in_force = put_in_force
        self._layers: list[list[T | None]] = []  # a list for each block, since values can be equal

    @property
    def top(self) -> T | None:
        """The value in effect, or None if there is no block."""
        return self._layers[-1][0] if self._layers else None

    @contextmanager
    def add(self, value: T | None) -> Iterator[None]:
        """Put `value` into effect inside the `with` block, until another block is entered."""
        own = [value]
        self._layers = [*self._layers, own]
        self._put_in_force(value)
        try:
            yield
        finally:
            self._layers = [layer for layer in self._layers if layer is not own]
            self._put_in_force(self.top)
