"""Tests for the relay without a broker: kombu's transport in memory, and a fake client."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from itertools import count

from segment_logging import Batch, ConfigurationError
from segment_logging._broker.address import address_of
from segment_logging._broker.bundles import key_name_of
from segment_logging._broker.client import BrokerClient
from segment_logging._broker.connection import Connection, Received, check_installed
from segment_logging._clock import monotonic
from segment_logging._delivery.retries import RetryPolicy
from segment_logging._relay.relay import Relay
from segment_logging._relay.session import Settings
from segment_logging.testing import FakeClient
from tests import needs
from tests.builders import a_track

try:
    check_installed()
except ConfigurationError:
    raise unittest.SkipTest("needs kombu") from None

_numbers = count()


@needs.threads
class TestInMemory(unittest.TestCase):
    def relayed(
        self, client: FakeClient, *events: str, until: Callable[[Relay], bool], key: str = "key"
    ) -> Relay:
        """Publish one bundle for each event, and relay in this thread until a condition holds."""
        url = f"memory://?queue=test-{next(_numbers)}"
        self.address = address_of(url)
        publisher = BrokerClient(url)
        for event in events:
            publisher.send(key, Batch([a_track(event)]))
        publisher.close()
        end = monotonic() + 30

        def tick(relay: Relay) -> None:
            if until(relay) or monotonic() > end:
                relay.stop()

        settings = Settings(
            address=self.address,
            keys={key_name_of("key"): "key"},
            new_client=lambda: client,
            policy=RetryPolicy(),
        )
        relay = Relay(settings, tick=tick)
        relay.run()
        return relay

    def left_in(self, queue: str) -> int:
        """Return how many bundles are in a queue, and take them out."""
        found: list[Received] = []
        connection = Connection(address_of(f"memory://?queue={queue}"))
        connection.declare()
        connection.consume(found.append, prefetch=100)
        connection.pump(0.2)
        connection.acknowledge([one.tag for one in found], [])
        connection.close()
        return len(found)

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
        with self.assertLogs("segment_logging"):
            self.relayed(client, "A", until=lambda relay: relay.figures.dead_lettered == 1)
        self.assertEqual(self.left_in(self.address.queue), 0)
        self.assertEqual(self.left_in(self.address.dead_queue), 1)

    def test_unknown_key(self) -> None:
        """A message of an unknown key is in the dead-letter queue, and was not sent."""
        client = FakeClient()
        with self.assertLogs("segment_logging"):
            self.relayed(
                client, "A", key="other", until=lambda relay: relay.figures.dead_lettered == 1
            )
        self.assertEqual(client.requests, [])
        self.assertEqual(self.left_in(self.address.dead_queue), 1)
