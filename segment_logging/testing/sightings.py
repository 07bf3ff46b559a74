"""Which records have been seen already."""

from __future__ import annotations

import logging
import weakref
from collections import Counter

from .._process.threads import new_rlock, thread_id


class Sightings:
    """Counts each record once, however many handlers it passes.

    A QueueHandler passes a copy of the record to another thread. Nothing marks it as a copy, so
    records with the same time and place are compared by number: some were seen directly, some came
    out of a queue, and there are as many different records as the larger of the two numbers says.
    """

    def __init__(self) -> None:
        self._lock = new_rlock()
        self._records: weakref.WeakSet[logging.LogRecord] = weakref.WeakSet()
        self._seen: dict[bool, Counter[tuple[object, ...]]] = {True: Counter(), False: Counter()}

    def is_new(self, record: logging.LogRecord) -> bool:
        """Return whether the record has not been seen before, and remember it."""
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
