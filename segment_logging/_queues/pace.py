"""`Pace`, which limits how many messages a queue or a command sends per second."""

from __future__ import annotations

import math

from .._messages.limits import MAX_BATCH_MESSAGES


class Pace:
    """Limits the size of batches, and decides when the next one may leave. Pure.

    Args:
        rate: the largest number of messages per second, or None for no limit.
    """

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self.not_before = -math.inf
        """When the next batch may leave, as monotonic time in seconds."""

    @property
    def max_messages(self) -> int:
        """The largest batch. With a rate, it is what may leave in a second, but at least one."""
        if self._rate is None:
            return MAX_BATCH_MESSAGES
        return max(1, min(MAX_BATCH_MESSAGES, int(self._rate)))

    def count(self, messages: int, *, left_at: float) -> None:
        """Count messages that left at a monotonic time.

        The time that their request takes is part of the wait, so that slow requests do not lower
        the rate.
        """
        if self._rate is not None:
            self.not_before = max(self.not_before, left_at) + messages / self._rate
