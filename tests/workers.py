"""Worker processes, which run test modules in parallel.

A worker reads the name of a module from stdin, runs it, and writes one line of JSON to stdout. The
tests' own output to stdout and stderr goes to a temporary file, and is returned with the outcome.
"""

from __future__ import annotations

import faulthandler
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from itertools import islice
from selectors import EVENT_READ, DefaultSelector
from tempfile import TemporaryFile
from typing import IO

from .suite import Outcome

SERVE = "--serve"
"""The option that makes `python -m tests` a worker."""


def run_in_workers(
    modules: Iterable[str], arguments: Iterable[str], *, jobs: int
) -> Iterator[tuple[Outcome, str]]:
    """Run modules, and yield the outcome and output of each one as soon as it ends.

    Args:
        modules: the modules' names.
        arguments: the arguments of each worker, besides `SERVE`.
        jobs: the number of workers.
    """
    names = iter(modules)
    with ExitStack() as stack:
        busy = stack.enter_context(DefaultSelector())

        def start(name: str) -> None:
            worker = _Worker(arguments, stack.enter_context(TemporaryFile()))
            stack.callback(worker.kill)
            worker.begin(name)
            busy.register(worker, EVENT_READ)

        for name in islice(names, jobs):
            start(name)
        while busy.get_map():
            for key, _ in busy.select():
                worker = key.fileobj
                assert isinstance(worker, _Worker)
                yield worker.finish()
                next_name = next(names, None)
                if next_name is not None and worker.lives:
                    worker.begin(next_name)
                    continue
                busy.unregister(worker)
                if next_name is not None:
                    start(next_name)
                elif worker.lives:
                    yield worker.end()


class _Worker:
    """A worker process, seen from the process that started it.

    Args:
        arguments: the worker's arguments, besides `SERVE`.
        written: the file that receives the output of the tests.
    """

    def __init__(self, arguments: Iterable[str], written: IO[bytes]) -> None:
        self._written = written
        self._process = subprocess.Popen(
            [
                *(sys.executable, *(f"-W{option}" for option in sys.warnoptions)),
                *("-m", __package__, SERVE, *arguments),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=written,
            text=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout
        self._module = ""
        self.lives = True
        """Whether the worker can run another module."""

    def fileno(self) -> int:
        """Return the file descriptor that becomes readable when the worker answers."""
        return self._answers.fileno()

    def begin(self, module: str) -> None:
        """Start running a module in the worker."""
        self._module = module
        self._requests.write(f"{module}\n")
        self._requests.flush()

    def finish(self) -> tuple[Outcome, str]:
        """Return the module's outcome and output."""
        answer = self._answers.readline()
        if answer:
            fields, written = json.loads(answer)
            return Outcome(**fields), written
        self.lives = False
        return self._died(f"{self._module} ended its process"), self._read()

    def end(self) -> tuple[Outcome, str]:
        """Stop the worker, and return how it exited, with its remaining output."""
        self._requests.close()
        if self._process.wait(60):
            self._module = f"the end of the process of {self._module}"
            return self._died("a process failed at its end"), self._read()
        return Outcome(module="the end of a process"), self._read()

    def _died(self, what: str) -> Outcome:
        status = self._process.wait(60)
        return Outcome(module=self._module, failed=1, report=f"\n{what}: exit status {status}\n")

    def _read(self) -> str:
        self._written.seek(0)
        return self._written.read().decode(errors="replace")

    def kill(self) -> None:
        """Kill the process and close its pipes."""
        self._process.kill()
        self._process.wait()
        self._requests.close()
        self._answers.close()


def serve(run: Callable[[str], Outcome]) -> None:
    """Run as a worker.

    Args:
        run: the function that runs a module.
    """
    names, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # otherwise, a program that a test starts could read our module names
    os.close(nothing)
    os.dup2(2, 1)
    faulthandler.enable()
    with names, answers:
        for name in names:
            outcome = run(name.strip())
            answers.write(json.dumps([asdict(outcome), _take_what_was_written()]) + "\n")
            answers.flush()


def _take_what_was_written() -> str:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    written = os.pread(2, os.fstat(2).st_size, 0)
    os.ftruncate(2, 0)
    os.lseek(2, 0, os.SEEK_SET)
    return written.decode(errors="replace")
