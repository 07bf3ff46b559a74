"""Tests for the relay without a broker: kombu's transport in memory, and a fake client."""

from __future__ import annotations

from segment_logging.testing import FakeClient
from tests import needs
from tests.relay.in_memory import MemoryCase


@needs.threads
class TestInMemory(MemoryCase):
    def test_delivered(self) -> None:
        """What was published arrives in one batch, and is then gone."""
        client = FakeClient()
        self.relayed(client, "A", "B", "C", until=lambda relay: relay.figures.delivered == 3)
        self.assertEqual([one.to_dict()["event"] for one in client.messages], ["A", "B", "C"])
        self.assertEqual(len(client.requests), 1)
        self.assertEqual(client.write_keys, ["key"])
        self.assertEqual(self.left_in(self.address.queue), 0)

    def test_tried_again(self) -> None:
        """A batch that failed is sent again, and nothing is taken from the queue twice."""
        client = FakeClient([503, 503])
        relay = self.relayed(client, "A", until=lambda relay: relay.figures.delivered == 1)
        self.assertEqual(len(client.requests), 3)
        self.assertEqual((relay.figures.received, relay.figures.retried), (1, 2))

    def test_dead_letter(self) -> None:
        """A message that was refused is in the dead-letter queue."""
        client = FakeClient([400])
        with self.assertLogs("segment_logging") as reports:
            self.relayed(client, "A", until=lambda relay: relay.figures.dead_lettered == 1)
        self.assertEqual(self.left_in(self.address.queue), 0)
        self.assertEqual(self.left_in(self.address.dead_queue), 1)
        self.assertIn(f"written to the queue {self.address.dead_queue}", " ".join(reports.output))

    def test_unknown_key(self) -> None:
        """A message of an unknown key is in the dead-letter queue, and was not sent."""
        client = FakeClient()
        with self.assertLogs("segment_logging"):
            self.relayed(
                client, "A", key="other", until=lambda relay: relay.figures.dead_lettered == 1
            )
        self.assertEqual(client.requests, [])
        self.assertEqual(self.left_in(self.address.dead_queue), 1)
