"""The recurring work on a journal: looking for dead processes, and reporting its troubles."""

from __future__ import annotations

import math
import random
from typing import Protocol

from ..._reports import Reporter
from .left_behind import LeftBehind
from .place import Place

LOOK_AROUND_EVERY = 10.0
"""The seconds, more or less, between two looks for the directories of dead processes."""


_random = random.SystemRandom().random  # leaves the program's own random numbers alone


class _Journal(Protocol):
    @property
    def place(self) -> Place: ...
    @property
    def lost(self) -> int: ...
    @property
    def trouble(self) -> OSError | None: ...
    @property
    def wants_to_look(self) -> bool: ...
    def look_around(self) -> None: ...


class Upkeep:
    """Keeps a journal in order. The delivery thread only.

    Args:
        journal: the journal to keep in order.
        reporter: reports its troubles.
    """

    def __init__(self, journal: _Journal, reporter: Reporter) -> None:
        self._journal = journal
        self._reporter = reporter
        self._left_behind = LeftBehind(journal.place, reporter)
        self._next_look = -math.inf

    def tend(self, now: float) -> float:
        """Do what is due, and return when there is more to do.

        Args:
            now: the monotonic time in seconds.
        """
        journal = self._journal
        self._left_behind.look()
        is_far_off = self._next_look - now > 1.0  # a look that failed is not repeated at once
        if now >= self._next_look or (journal.wants_to_look and is_far_off):
            try:
                journal.look_around()
                self._reporter.over("search")
            except OSError as error:
                self._reporter.once(
                    "search", f"the journal cannot be searched ({error.strerror}): trying again"
                )
            self._next_look = now + LOOK_AROUND_EVERY * (0.75 + _random() / 2)
        if journal.trouble is not None:
            self._reporter.once("journal", journal.place.text_of(journal.trouble))
        else:
            self._reporter.over("journal")
        if journal.lost:
            self._reporter.once(
                "lost",
                f"files of the journal in {journal.place.live_path} were removed or damaged; "
                "their messages are lost",
            )
        return min(self._next_look, self._reporter.catch_up() or math.inf)
