"""Cleanup in forked children, which must not touch what belongs to their parent.

Other modules register cleanup functions here. `os.register_at_fork` runs them after a fork. If a
fork bypasses it, as in uWSGI, the child's first event runs them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable[[], None])

NO_PROCESS = -1
"""Not the id of any process, and unlike None, not one that a record may have."""

_functions: list[Callable[[], None]] = []
_pid = os.getpid()


def in_forked_child(function: F) -> F:
    """Register `function` to be called in every forked child, in the order of registration."""
    _functions.append(function)
    return function


def leave_parent() -> None:
    """Run the registered functions, unless they have already run in this process."""
    global _pid
    if _pid != os.getpid():
        _pid = os.getpid()
        for function in _functions:
            function()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=leave_parent)
