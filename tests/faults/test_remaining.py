"""Tests for what `segment-logging deliver` reports about messages that are left when it ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from segment_logging._clock import monotonic
from segment_logging._queues.journal.place import Place
from segment_logging.cli.remaining import remaining_in
from segment_logging.collector import Collector

from ..builders import PROJECT
from ..servers import dead_host, mute_server
from .delivering import Deliverer, wait_until
from .programs import WRITE_KEY, Program, run_program
from .test_hand_over import HandOverCase


class TestReport(HandOverCase):
    def text_of(self, number: int) -> str:
        """Return the beginning of the line about a number of messages."""
        return f"segment_logging: {number} messages remain in the journal {self.journal}: the next"

    def counted_by_journal(self) -> int:
        """Return how many messages `segment-logging journal` counts."""
        done = subprocess.run(
            [sys.executable, "-m", "segment_logging", "journal", str(self.journal), "--json"],
            cwd=PROJECT, check=True, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return sum(one["messages"] for one in json.loads(done.stdout)["waiting"])

    def test_an_outage(self) -> None:
        """If Segment cannot be reached, the number of messages is reported once, also with
        --quiet. The exit code is 0."""
        self.run_script()
        with Deliverer(
            self.journal, "--host", dead_host(), "--linger", "1.5", "--quiet"
        ) as deliverer:
            self.assertEqual(deliverer.end(), 0)
            lines = deliverer.stderr.splitlines()
        self.assertEqual(sum(one.startswith(self.text_of(10)) for one in lines), 1, lines)
        self.assertEqual(sum("in the journal" in one for one in lines), 1, lines)
        self.assertEqual(self.counted_by_journal(), 10)

    def test_one(self) -> None:
        """The line about one message is in the singular."""
        run_program("log(1)", journal=self.journal, deliver=False)
        with Deliverer(self.journal, "--host", dead_host()) as deliverer:
            deliverer.end()
            self.assertRegex(deliverer.stderr, r"1 message remains in the journal .* deliver it$")

    def test_unread(self) -> None:
        """Messages in files that were not read yet are counted, and so are those of programs that
        are still running."""
        for _ in range(3):
            self.run_script()
        with (
            self.a_program("log(1)\nlog(2)\nprint(flush=True)\nsys.stdin.readline()") as program,
            mute_server() as host,
            Deliverer(self.journal, "--host", host, "--rate", "1", "--json") as deliverer,
        ):
            program.read_line()
            self.assertEqual(deliverer.end(), 0)
            (line,) = (one for one in deliverer.stderr.splitlines() if "in the journal" in one)
            self.assertTrue(line.startswith(self.text_of(32)), line)
            self.assertLess(json.loads(deliverer.stdout.splitlines()[-1])["pending"], 32)
            self.assertEqual(self.counted_by_journal(), 32)

    def test_a_request_that_hangs(self) -> None:
        """A request without an answer does not delay the exit for more than 6 s, and the messages
        are reported once."""
        self.run_script()
        with mute_server() as host, Deliverer(self.journal, "--host", host) as deliverer:
            time.sleep(2.0)  # long enough for the request to begin
            began = time.monotonic()
            self.assertEqual(deliverer.end(), 0)
            self.assertLess(time.monotonic() - began, 8)  # 6 s on an idle machine
            self.assertEqual(len(deliverer.stderr.splitlines()), 1, deliverer.stderr)
            self.assertIn(self.text_of(10), deliverer.stderr)

    def test_nothing(self) -> None:
        """If nothing is left, nothing is reported, and the command does not wait."""
        self.run_script()
        with Deliverer(self.journal, "--host", self.collector.url) as deliverer:
            wait_until(lambda: not self.files() and len(self.collector.messages) == 10)
            self.assertEqual(deliverer.end(), 0)
            self.assertEqual(deliverer.stderr, "")

    def test_standing_by(self) -> None:
        """Nothing is reported as long as another command delivers or takes over."""
        self.run_script()
        with (
            Deliverer(self.journal, "--host", dead_host()) as first,
            Deliverer(self.journal, "--host", dead_host()) as second,
            Deliverer(self.journal, "--host", dead_host()) as third,
        ):
            key = next(self.journal.glob("*/live")).parent
            wait_until((key / "deliver.lock").exists)
            time.sleep(1.5)  # by now, each has tried
            for one in (second, first):
                self.assertEqual(one.end(), 0)
                self.assertNotIn("in the journal", one.stderr)
            self.assertEqual(third.end(), 0)
            self.assertIn(self.text_of(10), third.stderr)

    def test_refused(self) -> None:
        """If the server refuses the write key, the line names that, too."""
        collector = Collector(answer=lambda request: 401)
        self.addCleanup(collector.close)
        self.run_script()
        with Deliverer(self.journal, "--host", collector.url) as deliverer:
            wait_until(lambda: "401" in deliverer.stderr)
            deliverer.end()
            (line,) = (one for one in deliverer.stderr.splitlines() if "remain in" in one)
        self.assertIn(self.text_of(10), line)
        self.assertIn("will deliver them, once this is corrected: ", line)
        self.assertIn("401 Unauthorized", line)

    def test_several_keys(self) -> None:
        """With several write keys, there is a line for each that has messages left. It names the
        directory of the key."""
        keys = self.journal.parent / "keys"
        keys.write_text(f"{WRITE_KEY}\nsecond-key\nthird-key\n")
        run_program(
            "logger.removeHandler(handler)\n"
            "logger.addHandler(SegmentHandler('second-key', **json.loads(sys.argv[1])))\nlog(7)",
            journal=self.journal, deliver=False,
        )  # fmt: skip
        self.run_script()
        with Deliverer(
            self.journal, "--host", dead_host(), "--write-key-file", str(keys)
        ) as deliverer:
            self.assertEqual(deliverer.end(signal.SIGINT), 0)
            said = deliverer.stderr
        found = re.findall(r": (\d+) messages? of the write key (\w{12}) remains? in the jo", said)
        names = {path.parts[-4]: str(len(path.read_text().splitlines())) for path in self.files()}
        self.assertEqual({name: number for number, name in found}, names)
        self.assertEqual(len(found), 2)


class TestCount(HandOverCase):
    def count(self, seconds: float = 60.0) -> tuple[int, bool]:
        found = remaining_in(Place(str(self.journal), WRITE_KEY), monotonic() + seconds)
        return found.messages, found.is_exact

    def test_none(self) -> None:
        """Without a journal, nothing is left."""
        self.assertEqual(self.count(), (0, True))

    def test_time(self) -> None:
        """If the time is up, what was counted until then is the least that is left."""
        for _ in range(2):
            self.run_script()
        self.assertEqual(self.count(), (20, True))
        self.assertEqual(self.count(0.0), (10, False))

    def test_unreadable(self) -> None:
        """A file that cannot be read counts as one message at least, unless it is empty."""
        for _ in range(2):
            self.run_script()
        path = self.files()[0]
        Path(path.parent, "another-name").hardlink_to(path)
        self.assertEqual(self.count(), (11, False))

    def test_sent_by_its_process(self) -> None:
        """Messages of a process that delivers for itself are counted only after its end."""
        with Program(
            "log(1)\nprint(flush=True)\nsys.stdin.readline()", journal=self.journal,
            host=dead_host(), flush_interval=60,
        ) as program:  # fmt: skip
            program.read_line()
            self.assertEqual(len(self.files()), 1)
            self.assertEqual(self.count(), (0, True))
            program.kill()
            self.assertEqual(self.count(), (1, True))
