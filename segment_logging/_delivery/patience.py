"""How long callers wait for delivery. This module is pure: the time is passed in."""

from __future__ import annotations

import math


class Patience:
    """Decides when to stop waiting in `flush` and `close` and at process exit.

    A wait ends `timeout` seconds after it began, or after the last acknowledged batch if that is
    later. As long as the server keeps accepting batches, the wait continues, up to a limit that is
    passed in.

    For one second after a caller gave up, other callers wait only if the counts have changed. This
    prevents several waits in a row at exit, because `logging.shutdown` first flushes and then
    closes the handler, and this package's own exit function may have run just before.

    Args:
        timeout: how many seconds to wait without an acknowledged batch.
        renews: whether an acknowledged batch restarts the timeout. False if the remaining messages
            are safe on disk.
    """

    def __init__(self, timeout: float, *, renews: bool) -> None:
        self.timeout = timeout
        self._renews = renews
        self._acknowledged_at = -math.inf
        self._waited_then = 0.0  # seconds spent waiting at exit before that
        self._gave_up_at = -math.inf
        self._when_it_did: tuple[int, int] | None = None

    def acknowledged(self, now: float, *, waited: float) -> None:
        """Record that a batch was acknowledged.

        Args:
            now: the monotonic time in seconds.
            waited: how many seconds have been spent waiting at exit so far.
        """
        if self._renews:
            self._acknowledged_at, self._waited_then = now, waited

    def until(self, began: float, limit: float, *, waited: float = 0.0) -> float:
        """Return the time at which a wait ends, unless another batch is acknowledged.

        Args:
            began: the time at which the wait began.
            limit: the latest time at which the wait may end.
            waited: how many seconds had already been spent waiting at exit.
        """
        in_vain = max(0.0, waited - self._waited_then)
        return min(max(began - in_vain, self._acknowledged_at) + self.timeout, limit)

    def is_renewed(self, now: float) -> bool:
        """Return whether a batch was acknowledged so recently that only the limit ends a wait."""
        return now - self._acknowledged_at < self.timeout

    def give_up(self, now: float, *, accepted: int, pending: int) -> None:
        """Record that a caller gave up waiting.

        Args:
            now: the monotonic time in seconds.
            accepted: how many messages have been accepted.
            pending: how many of them are not settled.
        """
        self._gave_up_at, self._when_it_did = now, (accepted, pending)

    def is_exhausted(self, now: float, *, accepted: int, pending: int) -> bool:
        """Return whether there is no point in waiting. For the arguments, see `give_up`."""
        is_same = self._when_it_did == (accepted, pending)
        return is_same and now - self._gave_up_at < 1.0
