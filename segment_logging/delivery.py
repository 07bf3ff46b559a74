"""From a batch to its answer: attempts, waits, halving, dead letters.

What an answer means and how long to wait is decided in `outcomes`; here it is carried out, on
the listener's thread, with the client, the wait and the randomness passed in.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from enum import Enum, auto
from operator import add
from typing import Any, Protocol

from .batch import Batch
from .client import Client
from .encoding import decode
from .errors import DeliveryError, MessageTooLarge, SegmentError
from .messages import Message
from .outcomes import Fault, Progress, RetryPolicy, fault_of
from .reports import Reporter, report, where

OnError = Callable[[SegmentError, Sequence[Message]], object]
"""What `on_error` is: called on the listener's thread with the reason and the messages given up."""


class Wait(Protocol):
    """Sleeps for so many seconds and returns True; False, possibly at once, when the end of the
    process would come first. `exactly`: the server asked for no less."""

    def __call__(self, seconds: float, *, exactly: bool = False) -> bool: ...


class _DeadLetters(Protocol):
    def write(self, messages: Sequence[Any], error: SegmentError) -> None:
        """Append the messages with their reason. Raises OSError when they are not on disk."""


class End(Enum):
    """How the delivery of a batch ended."""

    ANSWERED = auto()
    """Every message was delivered or became a dead letter: forget the batch."""
    SET_ASIDE = auto()
    """Likewise, but dead letters could not be written: keep what is on disk of it for people."""
    KEPT = auto()
    """Not delivered, and not given up: try again later."""


@dataclass(slots=True)
class Tally:
    """What became of messages so far."""

    delivered: int = 0
    dead_lettered: int = 0
    retried: int = 0
    batches: int = 0

    def plus(self, other: Tally) -> Tally:
        """Return both added up."""
        return Tally(*map(add, astuple(self), astuple(other)))


@dataclass(slots=True)
class _Unfinished:
    """A batch under way."""

    batch: Batch
    parts: list[Batch]  # what is left of it, the last one first
    tally: Tally
    is_set_aside: bool = False


class Delivery:
    """Sends batches through a client until each is answered for.

    Args:
        client: sends one batch, once.
        write_key: of the Segment source.
        policy: how often and how long.
        random: a number from 0 to 1, for the jitter.
        keeps: whether the queue outlives the process, so that what cannot be delivered now is
            kept for later instead of given up.
        kept_in: where that is, for people.
        dead_letters: takes what is given up; None to only count it.
        on_error: told what is given up; None for nobody.
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
        self._unfinished: dict[int, _Unfinished] = {}  # by `id` of the batch: at most one a queue
        self._given_up = 0
        self._told_of = 0  # of those
        self.trouble: SegmentError | None = None
        """Why the last attempt failed; None when it did not."""

    def deliver(self, batch: Batch, wait: Wait) -> tuple[End, Tally]:
        """Deliver one batch, in order, and say how it ended and what became of its messages.

        A batch that Segment cannot read is halved until the guilty message stands alone; the
        others are delivered. After KEPT, whose tally holds only attempts, the same batch goes on
        where it stopped; in another process it begins anew, with the same message ids, which
        Segment recognises.
        """
        unfinished = self._unfinished.get(id(batch))
        attempts = Tally() if unfinished is None else Tally(retried=1)
        if unfinished is None:
            unfinished = self._unfinished[id(batch)] = _Unfinished(batch, [batch], Tally())
        end = self._go_on(unfinished, attempts, wait)
        if end is End.KEPT:
            return end, attempts
        del self._unfinished[id(batch)]
        return end, unfinished.tally.plus(attempts)

    @property
    def answered_of_unfinished(self) -> int:
        """How many messages of batches that are not finished were answered for."""
        under_way = tuple(self._unfinished.values())
        return sum(one.tally.delivered + one.tally.dead_lettered for one in under_way)

    def _go_on(self, unfinished: _Unfinished, attempts: Tally, wait: Wait) -> End:
        parts, tally = unfinished.parts, unfinished.tally
        while parts:
            part = parts[-1]
            error = self._send(part, wait, attempts)
            if error is _INTERRUPTED:
                return End.KEPT
            if error is not None and self._keeps and _fault(error) is not Fault.MESSAGE:
                self._reporter.once("kept", f"{error}; messages wait in {self._kept_in}")
                return End.KEPT
            if error is None:
                tally.delivered += len(part)
                tally.batches += 1
                parts.pop()
            elif _fault(error) is Fault.MESSAGE and len(part) > 1:
                parts[-1:] = reversed(part.halves())
            else:
                is_written = self._give_up(part, error)
                unfinished.is_set_aside |= self._keeps and not is_written
                tally.dead_lettered += len(part)
                parts.pop()
        return End.SET_ASIDE if unfinished.is_set_aside else End.ANSWERED

    def _send(self, batch: Batch, wait: Wait, tally: Tally) -> SegmentError | None:
        """Send until it is delivered (None) or there is nothing to be gained by another try."""
        progress = Progress()
        while True:
            try:
                self._client.send(self._write_key, batch)
            except (DeliveryError, MessageTooLarge) as error:
                failure: SegmentError = error
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # a client of the user's may raise anything
                failure = DeliveryError(
                    f"client failed ({type(error).__name__} in {where(error)}): mend its `send`, "
                    "or have it raise DeliveryError"
                )
                failure.__cause__ = error
            else:
                self.trouble = None
                for kind in ("trying", "kept", "given up"):
                    self._reporter.over(kind)
                return None
            self.trouble = failure
            if _fault(failure) is not Fault.NETWORK:
                return failure
            progress = progress.failed(getattr(failure, "retry_after", None))
            if progress.counted == _ATTEMPTS_BEFORE_A_WORD:
                self._reporter.once("trying", f"{failure}; trying again, messages wait meanwhile")
            seconds = self._policy.wait_before(progress, random=self._random())
            if seconds is None:
                return failure
            if not wait(seconds, exactly=progress.retry_after is not None):
                return _INTERRUPTED
            tally.retried += 1

    def sum_up(self) -> None:
        """Report how many messages were given up if more were since that was reported."""
        if self._given_up > self._told_of:
            report(f"{self._given_up} messages in all were given up: see the report of the first")
            self._told_of = self._given_up

    def close(self) -> None:
        """Close the client's connections until the next batch. Never raises."""
        if self._keeps:  # what was let go of comes back as another batch, and begins anew
            self._unfinished.clear()
        try:
            self._client.close()
        except Exception as error:
            what = f"client.close failed ({type(error).__name__} in {where(error)}): mend it"
            self._reporter.once("close", what)

    def _give_up(self, batch: Batch, error: SegmentError) -> bool:
        """Make dead letters of a batch; False when they could not be written."""
        what_became = "given up: set dead_letters or a journal to keep such"
        is_written = True
        if self._dead_letters is not None:
            try:
                self._dead_letters.write([_value_of(line) for line in batch.lines], error)
                what_became = "now dead letters"
            except OSError as fault:
                is_written = False
                what_became = "given up"
                if self._keeps:
                    what_became = "in the journal's quarantine"
                self._reporter.once(
                    "dead letters",
                    f"dead letters cannot be written ({fault.strerror}): mend the file's place",
                )
        self._given_up += len(batch)
        if self._reporter.once("given up", f"{error}; {len(batch)} messages are {what_became}"):
            self._told_of = self._given_up
        if self._on_error is not None:
            try:
                self._on_error(error, _readable_of(batch))
            except BaseException as fault:  # a sys.exit there would end the thread, not the program
                self._reporter.once(
                    "on_error", f"on_error raised {type(fault).__name__}: mend it, delivery goes on"
                )
        return is_written


_ATTEMPTS_BEFORE_A_WORD = 4  # a second and a half: a mere hiccup is over by then

_INTERRUPTED = DeliveryError("the process ends before the next attempt")


def _fault(error: SegmentError) -> Fault:
    if isinstance(error, DeliveryError):
        return fault_of(error.status, retryable=error.retryable)
    return Fault.MESSAGE  # the client refused the size


def _value_of(line: bytes) -> Any:
    try:
        return decode(line)
    except (ValueError, RecursionError):  # what a broken disk made of it
        return line.decode(errors="replace")


def _readable_of(batch: Batch) -> Sequence[Message]:
    """Return the messages of a batch but those that are none: of another hand, or a broken disk."""
    readable: list[Message] = []
    for line in batch.lines:
        with suppress(ValueError, RecursionError):  # no JSON, InvalidMessage
            readable.append(Message.from_dict(decode(line)))
    return readable
