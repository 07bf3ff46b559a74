"""Message ids: unique over threads, processes, forks and machines, and cheap to make.

A random prefix for each process and a counter, instead of a random id for each message: Segment
recognises a repetition by the id alone, in whatever workspace it arrives, so ids must never
meet, and `uuid4` costs ten times as much.
"""

from __future__ import annotations

import itertools
import os
from base64 import urlsafe_b64encode


def _new_series() -> tuple[str, itertools.count[int]]:
    # 144 random bits: more than a uuid4 has.
    return urlsafe_b64encode(os.urandom(18)).decode(), itertools.count(1)


_series = _new_series()


def new_message_id() -> str:
    """Return a message id of 26 characters and a little more. Any thread: `next` is atomic."""
    prefix, numbers = _series
    return f"{prefix}-{next(numbers)}"


def renew_message_ids() -> None:
    """Begin another series, as the parent of this forked process goes on with its own.

    Runs by itself where the interpreter knows of the fork; uWSGI forks behind its back.
    """
    global _series
    _series = _new_series()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=renew_message_ids)
