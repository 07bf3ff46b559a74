"""All pipelines of this process: what its end, a fork and a program that is about to freeze ask.

`logging.shutdown` alone is not enough: it knows neither a handler that dictConfig closed and that
code still uses, nor one that nobody keeps.
"""

from __future__ import annotations

import math
import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from .ends import call_at_end, call_at_exit
from .ids import renew_message_ids
from .queues.directory import close_inherited_locks
from .threads import own_threads


class _Pipeline(Protocol):
    @property
    def pid(self) -> int: ...
    def drain(self, timeout: float) -> bool: ...
    def begin_exit(self) -> None: ...
    def end_exit(self) -> None: ...
    def abandon(self) -> None: ...


_pipelines: weakref.WeakSet[_Pipeline] = weakref.WeakSet()
_is_ending = False
_waited = 0.0  # seconds that the end of the process was held up


def add(pipeline: _Pipeline) -> None:
    """Have a pipeline of this process deliver what it holds when the process ends."""
    _pipelines.add(pipeline)
    call_at_end(_deliver_at_exit)
    if _is_ending:
        pipeline.begin_exit()


def expect_exit() -> None:
    """Have what pipelines there will be deliver at exit: also one that an exit function begins."""
    call_at_exit(_deliver_at_exit)


def drain_all(timeout: float) -> bool:
    """Wait until every message that any handler of this process accepted is answered for.

    For what freezes or ends a process without telling it, as serverless runtimes do.

    Args:
        timeout: seconds to wait at most, for all of them together.

    Returns:
        False when time was up.
    """
    deadline = time.monotonic() + timeout
    answered = [one.drain(max(0.0, deadline - time.monotonic())) for one in _mine()]
    return all(answered)


def leave_parent() -> None:
    """In a forked child: threads, files, message ids and the parent's end are the parent's."""
    global _is_ending, _waited
    _is_ending, _waited = False, 0.0
    own_threads.clear()
    renew_message_ids()
    for pipeline in list(_pipelines):
        if pipeline.pid != os.getpid():
            _pipelines.discard(pipeline)
            pipeline.abandon()
    close_inherited_locks()


def _mine() -> list[_Pipeline]:
    return [pipeline for pipeline in list(_pipelines) if pipeline.pid == os.getpid()]


def exit_time_left(timeout: float) -> float:
    """Return how many of `timeout` seconds the end of the process may still be held up."""
    return max(0.0, timeout - _waited)


@contextmanager
def holding_up_exit() -> Iterator[None]:
    """Count the time of a block as time that the end of the process was held up.

    All pipelines share it, and what exit functions of the program log after ours has what is left
    of it; what these do meanwhile is not ours.
    """
    global _waited
    began = time.monotonic()
    try:
        yield
    finally:
        _waited += time.monotonic() - began


def _deliver_at_exit() -> None:
    """Have all of them deliver side by side, within one timeout."""
    global _is_ending, _waited
    _is_ending = True
    mine = _mine()
    for pipeline in mine:
        pipeline.begin_exit()
    try:
        for pipeline in mine:
            pipeline.end_exit()
    except KeyboardInterrupt:  # who has no patience still reads what is lost
        _waited = math.inf
        for pipeline in mine:
            pipeline.end_exit()
