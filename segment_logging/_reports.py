"""Telling the people who run the program: once, and with what to do about it.

Reports go to the logger `segment_logging`, or to stderr if nobody would read them there. A
SegmentHandler takes none of them, so that a report never becomes an event. They hold counts, but
never a message or a write key.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Callable

_LOGGER_NAME = __package__
_logger = logging.getLogger(_LOGGER_NAME)


def is_report(record: logging.LogRecord) -> bool:
    """Whether the record is one of this package's own."""
    return record.name == _LOGGER_NAME


def report(text: str, level: int = logging.WARNING) -> None:
    """Say `text` in the logger `segment_logging`, or on stderr if no handler would show it.

    Nor does a logger show anything that dictConfig has disabled in passing, as it does by default
    with all loggers that exist before it runs. To silence reports, set the logger's level.

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
    """Say `text` on stderr, for when logging is shut down. Never raises."""
    try:
        print(f"{_LOGGER_NAME}: {text}", file=sys.stderr, flush=True)
    except Exception:  # stderr is missing (pythonw) or closed: nobody is left to tell
        return


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 message", "2 messages"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def were(number: int) -> str:
    """Return the verb that goes with a number."""
    return "was" if number == 1 else "were"


def where(error: BaseException) -> str:
    """Return where an exception was raised, as `app.py, line 12`: its text may be personal data."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "raised nowhere"
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}, line {trace.tb_lineno}"


def say_refused(record: logging.LogRecord, error: BaseException) -> None:
    """Say what was wrong with a record and where it was logged, but nothing of what it holds."""
    ours = type(error).__module__.startswith(__package__ or "")
    text = error if ours else f"raised while the record was read ({where(error)})"
    about = record.__dict__.get
    say(
        f"{type(error).__name__}: {text}\n"
        f'  File "{about("pathname")}", line {about("lineno")}, in {about("funcName")}'
    )


class Reporter:
    """Reports each kind of trouble once, until it is over and comes back."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def once(self, kind: str, text: str, level: int = logging.WARNING) -> bool:
        """Report `text`, unless this kind of trouble was reported and is not over yet.

        Returns:
            Whether it was reported.
        """
        if kind in self._said:
            return False
        self._said.add(kind)
        report(text, level)
        return True

    def over(self, kind: str) -> None:
        """The trouble is over: when it comes back, it is news."""
        self._said.discard(kind)


class CountReports:
    """Reports how often something happened: once a minute with a count, never one by one.

    Args:
        text_of: returns what to say of a number of new cases.
    """

    def __init__(self, text_of: Callable[[int], str]) -> None:
        self._text_of = text_of
        self._reported = 0
        self._next = -math.inf

    def report(self, number: int, *, now: float) -> float | None:
        """Report the cases since the last report, unless that was just now.

        Args:
            number: how many there were in all.
            now: seconds, monotonic.

        Returns:
            When to ask again for what is not reported yet, or None.
        """
        if number == self._reported:
            return None
        if now < self._next:
            return self._next
        self._next = now + 60.0
        self._say(number)
        return None

    def report_at_end(self, number: int, *, at_last: bool = False) -> None:
        """Report them if nobody will ask again.

        At once, then each time that they have become twice as many, which is not too often, and
        at last whatever is new.
        """
        if number > self._reported and (at_last or number >= 2 * self._reported):
            self._say(number)

    def _say(self, number: int) -> None:
        report(self._text_of(number - self._reported))
        self._reported = number


def _has_readers() -> bool:
    logger: logging.Logger | None = _logger
    while logger is not None:
        for handler in logger.handlers:
            if not getattr(handler, "takes_no_reports", False):
                return True
        logger = logger.parent if logger.propagate else None
    return False
