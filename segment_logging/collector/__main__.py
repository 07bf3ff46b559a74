"""`python -m segment_logging.collector`: print a line for each message that arrives."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from threading import Event
from typing import Any

from typing_extensions import override

from .._clock import monotonic
from .._process.sigterm import sigterm_as_ctrl_c
from .._process.threads import new_condition, start_daemon
from .entries import GOOD, Entry
from .faults import answers_in
from .lines import columns_of, printable
from .server import Collector

PORT = 8765
_GC_THRESHOLDS = (50_000, 20, 100)
"""Parsed messages are many objects without cycles. The default costs a third of the CPU time."""
KEEP = 20_000
DESCRIPTION = "Run a local endpoint that behaves like Segment's and shows what arrives."

_MAX_FIELDS = 200  # characters of the properties in a line
_MAX_GOOD = 1_000  # lines a second for messages that are fine; all others have a line
_MAX_WAITING = 10_000  # lines for a slow terminal


def main(arguments: Sequence[str] | None = None, *, ended: Event | None = None) -> int:
    """Run the collector until `ended` is set, or until Ctrl-C or SIGTERM.

    Args:
        arguments: the command-line arguments. None means the arguments of the process.
        ended: an event that another thread can set to stop the collector.

    Returns:
        The exit code: 0, or 2 if the collector cannot listen on the port.
    """
    parser = argparse.ArgumentParser(prog="segment-logging collector", description=DESCRIPTION)
    add_arguments(parser)
    return run(parser.parse_args(arguments), ended)


def run(options: argparse.Namespace, ended: Event | None = None) -> int:
    """Run the collector with parsed arguments. See `main`."""
    thresholds = gc.get_threshold()
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        return _run(options, ended or Event())
    finally:
        gc.set_threshold(*thresholds)


def _run(options: argparse.Namespace, ended: Event) -> int:
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # some terminals only support ASCII
    try:
        output = _Output()
        collector = _Printing(
            None if options.quiet else output,
            options.port,
            answer=options.answer,
            keep=KEEP,
            host=options.host,
            allow_hosts=options.allow_host,
            allow_origins=options.allow_origin,
        )
    except (OSError, OverflowError) as error:
        print(f"cannot listen on {options.host} port {options.port}: {error}", file=sys.stderr)
        return 2
    with suppress(KeyboardInterrupt), sigterm_as_ctrl_c(), collector:
        output.write(f"The collector is running at {collector.url}: open it in a browser,\n")
        output.write(f"and run your program with SEGMENT_HOST={collector.url}\n")
        start_daemon(output.run, "collector output")
        if options.open:
            start_daemon(lambda: webbrowser.open(collector.url), "collector browser")
        ended.wait()
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "--port", type=int, default=PORT, help=f"0 picks a free port (default: {PORT})"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="the address to listen on, such as 0.0.0.0 in a container (default: 127.0.0.1). "
        "Anybody who reaches it can read what arrives.",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name by which clients address the collector, such as host.docker.internal",
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="web pages that may send, such as https://app.test; pages of this machine always may",
    )
    parser.add_argument(
        "--answer",
        type=_script,
        default=(),
        metavar="LIST",
        help="answer requests in this order, then like Segment: statuses, ok, hang and drop, such "
        "as 429:retry-after=2,500*3,hang,drop",
    )
    parser.add_argument("--quiet", action="store_true", help="do not print the messages")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")


def _script(text: str) -> str:
    try:
        answers_in(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


class _Printing(Collector):
    """A collector that prints a line for each message."""

    def __init__(self, output: _Output | None, port: int, **options: Any) -> None:
        self._output = output
        super().__init__(port, **options)

    @override
    def _notify(self, entries: list[Entry], messages: list[Any]) -> None:
        output = self._output
        if output is None:
            return
        lines, skipped = [], 0
        for entry, message in zip(entries, messages):
            if entry.kind == GOOD and not output.has_time():
                skipped += 1
            else:
                lines.append(_line(entry, message))
        output.add(lines, skipped)


class _Output:
    """Standard output, which may be slow, and whose reader may close it at any time.

    Lines are written by a thread, so that no client waits for a terminal.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._skipped = self._second = self._good = 0
        self._changed = new_condition()
        self._is_closed = False

    def has_time(self) -> bool:
        """Count a line for a good message. Return False if this second has had enough of them."""
        second = int(monotonic())
        if second != self._second:
            self._second, self._good = second, 0
        self._good += 1
        return self._good <= _MAX_GOOD

    def add(self, lines: list[str], skipped: int) -> None:
        """Have lines written, unless too many are waiting."""
        with self._changed:
            if len(self._lines) > _MAX_WAITING:
                self._skipped += len(lines)
            else:
                self._lines += lines
            self._skipped += skipped
            self._changed.notify()

    def run(self) -> None:
        """Write lines for as long as the process runs."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._skipped)
                lines, self._lines = self._lines, []
                skipped, self._skipped = self._skipped, 0
            if skipped:
                lines.append(f"... and {skipped:,} more\n")
            self.write("".join(lines))

    def write(self, text: str) -> None:
        """Write, unless nobody reads any more."""
        if self._is_closed:
            return
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except (OSError, ValueError, AttributeError):
            self._is_closed = True
            with suppress(OSError, ValueError, AttributeError):  # for the flush at exit
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, sys.stdout.fileno())
                os.close(nowhere)


def _line(entry: Entry, message: Any) -> str:
    call_type, user, name, fields = columns_of(message)
    if len(fields) > _MAX_FIELDS:
        fields = f"{fields[:_MAX_FIELDS]}..."
    notes = [entry.outcome, *([entry.reason] if entry.reason else []), *entry.warnings]
    outcome = printable("; ".join(notes))
    return f"{call_type:<8}  {user:<16}  {name:<24}  {fields}  [{outcome}]\n"


if __name__ == "__main__":
    sys.exit(main())
