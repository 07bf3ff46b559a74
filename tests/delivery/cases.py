"""Helpers for tests of attempts: a delivery with a fake client, and waits that take no time."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any, NamedTuple

from typing_extensions import override

from segment_logging import SegmentError
from segment_logging._delivery.attempts import Delivery
from segment_logging._delivery.outcomes import (
    Answered,
    Halved,
    Kept,
    SetBack,
    Stuck,
    Tally,
    TryAgain,
)
from segment_logging._delivery.retries import RetryPolicy
from segment_logging._messages.batch import Batch
from segment_logging._messages.calls import Track
from segment_logging._messages.encoding import encode
from segment_logging._messages.message import Message
from segment_logging.testing import FakeClient
from tests.builders import a_track


def a_batch(*events: str) -> Batch:
    """Return a batch of encoded track calls, like a batch from a queue."""
    return Batch.of_lines([encode(a_track(event).to_dict()) for event in events])


def events_of(message: Message) -> list[str]:
    """Return the event names of a batch."""
    assert isinstance(message, Batch)
    return [call.event for call in message.batch if isinstance(call, Track)]


def refusing(*guilty: str, status: int = 400) -> Callable[[Message], int]:
    """Return a script that answers with `status` for a guilty event, and with 200 otherwise."""
    return lambda message: status if set(guilty) & set(events_of(message)) else 200


class Waits:
    """Waits that take no time and record their arguments.

    Args:
        until: the number of waits before the time is up.
    """

    def __init__(self, until: int = 1_000) -> None:
        self.seconds: list[float] = []
        self.are_asked: list[bool] = []
        self._until = until

    def __call__(self, again: TryAgain) -> bool:
        self.seconds.append(again.seconds)
        self.are_asked.append(again.is_asked)
        return len(self.seconds) <= self._until


class End(Enum):
    """How the delivery of a batch ended."""

    ANSWERED = auto()
    SET_ASIDE = auto()
    KEPT = auto()


class Delivered(NamedTuple):
    """The outcome of a batch."""

    end: End
    tally: Tally
    rest: Batch | None


def deliver(delivery: Delivery, batch: Batch, waits: Waits) -> Delivered:
    """Make attempts the way the listener does, until they are over or interrupted."""
    before, end, answered = delivery.tally, End.ANSWERED, 0
    attempts = delivery.attempts_at(batch)
    while not attempts.are_over:
        match attempts.make():
            case Answered() as answer:
                answered += answer.messages
                end = End.SET_ASIDE if answer.is_set_aside else end
            case TryAgain() as again:
                if waits(again):
                    continue
                attempts.break_off()
                end = End.KEPT
                break
            case Halved() | SetBack():  # nothing else is waiting
                continue
            case Stuck():
                if not attempts.split():
                    match attempts.give_in():
                        case Answered() as answer:
                            answered += answer.messages
                            end = End.SET_ASIDE if answer.is_set_aside else end
                        case _:
                            attempts.break_off()
                            end = End.KEPT
                            break
            case Kept():
                attempts.break_off()
                end = End.KEPT
                break
    after = delivery.tally
    tally = Tally(
        delivered=after.delivered - before.delivered,
        dead_lettered=after.dead_lettered - before.dead_lettered,
        retried=after.retried - before.retried,
        batches=after.batches - before.batches,
    )
    return Delivered(end, tally, batch.without(answered))


class Letters:
    """Dead letters that are kept in a list, or cannot be written if `fault` is set."""

    def __init__(self, fault: OSError | None = None) -> None:
        self.fault = fault
        self.written: list[tuple[str, str]] = []

    def write(self, messages: Sequence[Any], error: SegmentError, *, sync: bool = True) -> None:
        if self.fault is not None:
            raise self.fault
        self.written.extend((message["event"], str(error)) for message in messages)

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.written]


class Case(unittest.TestCase):
    """Base class with a delivery that uses a fake client."""

    @override
    def setUp(self) -> None:
        self.waits = Waits()
        self.letters = Letters()

    def a_delivery(self, client: FakeClient, **options: Any) -> Delivery:
        options.setdefault("policy", RetryPolicy())
        options.setdefault("dead_letters", self.letters)
        return Delivery(client, "key", random=lambda: 0.0, **options)

    def deliver(self, script: Any, *events: str, **options: Any) -> tuple[End, Tally, FakeClient]:
        client = FakeClient(script)
        delivery = self.a_delivery(client, **options)
        end, tally, _ = deliver(delivery, a_batch(*(events or ("Signup",))), self.waits)
        return end, tally, client

    def reports(self) -> Any:
        """Capture the reports that are logged in a block."""
        return self.assertLogs("segment_logging")
