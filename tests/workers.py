"""Runs test modules side by side, in several processes that live as long as the run.

A worker reads the name of a module from its stdin, runs it, and answers with one line of JSON on
its stdout. What the tests themselves write to stdout and stderr goes to a file, for whoever started
the worker.
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
"""Makes `python -m tests` a worker."""


def run_in_workers(
    modules: Iterable[str], arguments: Iterable[str], *, jobs: int
) -> Iterator[tuple[Outcome, str]]:
    """Run modules, and yield what became of each as soon as it is known, with what it wrote.

    Args:
        modules: their names.
        arguments: of each worker, besides `SERVE`.
        jobs: how many workers there are.
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
    """A worker, as seen from outside.

    Args:
        arguments: besides `SERVE`.
        written: takes what its tests write.
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
        """Whether it can run another module."""

    def fileno(self) -> int:
        """What becomes readable with an answer."""
        return self._answers.fileno()

    def begin(self, module: str) -> None:
        """Have it run a module."""
        self._module = module
        self._requests.write(f"{module}\n")
        self._requests.flush()

    def finish(self) -> tuple[Outcome, str]:
        """Return what became of the module, and what it wrote."""
        answer = self._answers.readline()
        if answer:
            fields, written = json.loads(answer)
            return Outcome(**fields), written
        self.lives = False
        return self._died(f"{self._module} ended its process"), self._read()

    def end(self) -> tuple[Outcome, str]:
        """Have it end, and return how it did."""
        self._requests.close()
        if self._process.wait(60):
            return self._died("a process failed as it ended"), self._read()
        return Outcome(module="the end of a process"), self._read()

    def _died(self, what: str) -> Outcome:
        status = self._process.wait(60)
        return Outcome(module=self._module, failed=1, report=f"\n{what}: exit status {status}\n")

    def _read(self) -> str:
        self._written.seek(0)
        return self._written.read().decode(errors="replace")

    def kill(self) -> None:
        """Leave nothing of it."""
        self._process.kill()
        self._process.wait()
        self._requests.close()
        self._answers.close()


def serve(run: Callable[[str], Outcome]) -> None:
    """Be a worker.

    Args:
        run: runs a module.
    """
    names, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # else a program that a test starts could read our names
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
