"""Keeps track of the records that have already been seen."""

from __future__ import annotations

import logging
import weakref
from collections import Counter

from .._process.threads import new_rlock, thread_id


class Sightings:
    """Records that have been seen. A record counts once, even if it passes several handlers.

    A QueueHandler passes a copy of the record to another thread, and nothing marks it as a copy.
    For each time and location, this class therefore counts the records that were seen directly and
    those that came from a queue. The larger count is the number of different records.
    """

    def __init__(self) -> None:
        self._lock = new_rlock()
        self._records: weakref.WeakSet[logging.LogRecord] = weakref.WeakSet()
        self._seen: dict[bool, Counter[tuple[object, ...]]] = {True: Counter(), False: Counter()}

    def is_new(self, record: logging.LogRecord) -> bool:
        """Return whether the record is new, and remember it."""
        about = record.__dict__.get
        place = tuple(map(about, ("created", "process", "thread", "pathname", "lineno")))
        by_queue = about("thread") != thread_id()
        with self._lock:
            if record in self._records:
                return False
            self._records.add(record)
            self._seen[by_queue][place] += 1
            return self._seen[by_queue][place] > self._seen[not by_queue][place]

    def __contains__(self, record: logging.LogRecord) -> bool:
        return record in self._records
