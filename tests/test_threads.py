"""At most one thread, which can always be started again."""

from __future__ import annotations

import io
import unittest
from collections.abc import Callable
from contextlib import redirect_stderr
from threading import Event, get_ident

from typing_extensions import override

from segment_logging.threads import OneThread, own_threads


class TestOneThread(unittest.TestCase):
    """Runs a loop that notes what it does."""

    @override
    def setUp(self) -> None:
        self.began: list[int] = []
        self.ended = 0
        self.runs: list[bool] = []
        self.come = Event()
        self.go = Event()
        self.addCleanup(self.go.set)

    def one(
        self, *begins: BaseException | None, loop: Callable[[], None] | None = None
    ) -> OneThread:
        failures = list(begins)

        def on_begin() -> None:
            self.began.append(get_ident())
            failure = failures.pop(0) if failures else None
            if failure is not None:
                raise failure

        def on_end() -> None:
            self.ended += 1

        def wait_for_go() -> None:
            self.runs.append(get_ident() in own_threads)
            self.come.set()
            self.go.wait(10)
            one.end()

        one = OneThread(loop or wait_for_go, on_begin=on_begin, on_end=on_end)
        return one

    def test_one_at_a_time(self) -> None:
        """While it runs, `start` does nothing; it is known as one of ours."""
        one = self.one()
        one.start()
        self.assertTrue(self.come.wait(10))
        one.start()
        self.assertTrue(one.is_running)
        self.assertEqual(self.runs, [True])

    def test_cannot_be_started(self) -> None:
        """Where no thread can be started, this is reported once, and the next try is not lost."""
        one = self.one(RuntimeError("can't start new thread"), RuntimeError())
        with redirect_stderr(io.StringIO()) as stderr:
            one.start()
            one.start()
        self.assertEqual(stderr.getvalue().count("no thread can be started"), 1)
        self.assertEqual((one.is_running, self.ended), (False, 2))
        one.start()
        self.assertTrue(self.come.wait(10))

    def test_interrupted(self) -> None:
        """A signal handler that raises in the middle of `start` leaves it as it was."""
        one = self.one(KeyboardInterrupt())
        with self.assertRaises(KeyboardInterrupt):
            one.start()
        self.assertEqual((one.is_running, self.ended), (False, 1))
        one.start()
        self.assertTrue(self.come.wait(10))

    def test_here(self) -> None:
        """`run_here` runs it in the calling thread, which then is itself again."""
        prepared: list[int] = []
        self.go.set()
        one = self.one()
        one.run_here(lambda: prepared.append(1))
        self.assertEqual((self.runs, prepared, one.is_running), ([True], [1], False))
        self.assertNotIn(get_ident(), own_threads)

    def test_here_interrupted(self) -> None:
        """Nor does an exception on the way there."""
        one = self.one(KeyboardInterrupt())
        with self.assertRaises(KeyboardInterrupt):
            one.run_here(lambda: None)
        self.assertFalse(one.is_running)

    def test_loop_raises(self) -> None:
        """A loop that raises is over, and another may be started."""

        def fail() -> None:
            raise SystemExit

        one = self.one(loop=fail)
        with self.assertRaises(SystemExit):
            one.run_here(lambda: None)
        self.assertEqual((one.is_running, self.ended), (False, 1))

    def test_resume(self) -> None:
        """After `end` it may go on, unless another has begun."""
        one = self.one()
        one.end()
        self.assertTrue(one.resume())
        self.assertFalse(one.resume())
        one.end()


if __name__ == "__main__":
    unittest.main()
