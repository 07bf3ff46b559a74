"""Tests for relays between a real RabbitMQ and a local collector."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from typing_extensions import override

from segment_logging._broker.bundles import key_name_of
from segment_logging.collector import Answer, Collector
from segment_logging.collector.arrivals import Request
from tests.builders import PROJECT
from tests.rabbitmq import received_from
from tests.relay.cases import KEY, OTHER_KEY, RelayCase


class TestDelivery(RelayCase):
    def test_joined(self) -> None:
        """Bundles are joined to few batches, arrive unchanged, and are then gone."""
        events = [f"E{number}" for number in range(100)]
        self.publish(*events)
        collector = self.a_collector()
        with self.relaying(collector) as relay:
            self.assertTrue(collector.wait_for(100, 60))
        self.assertEqual([message["event"] for message in collector.messages], events)
        self.assertLess(len(collector.requests), 10)
        self.assertEqual(collector.dropped, [])
        self.assertEqual((relay.figures.received, relay.figures.delivered), (100, 100))
        self.assertEqual(self.calls(bundles=0), [])

    def test_keys(self) -> None:
        """Messages of two write keys are in batches of their own."""
        self.publish("A1", "A2")
        self.publish("B1", "B2", key=OTHER_KEY)
        collector = self.a_collector()
        with self.relaying(collector, keys=(KEY, OTHER_KEY)):
            self.assertTrue(collector.wait_for(4, 60))
        found = {
            (request.write_key, judged.message["event"])
            for request in collector.requests
            for judged in request.verdict.judged
        }
        self.assertEqual(found, {(KEY, "A1"), (KEY, "A2"), (OTHER_KEY, "B1"), (OTHER_KEY, "B2")})

    def test_unknown_key(self) -> None:
        """Messages of an unknown key go to the dead-letter queue, and do not hold up the others.
        A relay with the key, pointed at that queue, delivers them."""
        self.publish("Stray", key=OTHER_KEY)
        self.publish("Own")
        collector = self.a_collector()
        with self.assertLogs("segment_logging") as logs, self.relaying(collector) as relay:
            self.wait_until(lambda: relay.figures.dead_lettered and relay.figures.delivered)
        self.assertEqual(self.events_in(collector), ["Own"])
        self.assertIn("add it to --write-key-file, restart the relays", logs.output[0])
        with self.relaying(collector, keys=(OTHER_KEY,), queue=f"{self.queue}.dead"):
            self.assertTrue(collector.wait_for(2, 60))
        self.assertEqual(collector.requests[-1].write_key, OTHER_KEY)

    def test_two_relays(self) -> None:
        """Two relays share a queue, and each message arrives once."""
        events = [f"E{number:03}" for number in range(60)]
        self.publish(*events)
        collector = self.a_collector()
        with (
            self.relaying(collector, prefetch=5) as one,
            self.relaying(collector, prefetch=5) as other,
        ):
            self.assertTrue(collector.wait_for(60, 60))
            self.publish(*(f"F{number}" for number in range(60)))
            self.assertTrue(collector.wait_for(120, 60))
        self.assertEqual(len(self.events_in(collector)), 120)
        self.assertEqual(one.figures.delivered + other.figures.delivered, 120)
        self.assertGreater(min(one.figures.delivered, other.figures.delivered), 0)


class TestFailures(RelayCase):
    def test_guilty_message(self) -> None:
        """A message that Segment refuses becomes a dead letter with the reason. Others arrive."""

        def answer(request: Request) -> int | None:
            guilty = any(one.message["event"] == "Guilty" for one in request.verdict.judged)
            return 400 if guilty else None

        self.publish("First", "Guilty", "Last")
        collector = self.a_collector(answer)
        with self.assertLogs("segment_logging"), self.relaying(collector) as relay:
            self.wait_until(lambda: relay.figures.dead_lettered)
            self.assertTrue(collector.wait_for(2, 60))
        self.assertEqual(self.events_in(collector), ["First", "Last"])
        (letter,) = received_from(self.url, f"{self.queue}.dead", at_least=1)
        self.assertEqual(json.loads(letter.body)["event"], "Guilty")
        self.assertEqual(letter.headers["segment-key"], key_name_of(KEY))
        self.assertEqual(letter.headers["status"], "400")
        self.assertEqual(self.calls(bundles=0), [])

    def test_full_dead_letter_queue(self) -> None:
        """A message whose dead letter the broker refuses stays in the queue."""
        self.broker.declare(f"{self.queue}.dead", max_length=1)
        self.publish("Guilty", "Also Guilty")
        collector = self.a_collector(lambda request: 400)
        with (
            self.assertLogs("segment_logging") as logs,
            self.relaying(collector, prefetch=1) as relay,
        ):
            self.wait_until(lambda: "dead letters cannot be written" in "".join(logs.output))
            self.assertEqual((relay.figures.dead_lettered, relay.figures.waiting), (1, 1))
        self.assertEqual((relay.figures.received, relay.figures.returned), (2, 1))
        self.assertIn("refuses messages, because it is full", "".join(logs.output))
        events = [call["event"] for call in self.calls()]
        dead = [call["event"] for call in self.calls(queue=f"{self.queue}.dead")]
        self.assertEqual((events, dead), (["Also Guilty"], ["Guilty"]))

    def test_waiting(self) -> None:
        """While the relay waits for longer than two heartbeats, its connection stays open, and so
        it delivers each message once."""
        answers = [Answer(429, {"Retry-After": "5"}), Answer(503)]
        collector = self.a_collector(answers)
        self.publish("Signup")
        with self.assertNoLogs("segment_logging"), self.relaying(collector, heartbeat=1.0) as relay:
            self.assertTrue(collector.wait_for(1, 60))
            self.assertEqual(relay.figures.received, 1)
        self.assertEqual(len(collector.requests), 3)

    def test_long_outage(self) -> None:
        """In a long outage, the messages return to the queue. After it, each arrives."""
        is_down = [True]
        collector = self.a_collector(lambda request: 503 if is_down[0] else None)
        self.publish("A", "B")
        with (
            self.assertLogs("segment_logging") as logs,
            self.relaying(collector, longest_hold=1.0, outage_pause=0.5) as relay,
        ):
            self.wait_until(lambda: relay.figures.received > 2)
            is_down[0] = False
            self.assertTrue(collector.wait_for(2, 60))
        self.assertEqual(self.events_in(collector), ["A", "B"])
        self.assertIn("have returned to queue", "\n".join(logs.output))
        self.assertEqual(self.calls(bundles=0), [])

    def test_refused_key(self) -> None:
        """If Segment refuses the write key, that is reported, and the messages stay queued."""
        collector = self.a_collector(lambda request: 401)
        self.publish("Signup")
        with self.assertLogs("segment_logging") as logs, self.relaying(collector):
            self.wait_until(lambda: logs.output)
        self.assertIn("messages are waiting in queue", logs.output[0])
        self.assertNotIn(KEY, "\n".join(logs.output))
        self.assertEqual([call["event"] for call in self.calls()], ["Signup"])

    def test_broker_is_down(self) -> None:
        """A relay that cannot connect reports it, and connects as soon as the broker is back."""
        self.publish("Signup")
        self.broker.wait_for_queues()
        self.broker.kill()
        collector = self.a_collector()
        with self.assertLogs("segment_logging") as logs, self.relaying(collector):
            self.wait_until(lambda: logs.output)
            self.broker.start()
            self.assertTrue(collector.wait_for(1, 90))
        self.assertIn("cannot be reached", logs.output[0])
        self.assertEqual(len(logs.output), 1)


class TestCommand(RelayCase):
    @override
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.enterContext(TemporaryDirectory()))

    def start(self, *arguments: str, collector: Collector | None = None) -> subprocess.Popen[str]:
        (self.folder / "keys").write_text(f"{KEY}\n{OTHER_KEY}\n", encoding="ascii")
        environment = {**os.environ, "SEGMENT_BROKER": self.url}
        if collector is not None:
            environment["SEGMENT_HOST"] = collector.url
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "segment_logging", "relay", *arguments],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_stopped(self) -> None:
        """SIGTERM and Ctrl-C end it with 0, after the running request, and print the figures. What
        was delivered is acknowledged."""
        for number in (signal.SIGTERM, signal.SIGINT):
            collector = self.a_collector()
            self.publish("Signup")
            keys, alive = str(self.folder / "keys"), self.folder / "alive"
            process = self.start(
                "--write-key-file",
                keys,
                "--json",
                "--liveness-file",
                str(alive),
                collector=collector,
            )
            self.assertTrue(collector.wait_for(1, 60))
            self.assertFalse(json.loads(alive.read_text(encoding="utf-8"))["dead_lettered"])
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, err)
            self.assertEqual(json.loads(out)["delivered"], 1)
            self.assertNotIn("guest", err)
            self.assertFalse(alive.exists())
            self.assertEqual(self.calls(bundles=0), [])

    def test_stopped_during_a_request(self) -> None:
        """A request that does not end is broken off, and its messages stay in the queue."""

        has_begun, may_end = Event(), Event()

        def answer(request: Request) -> None:
            has_begun.set()
            may_end.wait(60)

        collector = self.a_collector(answer)
        self.addCleanup(may_end.set)
        self.publish("Signup")
        keys = str(self.folder / "keys")
        process = self.start("--write-key-file", keys, collector=collector)
        self.assertTrue(has_begun.wait(60))
        process.terminate()
        self.assertEqual(process.wait(30), 0)
        self.assertEqual([call["event"] for call in self.calls()], ["Signup"])

    def test_cannot_start(self) -> None:
        """A relay that cannot work says so and ends with 2, without showing the password."""
        keys = str(self.folder / "keys")
        for arguments, words in (
            (("--broker", "redis://u:s3cr3t@shop", "--write-key-file", keys), "16 of 30,000"),
            (("--write-key-file", str(self.folder)), "Is a directory"),
            (("--write-key-file", "/dev/null"), "does not contain write keys"),
            ((), "no write key"),
            (("--write-key-file", keys, "--host", "s3cr3t"), "host must be"),
        ):
            with self.subTest(arguments):
                process = self.start(*arguments)
                out, err = process.communicate(timeout=60)
                self.assertEqual((process.returncode, out), (2, ""))
                self.assertIn(words, err)
                self.assertNotIn("s3cr3t", err)
