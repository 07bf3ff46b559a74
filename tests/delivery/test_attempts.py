"""Tests for attempts: waits, halving, and batches that are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from segment_logging import DeliveryError, MessageTooLarge, SegmentError
from segment_logging._delivery.outcomes import Answered, Stuck, Tally, TryAgain
from segment_logging._delivery.retries import RetryPolicy
from segment_logging._messages.batch import Batch
from segment_logging._messages.encoding import encode
from segment_logging._messages.message import Message
from segment_logging.errors import Cause
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


class AnswerTest(Case):
    """Batches that are accepted, at once or after retries."""

    def test_2xx(self) -> None:
        """A batch that is answered with a 2xx is delivered with one request."""
        end, tally, client = self.deliver([200], "A", "B", "C")
        self.assertIs(end, End.ANSWERED)
        self.assertEqual(tally, Tally(delivered=3, batches=1))
        self.assertEqual(client.write_keys, ["key"])
        self.assertEqual(self.waits.seconds, [])

    def test_network_faults_are_tried_again(self) -> None:
        """After network faults, the same batch is sent again until it is accepted."""
        faults = [503, ConnectionError(), 429, TimeoutError(), 408, 200]
        end, tally, client = self.deliver(faults, "A", "B")
        self.assertIs(end, End.ANSWERED)
        self.assertEqual(tally, Tally(delivered=2, batches=1, retried=5))
        self.assertEqual(self.waits.seconds, [0.0, 0.5, 1.0, 2.0, 4.0])
        self.assertEqual(len(client.batches), 1)

    def test_the_same_object_is_sent_again(self) -> None:
        """Every attempt sends the same object, which the client needs for X-Retry-Count."""
        _, _, client = self.deliver([503, (429, 2), 503, 200])
        self.assertEqual(len(client.requests), 4)
        for request in client.requests:
            self.assertIs(request, client.requests[0])

    def test_retry_after_is_waited_for_exactly(self) -> None:
        """A Retry-After wait has exactly the requested length and is marked as requested."""
        self.deliver([(429, 7.5), 503, (503, 2), 200])
        self.assertEqual(self.waits.seconds, [7.5, 0.0, 2])
        self.assertEqual(self.waits.are_asked, [True, False, True])

    def test_retry_after_is_no_attempt(self) -> None:
        """Answers with a Retry-After do not count as attempts."""
        script = [(429, 1)] * 20 + [200]
        end, tally, _ = self.deliver(script, policy=RetryPolicy(max_attempts=1))
        self.assertEqual((end, tally.delivered), (End.ANSWERED, 1))

    def test_any_exception_of_a_client_is_a_network_fault(self) -> None:
        """Any exception that a custom client raises is retried like a network fault."""
        end, tally, _ = self.deliver([KeyError("x"), RuntimeError(), 200])
        self.assertEqual((end, tally.delivered, tally.retried), (End.ANSWERED, 1, 2))

    def test_exits_of_a_client(self) -> None:
        """If a client calls `sys.exit`, only the attempt fails."""
        end, tally, client = self.deliver([SystemExit, SystemExit(1), 200], "A")
        self.assertEqual((end, tally.delivered, tally.retried), (End.ANSWERED, 1, 2))
        self.assertEqual(len(client.messages), 1)

    def test_the_end_of_the_process_interrupts_the_wait(self) -> None:
        """If there is no time for another attempt, the batch is kept and nothing is sent."""
        self.waits = Waits(until=2)
        end, tally, client = self.deliver([503] * 9)
        self.assertEqual((end, tally), (End.KEPT, Tally(retried=2)))
        self.assertEqual(len(client.requests), 3)
        self.assertEqual(self.letters.written, [])


class HalvingTest(Case):
    """Batches that contain messages Segment refuses."""

    def test_the_guilty_stands_alone(self) -> None:
        """One refused message becomes a dead letter; the others are delivered in order."""
        events = [f"E{number}" for number in range(9)]
        for status in (400, 413):
            for guilty in events:
                with self.subTest(status=status, guilty=guilty), self.reports():
                    self.letters = Letters()
                    end, tally, client = self.deliver(refusing(guilty, status=status), *events)
                    delivered = [name for batch in client.batches for name in events_of(batch)]
                    self.assertIs(end, End.ANSWERED)
                    self.assertEqual(delivered, [name for name in events if name != guilty])
                    self.assertEqual(self.letters.events, [guilty])
                    self.assertEqual((tally.delivered, tally.dead_lettered), (8, 1))

    def test_several_guilty(self) -> None:
        """If several messages are refused, all others are still delivered."""
        events = [f"E{number}" for number in range(40)]
        guilty = ["E0", "E7", "E8", "E39"]
        with self.reports():
            _, tally, client = self.deliver(refusing(*guilty), *events)
        delivered = [name for batch in client.batches for name in events_of(batch)]
        self.assertEqual(delivered, [name for name in events if name not in guilty])
        self.assertEqual(self.letters.events, guilty)
        self.assertEqual((tally.delivered, tally.dead_lettered), (36, 4))

    def test_all_guilty(self) -> None:
        """If all messages are refused, all become dead letters."""
        with self.reports():
            end, tally, _ = self.deliver(lambda message: 400, "A", "B", "C")
        self.assertEqual((end, tally), (End.ANSWERED, Tally(dead_lettered=3)))
        self.assertEqual(self.letters.events, ["A", "B", "C"])

    def test_few_requests_for_one_guilty(self) -> None:
        """Finding one refused message among 1,024 takes two requests for each halving."""
        events = [f"E{number}" for number in range(1_024)]
        with self.reports():
            _, _, client = self.deliver(refusing("E700"), *events)
        self.assertEqual(len(client.requests), 1 + 2 * 10)

    def test_a_size_the_client_refuses_is_halved(self) -> None:
        """A batch that is too large for the client is halved as well."""

        def script(message: Message) -> Any:
            return MessageTooLarge(600_000, 500_000) if len(events_of(message)) > 1 else None

        end, tally, _ = self.deliver(script, "A", "B", "C")
        self.assertEqual((end, tally), (End.ANSWERED, Tally(delivered=3, batches=3)))

    def test_network_faults_in_between(self) -> None:
        """A network fault during halving is retried, and no message is lost."""
        answers = iter([400, 503, 200, 503, 400])
        with self.reports():
            end, tally, client = self.deliver(lambda message: next(answers), "A", "B")
        self.assertEqual((end, tally.delivered, tally.dead_lettered), (End.ANSWERED, 1, 1))
        self.assertEqual([events_of(batch) for batch in client.batches], [["A"]])
        self.assertEqual(self.letters.events, ["B"])

    def test_interrupted_while_halving(self) -> None:
        """If halving is interrupted, delivered messages stay delivered and the rest is kept."""
        self.waits = Waits(until=0)
        answers = iter([400, 200, 503])
        end, tally, _ = self.deliver(lambda message: next(answers), "A", "B", kept_in="the journal")
        self.assertEqual((end, tally), (End.KEPT, Tally(delivered=1, batches=1)))

    def test_halves_keep_context_and_integrations(self) -> None:
        """The halves of a batch have its context and integrations."""
        batch = Batch.of_lines(
            a_batch("A", "B").lines, context={"ip": "0.0.0.0"}, integrations={"All": False}
        )
        client = FakeClient([400])
        deliver(self.a_delivery(client), batch, self.waits)
        self.assertEqual(
            [(one.context, one.integrations) for one in client.batches],
            [({"ip": "0.0.0.0"}, {"All": False})] * 2,
        )

    def test_a_line_that_is_no_json(self) -> None:
        """A line that is not JSON, from a corrupted file, is abandoned like a refused message."""
        letters: list[Any] = []

        class Anything:
            def write(
                self, messages: Sequence[Any], error: SegmentError, *, sync: bool = True
            ) -> None:
                letters.extend(messages)

        batch = Batch.of_lines([b"\xff{", *a_batch("A").lines])
        client = FakeClient(
            lambda message: (
                400 if isinstance(message, Batch) and batch.lines[0] in message.lines else 200
            )
        )
        with self.reports():
            end, tally, _ = deliver(
                self.a_delivery(client, dead_letters=Anything()), batch, self.waits
            )
        self.assertEqual((end, tally.delivered, tally.dead_lettered), (End.ANSWERED, 1, 1))
        self.assertEqual(letters, ["\ufffd{"])


class ConfigurationFaultTest(Case):
    """Answers that mean a fault in the configuration, not in a message."""

    def test_given_up_without_a_journal(self) -> None:
        """Without a journal, the whole batch becomes dead letters after one request."""
        for status in (301, 401, 403, 404, 501, 505):
            with self.subTest(status=status), self.reports():
                self.letters = Letters()
                end, tally, client = self.deliver([status], "A", "B")
                self.assertEqual((end, tally), (End.ANSWERED, Tally(dead_lettered=2)))
                self.assertEqual(self.letters.events, ["A", "B"])
                self.assertEqual(len(client.requests), 1)

    def test_kept_with_a_journal(self) -> None:
        """With a journal, the batch is kept."""
        for status in (301, 401, 403, 404, 501, 505):
            with self.subTest(status=status), self.reports():
                end, tally, _ = self.deliver([status], "A", "B", kept_in="the journal")
                self.assertEqual((end, tally), (End.KEPT, Tally()))
        self.assertEqual(self.letters.written, [])

    def test_reported_once(self) -> None:
        """Several batches in a row that are answered with 401 are reported once."""
        for kept_in in (None, "the journal"):
            with self.subTest(kept_in=kept_in), self.reports() as reports:
                delivery = self.a_delivery(FakeClient([401] * 5), kept_in=kept_in)
                for _ in range(5):
                    deliver(delivery, a_batch("A"), self.waits)
                self.assertEqual(len(reports.output), 1)

    def test_reported_again_after_it_was_over(self) -> None:
        """A fault that returns after a delivery succeeded is reported again, a minute later."""
        now = 0.0
        with self.reports() as reports:
            delivery = self.a_delivery(
                FakeClient([401, 401, 200, 401, 200, 401]),
                kept_in="the journal",
                clock=lambda: now,
            )
            for _ in range(5):
                deliver(delivery, a_batch("A"), self.waits)
            self.assertEqual(len(reports.output), 1)
            now = 61.0
            deliver(delivery, a_batch("A"), self.waits)
        self.assertEqual(len(reports.output), 2)

    def test_reports_hold_no_message(self) -> None:
        """Reports contain no message data."""
        with self.reports() as reports:
            deliver(self.a_delivery(FakeClient([401])), a_batch("Secret event"), self.waits)
        self.assertNotIn("Secret", reports.output[0])
        self.assertNotIn("u-17", reports.output[0])


class DeliveredInPartTest(Case):
    """Attempts that failed after the first messages were delivered."""

    def script(self, *failures: DeliveryError) -> Callable[[Message], DeliveryError | int]:
        """Return a script of failures, after which everything succeeds. It notes what is sent."""
        self.sent: list[list[str]] = []
        left = list(failures)

        def answer(message: Message) -> DeliveryError | int:
            self.sent.append(events_of(message))
            return left.pop(0) if left else 200

        return answer

    def test_rest_is_tried_again(self) -> None:
        """Delivered messages are settled, and only the rest is sent again after the pause."""
        failures = [DeliveryError("full", delivered=2), DeliveryError("full", delivered=1)]
        end, tally, _ = self.deliver(self.script(*failures), *"ABCDEF")
        self.assertEqual(self.sent, [list("ABCDEF"), list("CDEF"), list("DEF")])
        self.assertEqual((end, tally), (End.ANSWERED, Tally(delivered=6, batches=3, retried=2)))
        self.assertEqual(self.waits.seconds, [0.0, 0.5])

    def test_settled_at_once(self) -> None:
        """Delivered messages are acknowledged before the pause, and the rest is kept."""
        self.waits = Waits(until=0)
        delivery = self.a_delivery(FakeClient([DeliveryError("full", delivered=4)]))
        end, tally, rest = deliver(delivery, a_batch(*"ABCDEF"), self.waits)
        self.assertEqual((end, tally), (End.KEPT, Tally(delivered=4, batches=1)))
        assert rest is not None
        self.assertEqual(events_of(rest), ["E", "F"])

    def test_no_dead_letters_of_them(self) -> None:
        """When the attempts are used up, or never help, only the rest becomes dead letters."""
        failures = [
            DeliveryError("full", delivered=4, cause=Cause.CONNECTION),
            DeliveryError("forbidden", delivered=4, status=403),
            DeliveryError("wrong", delivered=4, retryable=False),
        ]
        for failure in failures:
            with self.subTest(failure=failure), self.reports() as reports:
                self.letters = Letters()
                script = self.script(*[failure] * (1 + (not failure.retryable)))
                end, tally, _ = self.deliver(script, *"ABCDEF", policy=RetryPolicy(max_attempts=1))
                self.assertEqual(end, End.ANSWERED)
                self.assertEqual((tally.delivered, tally.dead_lettered), (4, 2))
                self.assertEqual(self.letters.events, ["E", "F"])
                self.assertEqual(len(reports.output), 1)

    def test_attempts_are_counted_on(self) -> None:
        """The attempts at the whole batch are also attempts at its rest."""
        failures = [DeliveryError("full", delivered=1, cause=Cause.CONNECTION)] * 3
        with self.reports():
            _, tally, _ = self.deliver(
                self.script(*failures), *"ABCDEF", policy=RetryPolicy(max_attempts=3)
            )
        self.assertEqual(self.sent, [list("ABCDEF"), list("BCDEF"), list("CDEF")])
        self.assertEqual((tally.delivered, tally.dead_lettered), (3, 3))

    def test_in_a_half(self) -> None:
        """A half of a batch can be delivered in part as well. Messages are settled in order."""
        failures = [DeliveryError("unreadable", status=400), DeliveryError("full", delivered=1)]
        _, tally, _ = self.deliver(self.script(*failures), *"ABCDEF")
        self.assertEqual(self.sent, [list("ABCDEF"), list("ABC"), list("BC"), list("DEF")])
        self.assertEqual((tally.delivered, tally.dead_lettered), (6, 0))

    def test_all(self) -> None:
        """If all messages were delivered all the same, nothing is left to send."""
        for delivered in (3, 4):
            failure = DeliveryError("closed", delivered=delivered)
            end, tally, _ = self.deliver(self.script(failure), *"ABC")
            self.assertEqual((end, tally), (End.ANSWERED, Tally(delivered=3, batches=1)))
            self.assertEqual(len(self.sent), 1)

    def test_some_refused(self) -> None:
        """Of the messages before the rest, those that the server refused become dead letters."""
        calls = [a_track(event, message_id=f"id-{event}") for event in "ABCD"]
        batch = Batch.of_lines([encode(call.to_dict()) for call in calls])
        failure = DeliveryError("down", delivered=2, refused={"id-B": "no"})
        client = FakeClient(self.script(failure))
        with self.reports():
            _, tally, _ = deliver(self.a_delivery(client), batch, self.waits)
        self.assertEqual(self.sent, [list("ABCD"), list("CD")])
        self.assertEqual(self.letters.events, ["B"])
        self.assertEqual((tally.delivered, tally.dead_lettered), (3, 1))


class AttemptsUsedUpTest(Case):
    """Network faults that do not end."""

    def test_given_up_without_a_journal(self) -> None:
        """After `max_attempts`, the batch becomes dead letters; they are counted and reported."""
        with self.reports() as reports:
            end, tally, client = self.deliver(
                [503] * 9, "A", "B", policy=RetryPolicy(max_attempts=3)
            )
        self.assertEqual((end, tally), (End.ANSWERED, Tally(dead_lettered=2, retried=2)))
        self.assertEqual(len(client.requests), 3 + 2)  # the halves, too
        self.assertEqual(self.letters.events, ["A", "B"])
        self.assertEqual(len(reports.output), 1)

    def test_kept_with_a_journal(self) -> None:
        """With a journal, the batch is kept after `max_attempts`."""
        with self.reports():
            end, tally, _ = self.deliver(
                [503] * 9, kept_in="the journal", policy=RetryPolicy(max_attempts=3)
            )
        self.assertEqual((end, tally), (End.KEPT, Tally(retried=2)))
        self.assertEqual(self.letters.written, [])

    def test_kept_and_tried_again(self) -> None:
        """Another attempt for a batch that was kept is counted as a retry."""
        delivery = self.a_delivery(
            FakeClient([503, 503, 200]), kept_in="the journal", policy=RetryPolicy(max_attempts=1)
        )
        batch = a_batch("A")
        with self.reports():
            tallies = [deliver(delivery, batch, self.waits)[1] for _ in range(3)]
        self.assertEqual([tally.retried for tally in tallies], [0, 1, 1])

    def test_no_time(self) -> None:
        """A request for which no time was left is not an attempt, and not the reported reason."""
        no_time = DeliveryError("no time", cause=Cause.NO_TIME)
        delivery = self.a_delivery(
            FakeClient([503, no_time, no_time, 503]), policy=RetryPolicy(max_attempts=2)
        )
        attempts = delivery.attempts_at(a_batch("A"))
        for _ in range(3):
            self.assertIsInstance(attempts.make(), TryAgain)
            self.assertEqual(getattr(delivery.trouble, "status", None), 503)
        self.assertEqual(self.letters.events, [])
        self.assertIsInstance(attempts.make(), Stuck)

    def test_no_time_for_the_rest(self) -> None:
        """If no time was left for the rest of a batch, the report says that it was not tried."""
        no_time = DeliveryError("no time", delivered=1, cause=Cause.NO_TIME)
        delivery = self.a_delivery(FakeClient([503, no_time]))
        attempts = delivery.attempts_at(a_batch("A", "B"))
        outcomes = [type(attempts.make()) for _ in range(3)]
        self.assertEqual(outcomes, [TryAgain, Answered, TryAgain])
        self.assertEqual(str(delivery.trouble), "no time was left for a request")

    def test_trouble_during_an_attempt(self) -> None:
        """While an attempt is being made, the last failure is the reason, if there was one."""
        seen: list[str] = []
        answers = [200, 503, 200]

        def answer(message: Message) -> int:
            seen.append(str(delivery.trouble))
            return answers[len(seen) - 1]

        delivery = self.a_delivery(FakeClient(answer))
        self.assertEqual(str(delivery.trouble), "no time was left for a request")
        for _ in answers:
            delivery.send(a_batch("A"))
        self.assertEqual(seen[:2], ["None", "None"])
        self.assertIn("503", seen[2])

    def test_half_an_hour_of_retry_after(self) -> None:
        """The attempts end when the Retry-After waits add up to half an hour."""
        with self.reports():
            end, tally, _ = self.deliver(lambda message: (429, 300))
        self.assertEqual((end, tally.dead_lettered), (End.ANSWERED, 1))
        self.assertEqual(sum(self.waits.seconds), 1800)

    def test_the_next_batch_starts_anew(self) -> None:
        """Attempts are counted for each batch separately."""
        client = FakeClient([503, 503, 503, 503, 200])
        delivery = self.a_delivery(client, policy=RetryPolicy(max_attempts=3))
        with self.reports():
            deliver(delivery, a_batch("A"), self.waits)
        end, tally, _ = deliver(delivery, a_batch("B"), self.waits)
        self.assertEqual((end, tally), (End.ANSWERED, Tally(delivered=1, batches=1, retried=1)))
