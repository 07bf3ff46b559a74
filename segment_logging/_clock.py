"""The system clocks, which keep running while a test has frozen time.

freezegun replaces `time.monotonic` in every module, including this package's, and with a frozen
clock no wait would ever end. It does not replace `time.clock_gettime`, which is used here instead.
Message timestamps use the program's own clock, even if it is frozen.
"""

from __future__ import annotations

import time
from types import BuiltinFunctionType

_clock_gettime = getattr(time, "clock_gettime", None)  # not available on Windows


def monotonic() -> float:
    """Return the time of the monotonic clock, in seconds."""
    return time.monotonic() if _clock_gettime is None else _clock_gettime(time.CLOCK_MONOTONIC)


def seconds_since_epoch() -> float:
    """Return the time of the system clock, in seconds since the epoch."""
    return time.time() if _clock_gettime is None else _clock_gettime(time.CLOCK_REALTIME)


def is_replaced() -> bool:
    """Return whether freezegun has replaced `time.monotonic`.

    The timers of event loops, which use that clock, may then never fire.
    """
    return not isinstance(time.monotonic, BuiltinFunctionType)
