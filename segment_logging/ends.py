"""How a process tells that it ends, so that what waits can be delivered in time.

The interpreter's `atexit` is one way of several: children of multiprocessing and of billiard,
Celery's fork of it, skip it and run finalizers of their own instead.

Known to neither: `os._exit`, signals without a handler, and uWSGI's master process, which runs no
exit functions.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable

from .reports import report

_has_exit_function = False
_registered_in: int | None = None
_warned = False


def call_at_exit(function: Callable[[], None]) -> None:
    """Have `function` called when the interpreter exits, here and in forked children; once."""
    global _has_exit_function
    if not _has_exit_function:
        _has_exit_function = True
        atexit.register(function)


def call_at_end(function: Callable[[], None]) -> None:
    """Have `function` called when this process ends, once for each process that asks.

    Nothing is imported that the program has not imported itself.
    """
    global _registered_in
    call_at_exit(function)
    if _registered_in == os.getpid():
        return
    _registered_in = os.getpid()
    for name in ("multiprocessing", "billiard"):
        process = sys.modules.get(f"{name}.process")
        util = sys.modules.get(f"{name}.util")
        if process is not None and util is not None and _is_child(process):
            # Of the lowest priority: after whatever the program itself finishes.
            util.Finalize(None, function, exitpriority=-1000)
    signals = sys.modules.get("celery.signals")
    if signals is not None:  # workers of its pool end by os._exit, and run no finalizer
        signals.worker_process_shutdown.connect(lambda **_: function(), weak=False)


def warn_without_threads() -> None:
    """Say once what to do where threads hardly ever run; forked workers do not say it again."""
    global _warned
    if _warned:
        return
    uwsgi = sys.modules.get("uwsgi")
    options = getattr(uwsgi, "opt", None)
    if isinstance(options, dict):
        names = {key.decode() if isinstance(key, bytes) else key for key in options}
        if names.isdisjoint({"enable-threads", "threads"}):
            _warned = True
            report(
                "uWSGI runs no threads between requests, so most is delivered when a worker ends: "
                "start it with --enable-threads"
            )


def _is_child(process: object) -> bool:
    """Whether multiprocessing, or billiard, started this process."""
    parent_process = getattr(process, "parent_process", None)
    if callable(parent_process):
        return parent_process() is not None
    current_process = getattr(process, "current_process", None)
    return callable(current_process) and type(current_process()).__name__ != "_MainProcess"
