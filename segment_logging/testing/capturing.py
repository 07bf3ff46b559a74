"""Redirects the messages from all handlers to a test."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from typing_extensions import override

from .._delivery.diversion import Diversion, Enqueue, divert
from .._messages.calls import call_of
from .._messages.encoding import decode
from .._records.attributes import MARKS
from .._records.dialects import template_of
from ..handler import SegmentHandler
from .captured import Captured
from .failures import PassedOver
from .fake import FakeClient
from .layers import Layers
from .sightings import Sightings

_layers: Layers[Diversion] = Layers(divert)


@contextmanager
def capture_segment(
    logger: str | None = None, *, level: int | str = logging.INFO, allow_invalid: bool = False
) -> Iterator[Captured]:
    """Capture what is logged to Segment inside a `with` block. Nothing is sent.

    If the program has its own SegmentHandlers, their options apply. Otherwise, records are read
    the way a SegmentHandler with default options would read them. Messages are captured
    immediately, in the caller's thread, so there is nothing to flush or wait for.

    - All threads and tasks are captured. A forked child process captures its own messages. A
      spawned child process is not affected.
    - Blocks can be nested. The inner block captures the messages of its `logger`, and the outer
      block gets the rest. If blocks overlap, as they may in concurrent tasks, the one that was
      entered last captures.
    - Loggers with `propagate=False` are also captured if they exist when the block begins. If they
      are created later, only records that reach one of the program's SegmentHandlers are captured.
    - Levels apply, with two exceptions: `logger` lets records of `level` through, and
      `logging.disable` does not block them. A logger that dictConfig has disabled stays disabled.
    - A record that goes through a QueueHandler is captured once, at the time of the logging call.
      If it does not reach `logger`, it is captured when the QueueListener handles it, so stop the
      listener before the block ends. The event's name is then the formatted text, because
      QueueHandler formats its records.
    - loguru does not use `logging`, so its messages are captured only if one of its sinks is a
      SegmentHandler.

    Args:
        logger: the name of the logger to capture from. None means all loggers.
        level: during the block, `logger` lets records of this level and above through. If its
            level is already lower, it is not changed.
        allow_invalid: if True, do not raise an error for refused events at the end of the block.

    Raises:
        InvalidMessage: an event was logged that Segment would drop. It is raised when the block
            ends.
    """
    captured = Captured()
    capturing = _Capturing(captured, logger, outer=_layers.top)
    onlooker = _Onlooker(capturing)
    with ExitStack() as stack:
        stack.callback(onlooker.close)
        stack.enter_context(_attached(onlooker, logger))
        stack.enter_context(_opened(logging.getLogger(logger), level))
        stack.enter_context(_layers.add(capturing))
        yield captured
    if not allow_invalid:
        captured.raise_refused()


class _Capturing:
    """Receives the messages from all handlers, and stores them or passes them to the outer block.

    Args:
        captured: stores the messages that are logged to `logger` or to loggers below it.
        logger: the name of the logger. None means all loggers.
        outer: the enclosing block, which gets all other messages. None discards them.
    """

    def __init__(self, captured: Captured, logger: str | None, outer: Diversion | None) -> None:
        self._captured = captured
        self._logger = logger
        self._outer = outer
        self._taken = Sightings()
        self._refused = Sightings()
        self._kept = Sightings()

    def take(self, record: logging.LogRecord) -> Enqueue:
        """Return a function that receives the record's message.

        The message is stored only once, even if the record passes several handlers.
        """
        if not self._is_wanted(record):
            return _ignore if self._outer is None else self._outer.take(record)
        return self._keeper_of(record) if self._taken.is_new(record) else _ignore

    def _keeper_of(self, record: logging.LogRecord) -> Callable[[bytes], None]:
        def keep(line: bytes) -> None:
            self._kept.is_new(record)
            self._captured.messages.append(call_of(decode(line)))

        return keep

    def reject(self, record: logging.LogRecord, error: BaseException) -> None:
        """Record why an event was refused, once per event even if it passes several handlers."""
        if not self._is_wanted(record):
            if self._outer is not None:
                self._outer.reject(record, error)
        elif self._refused.is_new(record):
            self._captured.refuse(error, self._pass_over(record, f"refused: {error}"))

    def look_at(self, record: logging.LogRecord) -> None:
        """Remember the record if it has passed all handlers without becoming a message."""
        if record not in self._kept and record not in self._refused and self._is_wanted(record):
            self._pass_over(record, _reason_of(record))

    def _pass_over(self, record: logging.LogRecord, reason: str) -> PassedOver:
        about = record.__dict__.get  # a filter may have removed any of the attributes
        place = f"{about('pathname')}:{about('lineno')}"
        passed_over = PassedOver(template_of(record) or "", place, reason)
        self._captured.passed_over.append(passed_over)
        return passed_over

    def _is_wanted(self, record: logging.LogRecord) -> bool:
        return _is_below(self._logger, record.name)


class _Onlooker(SegmentHandler):
    """Reads records that no other SegmentHandler reads, and remembers those without a message."""

    def __init__(self, capturing: _Capturing) -> None:
        super().__init__("captured", client=FakeClient())
        self._capturing = capturing

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if not any(
            isinstance(handler, SegmentHandler) and not isinstance(handler, _Onlooker)
            for handler in _handlers_for(record.name)
        ):
            super().emit(record)
        self._capturing.look_at(record)


@contextmanager
def _attached(handler: logging.Handler, name: str | None) -> Iterator[None]:
    """Attach a handler so that each record from a logger or its children reaches it once."""
    loggers = [logging.getLogger(name)]
    for other in list(logging.root.manager.loggerDict.values()):
        if isinstance(other, logging.Logger) and not other.propagate and other is not loggers[0]:
            loggers.extend([other] if _is_below(name, other.name) else [])
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


@contextmanager
def _opened(logger: logging.Logger, level: int | str) -> Iterator[None]:
    """Let a logger pass records of `level` inside a `with` block."""
    before, disabled = logger.level, logging.root.manager.disable
    logger.setLevel(level)
    wanted = logger.level
    if before != logging.NOTSET:
        logger.setLevel(min(before, wanted))
    opened = logger.level
    logging.disable(min(disabled, wanted - 1))
    lifted = logging.root.manager.disable
    try:
        yield
    finally:  # keep any level that was set inside the block
        if logger.level == opened:
            logger.setLevel(before)
        if logging.root.manager.disable == lifted:
            logging.disable(disabled)


def _is_below(name: str | None, other: str) -> bool:
    return name is None or other == name or other.startswith(f"{name}.")


def _handlers_for(name: str) -> Iterable[logging.Handler]:
    """Yield the handlers for records with this logger name, without creating a logger."""
    known = logging.root.manager.loggerDict
    while name and not isinstance(known.get(name), logging.Logger):
        name = name.rpartition(".")[0]
    logger: logging.Logger | None = logging.getLogger(name) if name else logging.root
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def _reason_of(record: logging.LogRecord) -> str:
    reasons = [
        _reason_at(handler, record)
        for handler in _handlers_for(record.name)
        if isinstance(handler, SegmentHandler) and not isinstance(handler, _Onlooker)
    ]
    if any(reasons):
        return "; ".join(dict.fromkeys(filter(None, reasons)))
    keys = record.__dict__.keys() - _BARE_RECORD
    if isinstance(record.msg, Mapping):
        keys |= record.msg.keys() - {"event"}
    names = sorted(str(key) for key in keys if not str(key).startswith("_"))
    if keys.isdisjoint(MARKS | {"segment"}):
        has = f"only {', '.join(names)}" if names else "nothing"
        return f"not an event: it has {has} in extra; pass user_id, event or segment=True"
    return "stopped by an option of its handler, or logged in a delivery thread"


def _reason_at(handler: SegmentHandler, record: logging.LogRecord) -> str | None:
    """Return why a handler did not make a message of an event. None if it is not an event."""
    reader = handler._reader
    if reader.fields_of(record) is None:
        return None
    if record.levelno < handler.level:
        wanted, actual = map(logging.getLevelName, (handler.level, record.levelno))
        return f"stopped by its handler's level: it is {wanted}, and the record's is {actual}"
    option = reader.excluded_by(record)
    if option is not None:
        return f"stopped by its handler's {option}"
    # These are not called again, because they may have side effects.
    causes = ["filter"] * bool(handler.filters) + ["before_send"] * reader.has_hook
    return f"stopped by its handler's {' or '.join(causes)}" if causes else None


def _ignore(line: bytes) -> None:
    """Discard a message that is not wanted or has already been captured."""


_BARE_RECORD = frozenset(logging.makeLogRecord({}).__dict__)
