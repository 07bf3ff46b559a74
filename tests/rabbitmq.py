"""A real RabbitMQ on loopback, started from the system's package for one test module."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Self

from typing_extensions import override

from segment_logging._broker.address import address_of
from segment_logging._broker.bundles import lines_of_bundle
from segment_logging._broker.connection import Connection, Received

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""The script behind the command, which any user may run. The command itself switches users."""

WHY_SKIPPED = "needs RabbitMQ: apt-get install rabbitmq-server"


class RabbitMQ:
    """A RabbitMQ server with directories, ports and a cookie of its own.

    Args:
        certificate: a PEM file with a private key and its certificate, for TLS. None for no TLS.

    Attributes:
        url: the URL of the broker.
        tls_url: its URL with TLS.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        if not SERVER.exists():
            raise unittest.SkipTest(WHY_SKIPPED)
        self._directory = tempfile.mkdtemp(prefix="rabbitmq-")
        self._certificate = certificate
        self._port, self._dist_port, self._epmd_port, self._tls_port = _free_ports(4)
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}//"
        self.tls_url = f"amqps://guest:guest@127.0.0.1:{self._tls_port}//"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
        self._end_epmd()
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def _environment(self) -> dict[str, str]:
        home = self._directory
        return {
            **os.environ,
            "HOME": home,
            "RABBITMQ_NODENAME": f"test{self._port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": f"{home}/data",
            "RABBITMQ_LOG_BASE": f"{home}/log",
            "RABBITMQ_PID_FILE": f"{home}/pid",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/plugins",
            "RABBITMQ_CONFIG_FILE": f"{home}/rabbitmq",
            "RABBITMQSERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
        }

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        home = Path(self._directory)
        lines = ["loopback_users.guest = true"]
        if self._certificate is not None:
            lines += [
                f"listeners.ssl.default = 127.0.0.1:{self._tls_port}",
                f"listeners.ssl.other = 127.0.0.2:{self._tls_port}",
                *(f"ssl_options.{one} = {self._certificate}" for one in _TLS_FILES),
                "ssl_options.verify = verify_none",
            ]
        (home / "rabbitmq.conf").write_text("\n".join([*lines, ""]), encoding="ascii")
        with open(home / "output", "ab") as output:
            self._process = subprocess.Popen(
                [SERVER],
                env=self._environment,
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        until = time.monotonic() + 90
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > until:
                raise AssertionError((home / "output").read_text(errors="replace")[-2000:])
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self._port), 1) as connection,
        ):
            connection.settimeout(5)
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return connection.recv(1) == b"\x01"
        return False

    @property
    def _pids(self) -> list[int]:
        """The processes of the server: those of the session that it was started in."""
        assert self._process is not None
        shown = subprocess.run(
            ["ps", "-o", "pid=", "-s", str(self._process.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        return [int(pid) for pid in shown.stdout.split()]

    def signal(self, number: int) -> None:
        """Send a signal to every process of the server."""
        for pid in self._pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def wait_for_queues(self) -> None:
        """Wait until new queues survive a kill.

        RabbitMQ registers a queue on disk half a second after it was declared. One that is not
        registered never gets a leader after the next start.
        """
        time.sleep(2.0)

    def kill(self) -> None:
        """End the server with SIGKILL."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    def cpu_seconds(self) -> float:
        """Return the CPU time that the server has used."""
        total = 0
        for pid in self._pids:
            with suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def control(self, *arguments: str) -> str:
        """Run `rabbitmqctl`, and return what it prints."""
        done = subprocess.run(
            ["/usr/lib/rabbitmq/bin/rabbitmqctl", "--quiet", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    def declare(self, queue: str, *, max_length: int) -> None:
        """Declare a queue that refuses messages when it holds `max_length` of them."""
        connection = Connection(address_of(self.url))
        connection._channel.queue_declare(
            queue=queue,
            durable=True,
            auto_delete=False,
            arguments={"x-max-length": max_length, "x-overflow": "reject-publish"},
        )
        connection.close()

    def _end_epmd(self) -> None:
        """End the port mapper, which runs on a port of its own and in a session of its own."""
        port = str(self._epmd_port)
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if not (entry / "comm").read_text().startswith("epmd"):
                    continue
                if f"ERL_EPMD_PORT={port}\0" in (entry / "environ").read_text(errors="replace"):
                    os.kill(int(entry.name), signal.SIGKILL)


class BrokerCase(unittest.TestCase):
    """Base class with one broker for all tests of a module, and a new queue for each test."""

    broker: ClassVar[RabbitMQ]

    @override
    @classmethod
    def setUpClass(cls) -> None:
        if not _shared:
            broker = RabbitMQ().__enter__()
            _shared.append(broker)
            unittest.addModuleCleanup(lambda: _shared.pop().__exit__())
        cls.broker = _shared[0]

    @override
    def setUp(self) -> None:
        self.queue = f"test-{next(_numbers)}"
        self.url = f"{self.broker.url}?queue={self.queue}"

    def calls(self, *, bundles: int = 1, queue: str | None = None) -> list[Any]:
        """Take all calls out of a queue, after some bundles have arrived."""
        found = received_from(self.url, queue or self.queue, at_least=bundles)
        return [json.loads(line) for one in found for line in lines_of_bundle(one.body)]


_TLS_FILES = ("cacertfile", "certfile", "keyfile")

_shared: list[RabbitMQ] = []
_numbers = count()


def _free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [listening.getsockname()[1] for listening in taken]
    finally:
        for listening in taken:
            listening.close()


def received_from(
    url: str, queue: str, *, at_least: int = 0, seconds: float = 10.0
) -> list[Received]:
    """Take messages out of a queue.

    Args:
        url: the URL of the broker.
        queue: the name of the queue.
        at_least: how many to wait for. After that many, those that have arrived are taken.
        seconds: how long to wait.
    """
    connection = Connection(address_of(url, queue))
    found: list[Received] = []
    try:
        connection.declare()
        connection.consume(found.append, prefetch=10_000)
        until = time.monotonic() + seconds
        while len(found) < at_least and time.monotonic() < until:
            connection.pump(0.1)
        connection.pump(0.3)
        connection.acknowledge([], [one.tag for one in found])
    finally:
        connection.close()
    return found
