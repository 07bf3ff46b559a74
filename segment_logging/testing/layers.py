"""Which of several blocks is in force, if they are nested or overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Layers(Generic[T]):
    """Keeps in force the value of the block that was entered last and has not been left yet.

    Blocks need not end in the reverse order: those of concurrent tasks do not.

    Args:
        put_in_force: called with a block's value, or with None if no block is left.
    """

    def __init__(self, put_in_force: Callable[[T | None], object]) -> None:
        self._put_in_force = put_in_force
        self._layers: list[list[T | None]] = []  # one list a block, as values may be equal

    @property
    def top(self) -> T | None:
        """The value in force, or None if no block is."""
        return self._layers[-1][0] if self._layers else None

    @contextmanager
    def add(self, value: T | None) -> Iterator[None]:
        """Put `value` in force inside the `with` block, until another block is entered."""
        own = [value]
        self._layers = [*self._layers, own]
        self._put_in_force(value)
        try:
            yield
        finally:
            self._layers = [layer for layer in self._layers if layer is not own]
            self._put_in_force(self.top)
