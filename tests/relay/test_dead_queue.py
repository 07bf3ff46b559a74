"""Tests for the dead-letter queue and for messages without a write key, with fake connections."""

from __future__ import annotations

import unittest
from collections.abc import Mapping
from typing import Any
from unittest import mock

from typing_extensions import override

from segment_logging import DeliveryError
from segment_logging._broker.address import address_of
from segment_logging._broker.bundles import lines_of_bundle
from segment_logging._relay import dead_queue, strays
from segment_logging._relay.dead_queue import DeadQueue
from segment_logging._relay.strays import Strays


class MessageNacked(Exception):
    """The broker's refusal, under the name that kombu gives it."""


class Broker:
    """Fake connections to one queue.

    Args:
        faults: an exception, or None for a confirmation, for each message that is published.
    """

    def __init__(self, *faults: Exception | None) -> None:
        self.faults = list(faults)
        self.connections = 0
        self.stored: list[bytes] = []

    def __call__(self, address: object) -> Broker:
        self.connections += 1
        return self

    def publish(self, body: bytes, headers: Mapping[str, Any], **options: Any) -> None:
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        self.stored += lines_of_bundle(body)

    def declare(self) -> None: ...

    def drop(self) -> None: ...

    def close(self) -> None: ...


LINES = [b"%d" % number * 30_000 for number in range(6)]
"""Three bundles."""

ADDRESS = address_of("amqp://shop")


class Case(unittest.TestCase):
    def a_broker(self, *faults: Exception | None) -> Broker:
        broker = Broker(*faults)
        self.enterContext(mock.patch.object(dead_queue, "Connection", broker))
        return broker


class TestPublishing(Case):
    def publish(self, broker: Broker) -> DeliveryError | None:
        try:
            DeadQueue(ADDRESS).publish(LINES, DeliveryError("refused"), "key")
        except DeliveryError as error:
            return error
        return None

    def test_stored(self) -> None:
        """All bundles are published on one connection."""
        broker = self.a_broker()
        self.assertIsNone(self.publish(broker))
        self.assertEqual((broker.stored, broker.connections), (LINES, 1))

    def test_connects_again(self) -> None:
        """If the connection is lost, it is made again, and no confirmed bundle is repeated."""
        broker = self.a_broker(None, ConnectionResetError())
        self.assertIsNone(self.publish(broker))
        self.assertEqual((broker.stored, broker.connections), (LINES, 2))

    def test_only_once(self) -> None:
        """The second loss is an error, which counts the messages that were confirmed."""
        broker = self.a_broker(None, ConnectionResetError(), None, ConnectionResetError())
        error = self.publish(broker)
        assert error is not None
        self.assertEqual((error.delivered, broker.stored), (4, LINES[:4]))
        self.assertEqual(broker.connections, 2)

    def test_full(self) -> None:
        """A queue that refuses a message is not tried again at once."""
        broker = self.a_broker(None, MessageNacked())
        error = self.publish(broker)
        assert error is not None
        self.assertIn("it is full", str(error))
        self.assertEqual((error.delivered, broker.connections), (2, 1))


class TestStrays(Case):
    @override
    def setUp(self) -> None:
        self.now = 1_000.0
        self.moved: list[int] = []
        self.strays = Strays(ADDRESS, on_moved=self.moved.append, clock=lambda: self.now)
        self.enterContext(self.assertLogs("segment_logging"))

    def test_one_at_a_time(self) -> None:
        """Each call moves one bundle, so that heartbeats are answered in between."""
        broker = self.a_broker()
        for tag in (1, 2, 3):
            self.strays.add(tag, [b"%d" % tag], None)
        for tags, is_more in (([1], True), ([1, 2], True), ([1, 2, 3], False)):
            self.assertIs(self.strays.move_one(), is_more)
            self.assertEqual(self.moved, tags)
        self.assertFalse(self.strays.move_one())
        self.assertEqual(broker.stored, [b"1", b"2", b"3"])

    def test_tried_again(self) -> None:
        """A bundle that cannot be moved is tried again after a minute, from the first message that
        was not confirmed."""
        broker = self.a_broker(None, MessageNacked())
        self.strays.add(1, list(LINES), "key")
        self.assertFalse(self.strays.move_one())
        self.assertEqual((self.strays.received, self.strays.moved), (6, 2))
        self.now += strays.PAUSE - 0.1
        self.assertFalse(self.strays.move_one())
        self.assertEqual(self.moved, [])
        self.now += 0.1
        self.assertFalse(self.strays.move_one())
        self.assertEqual((self.moved, broker.stored), ([1], LINES))
        self.assertEqual((self.strays.received, self.strays.moved), (6, 6))
