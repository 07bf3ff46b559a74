"""Functions for all handlers in this process, for code that has no reference to a handler."""

from __future__ import annotations

import logging
import math
import os
import weakref
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import fields
from typing import Any

from ._clock import is_replaced, monotonic
from ._delivery import diversion
from ._delivery.counts import Counts
from ._delivery.waiters import LOOK_ELSEWHERE_EVERY, Until
from ._process import shutdown, threads
from ._process.coroutine_bell import new_coroutine_bell
from ._process.delivering import is_delivering
from ._process.exits import call_at_exit
from ._process.forks import NO_PROCESS, in_forked_child
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


@diversion.on_change
def _ask_again() -> None:
    """Make each handler look up its destination again at the next event."""
    for handler in live_handlers():
        handler._pid = NO_PROCESS


@in_forked_child
def _leave_parent() -> None:
    """Reset all handlers, because the pipelines belong to the parent."""
    for handler in live_handlers():
        handler._forget()


def for_others(context: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return a bound context without what the options of any live handler remove from messages.

    Returns:
        None if it cannot be encoded as JSON.
    """
    allowed: Mapping[str, Any] | None = context
    for handler in live_handlers():
        if allowed is not None:
            allowed = handler._reader.context_for_others(allowed)
    return allowed


def _tell_of_silence() -> None:
    """Report at exit if a level has kept every record from reaching a handler.

    This mistake is easy to miss: a logger without its own level uses the root logger's, which is
    WARNING by default. A handler's own level is reported first.
    """
    for handler in live_handlers():
        if handlers.get(handler) == os.getpid() and handler.counts() == Counts():
            for name, logger in tuple(logging.root.manager.loggerDict.items()):
                if isinstance(logger, logging.Logger) and handler in logger.handlers:
                    level = logger.getEffectiveLevel()
                    whose = "logger's"
                    if handler.level > logging.INFO:
                        level, whose = handler.level, "handler's"
                    if level > logging.INFO:
                        say(
                            f"the handler of the logger {name!r} received no records, because the "
                            f"{whose} level is {logging.getLevelName(level)}: set it to INFO"
                        )
                        return


def _look_into_journals() -> None:
    """Have handlers without an event deliver what earlier processes left in their journals."""
    for handler in live_handlers():
        if handler._options.keeps and handler._own.get() is None:
            handler._own.open()


@public_in("segment_logging")
def drain(timeout: float | None = None) -> bool:
    """Wait until all messages from all handlers in this process are delivered or abandoned.

    Use this in environments that freeze or end the process without notice, such as serverless
    runtimes. With a time and a journal, this includes messages of dead processes, also while
    another process is sending them.

    Args:
        timeout: the maximum number of seconds to wait for all handlers together. None means as
            long as `flush` waits.

    Returns:
        False if any messages are still pending.
    """
    return drain_all(timeout, elsewhere=True)


def drain_all(timeout: float | None, *, elsewhere: bool = False) -> bool:
    """Do what `drain` does.

    Args:
        timeout: the maximum number of seconds to wait, or None.
        elsewhere: whether to wait for what another process is sending, too. A job in a worker has
            no reason to.
    """
    if timeout is not None:
        _look_into_journals()
    pipelines = shutdown.pipelines()
    with ExitStack() as stack:
        for one in pipelines:  # all of them deliver concurrently
            stack.enter_context(one.draining.watching(monotonic))
        if timeout is None:  # all of them begin now
            waits = [(one.draining, one.draining.begin()) for one in pipelines]
            answered = [draining.flush(until) for draining, until in waits]
        else:
            deadline = monotonic() + timeout
            answered = [
                one.draining.drain(
                    max(0.0, deadline - monotonic()), backlog=True, elsewhere=elsewhere
                )
                for one in pipelines
            ]
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

    This works under asyncio, with any event loop, and under trio. It uses no thread and does not
    poll: the delivery thread wakes the coroutine. It can be cancelled, and any number of coroutines
    can wait at once. Messages are still sent after a cancellation.

    Args:
        timeout: the maximum number of seconds to wait. None means as long as `flush` waits.

    Returns:
        False if any messages are still pending.
    """
    if timeout is None:
        return await _drain(None)
    deadline = monotonic() + timeout
    _look_into_journals()
    while timeout > 0:
        for one in shutdown.pipelines():
            one.draining.look_again()
        if not await _drain(lambda: deadline):
            return False
        if not any(one.draining.is_left_elsewhere for one in shutdown.pipelines()):
            return True
        left = deadline - monotonic()
        if left <= 0:
            return False
        await new_coroutine_bell().wait(min(left, LOOK_ELSEWHERE_EVERY))
    return await _drain(lambda: deadline)


async def drain_at_end() -> None:
    """Wait in a coroutine when a server shuts down the application, and perhaps the process.

    This waits as long as `flush` does, but no longer than we would wait at exit after a SIGTERM,
    since a SIGTERM is probably why the server is shutting down.
    """
    with exit_clock.foreseen():
        await _drain(None, at_most=TIME_AFTER_SIGTERM, is_at_end=True)


async def _drain(
    until: Until | None, *, at_most: float = math.inf, is_at_end: bool = False
) -> bool:
    bell, is_told = new_coroutine_bell(), is_at_end
    began = monotonic()
    with ExitStack() as stack:
        waits = []
        for one in shutdown.pipelines():  # all of them deliver concurrently
            ends_at = one.draining.begin() if until is None else until
            is_answered = stack.enter_context(one.draining.watching(ends_at, bell))
            waits.append((one, is_answered, ends_at))
        while waits := [wait for wait in waits if not wait[1]()]:
            now = monotonic()
            wake_at = min(max(ends_at() for _, _, ends_at in waits), began + at_most)
            if wake_at <= now or is_delivering():
                break
            if is_told and now >= began + shutdown.ANNOUNCED_AFTER:
                shutdown.announce(sum(one.count().pending for one, _, _ in waits))
                is_told = False
            if is_told:
                wake_at = min(wake_at, began + shutdown.ANNOUNCED_AFTER)
            are_running = [one.draining.keep_going(ends_at) for one, _, ends_at in waits]
            if not all(are_running):
                wake_at = min(wake_at, now + _LOOK_AGAIN)
            if is_replaced():  # the event loop's timers may never fire
                threads.sleep(_LOOK_AGAIN)
                wake_at = now
            await bell.wait(wake_at - now)
    await bell.wait(0)  # a coroutine that never waits would keep others from running
    if not waits:
        return True
    for one, _, _ in waits:
        one.draining.give_up(began)
        if is_at_end:
            one.tell_unfinished()
    return False


_LOOK_AGAIN = 0.01  # seconds between two checks if no thread is delivering
