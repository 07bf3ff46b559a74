"""All pipelines of this process, and its end, which they share.

`logging.shutdown` alone is not enough: it knows neither of a handler that dictConfig has closed and
that code still uses, nor of one that nobody keeps.
"""

from __future__ import annotations

import math
import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from .exits import call_at_end, call_at_exit
from .forks import in_forked_child


class _Pipeline(Protocol):
    @property
    def pid(self) -> int: ...
    def drain(self, timeout: float) -> bool: ...
    def begin_exit(self) -> None: ...
    def end_exit(self) -> None: ...
    def abandon(self) -> None: ...


class ExitClock:
    """How long the end of this process is held up. All pipelines share the time.

    What exit functions of the program log after ours gets what is left of it. What they do apart
    from that does not count.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start over: the end does not begin yet."""
        self.has_begun = False
        self._waited = 0.0

    def begin(self) -> None:
        """The process ends from now on."""
        self.has_begun = True

    def stop(self) -> None:
        """Nobody is to wait any longer."""
        self._waited = math.inf

    def left(self, timeout: float) -> float:
        """Return how many of `timeout` seconds the end of the process may still be held up."""
        return max(0.0, timeout - self._waited)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time of a `with` block."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._waited += time.monotonic() - began


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


def drain_all(timeout: float) -> bool:
    """Wait until every message that any handler of this process accepted is answered for.

    For what freezes or ends a process without telling it, as serverless runtimes do.

    Args:
        timeout: seconds to wait at most, for all of them together.

    Returns:
        False if time was up.
    """
    deadline = time.monotonic() + timeout
    answered = [one.drain(max(0.0, deadline - time.monotonic())) for one in _mine()]
    return all(answered)


def _mine() -> list[_Pipeline]:
    return [pipeline for pipeline in list(_pipelines) if pipeline.pid == os.getpid()]


def _deliver_at_exit() -> None:
    """Have all pipelines deliver side by side, within one timeout."""
    exit_clock.begin()
    mine = _mine()
    for pipeline in mine:
        pipeline.begin_exit()
    try:
        for pipeline in mine:
            pipeline.end_exit()
    except KeyboardInterrupt:  # somebody has no patience, but should still read what is lost
        exit_clock.stop()
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
