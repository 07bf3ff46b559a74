"""Where a public class or function says it lives, whichever room its code is in.

Pickles, error texts and documentation then name the place that users import from, and survive a
move inside the package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def public_in(module: str) -> Callable[[T], T]:
    """Return a decorator that has a class or function name `module` as its own."""

    def move(thing: T) -> T:
        thing.__module__ = module
        return thing

    return move
