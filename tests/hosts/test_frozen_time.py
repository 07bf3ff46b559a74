"""Tests with freezegun and time-machine: waits use real time, and timestamps the frozen time."""

from __future__ import annotations

import socket
import unittest
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import NamedTuple

from segment_logging.collector import Answer, Collector

from ..faults.subprocesses import SETUP, Done, arrived, repeated_ids, run
from .serving import has

FREEZEGUN = "import freezegun; freezer = freezegun.freeze_time('2020-01-02 03:04:05'{})\n"
TIME_MACHINE = "import time_machine; freezer = time_machine.travel('2020-01-02T03:04:05Z'{})\n"

FREEZERS = {
    "freezegun": FREEZEGUN.format(""),
    "freezegun, ticking": FREEZEGUN.format(", tick=True"),
    "freezegun, an hour a call": FREEZEGUN.format(", auto_tick_seconds=3600"),
    "time-machine": TIME_MACHINE.format(", tick=False"),
    "time-machine, ticking": TIME_MACHINE.format(", tick=True"),
}
"""Statements that create an object whose `start` sets the clock to January 2020."""

MOVING = "freezegun, an hour a call"
STOPPED = ("freezegun", "time-machine")

START = "clock = freezer.start()\n"

REAL = """
def real():
    return time.clock_gettime(time.CLOCK_MONOTONIC)  # which neither library replaces

"""


class Way(NamedTuple):
    """A way to freeze time.

    Attributes:
        freezer: a key of `FREEZERS`.
        when: whether time is frozen before or after this package is imported.
    """

    freezer: str
    when: str = "after"


EVERY_WAY = tuple(Way(*way) for way in product(FREEZERS, ("before", "after")))
SOME_WAYS = (Way("freezegun", "before"), Way(MOVING), Way("time-machine"))


class Ran(NamedTuple):
    """How a program ended, and the collector for its events."""

    way: Way
    done: Done
    collector: Collector


@unittest.skipUnless(has("freezegun", "time_machine"), "needs freezegun and time-machine")
class TestFrozenTime(unittest.TestCase):
    """Programs that freeze time. `run` fails if one of them has a wait that does not end."""

    def run_each(
        self,
        program: str,
        ways: Iterable[Way] = SOME_WAYS,
        *,
        answers: Iterable[Answer | int] = (),
        is_up: bool = True,
        start: str = START,
    ) -> list[Ran]:
        """Run a program in several ways at the same time.

        Args:
            program: the program, which can call `real` for the real time.
            ways: the ways to freeze time.
            answers: the answers to the first requests of each program.
            is_up: if False, nothing listens on the port that events are sent to.
            start: code that freezes the time.
        """

        def run_one(way: Way) -> Ran:
            collector = Collector(answer=list(answers))
            self.addCleanup(collector.close)
            freeze = FREEZERS[way.freezer] + start
            setup = freeze + SETUP if way.when == "before" else SETUP + freeze
            host = collector.url if is_up else self.dead_host()
            return Ran(way, run(program, host, setup=setup + REAL), collector)

        with ThreadPoolExecutor(5) as pool:
            return list(pool.map(run_one, ways))

    def dead_host(self) -> str:
        """Return a host that refuses connections. No other test can get its port meanwhile."""
        bound = socket.socket()  # connections are refused, because it does not listen
        self.addCleanup(bound.close)
        bound.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{bound.getsockname()[1]}"

    def assert_arrived(self, ran: Ran, **events: int) -> None:
        self.assertEqual(ran.done.status, 0, ran.done.stderr)
        self.assertEqual(dict(arrived(ran.collector)), events, ran.done.stderr)
        self.assertEqual(repeated_ids(ran.collector), [])

    def test_delivery(self) -> None:
        """Drain, flush, close and exit deliver, and timestamps are in the frozen time."""
        for ran in self.run_each(
            "handler = attach(flush_interval=30)\n"
            "log('Drained'); assert handler.drain(20)\n"
            "log('Flushed'); handler.flush(); assert not handler.counts().pending\n"
            "log('Closed'); handler.close(); assert not handler.counts().pending\n"
            "log('Left')",
            EVERY_WAY,
        ):
            with self.subTest(ran.way):
                self.assert_arrived(ran, Drained=1, Flushed=1, Closed=1, Left=1)
                self.assertEqual(ran.done.stderr, "")
                begins = "2020-" if ran.way.freezer == MOVING else "2020-01-02T03:0"
                for message in ran.collector.messages:
                    self.assertTrue(message["timestamp"].startswith(begins), message)
                for request in ran.collector.requests:  # Segment corrects clocks with this
                    self.assertTrue(request.sent_at.startswith(begins), request.sent_at)

    def test_flush_interval(self) -> None:
        """Events are sent after `flush_interval`, also from a journal."""
        for ran in self.run_each(
            "handler = attach(flush_interval=0.1, journal='journal')\n"
            "log('Sent')\n"
            "while handler.counts().pending: time.sleep(0.01)\n"
            "log('Sent')\n"
            "while handler.counts().pending: time.sleep(0.01)"
        ):
            with self.subTest(ran.way):
                self.assert_arrived(ran, Sent=2)

    def test_no_network(self) -> None:
        """If the network is down, drain, flush, close and exit end after their time limits."""
        for ran in self.run_each(
            "handler = attach(shutdown_timeout=0.3)\n"
            "log('Lost')\n"
            "began = real(); assert not handler.drain(0.3); drained = real()\n"
            "handler.flush(); flushed = real()\n"
            "log('Lost'); handler.close()\n"
            "print(json.dumps([drained - began, flushed - drained]))\n"
            "log('Lost')",
            EVERY_WAY,
            is_up=False,
        ):
            with self.subTest(ran.way):
                self.assertEqual(ran.done.status, 0, ran.done.stderr)
                self.assertIn(
                    "3 messages were not delivered before the process ended", ran.done.stderr
                )
                for seconds in ran.done.json:
                    self.assertGreater(seconds, 0.25)

    def test_retries(self) -> None:
        """The waits between attempts take as long as they do without frozen time."""
        for ran in self.run_each(
            "handler = attach()\n"
            "log('Sent'); began = real()\n"
            "assert handler.drain(20)\n"
            "print(real() - began)",
            answers=[503, 503],
        ):
            with self.subTest(ran.way):
                self.assert_arrived(ran, Sent=1)
                self.assertEqual([one.retry_count for one in ran.collector.requests], [None, 1, 2])
                self.assertGreater(ran.done.json, 0.45)

    def test_retry_after(self) -> None:
        """The wait for a Retry-After takes real seconds."""
        for ran in self.run_each(
            "handler = attach()\n"
            "log('Sent'); began = real()\n"
            "assert handler.drain(20)\n"
            "print(real() - began)",
            answers=[Answer(429, {"Retry-After": "1"})],
        ):
            with self.subTest(ran.way):
                self.assert_arrived(ran, Sent=1)
                self.assertGreater(ran.done.json, 0.95)

    def test_blocking(self) -> None:
        """If the queue is full, a call with `overflow="block"` waits for `block_timeout`."""
        for ran in self.run_each(
            "handler = attach(\n"
            "    max_queue_messages=1, overflow='block', block_timeout=0.3, shutdown_timeout=0.1\n"
            ")\n"
            "log('Lost'); began = real(); log('Lost')\n"
            "print(real() - began)",
            is_up=False,
        ):
            with self.subTest(ran.way):
                self.assertEqual(ran.done.status, 0, ran.done.stderr)
                self.assertGreater(ran.done.json, 0.25)

    def test_clock_that_is_moved(self) -> None:
        """Moving the clock by years, in either direction, does not end or prolong a wait."""
        for ran in self.run_each(
            "handler = attach(flush_interval=30)\n"
            "log('Now')\n"
            "mover = threading.Timer(0.1, clock.move_to, ['1999-01-01T00:00:00Z'])\n"
            "mover.start(); began = real(); assert handler.drain(20); drained = real() - began\n"
            "mover.join()\n"
            "log('Past'); clock.move_to('2031-01-01T00:00:00Z'); assert handler.drain(20)\n"
            "print(drained)",
            [Way(freezer) for freezer in STOPPED],
            answers=[503, 503],
        ):
            with self.subTest(ran.way):
                self.assert_arrived(ran, Now=1, Past=1)
                self.assertGreater(ran.done.json, 0.45)
                years = [message["timestamp"][:4] for message in ran.collector.messages]
                self.assertEqual(years, ["2020", "1999"])

    def test_freeze_in_the_middle(self) -> None:
        """A freeze may begin and end while the delivery thread is running."""
        for ran in self.run_each(
            "handler = attach(flush_interval=0.05)\n"
            "log('Before'); assert handler.drain(20)\n"
            "clock = freezer.start()\n"
            "log('Within'); assert handler.drain(20); log('Within')\n"
            "freezer.stop()\n"
            "log('After')",
            start="",
        ):
            with self.subTest(ran.way):
                self.assert_arrived(ran, Before=1, Within=2, After=1)
                for message in ran.collector.messages:
                    is_frozen = message["timestamp"].startswith("2020-")
                    self.assertEqual(is_frozen, message["event"] == "Within", message)

    def test_import_in_a_freeze_that_ends(self) -> None:
        """After a freeze in which the package was imported, timestamps are real again."""
        for ran in self.run_each(
            "freezer.stop()\n"
            "handler = attach(dead_letters='dead.jsonl')\n"
            "log('Real'); assert handler.drain(20)",
            [Way(freezer, "before") for freezer in STOPPED],
        ):
            with self.subTest(ran.way):
                self.assert_arrived(ran, Real=1)
                self.assertGreater(ran.collector.messages[0]["timestamp"], "2025")

    def test_fork(self) -> None:
        """A forked child delivers its events in frozen time."""
        for ran in self.run_each(
            "attach(flush_interval=30); log('Parent')\n"
            "pid = os.fork()\n"
            "if pid == 0: log('Child'); sys.exit(0)\n"
            "assert os.waitpid(pid, 0)[1] == 0",
            [Way(freezer) for freezer in STOPPED],
        ):
            with self.subTest(ran.way):
                self.assert_arrived(ran, Parent=1, Child=1)

    def test_coroutines(self) -> None:
        """`drain_async` ends under asyncio and trio, whether or not the network is up."""
        calls = {"asyncio": "asyncio.run(main())"}
        if has("trio"):
            calls["trio"] = "trio.run(main)"
        for (library, call), (is_up, limit) in product(calls.items(), ((True, 20), (False, 0.3))):
            for ran in self.run_each(
                f"import {library}, segment_logging\n"
                "attach(flush_interval=30, shutdown_timeout=0.1)\n"
                "log('Sent')\n"
                f"async def main(): return await segment_logging.drain_async({limit})\n"
                f"print({call})",
                [Way("freezegun")],
                is_up=is_up,
            ):
                with self.subTest(library=library, is_up=is_up):
                    self.assertEqual(ran.done.stdout, f"{is_up}\n", ran.done.stderr)
                    self.assertEqual(len(ran.collector.messages), is_up)

    @unittest.skipUnless(has("starlette", "httpx"), "needs starlette and httpx")
    def test_lifespan(self) -> None:
        """An ASGI application that is tested in frozen time can be shut down."""
        for ran in self.run_each(
            "from starlette.applications import Starlette\n"
            "from starlette.testclient import TestClient\n"
            "from segment_logging.contrib.asgi import SegmentMiddleware\n"
            "attach(flush_interval=30)\n"
            "with TestClient(SegmentMiddleware(Starlette())):\n"
            "    log('Sent')\n"
            "print(logger.handlers[0].counts().delivered)",
            [Way(freezer) for freezer in STOPPED],
        ):
            with self.subTest(ran.way):
                self.assertEqual(ran.done.stdout, "1\n", ran.done.stderr)
                self.assert_arrived(ran, Sent=1)


if __name__ == "__main__":
    unittest.main()
