"""A journal's periodic work: looking for directories to adopt, and reporting problems."""

from __future__ import annotations

import math
import random
from typing import Protocol

from ..._reports import Reporter
from .adoption import Adoption

LOOK_AROUND_EVERY = 10.0
"""Approximate number of seconds between two searches for directories of dead processes."""


_random = random.SystemRandom().random  # leaves the program's own random numbers alone


class _Journal(Protocol):
    @property
    def live(self) -> str: ...
    @property
    def adoption(self) -> Adoption: ...
    @property
    def lost(self) -> int: ...
    @property
    def trouble(self) -> OSError | None: ...
    def look_around(self) -> None: ...


class Upkeep:
    """Does a journal's periodic work. Runs in the listener's thread.

    Args:
        journal: the journal to work on.
    """

    def __init__(self, journal: _Journal) -> None:
        self._journal = journal
        self._reporter = Reporter()
        self._next_look = -math.inf

    def tend(self, now: float) -> float:
        """Do the work that is due. Return when to call this again.

        Args:
            now: the monotonic time in seconds.
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
            self._next_look = now + LOOK_AROUND_EVERY * (0.75 + _random() / 2)
        if journal.trouble is not None:
            self._reporter.once(
                "journal",
                f"the journal in {journal.live} cannot be written to "
                f"({journal.trouble.strerror}), so messages wait in memory only: free disk space, "
                "raise max_journal_bytes, or fix the permissions",
            )
        else:
            self._reporter.over("journal")
        if journal.lost:
            self._reporter.once(
                "lost",
                f"files of the journal in {journal.live} were removed or damaged, and their "
                "messages are lost",
            )
        return self._next_look
