"""Sends the batches of a command, and waits between attempts where people can see it."""

from __future__ import annotations

from collections.abc import Callable

from .._clock import monotonic
from .._delivery.attempts import Delivery
from .._delivery.outcomes import Answered, Kept, Stuck, TryAgain
from .._messages.batch import Batch
from .._queues.pace import Pace
from .progress import Progress

_ASKED = "asked by the server"
_STEP = 1.0  # seconds between two looks at the time that is left


class Sender:
    """Sends batches, one after the other.

    Args:
        delivery: makes the attempts.
        progress: shows waits.
        rate: the largest number of messages a second, or None for no limit.
        sleep: waits for a number of seconds.
        clock: returns the monotonic time in seconds.
    """

    def __init__(
        self,
        delivery: Delivery,
        progress: Progress,
        *,
        rate: float | None = None,
        sleep: Callable[[float], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._delivery = delivery
        self._progress = progress
        self._pace = Pace(rate)
        self._sleep = sleep
        self._clock = clock

    @property
    def max_messages(self) -> int:
        """The largest batch. With a rate, it is what may be sent in a second."""
        return self._pace.max_messages

    @property
    def delivered(self) -> int:
        """How many messages have been delivered."""
        return self._delivery.tally.delivered

    @property
    def refused(self) -> int:
        """How many messages have become dead letters."""
        return self._delivery.tally.dead_lettered

    def send(self, batch: Batch, on_settled: Callable[[int], object]) -> bool:
        """Send a batch. Return False if a part of it cannot be delivered now.

        Args:
            batch: the messages.
            on_settled: called with the number of messages that were delivered or became dead
                letters, each time some were, in the order of the batch.
        """
        self._keep_pace(len(batch))
        attempts = self._delivery.attempts_at(batch)
        while not attempts.are_over:
            outcome = attempts.make()
            if isinstance(outcome, Stuck) and not attempts.split():
                outcome = attempts.give_in()
            match outcome:
                case Answered() as answer:
                    if answer.is_set_aside:
                        return False
                    on_settled(answer.messages)
                case Kept():
                    return False
                case TryAgain(seconds=seconds, is_asked=is_asked):
                    why = _ASKED if is_asked else "to try again"
                    self.wait(seconds, why)
                case _:
                    continue
        return True

    def _keep_pace(self, messages: int) -> None:
        now = self._clock()
        if self._pace.not_before > now:
            self.wait(self._pace.not_before - now, "to keep to the rate")
        self._pace.count(messages, left_at=now)

    def wait(self, seconds: float, why: str) -> None:
        """Wait, and show for how long."""
        until = self._clock() + seconds
        is_new = True
        while (left := until - self._clock()) > 0:
            self._progress.waiting(left, why, is_new=is_new and why == _ASKED)
            is_new = False
            self._sleep(min(_STEP, left))
