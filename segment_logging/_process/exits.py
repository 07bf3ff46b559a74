"""Exit hooks for every kind of process, so that pending messages are delivered before it ends.

The interpreter's `atexit` is not enough. Child processes of multiprocessing, and of billiard
(Celery's fork of multiprocessing), skip `atexit` and run their own finalizers instead.

uWSGI's workers skip it with gevent, and call `uwsgi.atexit` instead.

No hook runs after `os._exit`, after a signal that has no handler, or when uWSGI's master process
ends, because the master runs no exit functions.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, TypeVar

from .._reports import report

T = TypeVar("T")

_at_exit: set[Callable[[], None]] = set()
_at_uwsgi_exit: set[Callable[[], None]] = set()  # valid in forked children, too
_registered_in: int | None = None
_warned = False


def call_at_exit(function: Callable[[], None]) -> None:
    """Register `function` to be called once at interpreter exit, here and in forked children."""
    if function not in _at_exit:
        _at_exit.add(function)
        atexit.register(function)


def call_at_end(function: Callable[[], None]) -> None:
    """Register `function` to be called once when this process ends, however it was started.

    The registration is valid for the calling process only. This does not import multiprocessing,
    billiard or Celery if the program has not imported them itself.
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
    if signals is not None:  # Celery's pool workers end with os._exit and run no finalizers
        signals.worker_process_shutdown.connect(lambda **_: function(), weak=False)
    uwsgi: Any = sys.modules.get("uwsgi")
    if uwsgi is not None and function not in _at_uwsgi_exit:
        _at_uwsgi_exit.add(function)
        # With gevent, uWSGI's workers call this function, but no other exit functions.
        uwsgi.atexit = _in_turn(getattr(uwsgi, "atexit", None), function)


def _in_turn(first: object, second: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls `first`, if it is a function, and then `second`."""

    def both() -> None:
        try:
            if callable(first):
                first()
        finally:
            second()

    return both


def call_in_child(function: Callable[[T], object], owner: T) -> None:
    """Call `function` with `owner` if this process turns out to be a multiprocessing child.

    This must be called in the forked child before multiprocessing continues. Like `Finalize`,
    `register_after_fork` is private to the standard library. Without it, nothing is called.
    """
    for name in ("multiprocessing", "billiard"):
        register = getattr(sys.modules.get(f"{name}.util"), "register_after_fork", None)
        if callable(register):
            register(owner, function)


def _finalizer_of(util: object) -> Callable[[Callable[[], None]], object] | None:
    """Return a function that registers multiprocessing finalizers, or None if there is none.

    `Finalize` is private to the standard library, so this is the only place that uses it. Without
    it, a multiprocessing child delivers only what it drains explicitly. With a journal, the next
    process delivers the rest.

    Args:
        util: the module `multiprocessing.util` or `billiard.util`.
    """
    finalize = getattr(util, "Finalize", None)
    if not callable(finalize):
        return None
    # The lowest priority runs after the program's own finalizers.
    return lambda function: finalize(None, function, exitpriority=-1000)


def _is_child(process: object) -> bool:
    """Return whether multiprocessing or billiard started this process."""
    parent_process = getattr(process, "parent_process", None)
    if callable(parent_process):
        return parent_process() is not None
    current_process = getattr(process, "current_process", None)
    return callable(current_process) and type(current_process()).__name__ != "_MainProcess"


def resolve_without_threads() -> None:
    """Make gevent look up names without threads, because none can be started during an exit."""
    monkey: Any = sys.modules.get("gevent.monkey")
    with suppress(Exception):  # gevent's own resolver may work
        if monkey is not None and monkey.is_module_patched("socket"):
            blocking: Any = import_module("gevent.resolver.blocking")
            sys.modules["gevent"].get_hub().resolver = blocking.Resolver()


def warn_without_threads() -> None:
    """Warn once if uWSGI runs without threads. Forked workers do not repeat the warning."""
    global _warned
    if _warned:
        return
    uwsgi = sys.modules.get("uwsgi")
    options = getattr(uwsgi, "opt", None)
    if isinstance(options, dict):
        names = {key.decode() if isinstance(key, bytes) else key for key in options}
        if names.isdisjoint({"enable-threads", "threads", "gevent"}):
            _warned = True
            report(
                "uWSGI runs no threads between requests, so most events are delivered only when a "
                "worker ends: start uWSGI with --enable-threads"
            )
