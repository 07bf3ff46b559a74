"""Runs programs that end, fork, hang or are killed, each in an interpreter of its own."""

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
    """Log so many events of that name."""
    for number in range(count):
        logger.info(event, extra={"user_id": "u-17", "properties": {"number": number}})


def leave():
    """Say when the program is done, for the time that its end takes from there."""
    print(f"leaving {time.monotonic()}", flush=True)


'''
"""What every program here begins with."""

IMPATIENT_CELERY = """\
from kombu import Connection

drain_events = Connection.drain_events
Connection.drain_events = lambda self, **options: drain_events(self, **{**options, "timeout": 0.1})

"""
"""Has a Celery worker ask ten times a second whether it is to stop, and not every two seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a program ended."""

    status: int
    stdout: str
    stderr: str
    left_at: float

    @property
    def exit_seconds(self) -> float:
        """What the end took, from the program's `leave()` on."""
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
        program: its text, after `setup`; written to a file, as spawned children import it.
        host: where its events go.
        timeout: seconds; a program that takes longer hangs, and is killed with its children.
        while_it_runs: called with the process, to send it a signal, say.
        command: how to start it, in the directory that holds `program.py`.
        setup: stands before the program.
        environment: more of it.

    Raises:
        AssertionError: it took longer than `timeout`.
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
            raise AssertionError(f"it hangs: {_stacks_of(process)}") from None
        finally:
            _kill(process)
    return Done(status=process.returncode, stdout=stdout, stderr=stderr, left_at=time.monotonic())


def _stacks_of(process: subprocess.Popen[str]) -> str:
    """Return where the threads of a hanging process are, and end it."""
    os.kill(process.pid, 6)  # SIGABRT: faulthandler writes them to stderr
    try:
        return process.communicate(timeout=5)[1]
    except subprocess.TimeoutExpired:
        return "no word of where"


def _kill(process: subprocess.Popen[str]) -> None:
    """End the process and the children it left, which are in a session of their own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def arrived(collector: Collector) -> Counter[str]:
    """Return how often each event arrived, by name. Repetitions count."""
    return Counter(message["event"] for message in collector.messages)


def repeated_ids(collector: Collector) -> list[str]:
    """Return the message ids that arrived more than once."""
    ids = Counter(message["messageId"] for message in collector.messages)
    return [one for one, count in ids.items() if count > 1]
