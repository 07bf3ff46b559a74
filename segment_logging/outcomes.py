"""What an answer means and how long to wait: decisions only, no clock, no thread, no socket.

The table of statuses, as Segment's own server SDKs agree on it:

    2xx                                              delivered
    408, 410, 429, 460, 5xx except 501 and 505       may succeed later
    400, 413                                         something in the request is at fault
    3xx, 401, 403, 404, other 4xx, 501, 505          the configuration is at fault
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from enum import Enum, auto

from .limits import MAX_RETRY_AFTER


class Fault(Enum):
    """Whose fault a failed attempt is."""

    NETWORK = auto()
    """Nobody's here: the same request may succeed later."""
    MESSAGE = auto()
    """Some message in the request: the others can be delivered without it."""
    CONFIGURATION = auto()
    """The write key, the host, a proxy: no message can be delivered until somebody mends it."""


def fault_of(status: int | None, *, retryable: bool = False) -> Fault:
    """Return whose fault an answer with `status` is; `retryable` decides when no answer came."""
    if status is None:
        return Fault.NETWORK if retryable else Fault.CONFIGURATION
    if status in (408, 410, 429, 460) or (status >= 500 and status not in (501, 505)):
        return Fault.NETWORK
    if status in (400, 413):
        return Fault.MESSAGE
    return Fault.CONFIGURATION


def parse_retry_after(value: str | None, *, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks to wait, 300 at most.

    Args:
        value: the header: whole or fractional seconds, or an HTTP date. None, garbage, a date
            that is past and anything not above zero give None.
        now: seconds since the epoch, for the date.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
            if moment.tzinfo is None:  # no zone, or `-0000`: HTTP knows only UTC
                moment = moment.replace(tzinfo=timezone.utc)
            seconds = moment.timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    if math.isnan(seconds) or seconds <= 0:
        return None
    return min(seconds, MAX_RETRY_AFTER)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and for how long one batch is tried. All times are seconds.

    Attributes:
        max_attempts: tries that may fail, the first one included. Those that the server answered
            with a Retry-After do not count.
        max_rate_limited: what all the Retry-After waits of one batch may add up to.
    """

    max_attempts: int = 11
    max_rate_limited: float = 1800.0

    def wait_before(self, progress: Progress, *, random: float) -> float | None:
        """Return the seconds to wait before the next attempt, None to give up.

        After a Retry-After exactly that long. Else before attempt n + 1:

            0                                           n = 1
            min(60, 0.5 * 2 ** (n - 2)) * (1 + random / 10)    n > 1

        that is at once, then 0.5, 1, 2, 4, 8, 16, 32, 60, 60 … and up to a tenth more, so that
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
        counted: failed attempts without a Retry-After worth the name.
        rate_limited: seconds of Retry-After, added up.
        retry_after: the last attempt's, None when it carried none.
    """

    counted: int = 0
    rate_limited: float = 0.0
    retry_after: float | None = None

    def failed(self, retry_after: float | None) -> Progress:
        """Return the progress after one more failed attempt.

        Args:
            retry_after: what the answer asked for, in seconds. Of less than one, it would have us
                try without end and without a pause: then it counts as any other attempt.
        """
        if retry_after is None or not retry_after >= 1.0:  # nor NaN
            return Progress(counted=self.counted + 1, rate_limited=self.rate_limited)
        retry_after = min(retry_after, MAX_RETRY_AFTER)  # a client of the user's may pass anything
        return Progress(
            counted=self.counted,
            rate_limited=self.rate_limited + retry_after,
            retry_after=retry_after,
        )
