"""Whether the current code was called by `on_error`, in the thread that made a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class _Telling:
    """One call of `on_error`. A task that it started keeps its context after it has returned."""

    __slots__ = ("is_over",)

    def __init__(self) -> None:
        self.is_over = False


_current: ContextVar[_Telling | None] = ContextVar("segment_logging.compat.telling", default=None)


def is_telling() -> bool:
    """Return whether the current thread, greenlet or task is inside a call of `on_error`."""
    telling = _current.get()
    return telling is not None and not telling.is_over


@contextmanager
def telling() -> Iterator[None]:
    """Mark the current context as being inside a call of `on_error`."""
    this = _Telling()
    token = _current.set(this)
    try:
        yield
    finally:
        this.is_over = True
        _current.reset(token)
