"""Tests for publishing to a real RabbitMQ."""

from __future__ import annotations

import json
import logging
import os
import signal
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

from typing_extensions import override

from segment_logging import Batch, Client, DeliveryError, SegmentHandler
from segment_logging._broker.bundles import KEY_HEADER, lines_of_bundle
from segment_logging._broker.client import BrokerClient
from segment_logging._clock import monotonic
from segment_logging._messages.encoding import encode
from segment_logging._process.delivering import delivering_by
from segment_logging.errors import Cause
from tests.builders import a_record, a_track, run_python
from tests.client.contract import KEY, ServerContract
from tests.rabbitmq import BrokerCase, received_from


class TestContract(ServerContract, BrokerCase):
    @override
    def a_client(self) -> Client:
        return BrokerClient(self.url)

    @override
    def a_client_without_server(self) -> Client:
        return BrokerClient("amqp://127.0.0.1:1")

    @override
    def arrived(self) -> list[Any]:
        return self.calls()


class TestPublishing(BrokerCase):
    def a_client(self, url: str | None = None) -> BrokerClient:
        client = BrokerClient(url or self.url)
        self.addCleanup(client.close)
        return client

    def send(self, client: BrokerClient, event: str = "Signup") -> DeliveryError | None:
        """Send a batch. Return the error, which must be one that keeps the messages."""
        try:
            client.send(KEY, Batch([a_track(event)]))
        except DeliveryError as error:
            self.assertTrue(error.retryable)
            self.assertIs(error.cause, Cause.CONNECTION)
            return error
        return None

    def test_form(self) -> None:
        """A bundle has JSON Lines and the key's name. Nothing in it contains the key."""
        self.a_client().send(KEY, Batch([a_track("A"), a_track("B")]))
        (bundle,) = received_from(self.url, self.queue, at_least=1)
        self.assertEqual(len(lines_of_bundle(bundle.body)), 2)
        self.assertEqual(dict(bundle.headers), {KEY_HEADER: "e89a7e23fbf7"})
        self.assertNotIn(KEY.encode(), bundle.body)

    def test_queues(self) -> None:
        """The queues are quorum queues, with limits. A full one refuses messages."""
        self.a_client().send(KEY, Batch([a_track()]))
        shown = self.broker.control("list_queues", "name", "type", "arguments")
        for queue, parts in (
            (self.queue, ("x-max-length-bytes", "x-delivery-limit", f"{self.queue}.dead")),
            (f"{self.queue}.dead", ("x-max-length-bytes",)),
        ):
            (line,) = (one for one in shown.splitlines() if one.split("\t")[0] == queue)
            self.assertIn("quorum", line.split("\t")[1])
            for part in (*parts, "reject-publish"):
                self.assertIn(part, line)

    def test_existing_queue(self) -> None:
        """A queue that exists is used as it is. If it is full, messages are kept and sent later,
        and the error counts those that were confirmed."""
        self.broker.declare(self.queue, max_length=2)
        client = self.a_client()
        lines = [
            encode(a_track(f"E{number}", properties={"pad": "x" * 30_000}).to_dict())
            for number in range(12)
        ]
        batch: Batch | None = Batch.of_lines(lines)
        events: list[str] = []
        failures = 0
        for _ in range(20):
            assert batch is not None
            try:
                client.send(KEY, batch)
            except DeliveryError as error:
                failures += 1
                self.assertIn("it is full", str(error))
                batch = batch.without(error.delivered)
                events += [call["event"] for call in self.calls()]
            else:
                break
        events += [call["event"] for call in self.calls()]
        self.assertEqual(events, [f"E{number}" for number in range(12)])
        self.assertGreater(failures, 0)

    def test_confirmed_messages_are_delivered(self) -> None:
        """When the attempts at a full queue are used up, confirmed messages count as delivered,
        and only the others become dead letters."""
        self.broker.declare(self.queue, max_length=2)
        letters = self.enterContext(TemporaryDirectory()) + "/letters.jsonl"
        handler = SegmentHandler(KEY, broker=self.url, dead_letters=letters, max_attempts=1)
        with self.assertLogs("segment_logging"):
            for number in range(12):
                extra = {"user_id": "u", "pad": "x" * 30_000}
                handler.handle(a_record(f"E{number}", extra=extra))
            self.assertTrue(handler.drain(30))
            handler.close()
        published = {call["event"] for call in self.calls()}
        text = Path(letters).read_text(encoding="utf-8")
        dead = [json.loads(line)["message"]["event"] for line in text.splitlines()]
        self.assertTrue(published and dead)
        self.assertEqual(published & set(dead), set())
        self.assertEqual(published | set(dead), {f"E{number}" for number in range(12)})
        counts = handler.counts()
        self.assertEqual((counts.delivered, counts.dead_lettered), (len(published), len(dead)))

    def test_removed_queue(self) -> None:
        """If the queue was removed, the next message is not confirmed, and declares it again."""
        client = self.a_client()
        self.assertIsNone(self.send(client))
        self.broker.control("delete_queue", self.queue)
        self.assertIn("has been removed", str(self.send(client)))
        self.assertIsNone(self.send(client, "Again"))
        self.assertEqual([call["event"] for call in self.calls()], ["Again"])

    def test_refused(self) -> None:
        """A wrong password or virtual host is reported without the password."""
        for url, words in (
            (self.url.replace("guest:guest", "guest:s3cr3t"), "check user, password"),
            (self.url.replace("//?", "/s3cr3t?"), "virtual host"),
        ):
            error = self.send(self.a_client(url))
            self.assertIn(words, str(error))
            self.assertNotIn("s3cr3t", str(error))

    def test_deadline(self) -> None:
        """A broker that is stalled does not hold an attempt beyond the delivery's deadline."""
        client = self.a_client()
        self.assertIsNone(self.send(client))
        self.broker.signal(signal.SIGSTOP)
        try:
            done = Event()

            def send_twice() -> None:
                began = monotonic()
                with delivering_by(lambda: began + 0.5):
                    errors.extend((self.send(client), self.send(client)))
                done.set()

            errors: list[DeliveryError | None] = []
            Thread(target=send_twice, daemon=True).start()
            self.assertTrue(done.wait(15))  # without a deadline, each attempt takes 10 s or more
            for error in errors:
                self.assertIn("did not answer in time", str(error))
        finally:
            self.broker.signal(signal.SIGCONT)


class TestHandler(BrokerCase):
    def test_stalled_broker(self) -> None:
        """A broker that is stalled blocks no logging call. With a journal, everything arrives."""
        directory = self.enterContext(TemporaryDirectory())
        handler = SegmentHandler(KEY, broker=self.url, journal=f"{directory}/journal")
        handler.handle(a_record("First", extra={"user_id": "u"}))
        self.assertTrue(handler.drain(30))
        self.broker.signal(signal.SIGSTOP)
        try:

            def log() -> None:
                for number in range(1_000):
                    handler.handle(a_record(f"E{number}", extra={"user_id": "u"}))

            logging_thread = Thread(target=log, daemon=True)
            logging_thread.start()
            logging_thread.join(60)
            self.assertFalse(logging_thread.is_alive())
            self.assertFalse(handler.drain(0.5))
        finally:
            self.broker.signal(signal.SIGCONT)
        self.assertTrue(handler.drain(60))
        handler.close()
        events = {call["event"] for call in self.calls(bundles=2)}
        self.assertEqual(events, {"First", *(f"E{number}" for number in range(1_000))})

    def test_fork(self) -> None:
        """After a fork with an open connection, parent and child deliver, and neither spins."""
        handler = SegmentHandler(KEY, broker=self.url)
        logger = logging.Logger("app")
        logger.addHandler(handler)
        logger.info("Before", extra={"user_id": "u"})
        self.assertTrue(handler.drain(30))
        child = os.fork()
        if not child:
            status = 1
            try:
                logger.info("Child", extra={"user_id": "u"})
                used = _cpu_seconds()
                status = int(not (handler.drain(30) and _cpu_seconds() - used < 2.0))
                handler.close()
            finally:
                os._exit(status)
        logger.info("After", extra={"user_id": "u"})
        self.assertTrue(handler.drain(30))
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        handler.close()
        found = sorted(call["event"] for call in self.calls(bundles=3))
        self.assertEqual(found, ["After", "Before", "Child"])


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


class TestOnlyWhenUsed(unittest.TestCase):
    def test_import(self) -> None:
        """kombu is imported for the first message that is published, and not for a handler."""
        loaded = run_python(
            """
import json, sys
from segment_logging import SegmentHandler
SegmentHandler("key", broker="amqp://shop")
print(json.dumps("kombu" in sys.modules))
"""
        )
        self.assertIs(loaded, False)

    def test_missing(self) -> None:
        """If kombu is not installed, creating the handler fails, and names the extra."""
        told = run_python(
            """
import json, sys
from segment_logging import ConfigurationError, SegmentHandler
sys.path[:] = [path for path in sys.path if "site-packages" not in path]
try:
    SegmentHandler("key", broker="amqp://shop")
except ConfigurationError as error:
    print(json.dumps(str(error)))
"""
        )
        self.assertIn("segment-logging[relay]", told)
