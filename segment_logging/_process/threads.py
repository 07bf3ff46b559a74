"""Threads: what the package takes from `threading`, and the one thread that delivers.

All of it is asked for here, at the moment of use.
"""

from __future__ import annotations

import _thread
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING

from .._reports import Reporter

if TYPE_CHECKING:
    from threading import Condition, Lock, RLock, Thread

THREAD_NAME = "segment_logging"
"""Name of the threads that deliver. No other thread ever gets it, unlike an identifier."""

LONGEST_WAIT = threading.TIMEOUT_MAX
"""Seconds that a lock can be waited for at most."""


def new_lock() -> Lock:
    """Return a lock."""
    return threading.Lock()


def new_rlock() -> RLock:
    """Return a lock that its owner may take again, as a signal handler does in mid-call."""
    return threading.RLock()


def new_condition() -> Condition:
    """Return a condition variable."""
    return threading.Condition()


def thread_id() -> int:
    """Return the identifier of the calling thread."""
    return threading.get_ident()


def is_daemon() -> bool:
    """Whether the calling thread does not hold up the end of its process."""
    return threading.current_thread().daemon


def sleep(seconds: float) -> None:
    """Sleep."""
    time.sleep(seconds)


def start_bare(function: Callable[[], object]) -> None:
    """Run `function` in a thread, taking no lock on the way: a signal handler may be calling."""
    _thread.start_new_thread(function, ())


def start_daemon(function: Callable[[], object], name: str) -> Thread:
    """Run `function` in a thread that does not keep the process alive, and return the thread.

    It runs in an empty context, whose thread belongs to no request, trace or scope, even where a
    library has threads copy the context of whoever starts them.

    Raises:
        RuntimeError: no thread can be started.
    """
    thread = threading.Thread(target=Context().run, args=(function,), name=name, daemon=True)
    thread.start()
    return thread


class OneThread:
    """Runs `loop` in a thread, unless it runs already.

    Args:
        loop: what the thread does. It calls `end` before it returns.
        on_end: called when another thread may be started: from then on, nobody else will do what
            is left.
    """

    def __init__(self, loop: Callable[[], None], *, on_end: Callable[[], None]) -> None:
        self._loop = loop
        self._on_end = on_end
        self._one = new_lock()  # held while a thread runs, and never waited for
        self._starting: tuple[int, Lock] | None = None  # the thread that is in `start`, its claim
        self._reporter = Reporter()

    @property
    def is_running(self) -> bool:
        """Whether there is one, and it does not wait for the calling thread to start it.

        A signal handler may have interrupted `start`: nothing runs before the handler returns.
        """
        return self._one.locked() and self._own_claim() is None

    def start(self) -> None:
        """Start it unless it runs. If no thread can be started, this is reported once.

        Any thread, also from a signal handler that interrupts another `start` or raises in it.
        """
        if not self._one.acquire(blocking=False):
            return
        claim = new_lock()  # taken by the thread, or by us if it will never run
        self._starting = (thread_id(), claim)
        try:
            start_daemon(lambda: self._run(claim), THREAD_NAME)
        except BaseException as error:
            if claim.acquire(blocking=False):
                self.end()
            if not isinstance(error, RuntimeError):
                raise
            # During interpreter shutdown, whoever waits for the messages delivers them.
            if not sys.is_finalizing() and "shutdown" not in str(error):
                trouble = "no thread can be started: messages wait; allow this process more threads"
                self._reporter.once("thread", trouble)
        finally:
            self._starting = None

    def _own_claim(self) -> Lock | None:
        """Return the claim of a `start` that the calling thread is in the middle of."""
        starting = self._starting
        if starting is None or starting[0] != thread_id() or starting[1].locked():
            return None
        return starting[1]

    def run_here(self) -> None:
        """Run it in the calling thread, if no other runs it: for when none can be started."""
        if self._one.acquire(blocking=False):
            self._run(new_lock())
        elif claim := self._own_claim():
            self._run(claim)  # the thread will find it taken

    def end(self) -> None:
        """Be the one no longer."""
        with suppress(RuntimeError):  # it was over already
            self._one.release()
        self._on_end()

    def resume(self) -> bool:
        """After `end`, be the one again. False if another already is."""
        return self._one.acquire(blocking=False)

    def _run(self, claim: Lock) -> None:
        if not claim.acquire(blocking=False):
            return
        try:
            self._loop()
        except BaseException:
            self.end()
            raise
