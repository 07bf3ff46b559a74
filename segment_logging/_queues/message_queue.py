"""The interface of the queues in memory and on disk.

Callers `put` encoded messages. Only the listener takes batches. Once all messages of a batch are
settled (delivered or dead-lettered), it acknowledges the batch. Until then the queue keeps the
batch, and a batch that is put back is taken again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from .._messages.batch import Batch


class Refusal(NamedTuple):
    """Why a journal did not store messages, for reports.

    Attributes:
        why: the journal and the reason.
        way_out: what to do about it.
    """

    why: str
    way_out: str


class MessageQueue(Protocol):
    """A queue of encoded messages that are waiting for delivery, oldest first."""

    def put(self, line: bytes) -> bool:
        """Add a message. Return False if there is no room.

        Any thread may call this, even from a signal handler or a `__del__` that runs in the middle
        of another `put`.
        """

    def watch(self, ring: Callable[[], None], *, collecting: bool) -> None:
        """Arrange to call `ring` once: at the next message or, if `collecting`, at a full batch.

        `ring` is called in the thread that adds the message.
        """

    def take(self) -> Batch | None:
        """Return the next batch, or None if no messages are waiting. Listener's thread only."""

    def acknowledge(self, messages: int, *, set_aside: bool = False) -> None:
        """Forget messages from the start of the last batch taken, because they are settled.

        Args:
            messages: the number of messages to forget. The rest of the batch stays taken.
            set_aside: if True, the batch's file on disk is moved to the quarantine instead of
                being removed.
        """

    def put_back(self) -> None:
        """Put back what is left of the last batch taken, so that it is taken again."""

    def hold(self) -> None:
        """Keep the batch taken last, so that `take` returns the one after it.

        It is held until `put_back`, which makes it the next one again, or `set_back`.
        """

    def set_back(self) -> None:
        """Move the batch that is held, or else the last one, behind all waiting messages.

        If one is held, what is left of the last one is put back.
        """

    def tend(self, now: float) -> float | None:
        """Do periodic work. Return when to call this again, or None if it is not needed.

        Listener's thread only.

        Args:
            now: the monotonic time in seconds.
        """

    def release(self) -> None:
        """Release messages that another process could deliver. Called when the listener ends."""

    def abandon(self) -> None:
        """Close the parent's files in a forked child, without changing them."""

    @property
    def is_empty(self) -> bool:
        """Whether there are no messages to take."""

    @property
    def has_full_batch(self) -> bool:
        """Whether the next batch is already full, so that there is no point in waiting."""

    def look_again(self) -> None:
        """Have the thread look for messages of dead processes before `has_backlog` is False."""

    def is_left_elsewhere(self) -> bool:
        """Return whether dead processes have left messages that are not in this queue.

        If there is no backlog, another process is sending them. Any thread may call this.
        """

    @property
    def has_backlog(self) -> bool:
        """Whether messages from a dead process may be waiting in this queue."""

    @property
    def kept_in(self) -> str | None:
        """Where messages outlive the process, for reports, or None if they do not."""

    @property
    def perishable(self) -> int:
        """The number of unacknowledged messages that would be lost if the process died."""

    @property
    def refusal(self) -> Refusal | None:
        """The last reason why the journal did not store messages, or None."""

    @property
    def lanes(self) -> tuple[tuple[int, int], ...]:
        """The numbers of accepted and acknowledged messages in each lane.

        Messages within a lane are delivered in order. There is no order between the lanes.
        """

    @property
    def accepted(self) -> int:
        """The total number of accepted messages."""

    @property
    def lost(self) -> int:
        """The number of accepted messages that were removed or damaged by someone else."""

    @property
    def damaged(self) -> int:
        """The number of lines from other processes that were not messages."""
