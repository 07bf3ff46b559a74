"""What services let others watch: printed lines, a liveness file, and metrics."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from .._reports import Reporter, say
from ..errors import ConfigurationError
from .metrics import MetricsServer

_CAREFULLY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_MODE = 0o644  # others may watch it, and it contains nothing but figures


def add_metrics_option(group: argparse._ActionsContainer) -> None:
    """Add `--metrics-port`."""
    group.add_argument(
        "--metrics-port",
        type=_port,
        metavar="PORT",
        help="serve the figures for Prometheus at http://127.0.0.1:PORT/metrics; 0 picks a port",
    )


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 65_536:
        raise ValueError
    return number


_port.__name__ = "port"  # argparse shows it


def print_line(line: str) -> None:
    """Print a line, unless nobody reads it any more, which must not end the service."""
    with suppress(OSError, ValueError):
        print(line, flush=True)


@contextmanager
def metrics_served(port: int | None, text: Callable[[], str]) -> Iterator[None]:
    """Serve metrics during the block, if there is a port, and report where.

    Args:
        port: the port on loopback; 0 picks one.
        text: returns the metrics. It is called in another thread.

    Raises:
        ConfigurationError: the port cannot be used.
    """
    if port is None:
        yield
        return
    try:
        made = MetricsServer(port, text)
    except OSError as error:
        raise ConfigurationError(
            f"--metrics-port {port} cannot be used ({error.strerror or error}): pass another port, "
            "because each command needs its own"
        ) from None
    with made as server:
        say(f"metrics are at {server.url}")  # not on stdout, which may be read as JSON
        yield


class LivenessFile:
    """A file whose time of modification shows that a service works.

    Nothing is written through links or into pipes, because the directory may be open to others,
    like `/tmp`.

    Args:
        path: the file's path. None means that there is no such file.
        reporter: reports if it cannot be written.
    """

    def __init__(self, path: str | None, reporter: Reporter) -> None:
        self._path = path
        self._reporter = reporter

    def touch(self) -> None:
        """Set its time, and make it if necessary."""
        self._do(_touch)

    def write(self, text: str) -> None:
        """Replace it with a file that contains a text."""
        self._do(lambda path: _replace(path, text.encode()))

    def remove(self) -> None:
        """Remove it, because the service ends. Never raises."""
        if self._path is not None:
            with suppress(OSError):
                os.unlink(self._path)

    def _do(self, work: Callable[[str], None]) -> None:
        if self._path is None:
            return
        try:
            work(self._path)
        except OSError as error:
            self._reporter.once(
                "liveness",
                f"the liveness file cannot be written ({error.strerror}): check {self._path}",
            )
        else:
            self._reporter.over("liveness")


def _touch(path: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | _CAREFULLY, _MODE)
    try:
        os.utime(file)
    finally:
        os.close(file)


def _replace(path: str, content: bytes) -> None:
    written = f"{path}.new"
    with suppress(FileNotFoundError):
        os.unlink(written)  # left by a process that was killed, or somebody else's link
    file = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CAREFULLY, _MODE)
    try:
        os.write(file, content)
    finally:
        os.close(file)
    os.replace(written, path)
