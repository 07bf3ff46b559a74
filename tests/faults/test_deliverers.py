"""Tests for `segment-logging deliver`: several of them, signals, keys, and what can be watched."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.request
from pathlib import Path

from segment_logging._files import Folder
from segment_logging._queues.journal.directory import is_locked
from segment_logging.collector import Answer, Collector, Request

from ..servers import ScriptedServer, dead_host, mute_server
from .delivering import Deliverer, wait_until
from .programs import Program, numbers_in, run_program
from .test_hand_over import HandOverCase


class TestSeveral(HandOverCase):
    def test_one_takes_over(self) -> None:
        """When the one that delivers is killed, the other takes over, and nothing is lost."""
        url = self.collector.url
        with (
            Deliverer(self.journal, "--host", url) as first,
            Deliverer(self.journal, "--host", url),
        ):
            self.run_script()
            wait_until(lambda: len(self.collector.messages) == 10)
            first.kill()
            self.run_script()
            # The first may have been killed before it removed what had been accepted. The second
            # then sends it again, with the same ids.
            wait_until(lambda: len(self.ids()) == 20)

    def ids(self) -> set[str]:
        """Return the ids of the messages that have arrived."""
        return {message["messageId"] for message in self.collector.messages}

    def test_only_one_delivers(self) -> None:
        """While one delivers, another stands by."""
        url = self.collector.url
        with Deliverer(self.journal, "--host", url) as first:
            self.run_script()
            wait_until(lambda: len(self.collector.messages) == 10)
            with Deliverer(self.journal, "--host", url) as second:
                self.run_script()
                wait_until(lambda: len(self.collector.messages) == 20)
                self.assertEqual((second.end(), first.end()), (0, 0))
                self.assertIn("standing by", second.stdout)
                self.assertIn("20 messages delivered", first.stdout)

    def test_alone_and_idle(self) -> None:
        """One that had nothing to do does not say that another process delivered."""
        with Deliverer(self.journal, "--host", self.collector.url) as one:
            self.run_script()
            wait_until(lambda: len(self.collector.messages) == 10)
            self.assertEqual(one.end(), 0)
            self.assertNotIn("standing by", one.stdout)
            self.assertIn("10 messages delivered", one.stdout)

    def test_one_connection_and_full_batches(self) -> None:
        """What many processes left is sent in as few requests as full batches need."""
        run_program(
            """
for start in range(0, 4_000, 500):
    if os.fork() == 0:
        for number in range(start, start + 500):
            log(number)
        os._exit(0)
for _ in range(8):
    os.wait()
""",
            journal=self.journal,
            deliver=False,
        )
        self.deliver(4_000)
        self.assertEqual(len(self.collector.requests), 2)

    def test_two_keys(self) -> None:
        """One process delivers for several write keys; those of others are left and reported."""
        keys = Path(self.journal.parent, "keys")
        keys.write_text("# of the shop\nkey\nsecond-key\n")
        for key in ("second-key", "third-key"):
            run_program(
                "logger.removeHandler(handler)\n"
                f"logger.addHandler(SegmentHandler({key!r}, **json.loads(sys.argv[1])))\nlog(7)",
                journal=self.journal, deliver=False,
            )  # fmt: skip
        self.run_script()
        with Deliverer(
            self.journal, "--host", self.collector.url, "--write-key-file", str(keys)
        ) as deliverer:
            wait_until(lambda: len(self.collector.messages) == 11)
            self.assertEqual(deliverer.end(), 0)
            self.assertIn("1 other write key", deliverer.stderr)
            self.assertIn("and restart this command", deliverer.stderr)
            self.assertIn("import the files with the right key", deliverer.stderr)
            self.assertNotIn("second-key", deliverer.stderr + deliverer.stdout)
        self.assertEqual(len(self.files()), 1)
        self.assertEqual(len({one.write_key for one in self.collector.requests}), 2)

    def test_other_keys(self) -> None:
        """Other write keys with messages are counted, unless another deliverer sends those."""
        self.run_script()
        url = self.collector.url
        with Deliverer(self.journal, "--host", url, "--json", write_key="another-key") as one:
            self.assertEqual(one.end(), 0)
            self.assertEqual(json.loads(one.stdout.splitlines()[-1])["other_keys"], 1)
        with mute_server() as host, Deliverer(self.journal, "--host", host):
            folder = next(self.journal.glob("*/live")).parent
            wait_until(lambda: (folder / "deliver.lock").exists())
            with Folder.at(str(folder)) as key:
                wait_until(lambda: is_locked(key, "deliver.lock"))
            with Deliverer(self.journal, "--host", url, "--json", write_key="another-key") as one:
                self.assertEqual(one.end(), 0)
                self.assertEqual(json.loads(one.stdout.splitlines()[-1])["other_keys"], 0)
                self.assertNotIn("other write key", one.stderr)
        self.assertEqual(len(self.files()), 1)


class TestSignals(HandOverCase):
    def test_while_nothing_happens(self) -> None:
        """SIGTERM and Ctrl-C end it with 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            with Deliverer(self.journal, "--host", dead_host()) as deliverer:
                self.assertEqual(deliverer.end(number), 0, deliverer.stderr)
                self.assertNotIn("Traceback", deliverer.stderr)

    def test_a_request_under_way_is_finished(self) -> None:
        """A request whose answer comes soon is finished, and its files are removed."""
        arrived = threading.Event()

        def answer(request: Request) -> Answer | None:
            arrived.set()
            time.sleep(1.0)
            return None

        collector = Collector(answer=answer)
        self.addCleanup(collector.close)
        self.run_script()
        with Deliverer(self.journal, "--host", collector.url) as deliverer:
            self.assertTrue(arrived.wait(60))
            self.assertEqual(deliverer.end(), 0)
        self.assertEqual((self.files(), len(collector.messages)), ([], 10))

    def test_a_request_without_an_answer_is_dropped(self) -> None:
        """A request without an answer is dropped, and its files stay for the next one."""
        self.run_script()
        with mute_server() as host, Deliverer(self.journal, "--host", host) as deliverer:
            time.sleep(2.0)  # long enough for the request to begin
            self.assertEqual(deliverer.end(), 0)
        self.assertEqual(len(self.files()), 1)
        self.deliver(10)

    def test_last_figures(self) -> None:
        """The last figures contain the messages that were read and are left for the next one."""
        self.run_script()
        with Deliverer(
            self.journal, "--host", dead_host(), "--json", "--metrics-port", "0"
        ) as deliverer:
            url = deliverer.stderr.split("metrics are at ")[1].split()[0]

            def is_read() -> bool:
                with urllib.request.urlopen(url) as answer:
                    return b"pending{" in (text := answer.read()) and b"} 10\n" in text

            wait_until(is_read)
            self.assertEqual(deliverer.end(), 0)
            figures = json.loads(deliverer.stdout.splitlines()[-1])
        self.assertEqual((figures["pending"], figures["delivered"]), (10, 0))
        self.assertGreater(figures["lag_seconds"], 0)

    def test_linger(self) -> None:
        """With --linger, it continues until no process writes any more and all is sent."""
        with Program(
            "log(1)\nprint(flush=True)\nsys.stdin.readline()\nlog(2)",
            journal=self.journal, deliver=False,
        ) as program, Deliverer(
            self.journal, "--host", self.collector.url, "--linger", "60"
        ) as deliverer:  # fmt: skip
            program.read_line()
            wait_until(lambda: len(self.collector.messages) == 1)
            deliverer.process.send_signal(signal.SIGTERM)
            time.sleep(1.5)
            self.assertIsNone(deliverer.process.poll())
            program.write_line()
            program.end()
            self.assertEqual(deliverer.process.wait(60), 0)
        self.assertEqual(numbers_in(self.collector), [1, 2])

    def test_stopped(self) -> None:
        """A deliverer that is stopped and continued loses nothing and sends nothing twice."""
        with Deliverer(self.journal, "--host", self.collector.url) as deliverer:
            deliverer.process.send_signal(signal.SIGSTOP)
            self.run_script()
            deliverer.process.send_signal(signal.SIGCONT)
            wait_until(lambda: len(self.collector.messages) >= 10)
        self.assertEqual(numbers_in(self.collector), list(range(10)))


class TestRequests(HandOverCase):
    def test_headers(self) -> None:
        """More headers are sent, but none can replace one of ours."""
        self.run_script()
        with (
            ScriptedServer() as server,
            Deliverer(
                self.journal, "--host", server.host, "--gzip", "--header", "X-Strict-Mode: 1",
                "--header", "User-Agent: another", "--header", "authorization: Basic x",
            ) as deliverer,
        ):  # fmt: skip
            wait_until(lambda: server.requests)
            self.assertEqual(deliverer.end(), 0, deliverer.stderr)
        headers = server.requests[0].headers
        self.assertEqual((headers["X-Strict-Mode"], headers["Content-Encoding"]), ("1", "gzip"))
        self.assertTrue(headers["User-Agent"].startswith("segment-logging/"))
        self.assertNotEqual(headers["Authorization"], "Basic x")


class TestTrouble(HandOverCase):
    def test_an_outage(self) -> None:
        """During an outage the files stay, and after it they arrive once."""
        down = [503] * 3
        collector = Collector(answer=lambda request: down.pop() if down else None)
        self.addCleanup(collector.close)
        self.run_script()
        with Deliverer(self.journal, "--host", collector.url):
            wait_until(lambda: len(collector.messages) == 10)
            wait_until(lambda: not self.files())
        self.assertEqual(numbers_in(collector), list(range(10)))

    def test_a_refused_message(self) -> None:
        """A message that Segment refuses becomes a dead letter, and the others arrive."""
        collector = Collector(
            answer=lambda request: 400 if any(
                judged.message["properties"]["number"] == 3 for judged in request.verdict.judged
            ) else None
        )  # fmt: skip
        self.addCleanup(collector.close)
        self.run_script()
        with Deliverer(self.journal, "--host", collector.url):
            wait_until(lambda: len(collector.messages) == 9 and not self.files())
        (letter,) = (self.journal / "dead-letters.jsonl").read_text().splitlines()
        self.assertEqual(json.loads(letter)["message"]["properties"], {"number": 3})


class TestWatching(HandOverCase):
    def test_metrics(self) -> None:
        """Prometheus finds the figures on loopback."""
        with Deliverer(
            self.journal, "--host", self.collector.url, "--metrics-port", "0"
        ) as deliverer:
            url = deliverer.stderr.split("metrics are at ")[1].split()[0]
            self.assertTrue(url.startswith("http://127.0.0.1:"))
            self.run_script()

            def delivered() -> bool:
                with urllib.request.urlopen(url) as answer:
                    return b"segment_logging_delivered_total" in (text := answer.read()) and any(
                        line.startswith(b"segment_logging_delivered_total{")
                        and line.endswith(b"10")
                        for line in text.split(b"\n")
                    )

            wait_until(delivered)

    def test_liveness(self) -> None:
        """The liveness file is made, and its time is set again."""
        path = self.journal.parent / "alive"
        with Deliverer(self.journal, "--host", dead_host(), "--liveness-file", str(path)):
            wait_until(path.exists)
            os.utime(path, (1, 1))
            wait_until(lambda: path.stat().st_mtime > 1)

    def test_figures(self) -> None:
        """At its end it prints its figures, with --json as JSON."""
        self.run_script()
        with Deliverer(self.journal, "--host", self.collector.url, "--json") as deliverer:
            wait_until(lambda: not self.files() and len(self.collector.messages) == 10)
            deliverer.end()
            figures = json.loads(deliverer.stdout.splitlines()[-1])
        self.assertEqual((figures["delivered"], figures["requests"]), (10, 1))
        self.assertEqual(figures["pending"], 0)
