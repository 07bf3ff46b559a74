"""Reports of problems for the people who run the program, with advice on what to do.

Reports are logged to the logger `segment_logging`, or printed on stderr if no handler would show
them. A SegmentHandler ignores them, so a report never becomes an event. Reports contain counts, but
never messages or write keys.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Callable
from types import TracebackType

from ._clock import monotonic

_LOGGER_NAME = __package__
_logger = logging.getLogger(_LOGGER_NAME)


def is_report(record: logging.LogRecord) -> bool:
    """Return whether a record is a report from this package."""
    return record.name == _LOGGER_NAME


def report(text: str, level: int = logging.WARNING) -> None:
    """Log `text` to the logger `segment_logging`, or print it on stderr if no handler shows it.

    It is also printed on stderr if dictConfig has disabled the logger, which dictConfig by default
    does to all existing loggers. To silence reports, set the logger's level.

    Never raises, even if one of the program's handlers does.
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
    """Print `text` on stderr, for use when logging is shut down. Never raises."""
    try:
        # In one write, so that the lines of several processes do not run into each other. `print`
        # would write the newline separately.
        sys.stderr.write(f"{_LOGGER_NAME}: {text}\n")
        sys.stderr.flush()
    except Exception:  # stderr is missing (pythonw) or closed
        return


def printable(text: str, *, at_most: int = 200) -> str:
    """Return a text of somebody else's for a report: cut short, on one line, escaped.

    Control characters could move a terminal's cursor, and marks for the direction of writing could
    reorder what stands beside them.

    Args:
        text: the text.
        at_most: characters to keep.
    """
    cut = text[:at_most]
    escaped = "".join(one if one.isprintable() else one.encode("unicode_escape").decode()
                      for one in " ".join(cut.split()))  # fmt: skip
    return escaped if len(text) <= at_most else f"{escaped} …"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 message", "2 messages"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def were(number: int) -> str:
    """Return "was" or "were", whichever agrees with a number."""
    return "was" if number == 1 else "were"


def where(error: BaseException) -> str:
    """Return where an exception was raised, like `app.py, line 12`.

    Reports use this instead of the exception's text, which may contain personal data.
    """
    trace = innermost(error)
    if trace is None:
        return "an unknown place"
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}, line {trace.tb_lineno}"


def innermost(error: BaseException) -> TracebackType | None:
    """Return the frame in which an exception was raised, if it was."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace


class RefusedReports:
    """Prints what was wrong with records and where they were logged, but none of their contents.

    Each reason is printed at most ten times a minute for each place in the program. A loop over bad
    data would otherwise fill stderr.

    Args:
        clock: returns the monotonic time in seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._said: dict[object, tuple[float, int]] = {}  # since when, and how many times
        self._unsaid: dict[object, int] = {}

    def say(self, record: logging.LogRecord, error: BaseException) -> None:
        """Print a reason. Never raises, even close to the recursion limit."""
        try:
            ours = type(error).__module__.startswith(__package__ or "")
            text = str(error) if ours else f"raised while the record was read ({where(error)})"
            about = record.__dict__.get
            place = f'File "{about("pathname")}", line {about("lineno")}, in {about("funcName")}'
            more = self._more((text.translate(_WITHOUT_DIGITS), place))
            if more is not None:
                say(f"{type(error).__name__}: {text}{more}\n  {place}")
        except Exception:
            return

    def say_at_last(self) -> None:
        """Print how many records were refused for reasons that were already printed."""
        number = sum(self._unsaid.values())
        self._unsaid.clear()
        if number:
            say(f"{counted(number, 'more event')} {were(number)} refused for the same reasons")

    def _more(self, key: object) -> str | None:
        """Return what to add about the records that were not reported; None: do not print."""
        now = self._clock()
        since, number = self._said.get(key, (now, 0))
        if now >= since + _INTERVAL:
            since, number = now, 0
        if number >= _SAID_AT_MOST:
            self._unsaid[key] = self._unsaid.get(key, 0) + 1
            return None
        if len(self._said) >= _MOST_REASONS:
            self._said.clear()
        self._said[key] = since, number + 1
        unsaid = self._unsaid.pop(key, 0)
        return f" (and {unsaid:,} more since this was last printed)" if unsaid else ""


_SAID_AT_MOST = 10
_MOST_REASONS = 1_000
_WITHOUT_DIGITS = dict.fromkeys(map(ord, "0123456789,"))  # sizes differ for the same reason


class Reporter:
    """Reports each kind of trouble at most once a minute, and counts what it does not report.

    Args:
        clock: returns the monotonic time in seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._ongoing: set[str] = set()  # kinds of trouble that were reported and are not over
        self._next: dict[str, float] = {}  # when each kind may be reported again
        self._unreported: dict[str, tuple[int, Callable[[int], str]]] = {}

    def once(self, kind: str, text: str, level: int = logging.WARNING) -> bool:
        """Report a lasting trouble, unless it was already reported and is not over.

        If it is over and recurs within a minute, it is reported by the first call after that
        minute.

        Returns:
            Whether the text was reported.
        """
        if kind in self._ongoing or not self._is_time_for(kind):
            return False
        self._ongoing.add(kind)
        report(text, level)
        return True

    def over(self, kind: str) -> None:
        """Note that a trouble is over, so that it will be reported if it recurs."""
        self._ongoing.discard(kind)

    def each(self, kind: str, number: int, text_of: Callable[[int], str]) -> bool:
        """Report single cases, together with those that were not reported before.

        Args:
            kind: the kind of trouble.
            number: the number of new cases.
            text_of: returns the text of the report for a number of cases.

        Returns:
            Whether they were reported.
        """
        count = number + self._unreported.pop(kind, (0, text_of))[0]
        if not count:
            return False
        if self._is_time_for(kind):
            report(text_of(count))
            return True
        self._unreported[kind] = (count, text_of)
        return False

    def catch_up(self, *, at_last: bool = False) -> float | None:
        """Report the cases that were not reported and whose minute is over.

        Args:
            at_last: report all of them, because there is no later chance.

        Returns:
            The time at which to call this again, or None.
        """
        for kind, (count, text_of) in tuple(self._unreported.items()):
            if at_last or self._is_time_for(kind):
                del self._unreported[kind]
                report(text_of(count))
        return min((self._next[kind] for kind in self._unreported), default=None)

    def _is_time_for(self, kind: str) -> bool:
        now = self._clock()
        if now < self._next.get(kind, -math.inf):
            return False
        self._next[kind] = now + _INTERVAL
        return True


_INTERVAL = 60.0  # seconds between two reports of one kind


class CountReports:
    """Reports how many times something happened, at most once a minute.

    Args:
        text_of: returns the text of the report for a number of new cases.
    """

    def __init__(self, text_of: Callable[[int], str]) -> None:
        self._text_of = text_of
        self._reported = 0
        self._next = -math.inf

    def report(self, number: int, *, now: float) -> float | None:
        """Report the cases since the last report, unless that was less than a minute ago.

        Args:
            number: the total number of cases.
            now: the monotonic time in seconds.

        Returns:
            The time at which to call this again for unreported cases, or None.
        """
        if number == self._reported:
            return None
        if now < self._next:
            return self._next
        self._next = now + _INTERVAL
        self._say(number)
        return None

    def report_at_end(self, number: int, *, at_last: bool = False) -> None:
        """Report new cases when `report` may not be called again.

        The first report is made at once. Later reports are made each time the number has doubled,
        which limits their number. If `at_last`, any new cases are reported.
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
