"""A decorator that sets the module name of public classes and functions.

Pickles, error messages and documentation then show the module that users import from. Pickles stay
readable when code moves within the package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def public_in(module: str) -> Callable[[T], T]:
    """Return a decorator that sets `__module__` of a class or function to `module`."""

    def move(thing: T) -> T:
        thing.__module__ = module
        return thing

    return move
