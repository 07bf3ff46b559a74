"""SIGTERM as an end of the program like any other: `exit_on_sigterm`.

By default SIGTERM ends a process without running any exit function. The handler installed here
never waits, locks, logs or sends: a signal arrives in the middle of anything.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from .._public import public_in
from .._reports import Reporter
from . import shutdown
from .forks import in_forked_child
from .threads import sleep, start_bare

_EXIT_STATUS = 128 + signal.SIGTERM
_AGAIN_EVERY = 0.005  # seconds until a deferred signal is raised again
_DEFERRED_FOR = 1.0  # seconds; after that it interrupts whatever runs

_NOT_INTERRUPTED = ("logging", "threading", __name__.partition(".")[0])
"""Modules in which an exception out of nowhere may leave a lock held."""

Handler = Callable[[int, FrameType | None], Any]

_reporter = Reporter()


class _OnSigterm:
    """The signal handler.

    Args:
        before: the Python handler that had the signal; None if nobody had.
    """

    def __init__(self, before: Handler | None) -> None:
        self._before = before
        self.is_deferred = False
        self._is_patient = True  # while an interruption can be deferred

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._before is not None:
            try:
                self._before(number, frame)
            finally:
                shutdown.terminate()
            return
        shutdown.exit_clock.is_terminated = True
        if shutdown.exit_clock.has_begun:  # the exit function runs, and must not be interrupted
            return
        if self._is_patient and _must_not_be_interrupted(frame):
            if not self.is_deferred:
                self.is_deferred = True
                start_bare(self._raise_again)
            return
        self.is_deferred = False
        raise SystemExit(_EXIT_STATUS)

    def _raise_again(self) -> None:
        """Raise the signal again until it has found a better moment. In a thread of its own."""
        for _ in range(int(_DEFERRED_FOR / _AGAIN_EVERY)):
            sleep(_AGAIN_EVERY)
            if not self.is_deferred:
                return
            os.kill(os.getpid(), signal.SIGTERM)
        self._is_patient = False
        os.kill(os.getpid(), signal.SIGTERM)

    def forget(self) -> None:
        """In a forked child: the parent's signal is not this process's, and its thread is gone."""
        self.is_deferred, self._is_patient = False, True


def _must_not_be_interrupted(frame: FrameType | None) -> bool:
    """Whether an exception raised in `frame` could leave a lock held, or go unnoticed."""
    while frame is not None:
        module = frame.f_globals.get("__name__")
        if isinstance(module, str) and module.partition(".")[0] in _NOT_INTERRUPTED:
            return True
        if frame.f_code.co_name == "__del__":  # Python swallows what is raised there
            return True
        frame = frame.f_back
    return False


@public_in("segment_logging")
def exit_on_sigterm() -> None:
    """Have SIGTERM end the program as `sys.exit` does, so that what waits is delivered.

    To be called once, where the program starts. It takes the signal only if nobody has it. If a
    Python handler has it (a web server's, say), that is called first, and then what waits is sent
    at once, and each event from then on: best effort, as nobody knows how much time there is. A
    signal that is ignored, or handled in C as by uWSGI, is left alone.

    What asks for the signal later (gunicorn, Celery, `loop.add_signal_handler`) replaces it: there
    the integrations deliver.
    """
    global _installed
    before = signal.getsignal(signal.SIGTERM)
    if isinstance(before, _OnSigterm) or before in (signal.SIG_IGN, None):
        return
    on_sigterm = _OnSigterm(None if before is signal.SIG_DFL else before)  # type: ignore[arg-type]
    try:
        signal.signal(signal.SIGTERM, on_sigterm)
    except ValueError:
        _reporter.once(
            "thread",
            "exit_on_sigterm() works in the main thread of the main interpreter only, so SIGTERM "
            "goes on as before: call it where the program starts",
        )
    else:
        _installed = on_sigterm


_installed: _OnSigterm | None = None


@in_forked_child
def _leave_parent() -> None:
    if _installed is not None:
        _installed.forget()
