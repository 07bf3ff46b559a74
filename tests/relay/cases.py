"""A base class for tests of relays between a real RabbitMQ and a local collector."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from segment_logging import Batch, HttpClient
from segment_logging._broker.address import address_of
from segment_logging._broker.bundles import key_name_of
from segment_logging._broker.client import BrokerClient
from segment_logging._delivery.retries import RetryPolicy
from segment_logging._relay.relay import Relay
from segment_logging._relay.session import Settings
from segment_logging.collector import Collector
from tests.builders import a_track
from tests.rabbitmq import BrokerCase

KEY = "Jx0aB3kQ9ZpLw7Tn4Rs8Vd2Hy6Mc1Gfe"
OTHER_KEY = "Qw3eR5tY7uI9oP1aS2dF4gH6jK8lZ0xC"


class RelayCase(BrokerCase):
    """Base class with a broker and a collector."""

    def a_collector(self, answer: Any = ()) -> Collector:
        return self.enterContext(Collector(answer=answer))

    def publish(self, *events: str, key: str = KEY, queue: str = "") -> None:
        """Publish one bundle for each event."""
        client = BrokerClient(self.url, queue or self.queue)
        for event in events:
            client.send(key, Batch([a_track(event, message_id=f"{key[0]}-{event}")]))
        client.close()

    @contextmanager
    def relaying(
        self, collector: Collector, *, keys: tuple[str, ...] = (KEY,), **options: Any
    ) -> Iterator[Relay]:
        """Run a relay in a thread, and stop it at the end of the block."""
        settings = Settings(
            address=address_of(self.url, options.pop("queue", None)),
            keys={key_name_of(key): key for key in keys},
            new_client=lambda: HttpClient(collector.url),
            policy=RetryPolicy(max_attempts=options.pop("max_attempts", 11)),
            **options,
        )
        relay = Relay(settings)
        thread = Thread(target=relay.run, daemon=True)
        thread.start()
        try:
            yield relay
        finally:
            relay.stop()
            thread.join(60)
            self.assertFalse(thread.is_alive())

    def events_in(self, collector: Collector) -> list[str]:
        return sorted(message["event"] for message in collector.messages)

    def wait_until(self, is_so: Any) -> None:
        until = time.monotonic() + 60
        while not is_so():
            self.assertLess(time.monotonic(), until, "it did not happen within a minute")
            time.sleep(0.02)
