"""Tests with gevent and eventlet, which replace threads, locks and waits with green ones.

A program may patch the standard library at any moment, even after the package was imported or has
started its thread. The handlers have a long `flush_interval`, so events are sent only when the
program requests it or exits.
"""

from __future__ import annotations

import subprocess
import sys
import unittest
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from ..faults.subprocesses import SETUP, Done, run
from .serving import HostTest, needs
from .test_gunicorn import APPLICATION, IN_CONFIG, GunicornTest, visit_until_replaced

ATTACH = "handler = attach(flush_interval=30)\n"
WITH_JOURNAL = "handler = attach(flush_interval=30, journal='journal')\n"

ALL_WAYS = """
turns = []
spawn(turns.append, "another greenlet")
log("Drained", 3)
print(handler.drain(10), turns)
log("Flushed", 3)
handler.flush()
print(handler.counts().pending)
log("Closed", 3)
handler.close()
print(handler.counts().pending)
log("At the end", 3)
"""
"""A program that delivers events in every way, the last of which is its exit."""

DELIVERED_IN_ALL_WAYS = {"Drained": 3, "Flushed": 3, "Closed": 3, "At the end": 3}


MOMENTS = {
    "before the import": "{patch}{setup}{attach}",
    "after the handler": "{setup}{attach}{patch}",
    "after an event": "{setup}{attach}log('Early', 2)\n{patch}",
    "after a delivery": "{setup}{attach}log('Early', 2)\nhandler.flush()\n{patch}",
    "after a close": "{setup}{attach}log('Early', 2)\nhandler.close()\n{patch}",
}
"""When a program patches the standard library, and how it then begins."""


if TYPE_CHECKING:
    _Mixin = HostTest
else:
    _Mixin = object


class GreenTests(_Mixin):
    """Tests with programs that patch the standard library.

    Attributes:
        patch: the code that does so, and that defines `spawn(function, *arguments)`, which starts
            a greenlet, and `wait_for(greenlet)`.
    """

    patch: ClassVar[str]

    def run_green(
        self, program: str, moment: str = "before the import", *, attach: str = ATTACH
    ) -> Done:
        """Run a program that attaches a handler and patches, and then does the rest.

        Args:
            program: the rest.
            moment: when it patches.
            attach: the code that attaches the handler.
        """
        self.start_over()
        start = MOMENTS[moment].format(patch=self.patch, setup=SETUP, attach=attach)
        return run(start + program, self.collector.url, setup="", PYTHONWARNINGS="ignore")

    def assert_all_arrive(self, done: Done, moment: str, **events: int) -> None:
        """Assert that each event arrived so many times, and that the program wrote nothing."""
        early = {"Early": 2} if "Early" in MOMENTS[moment] else {}
        self.assert_arrived(done, **early, **events)
        self.assertEqual(done.stderr, "")

    def test_all_ways(self) -> None:
        """Events are delivered in every way, whenever it patches, and greenlets still run."""
        for moment in ("before the import", "after the handler", "after a delivery"):
            with self.subTest(moment):
                done = self.run_green(ALL_WAYS, moment)
                self.assertEqual(done.stdout, "True ['another greenlet']\n0\n0\n", done.stderr)
                self.assert_all_arrive(done, moment, **DELIVERED_IN_ALL_WAYS)

    def assert_delivers_at_exit(self, *moments: str, attach: str = ATTACH) -> None:
        for moment in moments:
            with self.subTest(moment):
                done = self.run_green("log('Event', 3)\nsys.exit(3)\n", moment, attach=attach)
                self.assert_all_arrive(done, moment, Event=3)
                self.assertEqual(done.status, 3)

    def test_exit(self) -> None:
        """An exit delivers all events, even if nothing was sent before."""
        self.assert_delivers_at_exit("before the import", "after an event")

    def test_journal(self) -> None:
        """An exit delivers all events from a journal."""
        self.assert_delivers_at_exit("after a delivery", "after a close", attach=WITH_JOURNAL)

    def test_handing_over(self) -> None:
        """With `deliver=False`, events are handed over, whenever it patches."""
        for moment in ("before the import", "after an event"):
            with self.subTest(moment):
                done = self.run_green(
                    "log('Event', 3)\nprint(handler.drain(10), handler.counts().pending)\n",
                    moment,
                    attach="handler = attach(journal='journal', deliver=False)\n",
                )
                self.assertEqual((done.stdout, done.stderr), ("True 0\n", ""))

    def test_many_greenlets(self) -> None:
        """With overflow="block", greenlets wait for room in the queue without blocking others."""
        done = self.run_green(
            "for greenlet in [spawn(log, 'Event', 5) for _ in range(100)]: wait_for(greenlet)\n",
            attach="attach(max_queue_messages=10, overflow='block', block_timeout=30)\n",
        )
        self.assert_all_arrive(done, "before the import", Event=500)

    def test_sigterm(self) -> None:
        """With `exit_on_sigterm`, SIGTERM delivers all events."""
        done = self.run_green(
            "from segment_logging import exit_on_sigterm\n"
            "exit_on_sigterm()\n"
            "log('Event', 3)\n"
            "spawn(os.kill, os.getpid(), signal.SIGTERM)\n"
            "time.sleep(30)\n"
        )
        self.assert_arrived(done, Event=3)
        self.assertEqual(done.status, 143, done.stderr)


@needs("gevent")
class TestGevent(GreenTests, HostTest):
    patch = (
        "from gevent import monkey, spawn\n"
        "monkey.patch_all()\n"
        "wait_for = lambda greenlet: greenlet.join()\n"
    )


@needs("eventlet")
class TestEventlet(GreenTests, HostTest):
    patch = (
        "import eventlet\n"
        "eventlet.monkey_patch()\n"
        "from eventlet import spawn\n"
        "wait_for = lambda greenlet: greenlet.wait()\n"
    )


@needs("gunicorn", "gevent")
class TestGunicornWithGevent(GunicornTest):
    """gunicorn patches in each worker, after the fork."""

    def test_stopped(self) -> None:
        """All events arrive when gunicorn is stopped, with `--preload` and without."""
        for options in ((), ("--preload",)):
            with self.subTest(options):
                self.assert_all_arrive("-k=gevent", *options)

    def test_handler_in_configuration(self) -> None:
        """A handler that `logconfig_dict` attaches in the master works in the workers."""
        self.assert_all_arrive("-k=gevent", "-c=program.py", attach=IN_CONFIG, loaded=0)

    def test_worker_that_is_replaced(self) -> None:
        """A worker that has answered `--max-requests` requests delivers before it ends."""
        self.assert_all_arrive(
            "-k=gevent", "--preload", "--max-requests=5", visit=visit_until_replaced
        )


@needs("gunicorn", "eventlet", "gunicorn.workers.geventlet")
class TestGunicornWithEventlet(GunicornTest):
    """Older versions of gunicorn have a worker class for eventlet."""

    def test_stopped(self) -> None:
        """All events arrive when gunicorn is stopped, with `--preload` and without."""
        for options in ((), ("--preload",)):
            with self.subTest(options):
                self.assert_all_arrive("-k=eventlet", *options)

    def test_handler_in_configuration(self) -> None:
        """A handler that `logconfig_dict` attaches in the master works in the workers."""
        self.assert_all_arrive("-k=eventlet", "-c=program.py", attach=IN_CONFIG, loaded=0)


UWSGI = Path(sys.executable).with_name("uwsgi")


@needs("gevent")
class TestUwsgiWithGevent(HostTest):
    """With gevent, uWSGI's workers run none of Python's exit functions."""

    @override
    @classmethod
    def setUpClass(cls) -> None:
        if not UWSGI.exists():
            raise unittest.SkipTest("needs uWSGI, which pip builds with a C compiler")
        said = subprocess.run((UWSGI, "--plugin-list"), capture_output=True, text=True, check=False)
        if "gevent" not in said.stdout + said.stderr:
            raise unittest.SkipTest("needs uWSGI with its gevent plugin")

    def serve_with_uwsgi(self, program: str, options: Iterable[str] = ()) -> Done:
        """Have a worker answer requests, and stop uWSGI."""
        start = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"
        command = (
            "-c", start, str(UWSGI), "--http-socket=127.0.0.1:PORT", "--wsgi-file=program.py",
            "--master", "--die-on-term", "--lazy-apps", "--gevent=10", *options,
        )  # fmt: skip
        return self.serve(APPLICATION.format(attach=program), command)

    def test_stopped(self) -> None:
        """All events arrive when uWSGI is stopped, whenever it patches."""
        for option in ("--gevent-monkey-patch", "--gevent-early-monkey-patch"):
            with self.subTest(option):
                self.start_over()
                done = self.serve_with_uwsgi(ATTACH, (option,))
                self.assert_arrived(done, Request=12)
                self.assertNotIn("segment_logging:", done.stderr)

    def test_exit_function_of_the_program(self) -> None:
        """The program's `uwsgi.atexit` is still called, and may log."""
        done = self.serve_with_uwsgi(
            f"import uwsgi\nuwsgi.atexit = lambda: log('At the end')\n{ATTACH}",
            ("--gevent-monkey-patch",),
        )
        self.assert_arrived(done, **{"Request": 12, "At the end": 1})


if __name__ == "__main__":
    unittest.main()
