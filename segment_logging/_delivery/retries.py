"""The retry policy: how long to wait between attempts, and when to give up. Pure functions only."""

from __future__ import annotations

from dataclasses import dataclass

from .._messages.limits import MAX_RETRY_AFTER


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How many times and for how long one batch is tried. All times are in seconds.

    Attributes:
        max_attempts: the maximum number of attempts, including the first. Attempts that the server
            answered with a Retry-After do not count.
        max_rate_limited: the maximum total of a batch's Retry-After waits.
    """

    max_attempts: int = 11
    max_rate_limited: float = 1800.0

    def wait_before(self, progress: Progress, *, random: float) -> float | None:
        """Return the seconds to wait before the next attempt, or None to give up.

        After a Retry-After, the wait is exactly that long. Otherwise, the wait before attempt n + 1
        is:

            0                                                  for n = 1
            min(60, 0.5 * 2 ** (n - 2)) * (1 + random / 10)    for n > 1

        The waits are thus 0, 0.5, 1, 2, 4, 8, 16, 32, 60, 60, … seconds, each plus up to 10%, so
        that many processes do not retry at the same time.

        Args:
            progress: the batch's progress, after `failed`.
            random: a random number from 0 to 1.
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
    """The failed attempts at one batch so far.

    Attributes:
        counted: the number of failed attempts without a Retry-After of at least one second.
        rate_limited: the total of all Retry-After waits, in seconds.
        retry_after: the last attempt's Retry-After in seconds, or None.
    """

    counted: int = 0
    rate_limited: float = 0.0
    retry_after: float | None = None

    def failed(self, retry_after: float | None) -> Progress:
        """Return the progress after one more failed attempt.

        Args:
            retry_after: the answer's Retry-After in seconds, or None. A Retry-After of less than
                one second is ignored, as it would cause endless attempts without a pause.
        """
        if retry_after is None or not retry_after >= 1.0:  # also true for NaN
            return Progress(counted=self.counted + 1, rate_limited=self.rate_limited)
        retry_after = min(retry_after, MAX_RETRY_AFTER)  # a custom client may pass any value
        return Progress(
            counted=self.counted,
            rate_limited=self.rate_limited + retry_after,
            retry_after=retry_after,
        )
