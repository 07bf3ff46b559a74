"""Tests for finding out whether a stuck batch or the network is to blame, without a thread."""

from __future__ import annotations

import unittest

from typing_extensions import override

from segment_logging import DeliveryError
from segment_logging._delivery.attempts import Attempts, Delivery
from segment_logging._delivery.isolation import outcome_of_stuck
from segment_logging._delivery.outcomes import Answered, Outcome, SetBack, Stuck
from segment_logging._delivery.retries import RetryPolicy
from segment_logging._messages.encoding import encode
from segment_logging._messages.message import Message
from segment_logging._queues.memory import MemoryQueue
from segment_logging.testing import FakeClient
from tests.builders import a_track

from .cases import events_of


class TestNextBatch(unittest.TestCase):
    """What happens to the batch that is tried while another one is stuck."""

    @override
    def setUp(self) -> None:
        self.answers: dict[str, int] = {}
        self.refuses = ""
        self.sent: list[list[str]] = []
        self.queue = MemoryQueue(max_messages=1_000, max_bytes=10_000_000)
        client = FakeClient(self.answer)
        self.delivery = Delivery(client, "key", policy=RetryPolicy(max_attempts=1), random=float)

    def answer(self, message: Message) -> DeliveryError | int:
        events = events_of(message)
        self.sent.append(events)
        if self.refuses in events:
            return DeliveryError("answered 207", status=207, refused={self.refuses: "no"})
        return max(self.answers.get(event, 200) for event in events)

    def put(self, *events: str) -> None:
        for event in events:
            self.queue.put(encode({**a_track(event).to_dict(), "messageId": event}))

    def taken(self) -> Attempts:
        batch = self.queue.take()
        assert batch is not None
        return self.delivery.attempts_at(batch)

    def stuck(self, *events: str) -> Attempts:
        """Return attempts that are used up, at a batch that was taken last."""
        self.put(*events)
        attempts = self.taken()
        self.assertIsInstance(attempts.make(), Stuck)
        return attempts

    def isolate(self, stuck: Attempts) -> Outcome:
        return outcome_of_stuck(self.delivery, self.queue, self.acknowledge, stuck)

    def acknowledge(self, answer: Answered) -> None:
        for messages, is_set_aside in answer.runs:
            self.queue.acknowledge(messages, set_aside=is_set_aside)

    def assert_adds_up(self) -> None:
        """Assert that each settled message was counted once, and that no other one was."""
        tally = self.delivery.tally
        self.assertEqual(self.queue.accepted - self.queue.perishable,
                         tally.delivered + tally.dead_lettered)  # fmt: skip

    def settle_rest(self) -> list[str]:
        """Settle everything that waits in the queue, and return its events."""
        found: list[str] = []
        while (batch := self.queue.take()) is not None:
            found += events_of(batch)
            self.acknowledge(Answered(((len(batch), False),)))
        return found

    def test_refused(self) -> None:
        """If the next batch is refused, it is settled once, and the stuck one is not to blame."""
        self.answers = {"stuck": 500, "refused": 400}
        stuck = self.stuck("stuck")
        self.put("refused")
        outcome = self.isolate(stuck)
        assert isinstance(outcome, Answered)  # without a journal, it is abandoned
        self.acknowledge(outcome)
        self.assert_adds_up()
        self.assertEqual(self.delivery.tally.dead_lettered, 2)
        self.assertEqual(self.sent, [["stuck"], ["refused"]])

    def test_refused_in_part(self) -> None:
        """A next batch of which the server refuses a message is delivered, and proves the blame."""
        self.answers = {"stuck": 500}
        stuck = self.stuck("stuck")
        self.put("good", "refused")
        self.refuses = "refused"
        self.assertIsInstance(self.isolate(stuck), SetBack)
        self.assert_adds_up()
        tally = self.delivery.tally
        self.assertEqual((tally.delivered, tally.dead_lettered), (1, 1))

    def test_delivered_in_part(self) -> None:
        """If the next batch was halved and only its first half arrives, the rest is not lost."""
        self.answers = {"a": 500}
        halved = self.stuck("a", "b")
        self.put("between")
        self.set_back(self.isolate(halved), halved)
        self.put("stuck")
        self.set_back(self.taken().make(), halved)
        self.answers = {"stuck": 500, "b": 500}
        stuck = self.taken()
        self.assertIsInstance(stuck.make(), Stuck)
        self.set_back(self.isolate(stuck), stuck)
        self.assertEqual(self.sent[-1], ["a"])
        self.assert_adds_up()
        self.assertEqual(sorted(self.settle_rest()), ["b", "stuck"])
        self.assertEqual(self.queue.perishable, 0)

    def set_back(self, outcome: Outcome, attempts: Attempts) -> None:
        """Do what the listener does with a batch that is to blame."""
        self.assertIsInstance(outcome, SetBack)
        self.delivery.resume_later(attempts)
        self.queue.set_back()
