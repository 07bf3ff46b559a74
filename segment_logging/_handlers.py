"""Functions for all handlers in this process, for code that has no reference to a handler."""

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
from ._process import shutdown, threads
from ._process.clock import is_replaced, monotonic
from ._process.exits import call_at_exit
from ._process.shutdown import TIME_AFTER_SIGTERM, exit_clock
from ._public import public_in
from ._reports import say

handlers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
"""Every live SegmentHandler, with the id of the process that created it."""


def add(handler: logging.Handler) -> None:
    """Register a handler for delivery at exit, and for a warning if it received no records."""
    handlers[handler] = os.getpid()
    shutdown.expect_exit()
    call_at_exit(_tell_of_silence)


def live_handlers() -> list[Any]:
    """Return every live SegmentHandler, while other threads may create some."""
    return [handler for one in handlers.keyrefs() if (handler := one()) is not None]


def _tell_of_silence() -> None:
    """Report at exit if a logger's level has kept every record from reaching a handler.

    This mistake is easy to miss: a logger without its own level uses the root logger's, which is
    WARNING by default.
    """
    for handler in live_handlers():
        if handlers.get(handler) == os.getpid() and handler.counts() == Counts():
            for name, logger in tuple(logging.root.manager.loggerDict.items()):
                if isinstance(logger, logging.Logger) and handler in logger.handlers:
                    level = logger.getEffectiveLevel()
                    if level > logging.INFO:
                        say(
                            f"the handler of the logger {name!r} received no records, because the "
                            f"logger's level is {logging.getLevelName(level)}: set it to INFO"
                        )
                        return


@public_in("segment_logging")
def drain(timeout: float | None = None) -> bool:
    """Wait until all messages from all handlers in this process are delivered or abandoned.

    Use this in environments that freeze or end the process without notice, such as serverless
    runtimes.

    Args:
        timeout: the maximum number of seconds to wait for all handlers together. None means as
            long as `flush` waits.

    Returns:
        False if any messages are still pending.
    """
    pipelines = shutdown.pipelines()
    with ExitStack() as stack:
        for one in pipelines:  # all of them deliver concurrently
            stack.enter_context(one.draining.watching(monotonic))
        if timeout is None:  # all of them begin now
            waits = [(one.draining, one.draining.begin()) for one in pipelines]
            answered = [draining.flush(until) for draining, until in waits]
        else:
            deadline = monotonic() + timeout
            answered = [one.draining.drain(max(0.0, deadline - monotonic())) for one in pipelines]
    return all(answered)


@public_in("segment_logging")
def flush() -> None:
    """Send the waiting messages from all handlers in this process, and wait for the answers.

    Like `SegmentHandler.flush`, this returns nothing, and stops waiting after `shutdown_timeout`
    without an acknowledged batch.
    """
    drain()


@public_in("segment_logging")
def counts() -> Counts:
    """Return the total counts of all live handlers for the records logged in this process."""
    each = [handler.counts() for handler in live_handlers()]
    return Counts(
        **{field.name: sum(getattr(one, field.name) for one in each) for field in fields(Counts)}
    )


@public_in("segment_logging")
async def drain_async(timeout: float | None = None) -> bool:
    """Wait in a coroutine until all messages in this process are delivered or abandoned.

    This works under asyncio and trio, and uses no thread to wait.

    Args:
        timeout: the maximum number of seconds to wait. None means as long as `flush` waits.

    Returns:
        False if any messages are still pending.
    """
    deadline = None if timeout is None else monotonic() + timeout
    return await _drain(None if deadline is None else lambda: deadline)


async def drain_at_end() -> None:
    """Wait in a coroutine when a server shuts down the application, and perhaps the process.

    This waits as long as `flush` does, but no longer than we would wait at exit after a SIGTERM,
    since a SIGTERM is probably why the server is shutting down.
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
            if is_replaced():
                threads.sleep(_LOOK_EVERY)
                await sleep(0)
            else:
                await sleep(_LOOK_EVERY)
    for one, _, _ in waits:
        one.draining.give_up(began)
    return False


_LOOK_EVERY = 0.01  # seconds between two checks, because a coroutine cannot wait for a bell


def _sleep() -> Callable[[float], Awaitable[object]]:
    """Return the `sleep` of asyncio or trio, whichever is running this coroutine."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        sleep: Callable[[float], Awaitable[object]] = trio.sleep
        return sleep
    import asyncio  # noqa: PLC0415  # already imported if it is running this coroutine

    return asyncio.sleep
