"""How a process tells that it ends, so that what waits can be delivered in time.

The interpreter's `atexit` is one way of several. Children of multiprocessing, and of Celery's fork
of it, billiard, skip it and run finalizers of their own instead.

Nothing tells of `os._exit`, of signals without a handler, and of the end of uWSGI's master process,
which runs no exit functions.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable

from .._reports import report

_at_exit: set[Callable[[], None]] = set()
_registered_in: int | None = None
_warned = False


def call_at_exit(function: Callable[[], None]) -> None:
    """Have `function` called once when the interpreter exits, here and in forked children."""
    if function not in _at_exit:
        _at_exit.add(function)
        atexit.register(function)


def call_at_end(function: Callable[[], None]) -> None:
    """Have `function` called once when this process ends, whatever started it.

    Every process has to ask for itself. Nothing is imported that the program itself has not.
    """
    global _registered_in
    call_at_exit(function)
    if _registered_in == os.getpid():
        return
    _registered_in = os.getpid()
    for name in ("multiprocessing", "billiard"):
        finalize = _finalizer_of(sys.modules.get(f"{name}.util"))
        if finalize is not None and _is_child(sys.modules.get(f"{name}.process")):
            finalize(function)
    signals = sys.modules.get("celery.signals")
    if signals is not None:  # the workers of its pool end by os._exit, and run no finalizer
        signals.worker_process_shutdown.connect(lambda **_: function(), weak=False)


def _finalizer_of(util: object) -> Callable[[Callable[[], None]], object] | None:
    """Return what has a function called at the end of a multiprocessing child, None if nothing is.

    Private to the standard library, so it is asked for here alone. Without it, such a child
    delivers what it is asked to drain, and with a journal the next process delivers the rest.

    Args:
        util: the module `multiprocessing.util`, or billiard's.
    """
    finalize = getattr(util, "Finalize", None)
    if not callable(finalize):
        return None
    # The lowest priority comes after whatever the program itself finishes.
    return lambda function: finalize(None, function, exitpriority=-1000)


def _is_child(process: object) -> bool:
    """Whether multiprocessing, or billiard, started this process."""
    parent_process = getattr(process, "parent_process", None)
    if callable(parent_process):
        return parent_process() is not None
    current_process = getattr(process, "current_process", None)
    return callable(current_process) and type(current_process()).__name__ != "_MainProcess"


def warn_without_threads() -> None:
    """Where threads hardly ever run, say once what to do. Forked workers do not say it again."""
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
                "uWSGI runs no threads between requests, so most events are delivered when a "
                "worker ends: start it with --enable-threads"
            )
