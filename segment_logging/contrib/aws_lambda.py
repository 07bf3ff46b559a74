"""AWS Lambda, and other runtimes that freeze a process between two calls.

    @flush_after
    def handler(event, context): ...

A frozen process delivers nothing, and it may never be thawed, so what was logged must be delivered
before the function returns. Other runtimes (Cloud Run, Vercel, Azure Functions) do not say how much
time is left. There, `@flush_after(timeout=2.0)` on the request handler says how long to wait.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast, overload

from .._handlers import drain
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
    """Deliver what was logged before the function returns or raises.

    What cannot be delivered in time is reported. Delivery goes on when the process is thawed; only
    a journal on a disk that outlives the process keeps messages longer.

    Args:
        function: the handler, async or not; left out if options are passed.
        timeout: seconds to wait at most.
        margin: seconds to leave unused of the time that Lambda's context object says is left.

    Raises:
        ConfigurationError: an option has a value that cannot work.
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
    """Return how many seconds delivery may take, as the Lambda context among `args` says.

    Without a context, delivery may take the whole timeout.
    """
    for argument in reversed(args):
        ask = getattr(argument, "get_remaining_time_in_millis", None)
        if callable(ask):
            try:
                return max(0.0, min(timeout, float(ask()) / 1000 - margin))
            except Exception as error:  # the function's own result must not be lost over this
                _reporter.once(
                    "context",
                    f"asking the context for the time left raised {type(error).__name__}: "
                    "delivery may take the whole timeout instead",
                )
    return timeout


def _deliver(timeout: float) -> None:
    if drain(timeout):
        _reporter.over("late")
    else:
        _reporter.once(
            "late",
            f"not everything was delivered within the {timeout:.1f} s that were left: "
            "delivery goes on with the next call, and the rest is lost if the process ends first",
        )
