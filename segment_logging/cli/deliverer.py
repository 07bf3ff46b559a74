"""The delivery of one write key's messages from a journal that other processes fill."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

from .._delivery.pipeline import Pipeline
from .._options.delivery import DeliveryOptions
from .._queues.journal.inbox import Inbox
from .._queues.journal.place import Place
from ..errors import SegmentError
from .waiting import is_deliverer_running


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was delivered since the start, and what is waiting.

    Attributes:
        key: the first 12 hex digits of the SHA-256 of the write key.
        is_delivering: whether this process delivers.
        is_standing_by: whether this process stands by, because another process delivers.
        delivered: messages that were answered with a 2xx.
        dead_lettered: messages that can never be delivered.
        damaged: lines that were not messages.
        requests: requests that were answered with a 2xx.
        retried: attempts after the first.
        pending: messages that were read and are not settled.
        lag_seconds: how long ago the oldest of them was written.
        unreadable: how many processes' directories cannot be read, or have files that cannot be
            read or removed.
        other_keys: how many other write keys have messages in the journal that nobody sends.
    """

    key: str
    is_delivering: bool
    is_standing_by: bool
    delivered: int
    dead_lettered: int
    damaged: int
    requests: int
    retried: int
    pending: int
    lag_seconds: float
    unreadable: int
    other_keys: int


class Deliverer:
    """Delivers from one write key's part of a journal, in a thread.

    Args:
        place: where the journal is.
        write_key: the Segment source's write key.
        options: how to deliver.
        rate: how many messages to send per second at most, or None for no limit.
    """

    def __init__(
        self, place: Place, write_key: str, options: DeliveryOptions, *, rate: float | None
    ) -> None:
        self.place = place
        self._inbox = Inbox(place, max_kept_bytes=options.max_journal_bytes // 10, rate=rate)
        self._pipeline = Pipeline(options, write_key, self._inbox)
        self._last: Figures | None = None  # when it was stopped

    def start(self) -> None:
        """Start the thread."""
        self._pipeline.start()

    def stop(self, until: float) -> None:
        """Take no more files. The request under way is finished or dropped, but no message is.

        Args:
            until: when it is dropped, as monotonic time in seconds.
        """
        self._inbox.is_stopping = True
        # When the thread ends, it forgets the messages that are left for the next process.
        self._last = self.figures()
        self._pipeline.end_by(until)

    def join(self, until: float) -> None:
        """Wait until the thread has ended. A request that takes longer ends with the process."""
        self._pipeline.wait_until_ended(until)
        self._inbox.kept_in = None  # the command itself reports what is left, in all files

    @property
    def tended_at(self) -> float:
        """When the thread was last active, as monotonic time in seconds."""
        return self._inbox.tended_at

    @property
    def is_done(self) -> bool:
        """Whether no process writes any more and everything is sent, or another delivers."""
        return self._inbox.is_done or not self._inbox.is_delivering

    @property
    def is_delivering(self) -> bool:
        """Whether this process delivers. After `join`, it still does if a request hangs."""
        return self._inbox.is_delivering

    @property
    def is_another_delivering(self) -> bool:
        """Whether another process delivers the messages of this write key."""
        if not self.is_delivering:
            with suppress(OSError), self.place.key_folder() as folder:
                return is_deliverer_running(folder)
        return False

    @property
    def trouble(self) -> SegmentError | None:
        """Why the messages that are left were not delivered. See `Sending.trouble`."""
        return self._pipeline.trouble

    def figures(self, other_keys: int = 0) -> Figures:
        """Return the figures of this moment.

        Args:
            other_keys: how many other write keys have messages in the journal.
        """
        counts, oldest, last = self._pipeline.count(), self._inbox.oldest, self._last
        is_delivering, is_standing_by = self._inbox.is_delivering, self._inbox.is_standing_by
        pending = max(0, counts.pending)
        lag_seconds = 0.0 if oldest is None else max(0.0, time.time() - oldest)
        unreadable = self._inbox.unreadable
        if last is not None:
            is_delivering, is_standing_by = last.is_delivering, last.is_standing_by
            unreadable = last.unreadable
            settled = counts.delivered + counts.dead_lettered
            settled -= last.delivered + last.dead_lettered
            pending = max(0, last.pending - settled)
            lag_seconds = last.lag_seconds if pending else 0.0
        return Figures(
            key=self.place.key_name,
            is_delivering=is_delivering,
            is_standing_by=is_standing_by,
            delivered=counts.delivered,
            dead_lettered=counts.dead_lettered,
            damaged=counts.invalid,
            requests=counts.batches,
            retried=counts.retried,
            pending=pending,
            lag_seconds=lag_seconds,
            unreadable=unreadable,
            other_keys=other_keys,
        )
