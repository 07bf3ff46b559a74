"""What a queue is: the same in memory and on disk.

Callers `put` encoded messages. The listener, and it alone, takes a batch, has it answered, and
acknowledges it. Only then is the batch forgotten: one that was put back is the next one taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .._messages.batch import Batch


class MessageQueue(Protocol):
    """Encoded messages that wait for delivery, oldest first."""

    def put(self, line: bytes) -> bool:
        """Take in a message. False if there is no room.

        Any thread, also from a signal handler or a `__del__` that runs in the middle of another
        `put`.
        """

    def watch(self, ring: Callable[[], None], *, collecting: bool) -> None:
        """Have `ring` called once: at the next message or, if `collecting`, at a full batch.

        It is called in the thread that puts the message in.
        """

    def take(self) -> Batch | None:
        """Return the next batch, None if nothing waits. Listener's thread only."""

    def acknowledge(self, messages: int, *, set_aside: bool = False) -> None:
        """Forget the first `messages` of the batch taken last: they were answered for.

        Args:
            messages: how many; the rest of the batch stays taken.
            set_aside: what is on disk of the batch is not to be removed, but moved to where people
                find it.
        """

    def put_back(self) -> None:
        """Keep what is left of the batch taken last: it is the next one again."""

    def tend(self, now: float) -> float | None:
        """Do what is to be done from time to time, and return when to come back, if at all.

        Listener's thread only.

        Args:
            now: seconds, monotonic.
        """

    def release(self) -> None:
        """The listener ends: let go of what another process could deliver."""

    def abandon(self) -> None:
        """In a forked child: close what is the parent's, and touch nothing of it."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be taken."""

    @property
    def has_full_batch(self) -> bool:
        """Whether the next batch would not become fuller if it waited for company."""

    @property
    def has_backlog(self) -> bool:
        """Whether messages of a process that is gone may wait here."""

    @property
    def keeps(self) -> bool:
        """Whether what waits here outlives the process."""

    @property
    def perishable(self) -> int:
        """How many messages that are not answered for would die with the process."""

    @property
    def lanes(self) -> tuple[tuple[int, int], ...]:
        """How many messages were accepted and how many acknowledged, for each order of its own.

        An acknowledgement in one lane says nothing about what waits in another.
        """

    @property
    def accepted(self) -> int:
        """How many messages were ever taken in."""

    @property
    def lost(self) -> int:
        """How many of them somebody else removed or damaged."""

    @property
    def damaged(self) -> int:
        """How many lines of other processes were not messages."""
