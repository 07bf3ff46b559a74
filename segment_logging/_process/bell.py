"""A bell that wakes one thread, and that anything may ring, even a signal handler in mid-ring."""

from __future__ import annotations

from contextlib import suppress

from .threads import LONGEST_WAIT, new_lock


class Bell:
    """An event that any code may set at any moment.

    `threading.Event` takes a lock that is not re-entrant: a signal handler or a `__del__` that logs
    while its own thread is inside `set` would wait for itself. A `SimpleQueue` will not do either:
    before Python 3.13, its `get` waits for ever if a signal handler runs as its timeout ends.
    """

    def __init__(self) -> None:
        self._silence = new_lock()
        self._silence.acquire()

    def ring(self) -> None:
        """Wake the waiting thread, or let its next `wait` return at once. Any thread."""
        with suppress(RuntimeError):  # it rings already
            self._silence.release()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it rings, or for `timeout` seconds. Rings that came together count as one."""
        self._silence.acquire(timeout=-1 if timeout is None else min(max(0, timeout), LONGEST_WAIT))
