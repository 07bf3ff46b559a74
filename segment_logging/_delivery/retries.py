"""How long to wait before another attempt, and when to give up. Pure: decisions only."""

from __future__ import annotations

from dataclasses import dataclass

from .._messages.limits import MAX_RETRY_AFTER


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and for how long one batch is tried. All times are seconds.

    Attributes:
        max_attempts: attempts that may fail, including the first. Those that the server answered
            with a Retry-After do not count.
        max_rate_limited: what the Retry-After waits of one batch may add up to.
    """

    max_attempts: int = 11
    max_rate_limited: float = 1800.0

    def wait_before(self, progress: Progress, *, random: float) -> float | None:
        """Return the seconds to wait before the next attempt, None to give up.

        After a Retry-After, exactly that long. Otherwise, before attempt n + 1:

            0                                           n = 1
            min(60, 0.5 * 2 ** (n - 2)) * (1 + random / 10)    n > 1

        that is at once, then 0.5, 1, 2, 4, 8, 16, 32, 60, 60 …, each up to a tenth longer, so that
        many processes do not come back in step.

        Args:
            progress: of the batch, after `failed`.
            random: from 0 to 1.
        """
        if progress.retry_after is not None:
            within = progress.rate_limited <= self.max_rate_limited
            return progress.retry_after if within else None
        if progress.counted >= self.max_attempts:
            return None
        if progress.counted < 2:
            return 0.0
        return min(60.0, 0.5 * 2.0 ** min(progress.counted - 2, 10)) * (1 + random / 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What became of one batch so far.

    Attributes:
        counted: failed attempts without a Retry-After to speak of.
        rate_limited: seconds of Retry-After, added up.
        retry_after: that of the last attempt, None if it had none.
    """

    counted: int = 0
    rate_limited: float = 0.0
    retry_after: float | None = None

    def failed(self, retry_after: float | None) -> Progress:
        """Return the progress after one more failed attempt.

        Args:
            retry_after: what the answer asked for, in seconds. Less than one would have us try
                without end and without a pause, so that counts as any other attempt.
        """
        if retry_after is None or not retry_after >= 1.0:  # nor NaN
            return Progress(counted=self.counted + 1, rate_limited=self.rate_limited)
        retry_after = min(retry_after, MAX_RETRY_AFTER)  # a client may pass anything
        return Progress(
            counted=self.counted,
            rate_limited=self.rate_limited + retry_after,
            retry_after=retry_after,
        )
