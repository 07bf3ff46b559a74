"""Tests for abandoned messages: dead letters, `on_error` and reports."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from segment_logging import DeliveryError, SegmentError
from segment_logging._delivery.outcomes import Tally
from segment_logging._delivery.retries import RetryPolicy
from segment_logging._messages.batch import Batch
from segment_logging._messages.calls import Track
from segment_logging._messages.encoding import encode
from segment_logging._messages.message import Message
from segment_logging.testing import FakeClient
from tests.builders import a_track
from tests.delivery.cases import (
    Case,
    End,
    Letters,
    Waits,
    a_batch,
    deliver,
    events_of,
    refusing,
)


class GivingUpTest(Case):
    """Tests for dead letters and `on_error`."""

    def test_on_error_is_told(self) -> None:
        """`on_error` receives the error and the given-up messages as objects."""
        told: list[tuple[SegmentError, list[str]]] = []

        def on_error(error: SegmentError, messages: Sequence[Message]) -> None:
            told.append((error, [one.event for one in messages if isinstance(one, Track)]))

        with self.reports():
            self.deliver(refusing("B"), "A", "B", "C", on_error=on_error)
        ((error, events),) = told
        self.assertIsInstance(error, DeliveryError)
        self.assertEqual(getattr(error, "status", None), 400)
        self.assertEqual(events, ["B"])

    def test_closed_in_the_middle(self) -> None:
        """After a close in the middle of a halved batch, only the unanswered part is sent."""
        down = [True]

        def answer(message: Message) -> int:
            if len(events_of(message)) > 2:
                return 400
            return 503 if "C" in events_of(message) and down else 200

        client, batch = FakeClient(answer), a_batch("A", "B", "C", "D")
        delivery = self.a_delivery(client)
        self.waits = Waits(until=0)
        end, tally, rest = deliver(delivery, batch, self.waits)
        self.assertEqual((end, tally.delivered), (End.KEPT, 2))
        delivery.close()
        down.clear()
        assert rest is not None
        end, tally, _ = deliver(delivery, rest, self.waits)
        self.assertEqual((end, tally.delivered), (End.ANSWERED, 2))
        self.assertEqual([message.to_dict()["event"] for message in client.messages], list("ABCD"))

    def test_on_error_is_told_of_what_can_be_read(self) -> None:
        """A line that is not a message is counted, but not passed to `on_error`."""
        told: list[Any] = []
        lines = [b'{"type":"no call"}', b"[" * 20_000, encode(a_track("A").to_dict())]
        delivery = self.a_delivery(
            FakeClient([404]), on_error=lambda error, messages: told.extend(messages)
        )
        self.letters.fault = OSError()
        with self.reports():
            _, tally, _ = deliver(delivery, Batch.of_lines(lines), self.waits)
        self.assertEqual([message.event for message in told], ["A"])
        self.assertEqual(tally.dead_lettered, 3)

    def test_a_fault_while_giving_up_loses_nothing(self) -> None:
        """If writing a dead letter raises, the batch is kept and resumes where it stopped."""

        class Faulty(Letters):
            faults = 1

            @override
            def write(
                self, messages: Sequence[Any], error: SegmentError, *, sync: bool = True
            ) -> None:
                if self.faults:
                    self.faults -= 1
                    raise RuntimeError
                super().write(messages, error)

        self.letters = Faulty()
        delivery, batch = self.a_delivery(FakeClient(refusing("B"))), a_batch("A", "B", "C")
        with self.reports():
            with self.assertRaises(RuntimeError):
                deliver(delivery, batch, self.waits)
            end, tally, _ = deliver(delivery, batch, self.waits)
        self.assertEqual((end, tally.delivered, tally.dead_lettered), (End.ANSWERED, 2, 1))
        self.assertEqual(self.letters.events, ["B"])

    def test_on_error_is_not_told_of_what_is_kept(self) -> None:
        """`on_error` is not called for messages that are kept."""
        told: list[Any] = []
        with self.reports():
            self.deliver([401], kept_in="the journal", on_error=lambda *given: told.append(given))
        self.assertEqual(told, [])

    def test_on_error_that_raises_stops_nothing(self) -> None:
        """If `on_error` raises, this is reported once and the other messages are delivered."""

        def on_error(error: SegmentError, messages: Sequence[Message]) -> None:
            raise ValueError("on_error is broken")

        with self.reports() as reports:
            end, tally, _ = self.deliver(refusing("A", "C"), "A", "B", "C", on_error=on_error)
        self.assertEqual((end, tally.delivered, tally.dead_lettered), (End.ANSWERED, 1, 2))
        self.assertEqual(self.letters.events, ["A", "C"])
        told = [text for text in reports.output if "on_error" in text]
        self.assertEqual(len(told), 1)
        self.assertRegex(told[0], r"raised ValueError \(test_giving_up.py, line \d+\): fix it")

    def test_nobody_wants_dead_letters(self) -> None:
        """Without a file for dead letters, they are counted and reported."""
        with self.reports() as reports:
            end, tally, _ = self.deliver([404], dead_letters=None)
        self.assertEqual((end, tally), (End.ANSWERED, Tally(dead_lettered=1)))
        self.assertIn("1 message was abandoned", reports.output[0])

    def test_unwritable_without_a_journal(self) -> None:
        """Dead letters that cannot be written are counted and reported; delivery continues."""
        self.letters = Letters(OSError(28, "No space left on device"))
        with self.reports() as reports:
            end, tally, _ = self.deliver(refusing("B"), "A", "B", "C")
        self.assertEqual((end, tally.delivered, tally.dead_lettered), (End.ANSWERED, 2, 1))
        self.assertIn("No space left", " ".join(reports.output))

    def test_unwritable_with_a_journal(self) -> None:
        """With a journal, the batch's file is set aside, and delivery continues."""
        self.letters = Letters(OSError(28, "No space left on device"))
        delivery = self.a_delivery(FakeClient(refusing("B")), kept_in="the journal")
        with self.reports() as reports:
            end, tally, _ = deliver(delivery, a_batch("A", "B", "C"), self.waits)
            self.assertEqual((end, tally.delivered, tally.dead_lettered), (End.SET_ASIDE, 2, 1))
            self.assertEqual(deliver(delivery, a_batch("A"), self.waits)[0], End.ANSWERED)
        self.assertIn("set aside in the journal", " ".join(reports.output))

    def test_goes_on_where_it_stopped(self) -> None:
        """The settled messages of a kept batch are neither sent nor written again."""
        answers = [400, 400, 503, 503, 200]  # the batch; A, which becomes a dead letter; B
        client = FakeClient(answers)
        delivery = self.a_delivery(
            client, kept_in="the journal", policy=RetryPolicy(max_attempts=2)
        )
        batch = a_batch("A", "B")
        with self.reports():
            first = deliver(delivery, batch, self.waits)
            assert first.rest is not None
            second = deliver(delivery, first.rest, self.waits)
        self.assertEqual((first.end, first.tally), (End.KEPT, Tally(dead_lettered=1, retried=1)))
        self.assertEqual((second.end, second.tally), (End.ANSWERED, Tally(delivered=1, batches=1)))
        self.assertEqual(self.letters.events, ["A"])

    def test_a_report_that_cannot_be_made_stops_nothing(self) -> None:
        """A logging handler that raises on a report does not stop delivery."""

        class Broken(logging.Handler):
            @override
            def handle(self, record: logging.LogRecord) -> bool:
                raise RuntimeError("the handler is broken")

        logger = logging.getLogger("segment_logging")
        broken = Broken()
        logger.addHandler(broken)
        self.addCleanup(logger.removeHandler, broken)
        end, tally, _ = self.deliver(refusing("A"), "A", "B")
        self.assertEqual((end, tally.delivered, tally.dead_lettered), (End.ANSWERED, 1, 1))
