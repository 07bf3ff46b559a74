"""Diverts every handler's messages from the pipelines to a test."""

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
    """Capture what is logged to Segment inside a `with` block; nothing is sent.

    If the program has handlers of its own, their options apply. If it has none, what reaches the
    logger is read as a SegmentHandler with default options would read it. Messages are captured at
    once, in the caller's thread, so there is nothing to flush or to wait for.

    - All threads and tasks are captured. A forked child captures for itself; a spawned one knows
      nothing of the block.
    - Blocks may be nested: the inner one captures for itself, and the outer one goes on afterwards.
      If two blocks overlap, as in concurrent tasks, the one that began later captures.
    - Loggers with `propagate=False` are captured, too, if they exist when the block begins. If they
      are made later, only what reaches one of the program's SegmentHandlers is captured.
    - Levels apply, except that `logger` lets `level` through, and that `logging.disable` is lifted
      as far as `level`. A logger that dictConfig has disabled stays disabled.
    - A record that a QueueHandler takes is captured at once, and only once. If it does not reach
      `logger`, it is captured when the QueueListener passes it on: stop the listener before the
      block ends. The event is then named by the formatted text, because QueueHandlers format their
      records.
    - loguru does not log through `logging`, so only what reaches a SegmentHandler among its sinks
      is captured.

    Args:
        logger: the name of the logger to capture from; None for all.
        level: during the block, `logger` lets records of this level and above through. If it
            already let lower ones through, it still does.
        allow_invalid: do not raise at the end of the block if an event was refused.

    Raises:
        InvalidMessage: an event was logged that Segment would drop. The end of the block raises it.
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
    """Takes every handler's messages, and puts them into `captured` or passes them on to `outer`.

    Args:
        captured: holds what is logged to `logger` or below it.
        logger: name of a logger; None for all.
        outer: the block around this one, which takes the rest; None if nothing should.
    """

    def __init__(self, captured: Captured, logger: str | None, outer: Diversion | None) -> None:
        self._captured = captured
        self._logger = logger
        self._outer = outer
        self._taken = Sightings()
        self._refused = Sightings()
        self._kept = Sightings()

    def take(self, record: logging.LogRecord) -> Enqueue:
        """Return what takes the record's message: once, however many handlers the record passes."""
        if not self._is_wanted(record):
            return _ignore if self._outer is None else self._outer.take(record)
        return self._keeper_of(record) if self._taken.is_new(record) else _ignore

    def _keeper_of(self, record: logging.LogRecord) -> Callable[[bytes], None]:
        def keep(line: bytes) -> None:
            self._kept.is_new(record)
            self._captured.messages.append(call_of(decode(line)))

        return keep

    def reject(self, record: logging.LogRecord, error: BaseException) -> None:
        """Remember why an event was refused: once, however many handlers it passes."""
        if not self._is_wanted(record):
            if self._outer is not None:
                self._outer.reject(record, error)
        elif self._refused.is_new(record):
            self._captured.refuse(error, self._pass_over(record, f"refused: {error}"))

    def look_at(self, record: logging.LogRecord) -> None:
        """Remember a record that has passed all handlers without becoming a message."""
        if record not in self._kept and record not in self._refused and self._is_wanted(record):
            self._pass_over(record, _reason_of(record))

    def _pass_over(self, record: logging.LogRecord, reason: str) -> PassedOver:
        about = record.__dict__.get  # not by attribute: a filter may have removed any of them
        place = f"{about('pathname')}:{about('lineno')}"
        passed_over = PassedOver(template_of(record) or "", place, reason)
        self._captured.passed_over.append(passed_over)
        return passed_over

    def _is_wanted(self, record: logging.LogRecord) -> bool:
        return _is_below(self._logger, record.name)


class _Onlooker(SegmentHandler):
    """Reads records that no handler of the program reads, and sees which became no message."""

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
    """Attach a handler so that every record below a logger reaches it exactly once."""
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
    """Let records of `level` through a logger inside the `with` block."""
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
    finally:  # a level that was set inside the block stays as it is
        if logger.level == opened:
            logger.setLevel(before)
        if logging.root.manager.disable == lifted:
            logging.disable(disabled)


def _is_below(name: str | None, other: str) -> bool:
    return name is None or other == name or other.startswith(f"{name}.")


def _handlers_for(name: str) -> Iterable[logging.Handler]:
    """Yield the handlers that a record of this logger name passes. Creates no logger."""
    known = logging.root.manager.loggerDict
    while name and not isinstance(known.get(name), logging.Logger):
        name = name.rpartition(".")[0]
    logger: logging.Logger | None = logging.getLogger(name) if name else logging.root
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def _reason_of(record: logging.LogRecord) -> str:
    keys = record.__dict__.keys() - _BARE_RECORD.keys()
    if isinstance(record.msg, Mapping):
        keys |= record.msg.keys() - {"event"}
    names = sorted(str(key) for key in keys if not str(key).startswith("_"))
    if keys.isdisjoint(MARKS | {"segment"}):
        has = f"only {', '.join(names)}" if names else "nothing"
        return f"not an event: it has {has} in extra; pass user_id, event or segment=True"
    return "held back by its handler's level, or by a filter, before_send or another option"


def _ignore(line: bytes) -> None:
    """Take a message that nobody wants, or that is captured already."""


_BARE_RECORD = logging.makeLogRecord({}).__dict__
