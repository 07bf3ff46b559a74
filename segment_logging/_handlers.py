"""All handlers of this process at once, for programs that hold none of them."""

from __future__ import annotations

import logging
import math
import os
import sys
import weakref
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import fields
from typing import Any

from ._delivery.counts import Counts
from ._delivery.waiters import Until
from ._process import shutdown
from ._process.clock import monotonic
from ._process.exits import call_at_exit
from ._process.shutdown import TIME_AFTER_SIGTERM, exit_clock
from ._public import public_in
from ._reports import say

handlers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
"""Every SegmentHandler that somebody keeps, and the process in which it was made."""


def add(handler: logging.Handler) -> None:
    """Have what the handler accepted delivered when the process ends, and that told of silence."""
    handlers[handler] = os.getpid()
    shutdown.expect_exit()
    call_at_exit(_tell_of_silence)


def _tell_of_silence() -> None:
    """At the end of the process, say so if a logger's level has kept every record from a handler.

    Nobody notices otherwise: a logger without a level has that of the root logger, WARNING.
    """
    for handler, pid in tuple(handlers.items()):
        if pid == os.getpid() and handler.counts() == Counts():
            for name, logger in tuple(logging.root.manager.loggerDict.items()):
                if isinstance(logger, logging.Logger) and handler in logger.handlers:
                    level = logger.getEffectiveLevel()
                    if level > logging.INFO:
                        say(
                            f"the handler of the logger {name!r} saw no record, as that logger's "
                            f"level is {logging.getLevelName(level)}: set it to INFO"
                        )
                        return


@public_in("segment_logging")
def drain(timeout: float | None = None) -> bool:
    """Wait until every message that any handler of this process accepted is answered for.

    For what freezes or ends a process without telling it, as serverless runtimes do.

    Args:
        timeout: seconds to wait at most, for all of them together; None waits as `flush` does.

    Returns:
        False if something is not answered for.
    """
    pipelines = shutdown.pipelines()
    with ExitStack() as stack:
        for one in pipelines:  # all of them deliver side by side
            stack.enter_context(one.draining.watching(monotonic))
        if timeout is None:
            answered = [one.draining.flush() for one in pipelines]
        else:
            deadline = monotonic() + timeout
            answered = [one.draining.drain(max(0.0, deadline - monotonic())) for one in pipelines]
    return all(answered)


@public_in("segment_logging")
def flush() -> None:
    """Send what waits in any handler of this process, and wait for the answers.

    As `SegmentHandler.flush`: without an answer of its own, and for `shutdown_timeout` without an
    acknowledged batch at most.
    """
    drain()


@public_in("segment_logging")
def counts() -> Counts:
    """Return what became of the records that this process logged, in all handlers that it keeps."""
    each = [handler.counts() for handler in tuple(handlers)]
    return Counts(
        **{field.name: sum(getattr(one, field.name) for one in each) for field in fields(Counts)}
    )


@public_in("segment_logging")
async def drain_async(timeout: float | None = None) -> bool:
    """Wait, as a coroutine, until every message of this process is answered for.

    Under asyncio and under trio. It takes no thread.

    Args:
        timeout: seconds to wait at most; None waits as `flush` does.

    Returns:
        False if something is not answered for.
    """
    deadline = None if timeout is None else monotonic() + timeout
    return await _drain(None if deadline is None else lambda: deadline)


async def drain_at_end() -> None:
    """Wait, as a coroutine, because a server ends the application and perhaps the process.

    As `flush` does, and for no longer than after a SIGTERM, which it probably was.
    """
    with exit_clock.foreseen():
        await _drain(None, at_most=TIME_AFTER_SIGTERM, is_told=True)


async def _drain(until: Until | None, *, at_most: float = math.inf, is_told: bool = False) -> bool:
    sleep = _sleep()
    began = monotonic()
    with ExitStack() as stack:
        waits = []
        for one in shutdown.pipelines():
            ends_at = one.draining.begin() if until is None else until
            waits.append((one, stack.enter_context(one.draining.watching(ends_at)), ends_at))
        while True:
            waits = [wait for wait in waits if not wait[1]()]
            waited = monotonic() - began
            if not waits:
                return True
            if waited >= at_most or all(monotonic() >= ends_at() for _, _, ends_at in waits):
                break
            if is_told and waited >= shutdown.ANNOUNCED_AFTER:
                shutdown.announce(sum(one.count().pending for one, _, _ in waits))
                is_told = False
            await sleep(_LOOK_EVERY)
    for one, _, _ in waits:
        one.draining.give_up()
    return False


_LOOK_EVERY = 0.01  # seconds: what a coroutine waits for has no bell


def _sleep() -> Callable[[float], Awaitable[object]]:
    """Return how a coroutine of the library that runs this one sleeps. Imports neither."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        sleep: Callable[[float], Awaitable[object]] = trio.sleep
        return sleep
    import asyncio  # noqa: PLC0415  # where a coroutine runs and it is not trio's, it is there

    return asyncio.sleep
