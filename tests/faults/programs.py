"""Python programs that log in their own processes, with a time limit.

A program is source text. It can use `handler`, `logger`, the modules json, logging, os, sys and
time, and `log(number)`, which logs an event with that number as a property.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from segment_logging.collector import Collector

from ..builders import PROJECT

WRITE_KEY = "key"

_PREAMBLE = f"""
import json, logging, os, sys, time
from segment_logging import SegmentHandler

handler = SegmentHandler({WRITE_KEY!r}, **json.loads(sys.argv[1]))
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
logger.addHandler(handler)

def log(number):
    logger.info("Event", extra={{"user_id": "u-17", "properties": {{"number": number}}}})

"""


class Program:
    """A running program, which is killed at the end of a `with` block if it is still running.

    Args:
        source: the program's source text; see the module's docstring.
        seconds: the time limit for waits.
        options: the options of the program's SegmentHandler.

    Attributes:
        stderr: the program's stderr output after `end`.
    """

    def __init__(self, source: str, *, seconds: float = 60.0, **options: Any) -> None:
        options.setdefault("flush_interval", 0.05)
        options = {name: str(v) if isinstance(v, Path) else v for name, v in options.items()}
        self._seconds = seconds
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", _PREAMBLE + source, json.dumps(options)],
            cwd=PROJECT,
            env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.stderr = ""

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            with suppress(OSError):  # a pipe to a dead process
                stream.close()

    def read_line(self) -> str:
        """Wait for the program's next line, and return it, or "" if the program has ended."""
        return _open(self._process.stdout).readline().strip()

    def write_line(self, text: str = "") -> None:
        """Send the program a line."""
        stream = _open(self._process.stdin)
        stream.write(text + "\n")
        stream.flush()

    def kill(self) -> None:
        """Kill the program. As in a crash, none of its exit functions run."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(self._seconds)

    def end(self) -> str:
        """Wait for the program to end normally, and return the rest of its stdout.

        Raises:
            AssertionError: The program failed; the error contains its stderr.
            subprocess.TimeoutExpired: The program hangs.
        """
        printed, self.stderr = self._process.communicate(timeout=self._seconds)
        if self._process.returncode:
            raise AssertionError(f"exit status {self._process.returncode}: {self.stderr}")
        return printed.strip()


def _open(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def run_program(source: str, *, seconds: float = 60.0, **options: Any) -> str:
    """Run a program to its normal end, and return its stdout; see `Program`."""
    with Program(source, seconds=seconds, **options) as program:
        return program.end()


def deliver_journal(journal: Path, host: str, **options: Any) -> None:
    """Deliver everything that dead processes left in the journal, in a new process."""
    printed = run_program("print(handler.drain(30))", journal=journal, host=host, **options)
    if printed != "True":
        raise AssertionError("the journal was not delivered within 30 s")


def numbers_of(messages: Iterable[Any]) -> list[Any]:
    """Return the numbers of messages that were logged with a program's `log`."""
    return [message["properties"]["number"] for message in messages]


def numbers_in(collector: Collector) -> list[Any]:
    """Return the numbers of the messages that a collector accepted, including duplicates."""
    return numbers_of(collector.messages)
