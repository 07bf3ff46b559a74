"""Tests for the journal with real processes, real kills and a real HTTP server."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from typing_extensions import override

import segment_logging
from segment_logging import SegmentHandler
from segment_logging.collector import Answer, Collector, Request

from ..builders import a_record
from ..servers import dead_host, mute_server
from .programs import WRITE_KEY, Program, deliver_journal, numbers_in, run_program

LOG_AND_WAIT = """
for number in range({count}):
    log(number)
print("logged", flush=True)
sys.stdin.readline()
"""


class Case(unittest.TestCase):
    """Base class with a directory for the journal and a collector."""

    @override
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.journal = Path(directory.name) / "journal"
        self.collector = Collector()
        self.addCleanup(self.collector.close)

    def kill_after(self, source: str, *, host: str) -> None:
        """Run a program, and kill it as soon as it prints its first line."""
        with Program(source, journal=self.journal, host=host) as program:
            self.assertEqual(program.read_line(), "logged")
            program.kill()

    def deliver(self) -> None:
        deliver_journal(self.journal, self.collector.url)

    def left(self) -> list[Path]:
        """Return everything in the journal's directory, at any depth."""
        return sorted(self.journal.rglob("*"))

    def file(self) -> Path:
        """Return the journal's only file."""
        (path,) = self.journal.glob("*/live/*/*.jsonl")
        return path


class KillTest(Case):
    """Processes that are ended by `kill -9`."""

    def test_right_after_the_calls(self) -> None:
        """After a kill, the next process delivers all 1,000 events once and in order."""
        self.kill_after(LOG_AND_WAIT.format(count=1_000), host=dead_host())
        self.deliver()
        self.assertEqual(numbers_in(self.collector), list(range(1_000)))

    def test_functions_for_all_handlers(self) -> None:
        """`drain` and `drain_async` with a time also deliver what a journal holds for a handler
        that has had no event."""
        for call in ("segment_logging.drain(30)", "asyncio.run(segment_logging.drain_async(30))"):
            with self.subTest(call):
                self.collector.clear()
                self.kill_after(LOG_AND_WAIT.format(count=3), host=dead_host())
                printed = run_program(
                    f"import asyncio, segment_logging\nprint({call})",
                    journal=self.journal,
                    host=self.collector.url,
                )
                self.assertEqual((printed, numbers_in(self.collector)), ("True", [0, 1, 2]))

    def test_right_after_each_of_the_first_calls(self) -> None:
        """The first event of a process survives a kill."""
        self.kill_after(LOG_AND_WAIT.format(count=1), host=dead_host())
        self.deliver()
        self.assertEqual(numbers_in(self.collector), [0])

    def test_in_the_middle_of_delivery(self) -> None:
        """After a kill during the second batch, only that batch may arrive twice."""
        answered, killed = threading.Event(), threading.Event()
        requests: list[int] = []

        def answer(request: Request) -> Answer | None:
            requests.append(request.message_count)
            if len(requests) == 1:
                return None
            answered.set()
            killed.wait(30)
            return None

        with Collector(answer=answer) as collector:
            program = Program(
                LOG_AND_WAIT.format(count=3_000),
                journal=self.journal,
                host=collector.url,
                flush_interval=0.5,
            )
            with program:
                self.assertEqual(program.read_line(), "logged")
                self.assertTrue(answered.wait(30))
                program.kill()
            killed.set()
            under_way = requests[1]
            deliver_journal(self.journal, collector.url)
            numbers = numbers_in(collector)
        self.assertEqual(set(numbers), set(range(3_000)))
        self.assertLessEqual(len(numbers), 3_000 + under_way)
        self.assertEqual(self.left(), [])

    def test_while_the_answer_is_on_its_way(self) -> None:
        """A batch whose answer never arrived is sent again with the same message ids."""
        with Collector(answer=lambda request: Answer(None)) as down:
            self.kill_after(LOG_AND_WAIT.format(count=10) + "sys.stdin.readline()", host=down.url)
            refused = [one.message["messageId"] for one in down.arrivals if one.message]
        self.deliver()
        ids = [message["messageId"] for message in self.collector.messages]
        self.assertEqual(len(ids), 10)
        self.assertLessEqual(set(refused), set(ids))

    def test_adopter_is_killed_as_well(self) -> None:
        """A process that is killed while it delivers another's events loses nothing."""
        self.kill_after(LOG_AND_WAIT.format(count=100), host=dead_host())
        self.kill_after("log(100)\n" + LOG_AND_WAIT.format(count=0), host=dead_host())
        self.deliver()
        self.assertEqual(sorted(numbers_in(self.collector)), list(range(101)))
        self.assertEqual(self.left(), [])


class OutageTest(Case):
    """Outages: Segment is down, refuses messages or hangs."""

    def test_five_thousand_events_outlast_it(self) -> None:
        """After an outage, the next process delivers all 5,000 events once and in order."""
        with Collector(answer=lambda request: 503) as down:
            run_program(
                "for number in range(5_000): log(number)",
                journal=self.journal,
                host=down.url,
                shutdown_timeout=0.5,
            )
        self.deliver()
        self.assertEqual(numbers_in(self.collector), list(range(5_000)))
        self.assertEqual(self.left(), [])

    def test_memory_stays_flat(self) -> None:
        """100,000 waiting events take less than 8 MB of memory, which is 80 bytes each."""
        source = """
def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

for number in range(1_000):
    log(number)
before = resident_bytes()
for number in range(100_000):
    log(number)
print(resident_bytes() - before, handler.counts().pending)
"""
        grown, pending = map(
            int,
            run_program(
                source, journal=self.journal, host=dead_host(), shutdown_timeout=0.1
            ).split(),
        )
        self.assertEqual(pending, 101_000)
        self.assertLess(grown, 8_000_000)

    def test_a_wrong_key_loses_nothing(self) -> None:
        """Messages that are answered with 401 stay in the journal until they can be delivered."""
        with Collector(answer=lambda request: 401) as refusing:
            run_program(
                "for number in range(100): log(number)",
                journal=self.journal,
                host=refusing.url,
                shutdown_timeout=0.5,
            )
        self.deliver()
        self.assertEqual(numbers_in(self.collector), list(range(100)))
        self.assertEqual(self.left(), [])

    def test_a_hanging_server_does_not_hold_the_exit(self) -> None:
        """If the server hangs, the exit takes at most `shutdown_timeout`, and nothing is lost."""
        with mute_server() as mute:
            source = "for number in range(100): log(number)\nprint('logged', flush=True)"
            program = Program(source, journal=self.journal, host=mute, shutdown_timeout=1)
            with program:
                program.read_line()
                began = time.monotonic()
                program.end()
                took = time.monotonic() - began
        self.assertLess(took, 2)
        self.deliver()
        self.assertEqual(numbers_in(self.collector), list(range(100)))

    def test_a_server_that_hangs_in_mid_request(self) -> None:
        """A request that is in progress when the process begins to exit does not delay it."""
        with mute_server() as mute:
            source = """
log(0)
while handler.counts().retried == 0 and not handler.drain(0.3):
    break
print("logged", flush=True)
"""
            program = Program(source, journal=self.journal, host=mute, shutdown_timeout=1)
            with program:
                program.read_line()
                began = time.monotonic()
                program.end()
                took = time.monotonic() - began
        self.assertLess(took, 2)
        self.deliver()
        self.assertEqual(numbers_in(self.collector), [0])

    def test_exit_is_over_when_everything_is_delivered(self) -> None:
        """A process that has delivered everything ends without waiting."""
        source = "log(0)\nassert handler.drain(10)\nprint('logged', flush=True)"
        program = Program(
            source, journal=self.journal, host=self.collector.url, shutdown_timeout=20
        )
        with program:
            program.read_line()
            began = time.monotonic()
            program.end()
            took = time.monotonic() - began
        self.assertLess(took, 5)
        self.assertEqual(self.left(), [])

    def test_a_process_without_events_delivers_what_is_left(self) -> None:
        """`drain` delivers the messages of dead processes even if no event was logged."""
        self.kill_after(LOG_AND_WAIT.format(count=3), host=dead_host())
        printed = run_program(
            "print(handler.drain(20), handler.counts().delivered)",
            journal=self.journal,
            host=self.collector.url,
        )
        self.assertEqual(printed, "True 3")

    def test_drain_while_others_die(self) -> None:
        """`drain` and `drain_async` with a time deliver messages of a process that has just died,
        although the handler has looked for such messages shortly before."""
        handler = SegmentHandler(WRITE_KEY, journal=self.journal, host=self.collector.url)
        self.addCleanup(handler.close)
        handler.handle(a_record(extra={"user_id": "u-17", "properties": {"number": 3}}))
        self.assertTrue(handler.drain(20))
        ways: tuple[Callable[[], bool], ...] = (
            lambda: handler.drain(20),
            lambda: segment_logging.drain(20),
            lambda: asyncio.run(segment_logging.drain_async(20)),
        )
        for drain in ways:
            self.collector.clear()
            self.kill_after(LOG_AND_WAIT.format(count=3), host=dead_host())
            self.assertTrue(drain())
            self.assertEqual(numbers_in(self.collector), [0, 1, 2])
            self.assertTrue(handler.drain(0))  # nothing is left, so it need not look

    def test_closed_in_an_outage_and_opened_again(self) -> None:
        """A handler that is closed in an outage and used again later delivers all messages."""
        source = """
log(0)
handler.close()
print("logged", flush=True)
sys.stdin.readline()
log(1)
print(handler.drain(20), handler.counts().pending)
"""
        back = threading.Event()
        with Collector(answer=lambda request: None if back.is_set() else 503) as collector:
            program = Program(
                source, journal=self.journal, host=collector.url, shutdown_timeout=0.2
            )
            with program:
                program.read_line()
                back.set()
                program.write_line()
                self.assertEqual(program.end(), "True 0")
            self.assertEqual(sorted(numbers_in(collector)), [0, 1])
        self.assertEqual(self.left(), [])


class DamageTest(Case):
    """Files that are damaged by a crash or a broken disk, and full disks."""

    def test_each_damaged_line_costs_one_event(self) -> None:
        """A corrupt line and a torn last line lose one event each and are quarantined."""
        self.kill_after(LOG_AND_WAIT.format(count=10), host=dead_host())
        file = self.file()
        lines = file.read_bytes().splitlines(keepends=True)
        lines[4] = b"\x00\xff" * (len(lines[4]) // 2) + b"\n"
        lines[9] = lines[9][: len(lines[9]) // 2]
        file.write_bytes(b"".join(lines))
        self.deliver()
        self.assertEqual(numbers_in(self.collector), [0, 1, 2, 3, 5, 6, 7, 8])
        quarantine = self.journal / "quarantine" / "damaged-lines"
        self.assertEqual(quarantine.read_bytes(), lines[4] + lines[9] + b"\n")

    def test_a_full_disk_costs_nothing(self) -> None:
        """If the disk is full, further events are kept in memory, and each is delivered once."""
        source = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 3_000))
for number in range(200):
    log(number)
counts = handler.counts()
assert counts.dropped == 0, counts
print(handler.drain(20))
"""
        with Program(source, journal=self.journal, host=self.collector.url) as program:
            self.assertEqual(program.end(), "True")
        self.assertIn("cannot be written to", program.stderr)
        self.assertEqual(sorted(numbers_in(self.collector)), list(range(200)))
        self.assertEqual(self.left(), [])

    def test_what_a_full_disk_took_survives_a_kill(self) -> None:
        """If a process is killed while its disk is full, all events in its journal are intact."""
        source = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 3_000))
for number in range(200):
    log(number)
print("logged", flush=True)
sys.stdin.readline()
"""
        self.kill_after(source, host=dead_host())
        whole = sum(
            file.read_bytes().count(b"\n") for file in self.journal.glob("*/live/*/*.jsonl")
        )
        self.assertGreater(whole, 0)
        self.deliver()
        self.assertEqual(numbers_in(self.collector), list(range(whole)))
        self.assertFalse((self.journal / "quarantine").exists())


class SharingTest(Case):
    """Several processes that share one directory."""

    def test_four_processes(self) -> None:
        """Each of four processes delivers its 500 events once and in order."""
        source = """
sys.stdin.readline()
for number in range(500):
    log([os.getpid(), number])
assert handler.drain(30)
"""
        programs = [
            Program(source, journal=self.journal, host=self.collector.url) for _ in range(4)
        ]
        for program in programs:
            program.write_line()
        for program in programs:
            with program:
                program.end()
        numbers = numbers_in(self.collector)
        self.assertEqual(len(numbers), 2_000)
        by_process: dict[int, list[int]] = {}
        for pid, number in numbers:
            by_process.setdefault(pid, []).append(number)
        self.assertEqual(list(by_process.values()), [list(range(500))] * 4)
        self.assertEqual(self.left(), [])

    def test_drain_while_another_sends(self) -> None:
        """`drain` waits for what another process is sending, and takes over if that one dies."""
        for ends in ("lives", "dies"):
            with self.subTest(ends):
                asked, go_on = threading.Event(), threading.Event()

                def wait(
                    request: Request, asked: threading.Event = asked, go: threading.Event = go_on
                ) -> None:
                    asked.set()
                    go.wait(20)

                self.kill_after(LOG_AND_WAIT.format(count=3), host=dead_host())
                with Collector(answer=wait) as collector:
                    options: dict[str, Any] = {"journal": self.journal, "host": collector.url}
                    handler = SegmentHandler(WRITE_KEY, **options)
                    with Program("handler.drain(30)", **options) as program:
                        self.assertTrue(asked.wait(20))
                        self.assertFalse(handler.drain(0.3))
                        self.assertEqual(handler.counts().accepted, 0)
                        self.assertFalse(asyncio.run(segment_logging.drain_async(0.3)))
                        if ends == "dies":
                            program.kill()
                        go_on.set()
                        self.assertTrue(handler.drain(20))
                        if ends == "lives":
                            program.end()
                    self.assertEqual(set(numbers_in(collector)), {0, 1, 2})
                    self.assertEqual(handler.counts().delivered, 3 * (ends == "dies"))
                    handler.close()
                self.assertEqual(self.left(), [])

    def test_many_adopters_at_once(self) -> None:
        """Messages of dead processes arrive once, even if several processes start together."""
        for first in range(0, 60, 20):
            self.kill_after(
                f"for number in range({first}, {first + 20}): log(number)\n"
                + LOG_AND_WAIT.format(count=0),
                host=dead_host(),
            )
        source = "sys.stdin.readline()\nprint(json.dumps(handler.drain(30)))"
        programs = [
            Program(source, journal=self.journal, host=self.collector.url) for _ in range(4)
        ]
        for program in programs:
            program.write_line()
        for program in programs:
            with program:
                self.assertTrue(json.loads(program.end()))
        self.assertEqual(sorted(numbers_in(self.collector)), list(range(60)))
        self.assertEqual(self.left(), [])

    def test_a_sibling_that_lives_adopts(self) -> None:
        """A running process delivers the messages of a killed sibling."""
        with Program(
            "from segment_logging._queues.journal import upkeep\n"
            "upkeep.LOOK_AROUND_EVERY = 0.5\n"
            "log(0)\nassert handler.drain(10)\nprint('logged', flush=True)\nsys.stdin.readline()\n",
            journal=self.journal,
            host=self.collector.url,
        ) as sibling:
            sibling.read_line()
            self.kill_after("log(1)\n" + LOG_AND_WAIT.format(count=0), host=dead_host())
            self.assertTrue(self.collector.wait_for(2, timeout=20))
            sibling.write_line()
            sibling.end()
        self.assertEqual(numbers_in(self.collector), [0, 1])
        self.assertEqual(self.left(), [])

    def test_a_killed_parent_with_a_living_child(self) -> None:
        """A killed process's messages are delivered even if its forked child is still alive."""
        source = """
log(0)
told, tell = os.pipe()
child = os.fork()
if child == 0:
    os.write(tell, b"!")
    sys.stdin.readline()
    os._exit(0)
os.read(told, 1)
print("logged", flush=True)
os.waitpid(child, 0)
"""
        with Program(source, journal=self.journal, host=dead_host()) as program:
            program.read_line()
            program.kill()
            self.deliver()
            self.assertEqual(numbers_in(self.collector), [0])


if os.name != "posix":
    del KillTest, SharingTest
