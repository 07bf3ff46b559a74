"""The figures of a relay: for a line per minute, the liveness file, and metrics."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .._messages.encoding import encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The totals of a relay since its start.

    Each message that was received is delivered, dead-lettered, returned or waiting, so these four
    add up to `received`.

    Attributes:
        received: messages that the broker delivered, including those that it delivered again.
        delivered: messages that Segment accepted.
        dead_lettered: messages that were stored in the dead-letter queue.
        returned: messages that returned to the queue, because the connection ended before they were
            settled. The broker delivers them again, to this or another relay.
        waiting: messages that are not settled yet.
        batches: requests that Segment accepted.
        retried: attempts after the first.
        unacknowledged: bundles that are not acknowledged yet.
        is_connected: whether there is a connection to the broker.
    """

    received: int = 0
    delivered: int = 0
    dead_lettered: int = 0
    returned: int = 0
    waiting: int = 0
    batches: int = 0
    retried: int = 0
    unacknowledged: int = 0
    is_connected: bool = False

    def __add__(self, other: Figures) -> Figures:
        """Return the sums of the totals, with the present state of `other`."""
        totals = {name: getattr(self, name) + getattr(other, name) for name in _TOTALS}
        return replace(other, **totals)

    def ended(self) -> Figures:
        """Return the figures after the connection has ended."""
        return replace(
            self,
            returned=self.returned + self.waiting,
            waiting=0,
            unacknowledged=0,
            is_connected=False,
        )

    def line(self) -> str:
        """Return the figures as a line of text."""
        state = "" if self.is_connected else ", not connected"
        return (
            f"{self.received:,} received, {self.delivered:,} delivered in {self.batches:,} "
            f"batches, {self.dead_lettered:,} dead letters, {self.returned:,} returned to the "
            f"queue, {self.waiting:,} waiting, {self.retried:,} retries{state}"
        )

    def json(self) -> str:
        """Return the figures as a JSON object."""
        return encode({name: getattr(self, name) for name in _NAMES}).decode()


_NAMES = tuple(Figures.__dataclass_fields__)
_TOTALS = ("received", "delivered", "dead_lettered", "returned", "batches", "retried")
