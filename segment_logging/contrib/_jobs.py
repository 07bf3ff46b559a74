"""Delivery of the events that a job logged, before the job counts as done."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from .._handlers import drain_all
from .._reports import Reporter

P = ParamSpec("P")
R = TypeVar("R")

_reporter = Reporter()


def deliver(timeout: float) -> None:
    """Wait until everything is delivered. If that takes too long, report it.

    Args:
        timeout: the maximum time to wait, in seconds.
    """
    if drain_all(timeout):
        _reporter.over("late")
    else:
        _reporter.once(
            "late",
            f"not everything that a job logged was delivered within {timeout:g} s: without a "
            "journal, the rest is lost if the process ends first; increase the timeout of "
            "connect(), or set a journal",
        )


def deliver_before(function: Callable[P, R], timeout: float) -> Callable[P, R]:
    """Return a function that waits until everything is delivered, then calls `function`."""

    @functools.wraps(function)
    def run(*args: P.args, **options: P.kwargs) -> R:
        deliver(timeout)
        return function(*args, **options)

    return run
