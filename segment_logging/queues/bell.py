"""Waking one thread from any other, also from a signal handler in the middle of a wake-up."""

from __future__ import annotations

from contextlib import suppress
from threading import TIMEOUT_MAX, Lock


class Bell:
    """An event that any code may set at any moment.

    `threading.Event` takes a lock that is not re-entrant: a signal handler or a `__del__` that
    logs while its own thread is inside `set` would wait for itself. Nor a `SimpleQueue`: before
    Python 3.13 its `get` waits for ever when a signal handler runs as its timeout ends.
    """

    def __init__(self) -> None:
        self._silence = Lock()
        self._silence.acquire()

    def ring(self) -> None:
        """Wake the waiting thread, or its next `wait` at once. Any thread."""
        with suppress(RuntimeError):  # it rings already
            self._silence.release()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it rings, or for `timeout` seconds. Rings that came together count as one."""
        self._silence.acquire(timeout=-1 if timeout is None else min(max(0, timeout), TIMEOUT_MAX))
