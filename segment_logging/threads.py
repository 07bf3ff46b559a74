"""The thread that delivers: at most one at a time, started whenever there is something to do.

A record logged on such a thread (urllib3 at DEBUG, a hook that logs) must never become a message:
it would cause the next one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread, get_ident

from .reports import Reporter

THREAD_NAME = "segment_logging"
"""Name of the threads that deliver. Unlike an identifier, no other thread ever gets it."""

own_threads: set[int] = set()
"""Identifiers of the threads that deliver in this process."""


class OneThread:
    """Runs `loop` in a thread, unless it runs already.

    Args:
        loop: returns when there is nothing more to do; it calls `end` before.
        on_begin: called before it runs, by who starts it.
        on_end: called when another may be started: from then on, nobody else will do what is left.
    """

    def __init__(
        self,
        loop: Callable[[], None],
        *,
        on_begin: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._on_begin = on_begin
        self._on_end = on_end
        self._one = Lock()  # held while a thread runs, and never waited for
        self._reporter = Reporter()

    @property
    def is_running(self) -> bool:
        """Whether there is one."""
        return self._one.locked()

    def start(self) -> None:
        """Start it unless it runs. Where no thread can be started, this is reported once.

        Any thread, also from a signal handler that interrupts another `start`, or raises in it.
        """
        if not self._one.acquire(blocking=False):
            return
        claim = Lock()  # taken by the thread, or by us when it will never run
        try:
            self._on_begin()
            Thread(target=self._run, args=(claim,), name=THREAD_NAME, daemon=True).start()
        except BaseException as error:
            if claim.acquire(blocking=False):
                self.end()
            if not isinstance(error, RuntimeError):
                raise
            # At the end of the interpreter who waits for the messages delivers them: `run_here`.
            if not sys.is_finalizing() and "shutdown" not in str(error):
                trouble = "no thread can be started: messages wait; allow this process more threads"
                self._reporter.once("thread", trouble)

    def run_here(self, prepare: Callable[[], None]) -> None:
        """Run it in the calling thread, for when no other can be started."""
        if self._one.acquire(blocking=False):
            try:
                self._on_begin()
                prepare()
            except BaseException:
                self.end()
                raise
            self._run(Lock())

    def end(self) -> None:
        """Be the one no more."""
        with suppress(RuntimeError):  # it is over already
            self._one.release()
        self._on_end()

    def resume(self) -> bool:
        """After `end`, be the one again; False when another is already."""
        return self._one.acquire(blocking=False)

    def _run(self, claim: Lock) -> None:
        if not claim.acquire(blocking=False):
            return
        own_threads.add(get_ident())
        try:
            self._loop()
        except BaseException:
            self.end()
            raise
        finally:
            own_threads.discard(get_ident())
