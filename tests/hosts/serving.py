"""Has a web server answer requests, stops it, and looks at what arrived."""

from __future__ import annotations

import importlib.util
import random
import signal
import socket
import subprocess
import sys
import time
import unittest
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import requests
from typing_extensions import override

from segment_logging.collector import Collector

from ..faults.subprocesses import Done, arrived, repeated_ids, run

REQUESTS = 12

F = TypeVar("F", bound=Callable[..., Any])


def has(*modules: str) -> bool:
    """Whether all of these modules can be imported."""
    return all(importlib.util.find_spec(module) is not None for module in modules)


def needs(*modules: str) -> Callable[[F], F]:
    """Return a decorator: the test is skipped unless these modules are installed."""
    return unittest.skipUnless(has(*modules), f"needs {', '.join(modules)}")


def free_port() -> int:
    """Return the number of a port that nothing is listening on.

    It is below the ports that systems assign to clients, so no client has it when a server starts.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.socket() as server:
            server.bind(("127.0.0.1", port))
            return port


class Server:
    """A web server that is running.

    Args:
        process: the process that was started, which may have children.
        port: the port that it listens on.

    Attributes:
        port: the port.
        answers: the bodies of all answers so far.
    """

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port
        self._url = f"http://127.0.0.1:{port}/"
        self.answers: list[str] = []

    def get(self, *, repeat: bool = False) -> str:
        """Make a request and return the body of the answer.

        Args:
            repeat: make it once more if the connection is closed without an answer. A worker that
                ends closes the connections that it has accepted, also those it has read nothing of.

        Raises:
            AssertionError: the status is not 200.
        """
        try:
            answer = requests.get(self._url, timeout=20)
        except requests.ConnectionError:
            if not repeat:
                raise
            return self.get()
        assert answer.status_code == 200, answer.status_code
        self.answers.append(answer.text)
        return answer.text


def visit_often(server: Server) -> None:
    """Make `REQUESTS` requests."""
    for _ in range(REQUESTS):
        server.get()


class HostTest(unittest.TestCase):
    """Runs programs with a collector for their events."""

    @override
    def setUp(self) -> None:
        self.start_over()

    def start_over(self) -> None:
        """Have what arrives from now on counted apart, as in another subtest."""
        self.collector = Collector()
        self.addCleanup(self.collector.close)

    def run_it(self, program: str, **options: object) -> Done:
        """Run a program to its end; see `run`."""
        return run(program, self.collector.url, **options)  # type: ignore[arg-type]

    def serve(
        self,
        program: str,
        command: Iterable[str],
        *,
        stop: signal.Signals = signal.SIGTERM,
        visit: Callable[[Server], object] = visit_often,
    ) -> Done:
        """Start a server, make requests, stop it, and return how it ended.

        Args:
            program: the application, `program.py`.
            command: starts the server by its Python; PORT stands for the port.
            stop: the signal.
            visit: makes the requests, before the server is stopped.
        """
        port = free_port()

        def use(process: subprocess.Popen[str]) -> None:
            _wait_for(port, process)
            visit(Server(process, port))
            process.send_signal(stop)

        return run(
            program,
            self.collector.url,
            while_it_runs=use,
            command=(sys.executable, *(part.replace("PORT", str(port)) for part in command)),
        )

    def assert_arrived(self, done: Done | None = None, **events: int) -> None:
        """Assert that each event arrived so many times, with a message id of its own."""
        said = "" if done is None else done.stderr
        self.assertEqual(Counter(arrived(self.collector)), Counter(events), said)
        self.assertEqual(repeated_ids(self.collector), [])


def _wait_for(port: int, process: subprocess.Popen[str]) -> None:
    """Wait until a server listens.

    Raises:
        AssertionError: it ended instead, or takes longer than half a minute.
    """
    for _ in range(600):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            assert process.stderr is not None
            raise AssertionError(f"the server did not start: {process.stderr.read()}")
        time.sleep(0.05)
    raise AssertionError("the server does not listen")
