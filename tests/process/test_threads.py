"""Tests for OneThread, which runs at most one thread and can always start it again."""

from __future__ import annotations

import io
import threading
import unittest
from collections.abc import Callable
from contextlib import redirect_stderr
from contextvars import ContextVar
from typing import Any
from unittest import mock

from typing_extensions import override

from segment_logging._process.threads import OneThread, start_daemon

from .. import needs


class TestOneThread(unittest.TestCase):
    """OneThread with a loop that records where it ran and waits."""

    @override
    def setUp(self) -> None:
        self.ended = 0
        self.ran_in: list[int] = []
        self.come = threading.Event()
        self.go = threading.Event()
        self.addCleanup(self.go.set)

    def one(self, loop: Callable[[], None] | None = None) -> OneThread:
        def on_end() -> None:
            self.ended += 1

        def wait_for_go() -> None:
            self.ran_in.append(threading.get_ident())
            self.come.set()
            self.go.wait(10)
            one.end()

        one = OneThread(loop or wait_for_go, on_end=on_end)
        return one

    def starting(self, *failures: BaseException) -> Any:
        """Make threads fail to start with these exceptions, one after the other."""
        return mock.patch.object(threading.Thread, "start", side_effect=failures)

    @needs.threads
    def test_one_at_a_time(self) -> None:
        """While the thread is running, `start` does nothing."""
        one = self.one()
        one.start()
        self.assertTrue(self.come.wait(10))
        one.start()
        self.assertTrue(one.is_running)
        self.assertEqual(len(self.ran_in), 1)

    @needs.threads
    def test_cannot_be_started(self) -> None:
        """If no thread can be started, this is reported once, and `start` can be tried again."""
        one = self.one()
        with (
            redirect_stderr(io.StringIO()) as stderr,
            self.starting(RuntimeError("can't start new thread"), RuntimeError()),
        ):
            one.start()
            one.start()
        self.assertEqual(stderr.getvalue().count("no thread can be started"), 1)
        self.assertEqual((one.is_running, self.ended), (False, 2))
        one.start()
        self.assertTrue(self.come.wait(10))

    @needs.threads
    def test_interrupted(self) -> None:
        """If a signal handler raises during `start`, `start` can be called again."""
        one = self.one()
        with self.assertRaises(KeyboardInterrupt), self.starting(KeyboardInterrupt()):
            one.start()
        self.assertEqual((one.is_running, self.ended), (False, 1))
        one.start()
        self.assertTrue(self.come.wait(10))

    def test_here(self) -> None:
        """`run_here` runs the loop in the calling thread."""
        self.go.set()
        one = self.one()
        one.run_here()
        self.assertEqual((self.ran_in, one.is_running), ([threading.get_ident()], False))

    @needs.threads
    def test_here_while_it_runs(self) -> None:
        """If a thread is already running the loop, `run_here` does nothing."""
        one = self.one()
        one.start()
        self.assertTrue(self.come.wait(10))
        one.run_here()
        self.assertEqual(len(self.ran_in), 1)

    def test_loop_raises(self) -> None:
        """After its loop raises, a thread has ended, and another one may be started."""

        def fail() -> None:
            raise SystemExit

        one = self.one(loop=fail)
        with self.assertRaises(SystemExit):
            one.run_here()
        self.assertEqual((one.is_running, self.ended), (False, 1))

    def test_resume(self) -> None:
        """After `end`, the thread may resume, unless another one has started."""
        one = self.one()
        one.end()
        self.assertTrue(one.resume())
        self.assertFalse(one.resume())
        one.end()


class TestDaemon(unittest.TestCase):
    def test_empty_context(self) -> None:
        """A thread does not inherit the request, trace or scope of the code that starts it."""
        request = ContextVar("request", default="nobody's")
        token = request.set("r-1")
        seen: list[str] = []
        start_daemon(lambda: seen.append(request.get()), "test").join(10)
        request.reset(token)
        self.assertEqual(seen, ["nobody's"])


if __name__ == "__main__":
    unittest.main()
