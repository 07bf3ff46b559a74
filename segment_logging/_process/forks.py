"""What a forked child must do before it goes on: leave to its parent what is the parent's.

Each room registers what concerns it. The interpreter calls it where it knows of the fork; where it
does not (uWSGI forks without telling it), the first event of the child does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable[[], None])

_functions: list[Callable[[], None]] = []
_pid = os.getpid()


def in_forked_child(function: F) -> F:
    """Have `function` called in every forked child, in the order of registration."""
    _functions.append(function)
    return function


def leave_parent() -> None:
    """Do it, unless this process has already."""
    global _pid
    if _pid != os.getpid():
        _pid = os.getpid()
        for function in _functions:
            function()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=leave_parent)
