"""Telling the people who run the program: once, with what to do about it.

Texts go to the logger `segment_logging`, and to stderr when nobody would read them there. A
SegmentHandler takes none of them, so that a report never becomes an event. They hold counts, and
never a message or a write key.
"""

from __future__ import annotations

import logging
import math
import os
import sys

_LOGGER_NAME = __package__
_logger = logging.getLogger(_LOGGER_NAME)


def is_report(record: logging.LogRecord) -> bool:
    """Whether the record is one of this package's own."""
    return record.name == _LOGGER_NAME


def report(text: str, level: int = logging.WARNING) -> None:
    """Say `text` in the logger `segment_logging`, or on stderr when no handler would show it.

    A logger that dictConfig disabled in passing, as it does by default with those that exist
    before it runs, shows nothing either; who wants silence sets the logger's level.

    Never raises, whatever the program's handlers do.
    """
    try:
        if _logger.disabled:
            say(text)
        elif _has_readers():
            _logger.log(level, "%s", text)
        elif _logger.isEnabledFor(level):
            say(text)
    except Exception:
        say(text)


def say(text: str) -> None:
    """Say `text` on stderr, for when logging is being shut down. Never raises."""
    try:
        print(f"{_LOGGER_NAME}: {text}", file=sys.stderr, flush=True)
    except Exception:  # no stderr (pythonw), or a closed one: nobody is left to tell
        return


def where(error: BaseException) -> str:
    """Return where an exception was raised, as `app.py, line 12`: its text may be personal data."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "raised nowhere"
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}, line {trace.tb_lineno}"


def say_refused(record: logging.LogRecord, error: BaseException) -> None:
    """Say what was wrong with a record and where it was logged, and nothing of what it holds."""
    ours = type(error).__module__.startswith(__package__ or "")
    text = error if ours else f"raised while the record was read ({where(error)})"
    about = record.__dict__.get
    say(
        f"{type(error).__name__}: {text}\n"
        f'  File "{about("pathname")}", line {about("lineno")}, in {about("funcName")}'
    )


class Reporter:
    """Says each kind of trouble once, until it is over and comes back."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def once(self, kind: str, text: str, level: int = logging.WARNING) -> bool:
        """Report `text` unless this kind of trouble was reported and is not over yet; return
        whether it was reported."""
        if kind in self._said:
            return False
        self._said.add(kind)
        report(text, level)
        return True

    def over(self, kind: str) -> None:
        """The trouble is over: its next occurrence is news again."""
        self._said.discard(kind)


class DropReports:
    """Says how many messages were dropped, once a minute and with a count, never for each one."""

    def __init__(self) -> None:
        self._reported = 0
        self._next = -math.inf

    def report_at_end(self, dropped: int, *, at_last: bool = False) -> None:
        """Report them when nobody comes back for more: at once, then each time that they have
        become twice as many, which is not too often, and at last."""
        if dropped > self._reported and (at_last or dropped >= 2 * self._reported):
            self._say(dropped)

    def report(self, dropped: int, *, now: float) -> float | None:
        """Report the messages dropped since the last time, unless that was within the minute.

        Args:
            dropped: how many ever were.
            now: seconds, monotonic.

        Returns:
            When to come back for what is not reported yet, None when there is nothing.
        """
        if dropped == self._reported:
            return None
        if now < self._next:
            return self._next
        self._next = now + 60.0
        self._say(dropped)
        return None

    def _say(self, dropped: int) -> None:
        report(
            f"the queue is full: {dropped - self._reported} messages were dropped; "
            "raise max_queue_messages and max_queue_bytes, set overflow to 'block', "
            "or set a journal"
        )
        self._reported = dropped


def _has_readers() -> bool:
    logger: logging.Logger | None = _logger
    while logger is not None:
        for handler in logger.handlers:
            if not getattr(handler, "takes_no_reports", False):
                return True
        logger = logger.parent if logger.propagate else None
    return False
