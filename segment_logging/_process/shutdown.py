"""All pipelines in this process, and the exit that they share.

`logging.shutdown` alone is not enough. It misses handlers that dictConfig has closed but that code
still uses, and handlers that have been garbage-collected.
"""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Protocol

from .._clock import monotonic
from .._reports import counted, say
from .exits import call_at_end, call_at_exit, resolve_without_threads
from .forks import in_forked_child

ANNOUNCED_AFTER = 2.0
"""Seconds after which a line on stderr says what the process is waiting for."""

ANNOUNCED_AFTER_SIGTERM = 0.5
"""The same after SIGTERM, because the process may be killed soon. Most exits take less time."""

TIME_AFTER_SIGTERM = 25.0
"""Time limit for an exit after SIGTERM. Kubernetes and gunicorn kill a process after 30 s."""


_FORESIGHT = 5.0  # the most seconds between an application's shutdown and the process exit


class _Draining(Protocol):
    def begin(self) -> Callable[[], float]: ...
    def drain(self, timeout: float, *, backlog: bool = False, elsewhere: bool = False) -> bool: ...
    @property
    def is_left_elsewhere(self) -> bool: ...
    def look_again(self) -> None: ...
    def flush(self, until: Callable[[], float] | None = None) -> bool: ...
    def watching(
        self, until: Callable[[], float], bell: Any = None
    ) -> AbstractContextManager[Callable[[], bool]]: ...
    def keep_going(self, until: Callable[[], float]) -> bool: ...
    def give_up(self, began: float) -> None: ...


class _Pipeline(Protocol):
    @property
    def pid(self) -> int: ...
    @property
    def draining(self) -> _Draining: ...
    def count(self) -> Any: ...
    def hurry(self) -> None: ...
    def begin_exit(self) -> None: ...
    def wait_for_exit(self, until: Callable[[], float]) -> int: ...
    def end_exit(self) -> None: ...
    def tell_unfinished(self) -> None: ...
    def abandon(self) -> None: ...


class ExitClock:
    """Measures how long this process takes to exit. All pipelines share one clock.

    It starts only once. `waited` is the time that this package has waited. It does not include the
    time that the program's other exit functions take.

    Args:
        clock: returns the monotonic time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Reset the clock: the exit has not begun, and no SIGTERM has been received."""
        self.is_terminated = False
        self._began_at: float | None = None
        self._foreseen = (-math.inf, -math.inf)
        self._is_stopped = False
        self._waited = 0.0
        self._waiting_since: float | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the process is exiting."""
        return self._began_at is not None

    def begin(self) -> None:
        """Start the clock, because the process is exiting."""
        if self._began_at is None:
            foreseen_at, over_at = self._foreseen
            now = self._clock()
            self._began_at = foreseen_at if now - over_at < _FORESIGHT else now

    @contextmanager
    def foreseen(self) -> Iterator[None]:
        """Count the time in a `with` block as part of the exit, if the process exits soon after.

        This is used when a server shuts down an application. Most servers then end the process. In
        tests, the process continues.
        """
        began = self._clock()
        try:
            yield
        finally:
            self.foresee(began)

    def foresee(self, began: float) -> None:
        """Count the time since `began` as part of the exit, if the process exits soon."""
        self._foreseen = (began, self._clock())

    def stop(self) -> None:
        """Make every wait end at once."""
        self._is_stopped = True

    def limit(self, max_shutdown: float | None, *, since: float) -> float:
        """Return the time on the monotonic clock by which a wait must be over.

        Args:
            max_shutdown: the most seconds that the exit may take, or None for no limit.
            since: when the wait began. This counts unless the process is exiting.
        """
        if self._is_stopped:
            return -math.inf
        began_at = since if self._began_at is None else self._began_at
        seconds = math.inf if max_shutdown is None else max_shutdown
        return began_at + (min(seconds, TIME_AFTER_SIGTERM) if self.is_terminated else seconds)

    @property
    def waited(self) -> float:
        """How many seconds have been spent waiting at exit."""
        since = self._waiting_since
        return self._waited + (0.0 if since is None else self._clock() - since)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time in a `with` block as waiting, if the process is exiting."""
        if not self.has_begun or self._waiting_since is not None:  # not exiting, or already counted
            yield
            return
        self._waiting_since = self._clock()
        try:
            yield
        finally:
            self._waited, self._waiting_since = self.waited, None


exit_clock = ExitClock()

_pipelines: weakref.WeakValueDictionary[int, _Pipeline] = weakref.WeakValueDictionary()


def add(pipeline: _Pipeline) -> None:
    """Register a pipeline, so that it delivers its messages when the process exits."""
    _pipelines[id(pipeline)] = pipeline
    call_at_end(_deliver_at_exit)
    if exit_clock.has_begun:
        pipeline.begin_exit()


def expect_exit() -> None:
    """Register delivery at exit, so that pipelines created by exit functions deliver too."""
    call_at_exit(_deliver_at_exit)


def pipelines() -> list[_Pipeline]:
    """Return the pipelines in this process."""
    return [pipeline for pipeline in _all_pipelines() if pipeline.pid == os.getpid()]


def _all_pipelines() -> list[_Pipeline]:
    """Return all pipelines, the parent's included."""
    # A list of references, because other threads may add pipelines during an iteration.
    references = _pipelines.valuerefs()
    return [pipeline for one in references if (pipeline := one()) is not None]


def terminate() -> None:
    """Make all pipelines deliver at once after SIGTERM. Lock-free, for use in signal handlers."""
    exit_clock.is_terminated = True
    for pipeline in pipelines():
        pipeline.hurry()


def announce(number: int, hint: str = "") -> None:
    """Print how many messages the process is waiting for, and optionally how to stop the wait."""
    say(f"waiting for {counted(number, 'message')} to reach Segment{hint}")


@contextmanager
def until_ctrl_c(waiting: Sequence[_Pipeline]) -> Iterator[None]:
    """End the waits at exit when Ctrl-C is pressed in a `with` block.

    Lost messages are still reported, unless Ctrl-C is pressed again.

    Args:
        waiting: the pipelines whose exit the block waits for.
    """
    try:
        yield
    except KeyboardInterrupt:
        exit_clock.stop()
        with suppress(KeyboardInterrupt):
            for pipeline in waiting:
                pipeline.end_exit()


def _deliver_at_exit() -> None:
    """Make all pipelines deliver concurrently, and report lost messages."""
    exit_clock.begin()
    resolve_without_threads()
    began = monotonic()

    def announced_at() -> float:
        is_terminated = exit_clock.is_terminated
        return began + (ANNOUNCED_AFTER_SIGTERM if is_terminated else ANNOUNCED_AFTER)

    mine = pipelines()
    with until_ctrl_c(mine):
        for pipeline in mine:
            pipeline.begin_exit()
        on_their_way = sum(pipeline.wait_for_exit(announced_at) for pipeline in mine)
        if on_their_way:
            announce(on_their_way, "; press Ctrl-C to stop waiting")
        for pipeline in mine:
            pipeline.end_exit()


@in_forked_child
def _leave_parent() -> None:
    """Abandon the parent's pipelines, and reset the exit clock."""
    exit_clock.forget()
    for pipeline in _all_pipelines():
        if pipeline.pid != os.getpid():
            _pipelines.pop(id(pipeline), None)
            pipeline.abandon()
