"""The processes of the stress test: they log, and their parent does something to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from ..builders import PROJECT

_WORKER = """
import logging, logging.config, os, signal, sys, threading
from segment_logging import drain, exit_on_sigterm

host, journal, name = sys.argv[1:]

def configure():
    logging.config.dictConfig({
        "version": 1,
        "handlers": {"segment": {
            "class": "segment_logging.SegmentHandler", "write_key": "key", "host": host,
            "journal": journal, "flush_interval": 0.1, "timeout": [1.0, 1.0],
        }},
        "loggers": {"app": {"level": "INFO", "handlers": ["segment"]}},
    })

exit_on_sigterm()
configure()
logger = logging.getLogger("app")
ended = threading.Event()
wishes = []
signal.signal(signal.SIGHUP, lambda *_: wishes.append("reload"))
signal.signal(signal.SIGUSR1, lambda *_: wishes.append("fork"))

def wait_for_the_end():
    sys.stdin.read()
    ended.set()

def log(event):
    logger.info("Event", extra={"user_id": "u-17", "properties": {"number": event}})
    os.write(1, event.encode() + b"\\n")

def fork():
    child = os.fork()
    if child == 0:
        for more in range(5):
            log(f"{name}-{os.getpid()}-{more}")
        if os.getpid() % 2:
            drain(0.5)
        os._exit(0)
    children.append(child)

threading.Thread(target=wait_for_the_end, daemon=True).start()
number, children = 0, []
while not ended.wait(0.01):
    for number in range(number, number + 15):
        log(f"{name}-{number}")
    number += 1
    if wishes:
        configure() if wishes.pop() == "reload" else fork()
    while children and os.waitpid(children[0], os.WNOHANG)[0]:
        children.pop(0)
for child in children:
    os.waitpid(child, 0)
sys.exit(0 if drain(60) else 1)
"""


class Worker:
    """A process that logs until its stdin is closed or a signal ends it.

    Attributes:
        accepted: the names of the events that were accepted.
        has_begun: set once there is an event.
        exit_seconds: the time from the signal that ended it to its end.
        peak_mebibytes: its largest resident size, as far as was seen.
        most_descriptors: its largest number of open files, as far as was seen.
        stderr_bytes: how much it wrote to stderr, once it has ended.
    """

    def __init__(self, name: str, host: str, folder: Path) -> None:
        self.accepted: set[str] = set()
        self.has_begun = threading.Event()
        self.exit_seconds = self.peak_mebibytes = 0.0
        self.most_descriptors = self.stderr_bytes = 0
        self._signalled_at: float | None = None
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORKER, host, str(folder / "journal"), name],
            cwd=PROJECT,
            env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        for line in _open(self._process.stdout):
            self.accepted.add(line.strip().decode())
            self.has_begun.set()
        self._process.wait()
        if self._signalled_at is not None:
            self.exit_seconds = time.monotonic() - self._signalled_at

    def look(self) -> None:
        """Look at the memory and the descriptors that it uses now, where `/proc` tells."""
        place = Path(f"/proc/{self._process.pid}")
        with suppress(OSError, ValueError):
            pages = int((place / "statm").read_text().split()[1])
            self.peak_mebibytes = max(self.peak_mebibytes, pages * 4096 / 2**20)
            self.most_descriptors = max(self.most_descriptors, len(list((place / "fd").iterdir())))

    def signal(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            self._signalled_at = time.monotonic()
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()

    def tell_to_end(self) -> None:
        with suppress(OSError):
            _open(self._process.stdin).close()

    def end(self, deadline: float) -> bool:
        """Wait for the process to end, and return whether it ended as expected and in time."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.1, deadline - time.monotonic()))
        status = self._process.poll()
        if status is None:
            self._process.kill()
        self._process.wait()
        self._reading.join()  # even if the process was killed, all its output is in the pipe
        self.stderr_bytes = self._stderr.seek(0, os.SEEK_END)
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            with suppress(OSError):
                _open(stream).close()
        return status in _EXPECTED


_EXPECTED = (0, 128 + signal.SIGTERM, 1, -signal.SIGKILL, -signal.SIGINT, -signal.SIGTERM)


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream
