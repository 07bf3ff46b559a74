"""What is to be done for a journal from time to time: look around, and tell of its troubles."""

from __future__ import annotations

import math
import random
from typing import Protocol

from ..._reports import Reporter
from .adoption import Adoption

LOOK_AROUND_EVERY = 10.0
"""Seconds, more or less, between two looks for the journals of processes that died."""


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
    """Keeps a journal in order. Listener's thread.

    Args:
        journal: whose.
    """

    def __init__(self, journal: _Journal) -> None:
        self._journal = journal
        self._reporter = Reporter()
        self._next_look = -math.inf

    def tend(self, now: float) -> float:
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
                f"the journal in {journal.live} takes no messages ({journal.trouble.strerror}): "
                "until it does, they wait in memory only; free disk space, raise "
                "max_journal_bytes, or mend its permissions",
            )
        else:
            self._reporter.over("journal")
        if journal.lost:
            self._reporter.once(
                "lost",
                f"files of the journal in {journal.live} were removed or damaged; what they held "
                "is lost",
            )
        return self._next_look
