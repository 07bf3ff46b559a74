"""How long callers wait for answers. Pure: the time is passed in."""

from __future__ import annotations

import math


class Patience:
    """By when `flush`, `close` and the end of the process stop waiting.

    The wait ends `timeout` seconds after it began, or after the last acknowledged batch if that is
    later, so that a server that keeps taking batches gets all of them. It ends at the latest at a
    limit that is passed in.

    A caller that gave up less than a second ago waits again only if something has changed since:
    `logging.shutdown` flushes and then closes, and the end of the process may come right before.

    Args:
        timeout: seconds to wait without an acknowledged batch.
        renews: whether a batch starts them anew; not if what is left is safe on disk.
    """

    def __init__(self, timeout: float, *, renews: bool) -> None:
        self.timeout = timeout
        self._renews = renews
        self._acknowledged_at = -math.inf
        self._waited_then = 0.0  # of the process's end, as of that moment
        self._gave_up_at = -math.inf
        self._when_it_did: tuple[int, int] | None = None

    def acknowledged(self, now: float, *, waited: float) -> None:
        """A batch was acknowledged.

        Args:
            now: seconds, monotonic.
            waited: for how long the end of the process was held up so far.
        """
        if self._renews:
            self._acknowledged_at, self._waited_then = now, waited

    def until(self, began: float, limit: float, *, waited: float = 0.0) -> float:
        """Return the moment at which a wait ends, as far as is known now.

        Args:
            began: when it began.
            limit: when it ends at the latest.
            waited: for how long the end of the process was held up before it.
        """
        in_vain = max(0.0, waited - self._waited_then)
        return min(max(began - in_vain, self._acknowledged_at) + self.timeout, limit)

    def give_up(self, now: float, *, accepted: int, pending: int) -> None:
        """Somebody has waited in vain.

        Args:
            now: seconds, monotonic.
            accepted: messages accepted so far.
            pending: those that are not answered for.
        """
        self._gave_up_at, self._when_it_did = now, (accepted, pending)

    def is_exhausted(self, now: float, *, accepted: int, pending: int) -> bool:
        """Whether there is no point in waiting; see `give_up`."""
        is_same = self._when_it_did == (accepted, pending)
        return is_same and now - self._gave_up_at < 1.0
