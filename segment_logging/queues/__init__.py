"""Between the caller's thread and the listener's: the same interface in memory and on disk.

Callers `put` encoded messages; the listener, and it alone, takes a batch, has it delivered and
acknowledges it. Only then is it forgotten: a batch that was put back is the next one taken.
"""

from __future__ import annotations

from typing import Protocol

from ..batch import Batch


class MessageQueue(Protocol):
    """Encoded messages waiting for delivery, oldest first."""

    def put(self, line: bytes) -> bool:
        """Take in a message; False when there is no room. Any thread, also from a signal
        handler or a `__del__` that runs in the middle of another `put`."""

    def take(self) -> Batch | None:
        """Return the next batch, None when nothing waits. Listener's thread only."""

    def acknowledge(self, *, set_aside: bool = False) -> None:
        """Forget the batch taken last: every message in it was answered for.

        Args:
            set_aside: what is on disk of it is not removed, but moved to where people find it.
        """

    def put_back(self) -> None:
        """Keep the batch taken last: it is the next one again."""

    def watch(self, *, collecting: bool) -> None:
        """Wake the listener at the next message or, `collecting`, at a full batch."""

    def release(self) -> None:
        """The listener ends: let go of what another process could deliver."""

    def abandon(self) -> None:
        """In a forked child: close what is the parent's, and touch nothing of it."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be taken."""

    @property
    def has_full_batch(self) -> bool:
        """Whether waiting for company would make the next batch no fuller."""

    @property
    def has_backlog(self) -> bool:
        """Whether messages of a process that is gone wait here; never so in memory."""

    @property
    def perishable(self) -> int:
        """How many messages that are not answered for would die with the process."""

    @property
    def lanes(self) -> tuple[tuple[int, int], ...]:
        """How many messages were accepted and how many acknowledged, of each order of its own:
        one lane's acknowledgement says nothing of what waits in another."""

    @property
    def accepted(self) -> int:
        """How many messages were ever taken in."""

    @property
    def acknowledged(self) -> int:
        """How many messages were ever acknowledged."""
