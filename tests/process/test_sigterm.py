"""Tests for when `exit_on_sigterm` takes the signal, and for where its handler may interrupt."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import unittest
from contextlib import redirect_stderr
from types import FrameType
from typing import Any
from unittest.mock import patch

from typing_extensions import override

from segment_logging import exit_on_sigterm
from segment_logging._process import shutdown, sigterm
from segment_logging._reports import Reporter
from tests import needs


@needs.threads
class TestInstalling(unittest.TestCase):
    """When `exit_on_sigterm` takes the signal, in the process of the test."""

    @override
    def setUp(self) -> None:
        before = signal.getsignal(signal.SIGTERM)
        self.addCleanup(signal.signal, signal.SIGTERM, before)

    def after(self, before: Any) -> Any:
        """Return the handler after `exit_on_sigterm` with this handler before."""
        signal.signal(signal.SIGTERM, before)
        exit_on_sigterm()
        return signal.getsignal(signal.SIGTERM)

    def test_default(self) -> None:
        """It takes a signal that nobody handles."""
        self.assertIsInstance(self.after(signal.SIG_DFL), sigterm._OnSigterm)

    def test_twice(self) -> None:
        """The second call changes nothing."""
        first = self.after(signal.SIG_DFL)
        self.assertIs(self.after(first), first)

    def test_ignored(self) -> None:
        """A signal that is ignored stays ignored."""
        self.assertIs(self.after(signal.SIG_IGN), signal.SIG_IGN)

    def test_handled_in_c(self) -> None:
        """A handler in C, for which Python has no object, is left alone."""
        with (
            patch.object(signal, "getsignal", return_value=None),
            patch.object(signal, "signal") as install,
        ):
            exit_on_sigterm()
        install.assert_not_called()

    def test_other_thread(self) -> None:
        """In another thread than the main one, this is reported once, and nothing changes."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        stderr = io.StringIO()
        with patch.object(sigterm, "_reporter", Reporter()), redirect_stderr(stderr):
            for _ in range(2):
                thread = threading.Thread(target=exit_on_sigterm)
                thread.start()
                thread.join()
        self.assertIs(signal.getsignal(signal.SIGTERM), signal.SIG_DFL)
        self.assertEqual(stderr.getvalue().count("main thread"), 1, stderr.getvalue())


def frame_in(module: str, function: str = "function") -> FrameType:
    """Return the frame of a function of a module."""
    variables: dict[str, Any] = {"__name__": module, "current": sys._getframe}
    exec(f"def {function}(): return current()\nframe = {function}()", variables)
    frame: FrameType = variables["frame"]
    return frame


class TestDeferral(unittest.TestCase):
    """Where an exception from the signal handler could leave a lock held, or be swallowed."""

    def is_deferred(self, module: str, function: str = "function") -> bool:
        return sigterm._must_not_be_interrupted(frame_in(module, function))

    def test_modules(self) -> None:
        """The signal is deferred in `logging`, in `threading` and in this package."""
        for module in ("logging", "logging.handlers", "threading", "segment_logging.handler"):
            self.assertTrue(self.is_deferred(module), module)

    def test_other_modules(self) -> None:
        """It is not deferred elsewhere, even in modules with similar names."""
        for module in ("__main__", "logging_tools", "segment_logging_app", "queue"):
            self.assertFalse(self.is_deferred(module), module)

    def test_del(self) -> None:
        """It is deferred in a `__del__`, because Python swallows exceptions there."""
        self.assertTrue(self.is_deferred("__main__", "__del__"))

    def test_no_more_threads(self) -> None:
        """If no thread can be started to raise the signal again, it is not deferred."""
        on_sigterm = sigterm._OnSigterm(None)
        with (
            patch.object(sigterm, "start_bare", side_effect=RuntimeError),
            patch.object(shutdown, "exit_clock", shutdown.ExitClock()),
            self.assertRaises(SystemExit),
        ):
            on_sigterm(signal.SIGTERM, frame_in("logging"))


class TestInsisting(unittest.TestCase):
    """The thread of a multiprocessing child that sees to it that the signal is handled."""

    def kills(self, *arrivals: int, handled_after: int) -> int:
        """Return how many times it raises the signal again.

        Args:
            arrivals: the numbers of the signals that arrive.
            handled_after: how many signals it takes until Python calls the handler.
        """
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        os.write(writing, bytes(arrivals))
        os.close(writing)
        clock = shutdown.ExitClock()
        clock.is_terminated = handled_after == 0
        kills: list[int] = []

        def kill(pid: int, number: int) -> None:
            kills.append(number)
            clock.is_terminated = len(kills) >= handled_after

        with (
            patch.object(shutdown, "exit_clock", clock),
            patch.object(sigterm, "sleep"),
            patch.object(os, "kill", kill),
        ):
            sigterm._OnSigterm(None)._insist(reading)
        return len(kills)

    def test_handled(self) -> None:
        """A signal that was handled is not raised again."""
        self.assertEqual(self.kills(signal.SIGTERM, handled_after=0), 0)

    def test_not_handled(self) -> None:
        """A signal that is not handled is raised until it is. Other signals do not count."""
        self.assertEqual(self.kills(signal.SIGINT, signal.SIGTERM, handled_after=3), 3)


if __name__ == "__main__":
    unittest.main()
