"""The package's access to `threading`, and the thread that delivers.

Names in `threading` are looked up at each use, because gevent or eventlet may patch it later.
"""

from __future__ import annotations

import _thread
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from types import BuiltinFunctionType
from typing import TYPE_CHECKING

from .._reports import Reporter

if TYPE_CHECKING:
    from threading import Condition, Lock, RLock, Thread

THREAD_NAME = "segment_logging"
"""The name of every delivery thread. No other thread has it, whereas identifiers are reused."""

LONGEST_WAIT = threading.TIMEOUT_MAX
"""The longest timeout that a lock accepts, in seconds."""


def new_lock() -> Lock:
    """Return a lock."""
    return threading.Lock()


def new_rlock() -> RLock:
    """Return a re-entrant lock, which a signal handler can take while its thread holds it."""
    return threading.RLock()


def new_condition() -> Condition:
    """Return a condition variable."""
    return threading.Condition()


def patch_detector() -> Callable[[], bool]:
    """Return a function that returns whether gevent or eventlet has patched `threading` since now.

    A native thread that was started before the patch must not wait for locks that were made after
    it, open connections or log.
    """
    lock = threading.Lock
    return lambda: threading.Lock is not lock


def are_native() -> bool:
    """Return whether new threads are real ones, and not greenlets of gevent or eventlet."""
    return isinstance(_thread.start_new_thread, BuiltinFunctionType)


def thread_id() -> int:
    """Return the identifier of the calling thread."""
    return threading.get_ident()


def is_daemon() -> bool:
    """Return whether the calling thread is a daemon thread."""
    return threading.current_thread().daemon


def sleep(seconds: float) -> None:
    """Sleep for some seconds."""
    time.sleep(seconds)


def start_bare(function: Callable[[], object]) -> None:
    """Run `function` in a new thread. Takes no lock, so a signal handler may call this."""
    _thread.start_new_thread(function, ())


def call_after(seconds: float, function: Callable[[], object]) -> Callable[[], None]:
    """Call `function` in a thread of its own after some seconds, and return what cancels that."""
    timer = threading.Timer(seconds, function)
    timer.daemon = True
    timer.start()
    return timer.cancel


def start_daemon(function: Callable[[], object], name: str) -> Thread:
    """Run `function` in a new daemon thread, and return the thread.

    The function runs in an empty context. This keeps the thread out of the caller's request, trace
    or scope, even if a library makes new threads copy the context of the thread that starts them.

    Raises:
        RuntimeError: the thread cannot be started.
    """
    was_patched = patch_detector()
    lock = new_lock()

    def run() -> None:
        Context().run(function)
        if was_patched():  # `threading` would print a traceback, because it does not find itself
            lock.acquire()
            lock.acquire()

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


class OneThread:
    """Runs `loop` in at most one thread at a time.

    Args:
        loop: the function that the thread runs. It calls `end` before it returns.
        on_end: called when the thread has ended and another one may be started.
    """

    def __init__(self, loop: Callable[[], None], *, on_end: Callable[[], None]) -> None:
        self._loop = loop
        self._on_end = on_end
        self._one = new_lock()  # held while a thread runs; nothing ever blocks on it
        self._starting: tuple[int, Lock] | None = None  # the thread in `start`, and its claim
        self._was_patched = patch_detector()  # since the thread was started
        self._reporter = Reporter()

    @property
    def is_running(self) -> bool:
        """Whether a thread runs `loop`.

        False in a signal handler that has interrupted `start` in the same thread: the new thread
        cannot run before the handler returns.
        """
        return self._one.locked() and self._own_claim() is None

    @property
    def is_outdated(self) -> bool:
        """Whether the thread must end, because of a patch; see `patch_detector`."""
        return self._was_patched() and self._one.locked()

    def replace_outdated(self, timeout: float) -> None:
        """Wait until an outdated thread has ended, so that another one can be started.

        The lock is as old as the thread. Waiting for it blocks all greenlets, but it does not start
        an event loop while the thread may be starting its own, which can deadlock in gevent.
        """
        if self.is_outdated and self._one.acquire(timeout=min(max(0, timeout), LONGEST_WAIT)):
            self._one.release()

    def start(self) -> None:
        """Start the thread unless it is running. Report once if no thread can be started.

        May be called from any thread, and from a signal handler that interrupts another `start`,
        even if that handler raises an exception.
        """
        claim = new_lock()  # taken by the thread, or below if the thread will never run
        starting, was_patched = (thread_id(), claim), patch_detector()
        if not self._one.acquire(blocking=False):
            return
        self._starting, self._was_patched = starting, was_patched  # at once: see `_own_claim`
        try:
            start_daemon(lambda: self._run(claim), THREAD_NAME)
        except BaseException as error:
            if claim.acquire(blocking=False):
                self.end()
            if not isinstance(error, RuntimeError):
                raise
            # During interpreter shutdown, callers that wait for messages deliver them themselves.
            if not sys.is_finalizing() and "shutdown" not in str(error):
                trouble = (
                    "this subinterpreter runs no daemon threads, so messages are delivered only by "
                    "flush, drain and close, and when it ends: flush from time to time"
                    if "interpreter" in str(error)
                    else "no thread can be started, so messages are waiting: raise the thread limit"
                )
                self._reporter.once("thread", trouble)
        finally:
            self._starting = None

    def _own_claim(self) -> Lock | None:
        """Return the claim if the calling thread is inside `start` and the claim is not taken."""
        starting = self._starting
        if starting is None or starting[0] != thread_id() or starting[1].locked():
            return None
        return starting[1]

    def run_here(self) -> None:
        """Run `loop` in the calling thread, unless another thread runs it.

        This is used when no thread can be started.
        """
        if self._one.acquire(blocking=False):
            self._was_patched = patch_detector()
            self._run(new_lock())
        elif claim := self._own_claim():
            self._run(claim)  # the new thread will find the claim taken and return

    def end(self) -> None:
        """Let another thread be started, and call `on_end`."""
        with suppress(RuntimeError):  # already ended
            self._one.release()
        self._on_end()

    def resume(self) -> bool:
        """Continue after `end`. Return False if another thread has been started since."""
        return self._one.acquire(blocking=False)

    def _run(self, claim: Lock) -> None:
        if not claim.acquire(blocking=False):
            return
        try:
            self._loop()
        except BaseException:
            self.end()
            raise
