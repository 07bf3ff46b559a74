"""Checks whether events reach a SegmentHandler: loggers, levels, and how handlers are attached."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

from .._handlers import live_handlers
from .._reports import counted
from ..handler import SegmentHandler
from .findings import Finding, few
from .loading import CALL
from .own_loggers import own_first, own_of

_SERVERS = ("uvicorn", "gunicorn", "hypercorn", "celery", "django", "werkzeug", "segment_logging",
            "segment")  # fmt: skip
"""Loggers of servers, frameworks and `compat.analytics`, which log no events.

Those of servers do not propagate, on purpose.
"""


def checks_of_logging(app: str | None = None, *, has_file: bool = False) -> Iterator[Finding]:
    """Yield what is found about the loggers of this process.

    Args:
        app: the name of the application that was loaded, if any.
        has_file: whether a logging configuration file was applied, too.
    """
    handlers = attached_handlers()
    every = [one for one in live_handlers() if isinstance(one, SegmentHandler)]
    if not every:
        hint = ""
        if app is not None and not app.endswith(CALL):
            hint = _NOT_CALLED if has_file else _NOT_CALLED + _NO_FILE
        text = "there is no SegmentHandler, or it is not attached to any logger: add it to"
        yield Finding("problem", "handler", f"{text} `handlers` of a logger{hint}")
        return
    if logging.root.manager.disable >= logging.INFO:
        name = logging.getLevelName(logging.root.manager.disable)
        yield Finding("problem", "level", f"logging.disable({name}) is in effect, so no logger "
                      "makes events: call logging.disable(logging.NOTSET)")  # fmt: skip
    for handler in every:
        where = [logger for logger, one in handlers if one is handler]
        if not where and getattr(handler, "is_for_loggers", True):
            yield _not_attached()
        if handler.level > logging.INFO:
            yield Finding("problem", "level", f"the handler's level is {_name(handler.level)}: "
                          "set it to INFO or remove it")  # fmt: skip
        for logger in where:
            yield from _checks_of_logger(logger, app, handler.level)
    yield from _attached_twice(handlers)
    if app is not None and handlers:
        yield from _elsewhere([logger for logger, _ in handlers], app)


_NOT_CALLED = (
    '. An import does not run main(), a lifespan or code under `if __name__ == "__main__"`, and of '
    "these, a server's workers run only the lifespan. If a function configures logging, pass "
    "--app 'MODULE:FUNCTION()', which calls it"
)
_NO_FILE = "; if uvicorn's --log-config does, also pass --logging-config FILE"


def _not_attached() -> Finding:
    text = "a SegmentHandler is not attached to any logger: "
    if "loguru" in sys.modules:
        return Finding("note", "handler", f"{text}unless it is a sink of loguru, add it to "
                       "`handlers` of a logger")  # fmt: skip
    return Finding("problem", "handler", f"{text}add it to `handlers` of a logger")


def attached_handlers() -> list[tuple[logging.Logger, SegmentHandler]]:
    """Return all loggers with the SegmentHandlers that are attached to them."""
    return [
        (logger, one)
        for logger in all_loggers()
        for handler in logger.handlers
        for one in _behind(handler)
    ]


def all_loggers() -> list[logging.Logger]:
    """Return all loggers, the root first."""
    known = tuple(logging.root.manager.loggerDict.items())
    named = sorted((name, one) for name, one in known if isinstance(one, logging.Logger))
    return [logging.root, *(one for _, one in named)]


def _behind(handler: logging.Handler) -> Iterator[SegmentHandler]:
    """Yield the SegmentHandlers that a handler is or passes records to."""
    if isinstance(handler, SegmentHandler):
        yield handler
    target = getattr(handler, "target", None)  # MemoryHandler
    listener = getattr(handler, "listener", None)  # QueueHandler, since Python 3.12
    for one in (target, *getattr(listener, "handlers", ())):
        if isinstance(one, logging.Handler):
            yield from _behind(one)


def _checks_of_logger(logger: logging.Logger, app: str | None, level: int) -> Iterator[Finding]:
    """Yield what is found about a logger with a SegmentHandler, and about those below it.

    `level` is the handler's.
    """
    is_root = logger is logging.root
    name = "the root logger" if is_root else f"the logger {logger.name!r}"
    found = list(_problems_of(logger, name, app))
    yield from found
    if level <= logging.INFO and not any(one.grade == "problem" for one in found):
        yield Finding("ok", "handler", f"{name} has a SegmentHandler and passes INFO to it")


def _problems_of(logger: logging.Logger, name: str, app: str | None) -> Iterator[Finding]:
    if logger.disabled:
        yield Finding("problem", "disabled", f"{name} is disabled: set "
                      "disable_existing_loggers to false in the dictConfig")  # fmt: skip
    level = logger.getEffectiveLevel()
    if level > logging.INFO:
        inherited = "" if logger.level else ", which it inherits from a logger above"
        yield Finding("problem", "level", f"the level of {name} is {_name(level)}{inherited}: "
                      "set it to INFO")  # fmt: skip
    if logger.filters:
        yield Finding("note", "filters", f"{name} has {counted(len(logger.filters), 'filter')}, "
                      "which can drop records: look at `logger.filters`")  # fmt: skip
    is_root = logger is logging.root
    below = [one for one in all_loggers() if one is not logger and _is_below(one, logger)]
    disabled = [one for one in below if one.disabled]
    if disabled:
        has_own = bool(own_of(disabled, app))
        yield Finding("problem" if has_own or not is_root else "note", "disabled",
                      f"loggers below {name} are disabled ({few(own_first(disabled, app))}): set "
                      "disable_existing_loggers to false in the dictConfig")  # fmt: skip
    quiet = [one.name for one in below if one.level > logging.INFO]
    if quiet and not is_root:
        yield Finding("problem", "level", f"the level of loggers below {name} is above INFO "
                      f"({few(quiet)}): set it to INFO")  # fmt: skip
    cut_off = [one.name for one in below if not one.propagate and not _reaches_one(one)]
    if cut_off:
        yield Finding("problem", "propagate", f"propagate is false, so events of loggers below "
                      f"{name} do not reach the handler ({few(cut_off)}): set propagate to true, "
                      "or attach the handler to them")  # fmt: skip


def _elsewhere(attached: list[logging.Logger], app: str) -> Iterator[Finding]:
    """Yield a note about the program's loggers that are not below one with a SegmentHandler."""
    others = [
        one
        for one in all_loggers()
        if one is not logging.root
        and one.name.partition(".")[0] not in _SERVERS
        and not any(one is above or _is_below(one, above) for above in attached)
    ]
    names = own_of(others, app)
    if names:
        yield Finding("note", "loggers", f"records logged to {few(names)} reach no "
                      "SegmentHandler: if your code logs events to them, attach the handler to "
                      "them or to the root logger")  # fmt: skip


def _is_below(one: logging.Logger, logger: logging.Logger) -> bool:
    """Return whether a logger's name is below that of another, and it may log events."""
    is_below = logger is logging.root or one.name.startswith(f"{logger.name}.")
    return is_below and one.name.partition(".")[0] not in _SERVERS


def _chain(logger: logging.Logger) -> Iterator[logging.Logger]:
    """Yield the loggers whose handlers get the records of a logger."""
    current: logging.Logger | None = logger
    while current is not None:
        yield current
        current = current.parent if current.propagate else None


def _reaches_one(logger: logging.Logger) -> bool:
    return any(True for one in _chain(logger) for handler in one.handlers for _ in _behind(handler))


def _attached_twice(handlers: list[tuple[logging.Logger, SegmentHandler]]) -> Iterator[Finding]:
    seen: set[tuple[str, ...]] = set()
    for logger, _ in handlers:
        by_key: dict[object, list[str]] = {}
        for above in _chain(logger):
            for handler in above.handlers:
                for one in _behind(handler):
                    by_key.setdefault(one._write_key or id(one), []).append(above.name)
        for names in by_key.values():
            if len(names) > 1 and tuple(names) not in seen:
                seen.add(tuple(names))
                yield Finding("problem", "attached twice", "records reach a SegmentHandler of the "
                              f"same write key twice (attached to {few(names)}): attach it to one "
                              "logger only")  # fmt: skip


def _name(level: int) -> str:
    return logging.getLevelName(level)
