"""Has a web server answer requests, stops it, and looks at what arrived."""

from __future__ import annotations

import importlib.util
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
    """Return the number of a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


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
        requests_made: int = REQUESTS,
    ) -> Done:
        """Start a server, make requests, stop it, and return how it ended.

        Args:
            program: the application, `program.py`.
            command: starts the server by its Python; PORT stands for the port.
            stop: the signal.
            requests_made: how many requests are made, each of which must be answered.
        """
        port = free_port()

        def use(process: subprocess.Popen[str]) -> None:
            _wait_for(port, process)
            for _ in range(requests_made):
                answer = requests.get(f"http://127.0.0.1:{port}/", timeout=20)
                self.assertEqual(answer.status_code, 200)
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
