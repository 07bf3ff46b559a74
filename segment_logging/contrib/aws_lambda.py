"""AWS Lambda, and other runtimes that freeze a process between two calls.

    @flush_after
    def handler(event, context): ...

A frozen process delivers nothing, and it may never be thawed. So events must be delivered before
the function returns. Other runtimes (Cloud Run, Vercel, Azure Functions) do not report how much
time is left. There, set the time to wait on the request handler: `@flush_after(timeout=2.0)`.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast, overload

from .._handlers import drain_all
from .._options.checks import seconds
from .._reports import Reporter

P = ParamSpec("P")
R = TypeVar("R")

_reporter = Reporter()


@overload
def flush_after(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def flush_after(
    *, timeout: float = 5.0, margin: float = 0.5
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def flush_after(
    function: Callable[..., Any] | None = None, /, *, timeout: float = 5.0, margin: float = 0.5
) -> Any:
    """Make a function wait for the delivery of its events before it returns or raises.

    If some events cannot be delivered in time, that is reported, and delivery continues when the
    process is thawed. Only a journal on a disk that outlives the process keeps messages longer.

    Args:
        function: the handler, which may be async. It is omitted if options are passed.
        timeout: the maximum time to wait, in seconds.
        margin: how much of the remaining time to leave unused, in seconds. Lambda's context object
            reports the remaining time.

    Raises:
        ConfigurationError: if an option is invalid.
    """
    seconds("timeout", timeout)
    seconds("margin", margin)
    if function is None:
        return functools.partial(_flushing, timeout=timeout, margin=margin)
    return _flushing(function, timeout=timeout, margin=margin)


def _flushing(function: Callable[P, R], *, timeout: float, margin: float) -> Callable[P, R]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: P.args, **options: P.kwargs) -> Any:
            try:
                return await function(*args, **options)
            finally:
                given = (*args, *options.values())
                left = seconds_left(given, timeout=timeout, margin=margin)
                await asyncio.to_thread(_deliver, left)

        return cast("Callable[P, R]", run_async)

    @functools.wraps(function)
    def run(*args: P.args, **options: P.kwargs) -> R:
        try:
            return function(*args, **options)
        finally:
            given = (*args, *options.values())
            _deliver(seconds_left(given, timeout=timeout, margin=margin))

    return run


def seconds_left(args: tuple[Any, ...], *, timeout: float, margin: float) -> float:
    """Return how many seconds delivery may take, according to the Lambda context in `args`.

    Without a context, delivery may take the whole timeout.
    """
    for argument in reversed(args):
        ask = getattr(argument, "get_remaining_time_in_millis", None)
        if callable(ask):
            try:
                return max(0.0, min(timeout, float(ask()) / 1000 - margin))
            except Exception as error:  # the function's result must not be lost because of this
                _reporter.once(
                    "context",
                    f"get_remaining_time_in_millis raised {type(error).__name__}: "
                    "delivery may take the whole timeout instead",
                )
    return timeout


def _deliver(timeout: float) -> None:
    if drain_all(timeout):
        _reporter.over("late")
    else:
        _reporter.once(
            "late",
            f"not everything was delivered within the remaining {timeout:.1f} s: "
            "delivery continues with the next call, and the rest is lost if the process ends first",
        )
