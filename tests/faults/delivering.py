"""`segment-logging deliver` in its own process, for tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

from ..builders import PROJECT
from .programs import WRITE_KEY


class Deliverer:
    """A running `segment-logging deliver`, which is killed at the end of a `with` block.

    Args:
        journal: the directory.
        arguments: further arguments.
        write_key: the write key in its environment.
    """

    def __init__(self, journal: Path, *arguments: str, write_key: str = WRITE_KEY) -> None:
        self._directory = TemporaryDirectory()
        self._said = Path(self._directory.name) / "stderr"
        self._told = Path(self._directory.name) / "stdout"
        with self._told.open("w") as told, self._said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "segment_logging", "deliver", str(journal),
                 *arguments],
                cwd=PROJECT,
                env={**os.environ, "NO_PROXY": "127.0.0.1", "SEGMENT_WRITE_KEY": write_key},
                stdout=told,
                stderr=said,
            )  # fmt: skip

    def __enter__(self) -> Deliverer:
        wait_until(lambda: "delivering from" in self.stdout or self.process.poll() is not None)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._directory.cleanup()

    @property
    def stdout(self) -> str:
        return self._told.read_text()

    @property
    def stderr(self) -> str:
        return self._said.read_text()

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


def wait_until(is_reached: Callable[[], Any], *, seconds: float = 60.0) -> None:
    """Wait until a function returns something true.

    Raises:
        AssertionError: it takes too long.
    """
    end = monotonic() + seconds
    while not is_reached():
        if monotonic() > end:
            raise AssertionError("it did not happen in time")
        sleep(0.02)
