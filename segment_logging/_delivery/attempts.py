"""Delivery of one batch: attempts, retries, halving and dead letters.

`_client.answers` decides what an answer means, and `retries` decides how long to wait. Nothing in
this module sleeps. The listener, which makes the attempts, sleeps between them.
"""

from __future__ import annotations

from collections import deque
from itertools import groupby
from typing import Any

from typing_extensions import override

from .._client.answers import Fault
from .._messages.batch import Batch
from ..errors import DeliveryError, SegmentError
from .blame import is_too_slow, may_be_to_blame, refused_lines, was_not_made, whose_fault
from .outcomes import Answered, Halved, Kept, Outcome, SetBack, Stuck, TryAgain
from .retries import Progress
from .sending import Sending


class Delivery(Sending):
    """Makes attempts until each message is delivered, given up or kept for later."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._put_back: list[Batch] = []  # batches to try again, one for each lane
        self._set_back: list[Attempts] = []

    def attempts_at(self, batch: Batch) -> Attempts:
        """Return an `Attempts` object for a batch, without making an attempt."""
        for attempts in self._set_back:
            if attempts.are_at(batch):
                self._set_back.remove(attempts)
                return attempts
        was_tried = any(one is batch for one in self._put_back)
        self._put_back = [one for one in self._put_back if one is not batch]
        return Attempts(self, batch, was_tried=was_tried)

    def expect_again(self, batch: Batch) -> None:
        """Remember that a batch was put back, so that the next attempt counts as a retry."""
        self._put_back.append(batch)

    def resume_later(self, attempts: Attempts) -> None:
        """Remember attempts whose batch was set back."""
        self._set_back.append(attempts)

    @override
    def close(self) -> None:
        self._put_back.clear()
        self._set_back.clear()
        super().close()


class _Part:
    """A part of a batch.

    Attributes:
        batch: its messages.
        is_settled: whether all of them were delivered or became dead letters.
        has_failed: whether an attempt at it has failed.
        failed_at: how many batches had been delivered when it or the whole failed last.
        failures: how many attempts at it have failed although others were delivered in between.
        is_set_aside: whether its messages were given up, but are not in the dead letters.
    """

    __slots__ = ("batch", "failed_at", "failures", "has_failed", "is_set_aside", "is_settled")

    def __init__(self, batch: Batch, *, failed_at: int = 0) -> None:
        self.batch = batch
        self.is_settled = self.is_set_aside = False
        self.has_failed = False
        self.failed_at = failed_at
        self.failures = 0


class Attempts:
    """The attempts at one batch. Each call to `make` is one attempt.

    If Segment rejects a batch as unreadable, it is halved repeatedly until the bad message is
    isolated, and the other messages are delivered. So is a batch that keeps failing while others
    are delivered: it fails because of what it contains. Messages are acknowledged in the batch's
    order.

    Args:
        delivery: sends batches, and makes dead letters.
        batch: the batch to send.
        was_tried: whether the batch has been tried before, so that the first attempt is a retry.
    """

    def __init__(self, delivery: Delivery, batch: Batch, *, was_tried: bool = False) -> None:
        self._delivery = delivery
        self._batch = batch
        self._parts = deque([_Part(batch)])
        self._progress = Progress()  # of the next part
        self._is_retry = was_tried
        self._is_suspect = False  # whether it may be to blame for its failure
        self._is_proven = False  # whether others were delivered while it kept failing
        self._error: SegmentError | None = None  # the last one
        self._failed: _Part | None = None  # by the last attempt, which delivered what came before

    @property
    def are_over(self) -> bool:
        """Whether every message of the batch was delivered or became a dead letter."""
        return not self._parts

    def are_at(self, batch: Batch) -> bool:
        """Return whether a batch is what these attempts have left."""
        left = sum(len(part.batch) for part in self._parts)
        return len(batch) == left and batch.lines[0] == self._parts[0].batch.lines[0]

    def make(self) -> Outcome:
        """Make the next attempt and return its outcome.

        An attempt that delivered only the first messages has two outcomes, one for each call.
        """
        part, self._failed, error = self._failed, None, self._error
        if part is None or error is None:
            part = self._next_part()
            if self._is_retry:
                self._delivery.count(retried=1)
            self._error = error = self._delivery.send(part.batch)
            if error is None:
                self._delivery.count(delivered=len(part.batch), batches=1)
                return self._settle(part)
            if isinstance(error, DeliveryError) and (error.refused or error.delivered > 0):
                return self._settle_partly(part, error)
        if was_not_made(error):
            return TryAgain(seconds=_PAUSE_WITHOUT_TIME)
        fault = whose_fault(error)
        if (fault is Fault.MESSAGE or is_too_slow(error)) and len(part.batch) > 1:
            self._halve(part)
            return Halved()
        if fault is Fault.MESSAGE:
            return self._give_up(part, error)
        if fault is Fault.CONFIGURATION:
            return Kept() if self._delivery.keep(error) else self._give_up(part, error)
        return self._try_again(part, error)

    def _try_again(self, part: _Part, error: SegmentError) -> Outcome:
        """Return what to do after an attempt that failed because of the network, or seems to."""
        delivered = self._delivery.tally.batches
        if self._is_suspect and may_be_to_blame(error):
            is_proven = delivered > part.failed_at
            self._is_proven |= is_proven
            part.has_failed, part.failed_at = True, delivered
            part.failures += is_proven
            if is_proven and len(part.batch) > 1:
                self._halve(part)
                return SetBack()
            if part.failures >= _FAILURES_OF_ONE:
                return self._give_up(part, error)
            if is_proven or not all(one.has_failed for one in self._left()):
                return SetBack()
            if not self._is_proven:  # both halves have failed
                return self.give_in()
        self._progress = self._progress.failed(getattr(error, "retry_after", None))
        again = self._delivery.wait_after(error, self._progress)
        self._is_retry = True
        if again is not None:
            return again
        part.failed_at = delivered
        return Stuck() if may_be_to_blame(error) else self.give_in()

    def suspect(self) -> None:
        """Find the messages that are to blame, because others were delivered."""
        self._is_suspect = self._is_proven = True
        self._begin_part()

    def split(self) -> bool:
        """Try the halves to find out which is to blame. Return False if that was tried already."""
        if self._is_suspect or len(self._parts[0].batch) == 1:
            return False
        self._is_suspect = True
        self._halve(self._parts[0])
        return True

    def give_in(self) -> Outcome:
        """Keep what is left of the batch, or make dead letters of it."""
        error = self._error
        assert error is not None
        if self._delivery.keep(error):
            return Kept()
        answers = [self._give_up(part, error) for part in self._left()]
        return Answered(tuple(run for answer in answers for run in answer.runs))

    def _next_part(self) -> _Part:
        """Return the first part that is not settled, or another that has not failed yet."""
        left = self._left()
        return next((part for part in left if not part.has_failed), left[0])

    def _left(self) -> list[_Part]:
        return [part for part in self._parts if not part.is_settled]

    def _halve(self, part: _Part) -> None:
        place = self._parts.index(part)
        halves = [_Part(half, failed_at=part.failed_at) for half in part.batch.halves()]
        self._parts.remove(part)
        for half in reversed(halves):
            self._parts.insert(place, half)
        self._begin_part()

    def _settle(self, *parts: _Part) -> Answered:
        """Note that parts are settled. Messages are acknowledged once all before them are."""
        for part in parts:
            part.is_settled = True
        self._begin_part()
        runs = []
        while self._parts and self._parts[0].is_settled:
            part = self._parts.popleft()
            runs.append((len(part.batch), part.is_set_aside))
        return Answered(tuple(runs))

    def _settle_partly(self, part: _Part, error: DeliveryError) -> Outcome:
        """Settle messages that were delivered or refused. The rest is a part that has failed."""
        settled, progress = part.batch, self._progress
        rest = settled.without(error.delivered) if error.delivered > 0 else None
        if rest is not None:
            settled = Batch.of_lines(settled.lines[: error.delivered])
        refused = 0
        unstored: set[bytes] = set()
        for words, lines in refused_lines(settled, error).items():
            reason = DeliveryError(
                f"refused by the server ({words or 'without a reason'}): look at what it holds",
                status=error.status if rest is None else None,  # else it is that of the failure
                retryable=False,
            )
            if self._delivery.give_up(Batch.of_lines(lines), reason):
                unstored.update(lines)
            refused += len(lines)
        self._delivery.count(dead_lettered=refused, delivered=len(settled) - refused, batches=1)
        place = self._parts.index(part)
        self._parts.remove(part)
        if rest is not None:
            part.batch, self._failed = rest, part
            self._parts.insert(place, part)
        parts = []
        for is_set_aside, run in groupby(settled.lines, unstored.__contains__):
            parts.append(_Part(Batch.of_lines(list(run))))
            parts[-1].is_set_aside = is_set_aside
        for one in reversed(parts):
            self._parts.insert(place, one)
        answer = self._settle(*parts)
        if rest is not None:
            self._progress = progress  # the attempts at the whole are also attempts at the rest
        return answer

    def _give_up(self, part: _Part, error: SegmentError) -> Answered:
        part.is_set_aside = self._delivery.give_up(part.batch, error)
        self._delivery.count(dead_lettered=len(part.batch))
        return self._settle(part)

    def use_up(self) -> bool:
        """Leave one attempt, after which another batch is tried. Return whether that is possible.

        This is for a batch that was stuck while no other one was waiting. As soon as there is
        another batch, it can be found out which is to blame.
        """
        left = sum(len(part.batch) for part in self._parts)
        if left == len(self._batch):
            if len(self._parts) > 1:
                self._parts = deque([_Part(self._batch)])
                self._is_suspect = self._is_proven = False
        elif left > 1:
            return False
        self._progress = Progress(counted=_USED_UP)
        self._is_retry = True
        return True

    def _begin_part(self) -> None:
        self._progress = Progress()
        self._is_retry = False

    def break_off(self) -> None:
        """Stop making attempts, because the rest of the batch returns to its queue."""
        if self._parts and self._parts[0].batch is self._batch:
            self._delivery.expect_again(self._batch)


_USED_UP = 1_000_000  # attempts, which no policy allows
_PAUSE_WITHOUT_TIME = 0.1
"""Seconds until the next try if no time was left. Another caller may have extended the time."""
_FAILURES_OF_ONE = 3
"""How many times a single message fails, while others are delivered, until it is to blame."""
