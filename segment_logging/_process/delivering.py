"""The current thread's delivery state: whether it is delivering, and its deadline.

The delivery thread marks itself with `delivering_by`. The HTTP exchange reads the deadline from
here. Records that are logged in a delivery thread (by urllib3 at DEBUG, or by a hook) never become
messages, because each of them would cause another one.

The mark is a context variable, so a client that is shared by several handlers uses the deadline of
the handler that called it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .._clock import monotonic

deadline_of_delivery: ContextVar[Callable[[], float | None] | None] = ContextVar(
    "segment_logging.deadline_of_delivery", default=None
)
"""A function that returns the delivery deadline. None if the current thread is not delivering."""


def is_delivering() -> bool:
    """Return whether the current thread is delivering."""
    return deadline_of_delivery.get() is not None


def time_left() -> float | None:
    """Return the seconds until the deadline (negative if it has passed), or None without one."""
    ask = deadline_of_delivery.get()
    deadline = None if ask is None else ask()
    return None if deadline is None else deadline - monotonic()


@contextmanager
def delivering_by(deadline: Callable[[], float | None]) -> Iterator[None]:
    """Mark the current thread as delivering inside the `with` block.

    Args:
        deadline: returns the deadline on the monotonic clock, or None if there is no deadline. The
            result may change at any time.
    """
    token = deadline_of_delivery.set(deadline)
    try:
        yield
    finally:
        deadline_of_delivery.reset(token)
