"""Delivery of one batch: attempts, retries, halving and dead letters.

`_client.answers` decides what an answer means, and `retries` decides how long to wait. Nothing in
this module sleeps. The listener, which makes the attempts, sleeps between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from random import SystemRandom
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

_random = SystemRandom().random  # leaves the program's own random numbers alone


class _DeadLetters(Protocol):
    def write(self, messages: Sequence[Any], error: SegmentError) -> None:
        """Append messages with the reason. Raises OSError if they could not be written."""


class Delivery:
    """Sends batches through a client until each message is delivered, abandoned or kept for later.

    Args:
        client: sends one batch, once.
        write_key: the Segment source's write key.
        policy: the number of attempts, and the time between them.
        random: returns a number from 0 to 1, for the jitter.
        kept_in: where messages that cannot be delivered now are kept for later, for reports. None
            means that they become dead letters.
        dead_letters: stores messages that are abandoned. If None, they are only counted.
        on_error: called with messages that are abandoned, if not None.
    """

    def __init__(
        self,
        client: Client,
        write_key: str,
        *,
        policy: RetryPolicy,
        random: Callable[[], float] = _random,
        kept_in: str | None = None,
        dead_letters: _DeadLetters | None = None,
        on_error: OnError | None = None,
    ) -> None:
        self._client = client
        self._write_key = write_key
        self._policy = policy
        self._random = random
        self._kept_in = kept_in
        self._dead_letters = dead_letters
        self._on_error = on_error
        self._reporter = Reporter()
        self._put_back: list[Batch] = []  # batches to try again, one for each lane
        self._given_up = 0
        self._told_of = 0  # how many of those have been reported
        self.tally = Tally()
        """The totals for all messages. Replaced as a whole, so any thread may read it."""
        self.trouble: SegmentError | None = None
        """The reason why the last attempt failed, or None if it succeeded."""

    def attempts_at(self, batch: Batch) -> Attempts:
        """Return an `Attempts` object for a batch, without making an attempt."""
        was_tried = any(one is batch for one in self._put_back)
        self._put_back = [one for one in self._put_back if one is not batch]
        return Attempts(self, batch, was_tried=was_tried)

    def expect_again(self, batch: Batch) -> None:
        """Remember that a batch was put back, so that the next attempt counts as a retry."""
        self._put_back.append(batch)

    def close(self) -> None:
        """Close the client's connections. The next attempt opens them again. Never raises."""
        self._put_back.clear()
        try:
            self._client.close()
        except Exception as error:
            what = f"client.close failed ({type(error).__name__} in {where(error)}): fix it"
            self._reporter.once("close", what)

    def sum_up(self) -> None:
        """Report the total number of abandoned messages, if it has grown since the last report."""
        if self._given_up > self._told_of:
            report(
                f"{counted(self._given_up, 'message')} {were(self._given_up)} abandoned in total: "
                "see the first report for the reason"
            )
            self._told_of = self._given_up

    # For `Attempts`. ----------------------------------------------------------------------------

    def send(self, batch: Batch) -> SegmentError | None:
        """Send a batch once. Return the error if that failed, or None if it succeeded."""
        try:
            self._client.send(self._write_key, batch)
        except (DeliveryError, MessageTooLarge) as error:
            self.trouble = error
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the user's own client may raise anything
            self.trouble = DeliveryError(
                f"client failed ({type(error).__name__} in {where(error)}): fix its `send`, "
                "or have it raise DeliveryError"
            )
            self.trouble.__cause__ = error
        else:
            self.trouble = None
            for kind in ("trying", "kept", "given up"):
                self._reporter.over(kind)
        return self.trouble

    def wait_after(self, error: SegmentError, progress: Progress) -> TryAgain | None:
        """Return how long to wait before another attempt, or None if there will be none."""
        if progress.counted == _ATTEMPTS_BEFORE_A_WORD:
            self._reporter.once("trying", f"{error}; trying again while messages wait")
        seconds = self._policy.wait_before(progress, random=self._random())
        if seconds is None:
            return None
        return TryAgain(seconds=seconds, is_asked=progress.retry_after is not None)

    def keep(self, error: SegmentError) -> bool:
        """Return whether a batch that cannot be delivered now is kept, and report it if so."""
        if self._kept_in is not None:
            self._reporter.once("kept", f"{error}; messages are waiting in {self._kept_in}")
        return self._kept_in is not None

    def give_up(self, batch: Batch, error: SegmentError) -> bool:
        """Turn a batch into dead letters. Return whether to set it aside instead.

        A batch is set aside if the queue keeps messages and its dead letters cannot be written.
        """
        what_became = "abandoned: set dead_letters or a journal to keep such messages"
        is_written = True
        if self._dead_letters is not None:
            try:
                self._dead_letters.write([_value_of(line) for line in batch.lines], error)
                what_became = f"now {'a dead letter' if len(batch) == 1 else 'dead letters'}"
            except OSError as fault:
                is_written = False
                what_became = f"set aside in {self._kept_in}" if self._kept_in else "abandoned"
                self._reporter.once("dead letters", cannot_write_dead_letters(fault))
        self._given_up += len(batch)
        is_or_are = "is" if len(batch) == 1 else "are"
        told = f"{error}; {counted(len(batch), 'message')} {is_or_are} {what_became}"
        if self._reporter.once("given up", told):
            self._told_of = self._given_up
        self._tell_on_error(batch, error)
        return self._kept_in is not None and not is_written

    def _tell_on_error(self, batch: Batch, error: SegmentError) -> None:
        if self._on_error is None:
            return
        try:
            self._on_error(error, _readable_of(batch))
        except BaseException as fault:  # sys.exit in on_error would only end this thread
            self._reporter.once(
                "on_error", f"on_error raised {type(fault).__name__}: fix it; delivery continues"
            )

    def count(self, **more: int) -> None:
        """Add numbers to the tally."""
        self.tally = replace(
            self.tally, **{name: getattr(self.tally, name) + added for name, added in more.items()}
        )


class Attempts:
    """The attempts at one batch. Each call to `make` is one attempt.

    If Segment rejects a batch as unreadable, it is halved repeatedly until the bad message is
    isolated, and the other messages are delivered. Messages are settled in the batch's order.

    Args:
        delivery: sends batches, and abandons those that cannot be delivered.
        batch: the batch to send.
        was_tried: whether the batch has been tried before, so that the first attempt is a retry.
    """

    def __init__(self, delivery: Delivery, batch: Batch, *, was_tried: bool = False) -> None:
        self._delivery = delivery
        self._batch = batch
        self._parts = [batch]  # the remaining parts, in reverse order
        self._progress = Progress()  # of the next part
        self._is_retry = was_tried

    @property
    def are_over(self) -> bool:
        """Whether every message of the batch was delivered or abandoned."""
        return not self._parts

    def make(self) -> Outcome:
        """Make the next attempt and return its outcome."""
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
        """Stop making attempts, because the rest of the batch returns to its queue."""
        if self._parts and self._parts[0] is self._batch:
            self._delivery.expect_again(self._batch)


_ATTEMPTS_BEFORE_A_WORD = 4  # reached after about 1.5 s; a brief hiccup is over by then


def cannot_write_dead_letters(fault: OSError) -> str:
    """Return the text of the report that dead letters cannot be written."""
    path = f" {fault.filename}" if fault.filename else ""
    return f"dead letters cannot be written ({fault.strerror}): make the file{path} writable"


def _whose_fault(error: SegmentError) -> Fault:
    if isinstance(error, DeliveryError):
        return fault_of(error.status, retryable=error.retryable)
    return Fault.MESSAGE  # MessageTooLarge from the client


def _value_of(line: bytes) -> Any:
    try:
        return decode(line)
    except (ValueError, RecursionError):  # the line was damaged on disk
        return line.decode(errors="replace")


def _readable_of(batch: Batch) -> Sequence[Message]:
    """Return a batch's messages, skipping foreign or damaged lines."""
    readable: list[Message] = []
    for line in batch.lines:
        with suppress(ValueError, RecursionError):  # not JSON, or InvalidMessage
            readable.append(Message.from_dict(decode(line)))
    return readable
