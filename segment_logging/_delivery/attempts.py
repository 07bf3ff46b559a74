"""From a batch to its answer, one attempt at a time: what was sent, what is tried again, halving,
dead letters.

What an answer means is decided in `_client.answers`, and how long to wait in `retries`. Nothing
here waits: whoever makes the attempts sleeps in between.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from .._client.answers import Fault, fault_of
from .._client.client import Client
from .._messages.batch import Batch
from .._messages.encoding import decode
from .._messages.message import Message
from .._options.delivery import OnError
from .._reports import Reporter, counted, report, were, where
from ..errors import DeliveryError, MessageTooLarge, SegmentError
from .outcomes import Answered, Halved, Kept, Outcome, Tally, TryAgain
from .retries import Progress, RetryPolicy


class _DeadLetters(Protocol):
    def write(self, messages: Sequence[Any], error: SegmentError) -> None:
        """Append the messages with their reason. Raises OSError if they are not on disk."""


class Delivery:
    """Sends batches through a client until each message is answered for.

    Args:
        client: sends one batch, once.
        write_key: of the Segment source.
        policy: how often and how long.
        random: a number from 0 to 1, for the jitter.
        keeps: whether the queue outlives the process, so that what cannot be delivered now is kept
            for later and not given up.
        kept_in: where that is, for people.
        dead_letters: takes what is given up; None only counts it.
        on_error: told of what is given up; None for nobody.
    """

    def __init__(
        self,
        client: Client,
        write_key: str,
        *,
        policy: RetryPolicy,
        random: Callable[[], float] = random.random,
        keeps: bool = False,
        kept_in: str = "the journal",
        dead_letters: _DeadLetters | None = None,
        on_error: OnError | None = None,
    ) -> None:
        self._client = client
        self._write_key = write_key
        self._policy = policy
        self._random = random
        self._keeps = keeps
        self._kept_in = kept_in
        self._dead_letters = dead_letters
        self._on_error = on_error
        self._reporter = Reporter()
        self._put_back: list[Batch] = []  # to be tried again from the start: one for each lane
        self._given_up = 0
        self._told_of = 0  # of those given up
        self.tally = Tally()
        """What became of all messages; replaced as a whole, so that any thread may read it."""
        self.trouble: SegmentError | None = None
        """Why the last attempt failed; None if it did not."""

    def attempts_at(self, batch: Batch) -> Attempts:
        """Return the attempts at a batch, none of which is made yet."""
        was_tried = any(one is batch for one in self._put_back)
        self._put_back = [one for one in self._put_back if one is not batch]
        return Attempts(self, batch, was_tried=was_tried)

    def expect_again(self, batch: Batch) -> None:
        """A batch was put back: the next attempt at it is not the first."""
        self._put_back.append(batch)

    def close(self) -> None:
        """Close the client's connections until the next attempt. Never raises."""
        self._put_back.clear()
        try:
            self._client.close()
        except Exception as error:
            what = f"client.close failed ({type(error).__name__} in {where(error)}): mend it"
            self._reporter.once("close", what)

    def sum_up(self) -> None:
        """Report how many messages were given up, if there are more than was reported."""
        if self._given_up > self._told_of:
            report(
                f"{counted(self._given_up, 'message')} in all {were(self._given_up)} given up: "
                "see the report of the first"
            )
            self._told_of = self._given_up

    # For `Attempts`. ----------------------------------------------------------------------------

    def send(self, batch: Batch) -> SegmentError | None:
        """Send a batch once, and return why that failed, None if it did not."""
        try:
            self._client.send(self._write_key, batch)
        except (DeliveryError, MessageTooLarge) as error:
            self.trouble = error
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a client of the user's may raise anything
            self.trouble = DeliveryError(
                f"client failed ({type(error).__name__} in {where(error)}): mend its `send`, "
                "or have it raise DeliveryError"
            )
            self.trouble.__cause__ = error
        else:
            self.trouble = None
            for kind in ("trying", "kept", "given up"):
                self._reporter.over(kind)
        return self.trouble

    def wait_after(self, error: SegmentError, progress: Progress) -> TryAgain | None:
        """Return how long to wait before another attempt, None if there is to be none."""
        if progress.counted == _ATTEMPTS_BEFORE_A_WORD:
            self._reporter.once("trying", f"{error}; trying again, messages wait meanwhile")
        seconds = self._policy.wait_before(progress, random=self._random())
        if seconds is None:
            return None
        return TryAgain(seconds=seconds, is_asked=progress.retry_after is not None)

    def keep(self, error: SegmentError) -> bool:
        """Whether what cannot be delivered now is kept. If so, that is reported."""
        if self._keeps:
            self._reporter.once("kept", f"{error}; messages wait in {self._kept_in}")
        return self._keeps

    def give_up(self, batch: Batch, error: SegmentError) -> bool:
        """Make dead letters of a batch. Return whether it is to be set aside instead."""
        what_became = "given up: set dead_letters or a journal to keep such messages"
        is_written = True
        if self._dead_letters is not None:
            try:
                self._dead_letters.write([_value_of(line) for line in batch.lines], error)
                what_became = f"now {'a dead letter' if len(batch) == 1 else 'dead letters'}"
            except OSError as fault:
                is_written = False
                what_became = "in the journal's quarantine" if self._keeps else "given up"
                self._reporter.once("dead letters", cannot_write_dead_letters(fault))
        self._given_up += len(batch)
        is_or_are = "is" if len(batch) == 1 else "are"
        told = f"{error}; {counted(len(batch), 'message')} {is_or_are} {what_became}"
        if self._reporter.once("given up", told):
            self._told_of = self._given_up
        self._tell_on_error(batch, error)
        return self._keeps and not is_written

    def _tell_on_error(self, batch: Batch, error: SegmentError) -> None:
        if self._on_error is None:
            return
        try:
            self._on_error(error, _readable_of(batch))
        except BaseException as fault:  # a sys.exit there would end the thread, not the program
            self._reporter.once(
                "on_error", f"on_error raised {type(fault).__name__}: mend it; delivery goes on"
            )

    def count(self, **more: int) -> None:
        """Add to the tally."""
        self.tally = replace(
            self.tally, **{name: getattr(self.tally, name) + added for name, added in more.items()}
        )


class Attempts:
    """The attempts at one batch, one `make` at a time.

    A batch that Segment cannot read is halved until the guilty message stands alone; the others
    are delivered. Messages are answered for in the order of the batch.

    Args:
        delivery: sends, and gives up.
        batch: what to send.
        was_tried: whether the first attempt made here is not the batch's first.
    """

    def __init__(self, delivery: Delivery, batch: Batch, *, was_tried: bool = False) -> None:
        self._delivery = delivery
        self._batch = batch
        self._parts = [batch]  # what is left of it, the last one first
        self._progress = Progress()  # of the part that is next
        self._is_retry = was_tried

    @property
    def are_over(self) -> bool:
        """Whether every message of the batch is answered for."""
        return not self._parts

    def make(self) -> Outcome:
        """Make the next attempt, and return what became of it."""
        part = self._parts[-1]
        if self._is_retry:
            self._delivery.count(retried=1)
        error = self._delivery.send(part)
        if error is None:
            self._delivery.count(delivered=len(part), batches=1)
            return self._answer(part)
        fault = _whose_fault(error)
        if fault is Fault.NETWORK:
            self._progress = self._progress.failed(getattr(error, "retry_after", None))
            again = self._delivery.wait_after(error, self._progress)
            if again is not None:
                self._is_retry = True
                return again
        if fault is Fault.MESSAGE and len(part) > 1:
            self._parts[-1:] = reversed(part.halves())
            self._begin_part()
            return Halved()
        if fault is not Fault.MESSAGE and self._delivery.keep(error):
            return Kept()
        is_set_aside = self._delivery.give_up(part, error)
        self._delivery.count(dead_lettered=len(part))
        return self._answer(part, is_set_aside=is_set_aside)

    def _answer(self, part: Batch, *, is_set_aside: bool = False) -> Answered:
        self._parts.pop()
        self._begin_part()
        return Answered(messages=len(part), is_set_aside=is_set_aside)

    def _begin_part(self) -> None:
        self._progress = Progress()
        self._is_retry = False

    def break_off(self) -> None:
        """Make no more: what is left of the batch goes back to its queue."""
        if self._parts and self._parts[0] is self._batch:
            self._delivery.expect_again(self._batch)


_ATTEMPTS_BEFORE_A_WORD = 4  # they take a second and a half: a mere hiccup is over by then


def cannot_write_dead_letters(fault: OSError) -> str:
    """Return the report of a dead-letter file that takes nothing."""
    path = f" {fault.filename}" if fault.filename else ""
    return f"dead letters cannot be written ({fault.strerror}): mend the place of the file{path}"


def _whose_fault(error: SegmentError) -> Fault:
    if isinstance(error, DeliveryError):
        return fault_of(error.status, retryable=error.retryable)
    return Fault.MESSAGE  # the client refused the size


def _value_of(line: bytes) -> Any:
    try:
        return decode(line)
    except (ValueError, RecursionError):  # damaged on disk
        return line.decode(errors="replace")


def _readable_of(batch: Batch) -> Sequence[Message]:
    """Return the messages of a batch. Lines that others wrote or a disk damaged are skipped."""
    readable: list[Message] = []
    for line in batch.lines:
        with suppress(ValueError, RecursionError):  # not JSON, or InvalidMessage
            readable.append(Message.from_dict(decode(line)))
    return readable
