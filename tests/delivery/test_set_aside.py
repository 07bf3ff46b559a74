"""Tests that only messages whose dead letters cannot be stored are set aside."""

from __future__ import annotations

from segment_logging import Batch, DeliveryError
from segment_logging._delivery.attempts import Attempts
from segment_logging._delivery.outcomes import Answered
from segment_logging._messages.encoding import encode
from segment_logging.testing import FakeClient
from tests.builders import a_track
from tests.delivery.cases import Case, Letters, a_batch, refusing


class TestSetAside(Case):
    def fates_of(self, attempts: Attempts) -> list[bool]:
        """Make attempts, with other batches delivered in between. Return whether each message of
        the batch was set aside, in order."""
        fates: list[bool] = []
        while not attempts.are_over:
            outcome = attempts.make()
            self.delivery.count(batches=1)
            if isinstance(outcome, Answered):
                self.assertEqual(outcome.messages, sum(count for count, _ in outcome.runs))
                for count, is_set_aside in outcome.runs:
                    fates += [is_set_aside] * count
        return fates

    def attempts_at(self, client: FakeClient, batch: Batch) -> Attempts:
        self.letters = Letters(OSError(28, "No space left on device"))
        self.delivery = self.a_delivery(client, kept_in="the queue")
        return self.delivery.attempts_at(batch)

    def test_isolated(self) -> None:
        """A message that is given up last, after those behind it were delivered, is set aside
        alone."""
        client = FakeClient(refusing("Bad", status=503))
        attempts = self.attempts_at(client, a_batch("A", "Bad", "B", "C"))
        attempts.suspect()
        with self.reports():
            self.assertEqual(self.fates_of(attempts), [False, True, False, False])
        self.assertEqual(self.delivery.tally.delivered, 3)

    def test_refused_by_name(self) -> None:
        """Of a batch that was delivered, only the messages that the server refused are set
        aside."""
        calls = [a_track(event, message_id=event) for event in ("A", "Bad", "B", "Worse", "C")]
        batch = Batch.of_lines([encode(call.to_dict()) for call in calls])
        refused = {"Bad": "no", "Worse": "never"}
        client = FakeClient([DeliveryError("refused", status=200, refused=refused)])
        with self.reports():
            fates = self.fates_of(self.attempts_at(client, batch))
        self.assertEqual(fates, [False, True, False, True, False])

    def test_rest(self) -> None:
        """The messages after those that were delivered are tried again as before."""
        calls = [a_track(event, message_id=event) for event in ("A", "Bad", "B")]
        batch = Batch.of_lines([encode(call.to_dict()) for call in calls])
        failure = DeliveryError("down", delivered=2, refused={"Bad": "no"})
        client = FakeClient([failure, 200])
        with self.reports():
            fates = self.fates_of(self.attempts_at(client, batch))
        self.assertEqual(fates, [False, True, False])
        self.assertEqual(len(client.requests), 2)
