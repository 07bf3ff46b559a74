"""A wake-up signal for one thread that is safe to use in a signal handler."""

from __future__ import annotations

from contextlib import suppress

from .threads import LONGEST_WAIT, new_lock


class Bell:
    """An event that any code may set at any time, even a signal handler or a `__del__`.

    `threading.Event` uses a lock that is not re-entrant. A signal handler or a `__del__` that logs
    while its own thread is inside `Event.set` would deadlock. `SimpleQueue` does not work either:
    before Python 3.13, its `get` blocks forever if a signal handler runs just as the timeout ends.
    """

    def __init__(self) -> None:
        self._silence = new_lock()
        self._silence.acquire()

    def renew(self) -> None:
        """Use a new lock. A thread that is about to wait for the first time calls this.

        If gevent or eventlet patched `threading` after the bell was made, waiting for the old lock
        would block all greenlets.
        """
        lock = new_lock()
        lock.acquire()
        old, self._silence = self._silence, lock
        if not old.locked():
            self.ring()

    def ring(self) -> None:
        """Wake the waiting thread, or make its next `wait` return at once. Thread-safe."""
        with suppress(RuntimeError):  # already ringing
            self._silence.release()

    def wait(self, timeout: float | None = None) -> None:
        """Wait for a ring, or for `timeout` seconds. Several rings before a wait count as one."""
        self._silence.acquire(timeout=-1 if timeout is None else min(max(0, timeout), LONGEST_WAIT))
