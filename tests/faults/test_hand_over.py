"""Tests for handlers that hand over: real processes, real kills, forks and stops."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from typing_extensions import override

from segment_logging.collector import Collector
from tests import needs

from ..builders import PROJECT
from .delivering import Deliverer, wait_until
from .programs import WRITE_KEY, Program, deliver_journal, numbers_in, run_program

NETWORK = ("requests", "urllib3", "ssl", "socket", "http.client", "logging.handlers")

SCRIPT = f"""
import json, logging, sys
from segment_logging import SegmentHandler
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
logger.addHandler(SegmentHandler({WRITE_KEY!r}, journal=sys.argv[1], deliver=False))
for number in range(10):
    logger.info("Event", extra={{"user_id": "u-17", "properties": {{"number": number}}}})
"""


@needs.file_locks
class HandOverCase(unittest.TestCase):
    """A test case with a journal and a collector."""

    @override
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.journal = Path(directory.name) / "journal"
        self.collector = Collector()
        self.addCleanup(self.collector.close)

    def a_program(self, source: str) -> Program:
        return Program(source, journal=self.journal, deliver=False)

    def run_script(self, more: str = "") -> str:
        """Run a script that logs ten events and ends, and return what it prints."""
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", SCRIPT + more, str(self.journal)],
            cwd=PROJECT, check=True, capture_output=True, text=True, timeout=60,
        ).stdout  # fmt: skip

    def files(self) -> list[Path]:
        return sorted(self.journal.glob("*/live/*/*.jsonl"))

    def deliver(self, count: int) -> None:
        """Deliver until a number of messages has arrived."""
        with Deliverer(self.journal, "--host", self.collector.url) as deliverer:
            wait_until(lambda: len(self.collector.messages) >= count)
            self.assertEqual(deliverer.end(), 0, deliverer.stderr)


class TestScript(HandOverCase):
    def test_no_network(self) -> None:
        """A program that hands over imports neither requests nor sockets, also not at its end."""
        printed = self.run_script(
            f"""
import atexit
atexit._run_exitfuncs()
print(json.dumps([name for name in {NETWORK!r} if name in sys.modules]))
"""
        )
        self.assertEqual(json.loads(printed), [])

    def test_no_waiting(self) -> None:
        """The exit joins no thread of ours, and ends no wait but that for the lock."""
        printed = self.run_script(
            """
import atexit, threading
joined = []
threading.Thread.join = lambda self, timeout=None: joined.append(self.name)
atexit._run_exitfuncs()
logging.shutdown()
print(json.dumps(joined))
"""
        )
        self.assertEqual(json.loads(printed), [])

    def test_arrives(self) -> None:
        """A script that lives for a moment loses nothing, and leaves nothing behind."""
        self.run_script()
        with Deliverer(self.journal, "--host", self.collector.url):
            wait_until(lambda: len(self.collector.messages) >= 10)
            wait_until(lambda: not list(self.journal.glob("*/live/*")))
        self.assertEqual(numbers_in(self.collector), list(range(10)))

    def test_counts(self) -> None:
        """What is sealed counts as handed over, and the counts add up."""
        printed = self.run_script(
            """
from segment_logging import counts, drain
before = counts()
done = drain(0)
after = counts()
print(json.dumps([before.pending, before.handed_over, done, after.pending, after.handed_over,
                  after.accepted]))
"""
        )
        self.assertEqual(json.loads(printed), [10, 0, True, 0, 10, 10])


class TestFullDisk(HandOverCase):
    FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log(0)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
for number in range(1, 4): log(number)
"""

    def test_at_exit(self) -> None:
        """What the disk did not take until the exit is lost, and its number is reported."""
        with self.a_program(self.FULL) as program:
            program.end()
        self.assertIn("3 messages could not be written to the journal", program.stderr)
        self.deliver(1)
        self.assertEqual(numbers_in(self.collector), [0])

    def test_until_there_is_room(self) -> None:
        """What the disk did not take at first is written later, in order, without further calls."""
        with self.a_program(
            self.FULL
            + """
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(handler.drain(30), handler.counts().handed_over)
"""
        ) as program:
            self.assertEqual(program.end(), "True 4")
        self.deliver(4)
        self.assertEqual(numbers_in(self.collector), [0, 1, 2, 3])

    def test_an_invalid_event(self) -> None:
        """An event that is refused becomes a dead letter, as without `deliver=False`."""
        with self.a_program('logger.info("", extra={"user_id": "u-17"})') as program:
            program.end()
        letters = (self.journal / "dead-letters.jsonl").read_text().splitlines()
        self.assertEqual(len(letters), 1)


class TestKills(HandOverCase):
    def test_killed(self) -> None:
        """After `kill -9`, everything that was logged arrives, in order."""
        with self.a_program(
            "for number in range(1_000): log(number)\nprint('logged', flush=True)\ntime.sleep(60)"
        ) as program:
            program.read_line()
            program.kill()
        self.deliver(1_000)
        self.assertEqual(numbers_in(self.collector), list(range(1_000)))

    def test_stopped(self) -> None:
        """A stopped process delays its open file, loses nothing, and holds up nobody else."""
        with Program(
            "log(1)\nprint('logged', flush=True)\nsys.stdin.readline()\nlog(2)\nprint(2)",
            journal=self.journal, deliver=False, flush_interval=60,
        ) as program:  # fmt: skip
            program.read_line()
            os.kill(program._process.pid, signal.SIGSTOP)
            self.run_script()
            self.deliver(10)
            self.assertEqual(numbers_in(self.collector), list(range(10)))
            os.kill(program._process.pid, signal.SIGCONT)
            program.write_line()
            program.end()
        self.deliver(12)
        self.assertEqual(numbers_in(self.collector)[10:], [1, 2])

    def test_fork(self) -> None:
        """A child's events and its parent's arrive once, also while the child lives on."""
        with self.a_program(
            """
log(1)
if os.fork() == 0:
    log(2)
    print("logged", flush=True)
    time.sleep(60)
time.sleep(60)
"""
        ) as program:
            program.read_line()
            program.kill()
            self.deliver(2)
        self.assertEqual(sorted(numbers_in(self.collector)), [1, 2])

    def test_a_child_that_never_logs(self) -> None:
        """A child that inherits the handler and logs nothing does not keep its parent's files."""
        with self.a_program(
            """
log(1)
if os.fork() == 0:
    print("forked", flush=True)
    time.sleep(60)
os._exit(0)
"""
        ) as program:
            program.read_line()
            self.deliver(1)
        self.assertEqual(numbers_in(self.collector), [1])

    def test_a_child_without_hooks(self) -> None:
        """A child in which no fork hook ran does not unlock its parent's file."""
        with Program(
            """
from segment_logging._process import forks
log(1)
pipeline = handler._own.get()
forks._functions.clear()
if os.fork() == 0:
    pipeline.close()
    os._exit(0)
os.wait()
print(pipeline._outbox.handed_over, flush=True)
sys.stdin.readline()
""",
            journal=self.journal, deliver=False, flush_interval=60,
        ) as program:  # fmt: skip
            self.assertEqual(program.read_line(), "0")
            (path,) = self.files()
            with path.open("rb") as file, self.assertRaises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_going_back(self) -> None:
        """A handler that delivers for itself also delivers what was handed over."""
        self.run_script()
        deliver_journal(self.journal, self.collector.url)
        self.assertEqual(numbers_in(self.collector), list(range(10)))

    def test_both_at_once(self) -> None:
        """A handler that delivers and a deliverer share a journal, and nothing arrives twice."""
        with Deliverer(self.journal, "--host", self.collector.url):
            self.run_script()
            run_program(
                "for number in range(10, 200):\n    log(number)\n    time.sleep(0.005)",
                journal=self.journal, host=self.collector.url,
            )  # fmt: skip
            wait_until(lambda: len(self.collector.messages) >= 200)
        self.assertEqual(sorted(numbers_in(self.collector)), list(range(200)))


WRITER = """
number = 0
while True:
    number += 1
    log(f"{os.getpid()}:{number}")
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    if number % 50 == 0 and os.fork() == 0:
        time.sleep(0.3)
        os._exit(0)
    time.sleep(0.002)
"""


class TestStorm(HandOverCase):
    def test_nothing_is_lost(self) -> None:
        """Whoever is killed, and whenever, each event that was logged arrives, in order."""
        choose = random.Random(7)
        accepted: list[str] = []

        def a_writer() -> Program:
            return Program(WRITER, journal=self.journal, deliver=False, flush_interval=0.05)

        def a_deliverer() -> Deliverer:
            return Deliverer(self.journal, "--host", self.collector.url)

        writers, deliverers = [a_writer() for _ in range(2)], [a_deliverer() for _ in range(2)]
        for _ in range(12):
            time.sleep(choose.random())
            place = choose.randrange(2)
            if choose.random() < 0.5:
                deliverers[place].__exit__()
                deliverers[place] = a_deliverer()
            else:
                accepted += self.killed(writers[place])
                writers[place] = a_writer()
        for writer in writers:
            accepted += self.killed(writer)
        wait_until(lambda: set(accepted) <= set(numbers_in(self.collector)))
        for deliverer in deliverers:
            deliverer.__exit__()
        self.assert_in_order()

    def killed(self, writer: Program) -> list[str]:
        """Kill a writer, and return the events whose logging calls have returned."""
        writer.kill()
        assert writer._process.stdout is not None
        lines = writer._process.stdout.read().split("\n")[:-1]
        writer.__exit__(None, None, None)
        return [f"{writer._process.pid}:{line}" for line in lines]

    def assert_in_order(self) -> None:
        last: dict[str, int] = {}
        for number in dict.fromkeys(numbers_in(self.collector)):
            pid, _, count = number.partition(":")
            self.assertGreater(int(count), last.get(pid, 0))
            last[pid] = int(count)
