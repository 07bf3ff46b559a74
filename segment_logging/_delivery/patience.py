"""How long callers wait for answers. Pure: the time is passed in."""

from __future__ import annotations

import math


class Patience:
    """What `flush`, `close` and the end of the process wait at most.

    A caller that gave up less than a second ago waits again only if something has changed since:
    `logging.shutdown` flushes and then closes, and the end of the process may come right before.

    Args:
        timeout: seconds to wait.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._gave_up_at = -math.inf
        self._when_it_did: tuple[int, int] | None = None

    def give_up(self, now: float, *, accepted: int, pending: int) -> None:
        """Somebody has waited in vain.

        Args:
            now: seconds, monotonic.
            accepted: messages accepted so far.
            pending: those that are not answered for.
        """
        self._gave_up_at, self._when_it_did = now, (accepted, pending)

    def left(self, now: float, *, accepted: int, pending: int) -> float:
        """Return how many seconds to wait now; see `give_up`."""
        is_same = self._when_it_did == (accepted, pending)
        return 0.0 if is_same and now - self._gave_up_at < 1.0 else self.timeout
