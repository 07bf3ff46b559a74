"""All pipelines of this process, and its end, which they share.

`logging.shutdown` alone is not enough: it knows neither of a handler that dictConfig has closed and
that code still uses, nor of one that nobody keeps.
"""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from .._reports import counted, say
from .clock import monotonic
from .exits import call_at_end, call_at_exit
from .forks import in_forked_child

ANNOUNCED_AFTER = 2.0
"""Seconds after which people are told what the end of the process waits for."""

TIME_AFTER_SIGTERM = 25.0
"""Seconds that the end may take after a SIGTERM: Kubernetes and gunicorn kill after 30."""


_FORESIGHT = 5.0  # seconds from the end of an application to that of its process, at most


class _Pipeline(Protocol):
    @property
    def pid(self) -> int: ...
    @property
    def draining(self) -> Any: ...
    def count(self) -> Any: ...
    def hurry(self) -> None: ...
    def begin_exit(self) -> None: ...
    def wait_for_exit(self, at_most: float) -> int: ...
    def end_exit(self) -> None: ...
    def abandon(self) -> None: ...


class ExitClock:
    """How long the end of this process is held up. All pipelines share it.

    It starts once. What exit functions of the program do after ours, apart from logging, does not
    count as waiting.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start over: the end has not begun, and nobody has sent a SIGTERM."""
        self.is_terminated = False
        self._began_at: float | None = None
        self._foreseen = (-math.inf, -math.inf)
        self._is_stopped = False
        self._waited = 0.0
        self._waiting_since: float | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the process ends."""
        return self._began_at is not None

    def begin(self) -> None:
        """The process ends from now on."""
        if self._began_at is None:
            foreseen_at, over_at = self._foreseen
            now = monotonic()
            self._began_at = foreseen_at if now - over_at < _FORESIGHT else now

    @contextmanager
    def foreseen(self) -> Iterator[None]:
        """Count the time of a `with` block as that of the end, if the end follows soon.

        A server has ended an application: most then end the process, and tests go on.
        """
        began = monotonic()
        try:
            yield
        finally:
            self._foreseen = (began, monotonic())

    def stop(self) -> None:
        """Nobody is to wait any longer."""
        self._is_stopped = True

    def limit(self, max_shutdown: float | None) -> float:
        """Return the moment by which the process must have ended.

        Args:
            max_shutdown: seconds that it may take; None for no limit.
        """
        if self._is_stopped:
            return -math.inf
        began_at = monotonic() if self._began_at is None else self._began_at
        seconds = math.inf if max_shutdown is None else max_shutdown
        return began_at + (min(seconds, TIME_AFTER_SIGTERM) if self.is_terminated else seconds)

    @property
    def waited(self) -> float:
        """For how many seconds the end was held up so far."""
        since = self._waiting_since
        return self._waited + (0.0 if since is None else monotonic() - since)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time of a `with` block, if the process ends."""
        if not self.has_begun or self._waiting_since is not None:  # counted already
            yield
            return
        self._waiting_since = monotonic()
        try:
            yield
        finally:
            self._waited, self._waiting_since = self.waited, None


exit_clock = ExitClock()

_pipelines: weakref.WeakSet[_Pipeline] = weakref.WeakSet()


def add(pipeline: _Pipeline) -> None:
    """Have a pipeline of this process deliver what it holds when the process ends."""
    _pipelines.add(pipeline)
    call_at_end(_deliver_at_exit)
    if exit_clock.has_begun:
        pipeline.begin_exit()


def expect_exit() -> None:
    """Have pipelines deliver at exit, even one that only an exit function begins."""
    call_at_exit(_deliver_at_exit)


def pipelines() -> list[_Pipeline]:
    """Return the pipelines of this process."""
    return [pipeline for pipeline in list(_pipelines) if pipeline.pid == os.getpid()]


def terminate() -> None:
    """SIGTERM came: have all pipelines deliver at once. Takes no lock: a signal handler calls."""
    exit_clock.is_terminated = True
    for pipeline in pipelines():
        pipeline.hurry()


def announce(number: int) -> None:
    """Say what the end of the process waits for."""
    say(f"{counted(number, 'message')} on the way to Segment; Ctrl-C ends the wait")


def _deliver_at_exit() -> None:
    """Have all pipelines deliver side by side, and say what is lost."""
    exit_clock.begin()
    mine = pipelines()
    for pipeline in mine:
        pipeline.begin_exit()
    try:
        at_once = 0.0 if exit_clock.is_terminated else ANNOUNCED_AFTER
        on_their_way = sum(pipeline.wait_for_exit(at_once) for pipeline in mine)
        if on_their_way:
            announce(on_their_way)
        for pipeline in mine:
            pipeline.end_exit()
    except KeyboardInterrupt:  # somebody has no patience, but should still read what is lost
        exit_clock.stop()
        with suppress(KeyboardInterrupt):  # nor for that
            for pipeline in mine:
                pipeline.end_exit()


@in_forked_child
def _leave_parent() -> None:
    """The pipelines, and the end, are the parent's."""
    exit_clock.forget()
    for pipeline in list(_pipelines):
        if pipeline.pid != os.getpid():
            _pipelines.discard(pipeline)
            pipeline.abandon()
