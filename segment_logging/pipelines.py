"""All pipelines of this process: what its end, a fork and a program that is about to freeze ask.

`logging.shutdown` alone is not enough: it knows neither a handler that dictConfig closed and that
code still uses, nor one that nobody keeps.
"""

from __future__ import annotations

import os
import time
import weakref
from typing import Protocol

from .ends import call_at_end
from .ids import renew_message_ids
from .threads import own_threads


class _Pipeline(Protocol):
    @property
    def pid(self) -> int: ...
    def drain(self, timeout: float) -> bool: ...
    def begin_exit(self) -> None: ...
    def end_exit(self) -> None: ...
    def abandon(self) -> None: ...


_pipelines: weakref.WeakSet[_Pipeline] = weakref.WeakSet()


def add(pipeline: _Pipeline) -> None:
    """Have a pipeline of this process deliver what it holds when the process ends."""
    _pipelines.add(pipeline)
    call_at_end(_deliver_at_exit)


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
    """In a forked child: threads, files and message ids are the parent's."""
    own_threads.clear()
    renew_message_ids()
    for pipeline in list(_pipelines):
        if pipeline.pid != os.getpid():
            pipeline.abandon()


def _mine() -> list[_Pipeline]:
    return [pipeline for pipeline in list(_pipelines) if pipeline.pid == os.getpid()]


def _deliver_at_exit() -> None:
    """Have all of them deliver side by side, within one timeout."""
    mine = _mine()
    for pipeline in mine:
        pipeline.begin_exit()
    for pipeline in mine:
        pipeline.end_exit()
