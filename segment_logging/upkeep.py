"""What the listener does for a journal now and then: look around in it, tell of its troubles."""

from __future__ import annotations

import math
import random

from .queues.journal import Journal
from .reports import Reporter

LOOK_AROUND_EVERY = 10.0
"""Seconds, more or less, between two looks for the journals of processes that died."""


class Upkeep:
    """Keeps a journal in order. Listener's thread.

    Args:
        journal: whose.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._reporter = Reporter()
        self._next_look = -math.inf

    def see_to_it(self, now: float) -> float:
        """Do what is due, and return when there is more to do.

        Args:
            now: seconds, monotonic.
        """
        journal = self._journal
        if now >= self._next_look or (
            journal.adoption.wants_to_look and self._next_look - now > 1.0
        ):
            try:
                journal.look_around()
            except OSError as error:
                trouble = f"the journal cannot be searched ({error.strerror}): trying again"
                self._reporter.once("search", trouble)
            self._next_look = now + LOOK_AROUND_EVERY * (0.75 + random.random() / 2)
        if journal.trouble is not None:
            self._reporter.once(
                "journal",
                f"the journal takes no messages ({journal.trouble.strerror}): until it does, they "
                "wait in memory only; free disk space, raise max_journal_bytes, or mend its rights",
            )
        else:
            self._reporter.over("journal")
        if journal.lost:
            self._reporter.once(
                "lost", "files of the journal were removed or damaged; what was in them is lost"
            )
        return self._next_look
