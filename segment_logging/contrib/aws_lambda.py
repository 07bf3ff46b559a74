"""AWS Lambda, and other runtimes that freeze a process between two calls.

    @flush_after
    def handler(event, context): ...

A frozen process delivers nothing, and may never be thawed: what was logged must be delivered
before the function returns. Elsewhere (Cloud Run, Vercel, Azure Functions) there is no deadline to
ask for, and `@flush_after(timeout=2.0)` around what handles a request says how long to wait.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast, overload

from .._options.checks import seconds
from .._process.shutdown import drain_all
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
    """Deliver what was logged before the function's result or exception leaves it.

    What cannot be delivered in time is reported. It goes on when the process is thawed; only a
    journal on a disk that stays would keep it longer.

    Args:
        function: the handler, async or not; to be left out with options.
        timeout: how long to wait at most.
        margin: how much of the time that Lambda has left, as its context object says, to leave.

    Raises:
        ConfigurationError: an option that cannot work.
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
    """Return how many seconds delivery may take, by the Lambda context among the arguments."""
    for argument in reversed(args):
        ask = getattr(argument, "get_remaining_time_in_millis", None)
        if callable(ask):
            try:
                return max(0.0, min(timeout, float(ask()) / 1000 - margin))
            except Exception as error:  # the function's own result is what counts
                _reporter.once("context", f"the context's time left raised {type(error).__name__}")
    return timeout


def _deliver(timeout: float) -> None:
    if drain_all(timeout):
        _reporter.over("late")
    else:
        _reporter.once(
            "late",
            f"not everything was delivered within the {timeout:.1f} s that were left: "
            "it goes on with the next call, or is lost with the process",
        )
