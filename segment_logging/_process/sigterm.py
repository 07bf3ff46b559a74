"""`exit_on_sigterm`, which makes SIGTERM a normal exit of the program.

By default, SIGTERM ends a process without running any exit functions. Since a signal can arrive at
any point in the program, the handler installed here never waits, locks, logs or sends.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from .._public import public_in
from .._reports import Reporter
from . import shutdown
from .exits import call_in_child
from .forks import NO_PROCESS, in_forked_child
from .threads import are_native, sleep, start_bare, thread_id

_EXIT_STATUS = 128 + signal.SIGTERM
_AGAIN_EVERY = 0.005  # seconds between attempts to raise a deferred signal again
_DEFERRALS = 200  # after which, in about a second, it interrupts whatever is running

_NOT_INTERRUPTED = ("logging", "threading", __name__.partition(".")[0])
"""Modules in which an unexpected exception could leave a lock held."""

Handler = Callable[[int, FrameType | None], Any]

_reporter = Reporter()


class _OnSigterm:
    """The signal handler.

    Args:
        before: the previous Python handler for SIGTERM, or None if there was none.
    """

    def __init__(self, before: Handler | None) -> None:
        self._before = before
        # Ids of processes, because a forked child inherits the handler but not its threads.
        self._called_in = self._deferred_in = self._overdue_in = self._watched_in = NO_PROCESS
        self._is_raising = False

    @property
    def is_deferred(self) -> bool:
        """Whether a thread of this process raises the signal again."""
        return self._deferred_in == os.getpid()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._is_raising:  # the last signal of the thread below: see `_take_what_is_pending`
            return
        if self._before is not None:
            try:
                self._before(number, frame)
            finally:
                shutdown.terminate()
            return
        self._called_in = os.getpid()
        shutdown.exit_clock.is_terminated = True
        if shutdown.exit_clock.has_begun:  # the exit function is running: do not interrupt it
            shutdown.terminate()
            return
        is_overdue = self._overdue_in == os.getpid()
        if not is_overdue and _must_not_be_interrupted(frame) and self._defer():
            return
        self._is_raising = True
        try:
            self._deferred_in = NO_PROCESS
            _take_what_is_pending()
        finally:
            self._is_raising = False
        raise SystemExit(_EXIT_STATUS)

    def _defer(self) -> bool:
        """Have the signal raised again soon. Return False if no thread can be started for that."""
        if not self.is_deferred:
            self._deferred_in = os.getpid()
            try:
                start_bare(self._raise_again)
            except RuntimeError:
                self._deferred_in = NO_PROCESS
        return self.is_deferred

    def _raise_again(self) -> None:
        """Raise the signal again until it is no longer deferred. Runs in its own thread."""
        kill, pid = os.kill, os.getpid()
        for attempt in range(_DEFERRALS + 1):
            sleep(_AGAIN_EVERY)
            if attempt == _DEFERRALS:
                self._overdue_in = pid
            # CPython does not switch threads between this comparison and the call, so no signal is
            # raised once the handler has decided to raise SystemExit.
            if self._deferred_in != pid:
                return
            kill(pid, signal.SIGTERM)

    def watch(self) -> None:
        """In a multiprocessing child, have a thread see to it that SIGTERM is handled.

        A pool is terminated just when its workers begin to wait for a lock. If a signal arrives
        right before such a wait, Python handles it after the wait, which never ends. Without this,
        a few in a hundred pools would hang at the end of their `with` block.
        """
        is_ours = self._before is None and signal.getsignal(signal.SIGTERM) is self
        if not is_ours or self._watched_in == os.getpid() or not are_native():
            return
        self._watched_in = os.getpid()
        arrivals, wakeup = os.pipe()
        os.set_blocking(wakeup, False)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        with suppress(RuntimeError):  # no thread can be started
            start_bare(lambda: self._insist(arrivals))
        if self._called_in == os.getpid():  # in a function that ran at the fork: it was swallowed
            os.kill(os.getpid(), signal.SIGTERM)

    def _insist(self, arrivals: int) -> None:
        """Raise the signal again until it is handled. Runs in its own thread.

        Args:
            arrivals: a file descriptor with the number of each signal that arrives.
        """
        while signal.SIGTERM not in os.read(arrivals, 1):
            pass
        sleep(_AGAIN_EVERY)
        while not shutdown.exit_clock.is_terminated:
            os.kill(os.getpid(), signal.SIGTERM)
            sleep(_AGAIN_EVERY)

    def leave_parent(self) -> None:
        """In a forked child, stop telling the parent's thread which signals arrive here."""
        if self._watched_in not in (NO_PROCESS, os.getpid()):
            signal.set_wakeup_fd(-1)
        call_in_child(_OnSigterm.watch, self)


def _take_what_is_pending() -> None:
    """Do nothing. Python calls the handlers of pending signals when it enters a function."""


def _must_not_be_interrupted(frame: FrameType | None) -> bool:
    """Return whether an exception raised in `frame` could leave a lock held or be swallowed."""
    while frame is not None:
        module = frame.f_globals.get("__name__")
        if isinstance(module, str) and module.partition(".")[0] in _NOT_INTERRUPTED:
            return True
        if frame.f_code.co_name == "__del__":  # Python swallows exceptions from `__del__`
            return True
        frame = frame.f_back
    return False


@public_in("segment_logging")
def exit_on_sigterm() -> None:
    """Make SIGTERM end the program like `sys.exit` does, so that pending messages are delivered.

    Call this once, when the program starts. If SIGTERM already has a Python handler, such as a
    web server's, that handler is called first. Pending messages are then sent at once, and so is
    every later event. This is best effort, because it is not known how much time is left. If
    SIGTERM is ignored, or handled in C as in uWSGI, this function does nothing.

    Handlers that are installed later (by gunicorn, Celery or `loop.add_signal_handler`) replace
    this one. In those programs, use this package's integrations to deliver at the end.
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
            "exit_on_sigterm() works only in the main thread of the main interpreter, so SIGTERM "
            "is handled as before: call it where the program starts",
        )
    else:
        if _installed is None and hasattr(os, "register_at_fork"):
            # It has a function that runs in forked children. Those that are registered later than
            # ours can be interrupted by a signal, and Python then prints the exception.
            import random  # noqa: F401, PLC0415

            os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_unblock)
        _installed = on_sigterm


_installed: _OnSigterm | None = None
_blocking: set[int] = set()  # threads that fork


def _block() -> None:
    """Before a fork, make SIGTERM wait: Python drops a signal that a new child gets too early."""
    if signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}):
        _blocking.add(thread_id())


def _unblock() -> None:
    if thread_id() in _blocking:
        _blocking.discard(thread_id())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Make SIGTERM raise KeyboardInterrupt in a `with` block of the main thread, like Ctrl-C."""
    try:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    except ValueError:  # another thread, which gets no signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


@in_forked_child
def _leave_parent() -> None:
    if _installed is not None:
        _installed.leave_parent()
