"""The clocks that waits go by: the system's own, also while a test has frozen time.

freezegun replaces `time.monotonic` in every module, also for us: with it, no wait would ever end.
Nobody replaces the system call behind it. Timestamps are another matter: they are the program's.
"""

from __future__ import annotations

import time

_clock_gettime = getattr(time, "clock_gettime", None)  # Windows has none


def monotonic() -> float:
    """Return seconds that only ever go forward."""
    return time.monotonic() if _clock_gettime is None else _clock_gettime(time.CLOCK_MONOTONIC)


def seconds_since_epoch() -> float:
    """Return what the system's clock says, in seconds since the epoch."""
    return time.time() if _clock_gettime is None else _clock_gettime(time.CLOCK_REALTIME)
