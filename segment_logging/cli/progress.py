"""Shows how far a command is on stderr: the rate, the time left, and what it is waiting for.

On a terminal, the line is drawn again and again, or by rich if it is installed. Elsewhere, such as
in a log file, a plain line is printed from time to time.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from typing_extensions import override

from .._clock import monotonic
from .output import remark

_EVERY_SECONDS = 0.2  # on a terminal
_EVERY_SECONDS_ELSEWHERE = 10.0
_BAR = 30  # characters


class _Drawing(Protocol):
    every: float

    def draw(self, text: str, part: float | None) -> None: ...
    def end(self) -> None: ...


class Progress:
    """The progress of one command.

    Args:
        drawing: shows the text, or None to choose by what stderr is.
        clock: returns the monotonic time in seconds.
    """

    def __init__(
        self, drawing: _Drawing | None = None, *, clock: Callable[[], float] = monotonic
    ) -> None:
        self._drawing = drawing or _drawing_here()
        self._clock = clock
        self._began = clock()
        self._next = self._began + self._drawing.every
        self._messages = 0
        self._is_shown = False
        self._read = self._start = 0
        self._total: int | None = None

    def begin(self, start: int, total: int | None) -> None:
        """Begin with a file.

        Args:
            start: how many of its bytes were settled before.
            total: its size in bytes, or None if that is not known.
        """
        self._began = self._clock()
        self._messages = 0
        self._read = self._start = start
        self._total = total

    def settled(self, messages: int, read: int) -> None:
        """Note how many messages have been settled since `begin`, and how many bytes were read."""
        self._messages, self._read = messages, read
        if self._clock() >= self._next:
            self._draw("")

    def waiting(self, seconds: float, why: str, *, is_new: bool) -> None:
        """Show that the command waits.

        Args:
            seconds: how long it will still wait.
            why: what for.
            is_new: whether the wait begins.
        """
        if self._clock() >= self._next or (is_new and round(seconds) >= 1):
            self._draw(f", waiting {_span(seconds)} ({why})", seconds)

    def end(self) -> None:
        """Show the last state, and end the line, so that other output begins on its own line."""
        if self._is_shown and not isinstance(self._drawing, PlainLines):
            self._draw("")
        self._is_shown = False
        with suppress(OSError, ValueError):
            self._drawing.end()

    def _draw(self, more: str, wait: float = 0.0) -> None:
        self._is_shown = True
        self._next = self._clock() + self._drawing.every
        part = min(1.0, self._read / self._total) if self._total else None
        with suppress(OSError, ValueError):  # the terminal is gone
            self._drawing.draw(self.text(wait) + more, part)

    def text(self, wait: float = 0.0) -> str:
        """Return the number of messages, the rate and the time left.

        Args:
            wait: how many seconds the command waits before it continues.
        """
        elapsed = max(0.001, self._clock() - self._began)
        text = f"{self._messages:,} message{'' if self._messages == 1 else 's'}"
        text += f", {self._messages / elapsed:,.0f}/s"
        done = self._read - self._start
        if self._total and done > 0:
            text += f", {_span(wait + (self._total - self._read) * elapsed / done)} left"
        return text


def _span(seconds: float) -> str:
    """Return a duration, like `0:07` or `1:02:03`."""
    whole = max(0, round(seconds))
    minutes, hours = whole // 60, whole // 3600
    if hours:
        return f"{hours}:{minutes % 60:02d}:{whole % 60:02d}"
    return f"{minutes}:{whole % 60:02d}"


class PlainLines:
    """Prints a line from time to time."""

    every = _EVERY_SECONDS_ELSEWHERE

    def draw(self, text: str, part: float | None) -> None:
        percent = "" if part is None else f"{part:.0%}, "
        remark(f"{percent}{text}")

    def end(self) -> None:
        """Do nothing, because each line is complete."""


class TerminalLine:
    """Draws one line of a terminal again and again."""

    every = _EVERY_SECONDS

    def __init__(self) -> None:
        self._is_shown = False

    def draw(self, text: str, part: float | None) -> None:
        width = shutil.get_terminal_size().columns - 1
        bar = percent = ""
        if part is not None:
            percent = f"{part:4.0%} "
            bar = f"[{'#' * round(_BAR * part):.<{_BAR}}] {percent}"
        line = f"{bar} {text}"
        if len(line) > width:
            line = f"{percent} {text}"[:width]  # a line that wraps could not be drawn again
        # The cursor is left at the beginning, so that a report overwrites the line.
        print(f"\r{line}\x1b[K\r", end="", file=sys.stderr, flush=True)
        self._is_shown = True

    def end(self) -> None:
        if self._is_shown:
            print(file=sys.stderr, flush=True)
        self._is_shown = False


class RichLine:
    """Draws one line with rich, which also keeps it below what others print.

    Args:
        progress: the module `rich.progress`.
        console: the module `rich.console`.
    """

    every = _EVERY_SECONDS

    def __init__(self, progress: Any, console: Any) -> None:
        self._progress = progress.Progress(
            progress.BarColumn(), progress.TextColumn("{task.description}", markup=False),
            console=console.Console(stderr=True), transient=False,
        )  # fmt: skip
        self._task: Any = None

    def draw(self, text: str, part: float | None) -> None:
        if self._task is None:
            self._progress.start()
            self._task = self._progress.add_task("")
        total = None if part is None else 1.0
        percent = "" if part is None else f"{part:4.0%}  "
        self._progress.update(
            self._task, total=total, completed=part or 0.0, description=percent + text
        )

    def end(self) -> None:
        if self._task is not None:
            self._progress.stop()
            self._task = None


class Nothing(PlainLines):
    """Shows nothing."""

    @override
    def draw(self, text: str, part: float | None) -> None:
        """Do nothing."""


def _drawing_here() -> _Drawing:
    try:
        is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):  # no stderr, or a closed one
        return Nothing()
    if not is_terminal:
        return PlainLines()
    try:
        from rich import console, progress  # noqa: PLC0415  # slow to import, and may be missing
    except ImportError:
        return TerminalLine()
    return RichLine(progress, console)
