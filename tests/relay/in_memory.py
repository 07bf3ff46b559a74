"""A base class for tests of relays without a broker: kombu's transport in memory, a fake client."""

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
from tests.builders import a_track

try:
    check_installed()
except ConfigurationError:
    raise unittest.SkipTest("needs kombu") from None

_numbers = count()


class MemoryCase(unittest.TestCase):
    """Base class with a queue of its own for each test."""

    def relayed(
        self, client: FakeClient, *events: str, until: Callable[[Relay], bool], key: str = "key"
    ) -> Relay:
        """Publish one bundle for each event, and relay in this thread until a condition holds."""
        url = f"memory://?queue=test-{next(_numbers)}"
        self.address = address_of(url)
        publisher = BrokerClient(url)
        for event in events:
            publisher.send(key, Batch([a_track(event, message_id=f"id-{event}")]))
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
