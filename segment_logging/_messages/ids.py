"""Message ids: unique across threads, processes, forks and machines, and cheap to make.

Segment detects duplicates by id alone, even across workspaces, so no two ids may ever be the same.
Each process has a random prefix and a counter. A random `uuid4` for each message would cost ten
times as much.
"""

from __future__ import annotations

import itertools
import os
from base64 import urlsafe_b64encode

from .._process.forks import in_forked_child


def _new_series() -> tuple[str, itertools.count[int]]:
    # 144 random bits, which is more than a uuid4 has.
    return urlsafe_b64encode(os.urandom(18)).decode(), itertools.count(1)


_series = _new_series()


def new_message_id() -> str:
    """Return a message id of at least 26 characters. Thread-safe, because `next` is atomic."""
    prefix, numbers = _series
    return f"{prefix}-{next(numbers)}"


@in_forked_child
def _renew() -> None:
    """Start a new series in a forked child, because the parent continues the old one."""
    global _series
    _series = _new_series()
