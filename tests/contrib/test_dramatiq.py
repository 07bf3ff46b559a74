"""Tests for Dramatiq, with a worker in the program's own process, such as in its tests."""

from __future__ import annotations

import logging
import unittest
from collections.abc import Callable
from importlib.util import find_spec

from typing_extensions import override

from segment_logging import SegmentHandler, identity
from segment_logging.collector import Collector
from segment_logging.compat.analytics.client import Client

from ..faults.subprocesses import arrived

if find_spec("dramatiq") is None:
    raise unittest.SkipTest("needs Dramatiq")

import dramatiq
from dramatiq.brokers.stub import StubBroker

from segment_logging.contrib.dramatiq import connect


class WorkerTest(unittest.TestCase):
    """Base class with a collector, and a logger whose handler sends nothing for 30 s."""

    @override
    def setUp(self) -> None:
        self.collector = Collector()
        self.addCleanup(self.collector.close)
        self.handler = SegmentHandler("the-write-key", host=self.collector.url, flush_interval=30)
        self.addCleanup(self.handler.close)
        self.logger = logging.Logger("app", logging.INFO)
        self.logger.addHandler(self.handler)


class TestWorker(WorkerTest):
    def test_stop(self) -> None:
        """What other middleware logs when the worker stops arrives before `stop` returns."""
        logger = self.logger

        class LogStop(dramatiq.Middleware):
            @override
            def before_worker_shutdown(
                self, broker: dramatiq.Broker, worker: dramatiq.Worker
            ) -> None:
                logger.info("Stopped", extra={"user_id": "u-1"})

        broker = StubBroker(middleware=[LogStop()])
        connect(broker)
        worker = dramatiq.Worker(broker, worker_timeout=50)
        worker.start()
        worker.stop()
        self.assertEqual(arrived(self.collector), {"Stopped": 1})


class TestTasks(WorkerTest):
    @override
    def setUp(self) -> None:
        super().setUp()
        self.broker = StubBroker()
        connect(self.broker)
        worker = dramatiq.Worker(self.broker, worker_timeout=10)
        worker.start()
        self.addCleanup(worker.stop)

    def send(self, function: Callable[[], object]) -> None:
        """Have the worker run a task, and wait until the task is acknowledged."""
        actor = dramatiq.actor(broker=self.broker, max_retries=0)(function)
        actor.send()
        self.broker.join(actor.queue_name, timeout=30_000)

    def test_compat(self) -> None:
        """The calls of `compat.analytics` are delivered before the task is acknowledged."""
        client = Client("the-write-key", self.collector.url, upload_interval=30)
        self.addCleanup(client.join)

        def call() -> None:
            client.track("u-1", "Called")

        self.send(call)
        self.assertEqual(arrived(self.collector), {"Called": 1})

    def test_identity(self) -> None:
        """The identity that is bound when a task is sent is not bound while the task runs."""

        def ship() -> None:
            self.logger.info("Shipped", extra={"anonymous_id": "a-1"})

        with identity(user_id="u-1"):
            self.send(ship)
        (message,) = self.collector.messages
        self.assertNotIn("userId", message)


if __name__ == "__main__":
    unittest.main()
