"""Attempts, waits, halving, and what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from segment_logging import MessageTooLarge, SegmentError
from segment_logging._delivery.outcomes import Tally
from segment_logging._delivery.retries import RetryPolicy
from segment_logging._messages.batch import Batch
from segment_logging._messages.message import Message
from segment_logging.testing import FakeClient
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
    """A batch that is taken, at once or later."""

    def test_2xx(self) -> None:
        """A batch answered with a 2xx is delivered, all of it, with one request."""
        end, tally, client = self.deliver([200], "A", "B", "C")
        self.assertIs(end, End.ANSWERED)
        self.assertEqual(tally, Tally(delivered=3, batches=1))
        self.assertEqual(client.write_keys, ["key"])
        self.assertEqual(self.waits.seconds, [])

    def test_network_faults_are_tried_again(self) -> None:
        """Whatever the network does, the same batch is sent again until it is taken."""
        faults = [503, ConnectionError(), 429, TimeoutError(), 408, 200]
        end, tally, client = self.deliver(faults, "A", "B")
        self.assertIs(end, End.ANSWERED)
        self.assertEqual(tally, Tally(delivered=2, batches=1, retried=5))
        self.assertEqual(self.waits.seconds, [0.0, 0.5, 1.0, 2.0, 4.0])
        self.assertEqual(len(client.batches), 1)

    def test_the_same_object_is_sent_again(self) -> None:
        """Another attempt sends the same object: the client counts its attempts by that, for
        X-Retry-Count."""
        _, _, client = self.deliver([503, (429, 2), 503, 200])
        self.assertEqual(len(client.requests), 4)
        for request in client.requests:
            self.assertIs(request, client.requests[0])

    def test_retry_after_is_waited_for_exactly(self) -> None:
        """After a Retry-After it waits exactly that long, and says that it must not be cut
        short."""
        self.deliver([(429, 7.5), 503, (503, 2), 200])
        self.assertEqual(self.waits.seconds, [7.5, 0.0, 2])
        self.assertEqual(self.waits.are_asked, [True, False, True])

    def test_retry_after_is_no_attempt(self) -> None:
        """Answers with a Retry-After do not use up the attempts."""
        script = [(429, 1)] * 20 + [200]
        end, tally, _ = self.deliver(script, policy=RetryPolicy(max_attempts=1))
        self.assertEqual((end, tally.delivered), (End.ANSWERED, 1))

    def test_any_exception_of_a_client_is_a_network_fault(self) -> None:
        """A client of the program's may raise anything; that is tried again like a network
        fault."""
        end, tally, _ = self.deliver([KeyError("x"), RuntimeError(), 200])
        self.assertEqual((end, tally.delivered, tally.retried), (End.ANSWERED, 1, 2))

    def test_exits_of_a_client(self) -> None:
        """A client that calls sys.exit has failed an attempt, and ends no thread and no program."""
        end, tally, client = self.deliver([SystemExit, SystemExit(1), 200], "A")
        self.assertEqual((end, tally.delivered, tally.retried), (End.ANSWERED, 1, 2))
        self.assertEqual(len(client.messages), 1)

    def test_the_end_of_the_process_interrupts_the_wait(self) -> None:
        """When there is no time for another attempt the batch is kept, and nothing more is
        sent."""
        self.waits = Waits(until=2)
        end, tally, client = self.deliver([503] * 9)
        self.assertEqual((end, tally), (End.KEPT, Tally(retried=2)))
        self.assertEqual(len(client.requests), 3)
        self.assertEqual(self.letters.written, [])


class HalvingTest(Case):
    """A request that Segment cannot read."""

    def test_the_guilty_stands_alone(self) -> None:
        """One message that Segment refuses becomes a dead letter; the others are delivered, in
        order."""
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
        """Any number of guilty messages is found, and none of the others is lost."""
        events = [f"E{number}" for number in range(40)]
        guilty = ["E0", "E7", "E8", "E39"]
        with self.reports():
            _, tally, client = self.deliver(refusing(*guilty), *events)
        delivered = [name for batch in client.batches for name in events_of(batch)]
        self.assertEqual(delivered, [name for name in events if name not in guilty])
        self.assertEqual(self.letters.events, guilty)
        self.assertEqual((tally.delivered, tally.dead_lettered), (36, 4))

    def test_all_guilty(self) -> None:
        """When Segment refuses everything, everything becomes a dead letter."""
        with self.reports():
            end, tally, _ = self.deliver(lambda message: 400, "A", "B", "C")
        self.assertEqual((end, tally), (End.ANSWERED, Tally(dead_lettered=3)))
        self.assertEqual(self.letters.events, ["A", "B", "C"])

    def test_few_requests_for_one_guilty(self) -> None:
        """One guilty message among 1,024 costs two requests for each halving."""
        events = [f"E{number}" for number in range(1_024)]
        with self.reports():
            _, _, client = self.deliver(refusing("E700"), *events)
        self.assertEqual(len(client.requests), 1 + 2 * 10)

    def test_a_size_the_client_refuses_is_halved(self) -> None:
        """A batch that the client finds too large is halved as well."""

        def script(message: Message) -> Any:
            return MessageTooLarge(600_000, 500_000) if len(events_of(message)) > 1 else None

        end, tally, _ = self.deliver(script, "A", "B", "C")
        self.assertEqual((end, tally), (End.ANSWERED, Tally(delivered=3, batches=3)))

    def test_network_faults_in_between(self) -> None:
        """A network fault while halving is tried again, and costs no message."""
        answers = iter([400, 503, 200, 503, 400])
        with self.reports():
            end, tally, client = self.deliver(lambda message: next(answers), "A", "B")
        self.assertEqual((end, tally.delivered, tally.dead_lettered), (End.ANSWERED, 1, 1))
        self.assertEqual([events_of(batch) for batch in client.batches], [["A"]])
        self.assertEqual(self.letters.events, ["B"])

    def test_interrupted_while_halving(self) -> None:
        """Interrupted half-way, what was answered is answered; the rest is kept."""
        self.waits = Waits(until=0)
        answers = iter([400, 200, 503])
        end, tally, _ = self.deliver(lambda message: next(answers), "A", "B", keeps=True)
        self.assertEqual((end, tally), (End.KEPT, Tally(delivered=1, batches=1)))

    def test_halves_keep_context_and_integrations(self) -> None:
        """The halves carry what the batch carried beside its messages."""
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
        """A line that a broken disk made is given up like any message that Segment refuses."""
        letters: list[Any] = []

        class Anything:
            def write(self, messages: Sequence[Any], error: SegmentError) -> None:
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
    """Answers that are not the messages' fault."""

    def test_given_up_without_a_journal(self) -> None:
        """401, 403, 404 and the like make dead letters of the whole batch, with one request."""
        for status in (301, 401, 403, 404, 501, 505):
            with self.subTest(status=status), self.reports():
                self.letters = Letters()
                end, tally, client = self.deliver([status], "A", "B")
                self.assertEqual((end, tally), (End.ANSWERED, Tally(dead_lettered=2)))
                self.assertEqual(self.letters.events, ["A", "B"])
                self.assertEqual(len(client.requests), 1)

    def test_kept_with_a_journal(self) -> None:
        """With a queue that outlives the process nothing is given up."""
        for status in (301, 401, 403, 404, 501, 505):
            with self.subTest(status=status), self.reports():
                end, tally, _ = self.deliver([status], "A", "B", keeps=True)
                self.assertEqual((end, tally), (End.KEPT, Tally()))
        self.assertEqual(self.letters.written, [])

    def test_reported_once(self) -> None:
        """Batch after batch answered 401 is reported once, with the way out."""
        for keeps in (False, True):
            with self.subTest(keeps=keeps), self.reports() as reports:
                delivery = self.a_delivery(FakeClient([401] * 5), keeps=keeps)
                for _ in range(5):
                    deliver(delivery, a_batch("A"), self.waits)
                self.assertEqual(len(reports.output), 1)

    def test_reported_again_after_it_was_over(self) -> None:
        """Trouble that was over and comes back is news again."""
        with self.reports() as reports:
            delivery = self.a_delivery(FakeClient([401, 401, 200, 401]), keeps=True)
            for _ in range(4):
                deliver(delivery, a_batch("A"), self.waits)
        self.assertEqual(len(reports.output), 2)

    def test_reports_hold_no_message(self) -> None:
        """A report says counts and the reason, and nothing of a message or the write key."""
        with self.reports() as reports:
            deliver(self.a_delivery(FakeClient([401])), a_batch("Secret event"), self.waits)
        self.assertNotIn("Secret", reports.output[0])
        self.assertNotIn("u-17", reports.output[0])


class AttemptsUsedUpTest(Case):
    """A network that does not come back."""

    def test_given_up_without_a_journal(self) -> None:
        """After `max_attempts` the batch becomes dead letters, is counted, and reported once."""
        with self.reports() as reports:
            end, tally, client = self.deliver(
                [503] * 9, "A", "B", policy=RetryPolicy(max_attempts=3)
            )
        self.assertEqual((end, tally), (End.ANSWERED, Tally(dead_lettered=2, retried=2)))
        self.assertEqual(len(client.requests), 3)
        self.assertEqual(self.letters.events, ["A", "B"])
        self.assertEqual(len(reports.output), 1)

    def test_kept_with_a_journal(self) -> None:
        """With a queue that outlives the process the batch is kept."""
        with self.reports():
            end, tally, _ = self.deliver([503] * 9, keeps=True, policy=RetryPolicy(max_attempts=3))
        self.assertEqual((end, tally), (End.KEPT, Tally(retried=2)))
        self.assertEqual(self.letters.written, [])

    def test_kept_and_tried_again(self) -> None:
        """Another try of a batch that was kept is counted like any other."""
        delivery = self.a_delivery(
            FakeClient([503, 503, 200]), keeps=True, policy=RetryPolicy(max_attempts=1)
        )
        batch = a_batch("A")
        with self.reports():
            tallies = [deliver(delivery, batch, self.waits)[1] for _ in range(3)]
        self.assertEqual([tally.retried for tally in tallies], [0, 1, 1])

    def test_half_an_hour_of_retry_after(self) -> None:
        """Retry-After waits that add up to more than the budget end the attempts."""
        with self.reports():
            end, tally, _ = self.deliver(lambda message: (429, 300))
        self.assertEqual((end, tally.dead_lettered), (End.ANSWERED, 1))
        self.assertEqual(sum(self.waits.seconds), 1800)

    def test_the_next_batch_starts_anew(self) -> None:
        """The attempts are those of one batch."""
        client = FakeClient([503, 503, 503, 503, 200])
        delivery = self.a_delivery(client, policy=RetryPolicy(max_attempts=3))
        with self.reports():
            deliver(delivery, a_batch("A"), self.waits)
        end, tally, _ = deliver(delivery, a_batch("B"), self.waits)
        self.assertEqual((end, tally), (End.ANSWERED, Tally(delivered=1, batches=1, retried=1)))
