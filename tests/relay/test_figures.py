"""Tests that the figures of a relay are true, whatever happens to its messages."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Sequence
from unittest import mock

from typing_extensions import override

from segment_logging import Batch, DeliveryError, SegmentError
from segment_logging._messages.message import Message
from segment_logging._relay import bundle_queue
from segment_logging._relay.dead_queue import DeadQueue
from segment_logging._relay.figures import Figures
from segment_logging._relay.relay import Relay
from segment_logging.testing import FakeClient
from tests import needs
from tests.relay.in_memory import MemoryCase


def events_in(message: Message) -> list[str]:
    assert isinstance(message, Batch)
    return [call.to_dict()["event"] for call in message.batch]


def refuses_guilty(message: Message) -> int | None:
    return 400 if "Guilty" in events_in(message) else None


@needs.threads
class TestAddUp(MemoryCase):
    @override
    def setUp(self) -> None:
        super().setUp()
        self.seen: list[Figures] = []
        self.enterContext(mock.patch.object(bundle_queue, "_ASIDE_PAUSE", 0.02))

    def check(self, relay: Relay) -> None:
        """Assert that the figures add up at this moment."""
        now = relay.figures
        total = now.delivered + now.dead_lettered + now.returned + now.waiting
        self.assertEqual(now.received, total)
        self.assertGreaterEqual(now.waiting, 0)
        self.seen.append(now)

    def until(self, number: int) -> Callable[[Relay], bool]:
        """Return a condition: a number of messages are settled."""

        def is_over(relay: Relay) -> bool:
            self.check(relay)
            return relay.figures.delivered + relay.figures.dead_lettered >= number

        return is_over

    def failing(self, failures: int) -> mock.Mock:
        """Make the first dead letters fail, and count all tries."""
        publish = DeadQueue.publish
        tries = mock.Mock()

        def fail_first(
            queue: DeadQueue, lines: Sequence[bytes], error: SegmentError, key: str | None
        ) -> None:
            tries()
            if tries.call_count <= failures:
                raise DeliveryError("full")
            publish(queue, lines, error, key)

        self.enterContext(mock.patch.object(DeadQueue, "publish", fail_first))
        return tries

    def test_set_aside(self) -> None:
        """A message whose dead letter cannot be stored is waiting. It is counted once as received,
        and as a dead letter only when it is stored, however many times that is tried."""
        tries = self.failing(5)
        client = FakeClient(refuses_guilty)
        with self.assertLogs("segment_logging"):
            relay = self.relayed(client, "A", "Guilty", "B", until=self.until(3))
        self.assertEqual(tries.call_count, 6)
        self.assertEqual((relay.figures.received, relay.figures.delivered), (3, 2))
        self.assertEqual((relay.figures.dead_lettered, relay.figures.waiting), (1, 0))
        self.assertEqual(events_of_delivered(client), ["A", "B"])

    def test_returned(self) -> None:
        """Messages that are not settled when the relay ends have returned to the queue."""
        self.failing(1_000)

        def is_over(relay: Relay) -> bool:
            self.check(relay)
            return relay.figures.delivered == 1

        with self.assertLogs("segment_logging"):
            relay = self.relayed(FakeClient(refuses_guilty), "A", "Guilty", until=is_over)
        self.check(relay)
        self.assertEqual((relay.figures.returned, relay.figures.dead_lettered), (1, 0))

    def test_unknown_key(self) -> None:
        """Messages without a write key are received, and become dead letters once they are
        moved."""
        client = FakeClient()
        with self.assertLogs("segment_logging"):
            relay = self.relayed(client, "A", "B", "C", key="other", until=self.until(3))
        self.assertEqual((relay.figures.received, relay.figures.dead_lettered), (3, 3))

    def test_refused_by_name(self) -> None:
        """Messages that a 2xx delivers are not sent again if the dead letters of others in their
        batch cannot be stored."""
        self.failing(2)

        def answer(message: Message) -> DeliveryError | None:
            if "Guilty" in events_in(message):
                return DeliveryError("refused", status=200, refused={"id-Guilty": "no"})
            return None

        client = FakeClient(answer)
        with self.assertLogs("segment_logging"):
            relay = self.relayed(client, "A", "Guilty", "B", until=self.until(3))
        self.assertEqual((relay.figures.delivered, relay.figures.dead_lettered), (2, 1))
        sent = [event for message in client.requests for event in events_in(message)]
        self.assertEqual(sorted(sent), ["A", "B", "Guilty", "Guilty", "Guilty"])


def events_of_delivered(client: FakeClient) -> list[str]:
    return [message.to_dict()["event"] for message in client.messages]


class TestFigures(unittest.TestCase):
    def test_ended(self) -> None:
        """After the end of a connection, messages that were waiting have returned."""
        figures = Figures(received=5, delivered=2, waiting=3, unacknowledged=1, is_connected=True)
        self.assertEqual(figures.ended(), Figures(received=5, delivered=2, returned=3))

    def test_sum(self) -> None:
        """Totals are added, and the state is the latest one."""
        past = Figures(received=5, delivered=2, returned=3)
        present = Figures(received=3, waiting=3, unacknowledged=1, is_connected=True)
        self.assertEqual(
            past + present,
            Figures(
                received=8, delivered=2, returned=3, waiting=3, unacknowledged=1, is_connected=True
            ),
        )
