"""A runner for programs that exit, fork, hang or are killed, each in its own interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from segment_logging.collector import Collector

from ..builders import PROJECT

SETUP = '''\
import json
import logging
import os
import signal
import sys
import threading
import time

from segment_logging import SegmentHandler

logger = logging.getLogger("app")
logger.setLevel(logging.DEBUG)
logger.propagate = False


def attach(to=logger, **options):
    """Attach a new handler and return it."""
    handler = SegmentHandler("the-write-key", **options)
    to.addHandler(handler)
    return handler


def log(event, count=1):
    """Log `count` events with this name."""
    for number in range(count):
        logger.info(event, extra={"user_id": "u-17", "properties": {"number": number}})


def leave():
    """Print the time, from which `Done.exit_seconds` measures the exit."""
    print(f"leaving {time.monotonic()}", flush=True)


'''
"""The code at the start of every program."""

IMPATIENT_CELERY = """\
from kombu import Connection

drain_events = Connection.drain_events
Connection.drain_events = lambda self, **options: drain_events(self, **{**options, "timeout": 0.1})

"""
"""Code that makes a Celery worker check ten times a second whether to stop, not every 2 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a program ended."""

    status: int
    stdout: str
    stderr: str
    left_at: float

    @property
    def exit_seconds(self) -> float:
        """The seconds from the program's `leave()` to its end."""
        told = [line.split()[1] for line in self.stdout.splitlines() if line.startswith("leaving ")]
        return self.left_at - float(told[-1])

    @property
    def json(self) -> Any:
        """The last line of stdout, decoded."""
        return json.loads(self.stdout.splitlines()[-1])


def run(
    program: str,
    host: str,
    *,
    timeout: float = 40.0,
    while_it_runs: Callable[[subprocess.Popen[str]], object] = lambda process: None,
    command: Iterable[str] = (sys.executable, "program.py"),
    setup: str = SETUP,
    **environment: str,
) -> Done:
    """Run a program and return how it ended.

    Args:
        program: the program's source. It is written to a file, which spawned children import.
        host: the host that receives the events.
        timeout: the time limit in seconds, after which the program and its children are killed.
        while_it_runs: a function that is called with the process, for example to send a signal.
        command: the command that starts the program, in the directory of `program.py`.
        setup: code that is inserted before the program.
        environment: additional environment variables.

    Raises:
        AssertionError: The program took longer than `timeout`.
    """
    with TemporaryDirectory() as directory:
        (Path(directory) / "program.py").write_text(setup + program)
        process = subprocess.Popen(
            list(command),
            cwd=directory,
            env={
                **os.environ,
                "PYTHONPATH": str(PROJECT),
                "PYTHONFAULTHANDLER": "1",
                "SEGMENT_HOST": host,
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            while_it_runs(process)
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the program hangs: {_stacks_of(process)}") from None
        finally:
            _kill(process)
    return Done(status=process.returncode, stdout=stdout, stderr=stderr, left_at=time.monotonic())


def _stacks_of(process: subprocess.Popen[str]) -> str:
    """Return the stacks of a hanging process's threads, and end the process."""
    os.kill(process.pid, 6)  # SIGABRT, for which faulthandler writes the stacks to stderr
    try:
        return process.communicate(timeout=5)[1]
    except subprocess.TimeoutExpired:
        return "no stacks"


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill the process and its remaining children, which share its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def arrived(collector: Collector) -> Counter[str]:
    """Return how many times each event arrived, by name, including duplicates."""
    return Counter(message["event"] for message in collector.messages)


def repeated_ids(collector: Collector) -> list[str]:
    """Return the message ids that arrived more than once."""
    ids = Counter(message["messageId"] for message in collector.messages)
    return [one for one, count in ids.items() if count > 1]
