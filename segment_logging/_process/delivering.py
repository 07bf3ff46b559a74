"""Whether the current thread delivers, and by when it must be done.

The thread that delivers says so once, for whatever it calls. The exchange with the server then
keeps to its deadline. Records that are logged on such a thread (by urllib3 at DEBUG, or by a hook)
never become messages, as each of them would cause the next.

It is a context variable, so that a client shared by several handlers obeys the one that calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .clock import monotonic

deadline_of_delivery: ContextVar[Callable[[], float | None] | None] = ContextVar(
    "segment_logging.deadline_of_delivery", default=None
)
"""What says by when the current thread must be done; None for a thread that does not deliver."""


def is_delivering() -> bool:
    """Whether the current thread delivers."""
    return deadline_of_delivery.get() is not None


def time_left() -> float | None:
    """Return how many seconds this thread has left (none: below zero), or None for no end."""
    ask = deadline_of_delivery.get()
    deadline = None if ask is None else ask()
    return None if deadline is None else deadline - monotonic()


@contextmanager
def delivering_by(deadline: Callable[[], float | None]) -> Iterator[None]:
    """Deliver inside the `with` block.

    Args:
        deadline: returns the moment of the monotonic clock by which to be done, or None. It may
            change at any time.
    """
    token = deadline_of_delivery.set(deadline)
    try:
        yield
    finally:
        deadline_of_delivery.reset(token)
