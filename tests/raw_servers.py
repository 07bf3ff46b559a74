"""Servers on 127.0.0.1 that do what they like with their connections, byte by byte."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"success":true}'


def an_answer(body: bytes = b"", *, status: str = "200 OK", headers: bytes = b"") -> bytes:
    """Return an answer as bytes, with a Content-Length that is right."""
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (
        status.encode(), headers, len(body), body,
    )  # fmt: skip


class RawServer:
    """Accepts connections, and runs `behave` on each of them in a thread of its own.

    Args:
        behave: called with the server and a connection. Errors of the connection end it.
        receive_buffer: the size of the kernel's buffer for what arrives, if not None.

    Attributes:
        requests: the heads and bodies that `take` has read.
        connections: how many connections were made.
        url: the host to pass to an HttpClient.
    """

    def __init__(
        self, behave: Callable[[RawServer, Any], object], *, receive_buffer: int | None = None
    ) -> None:
        self.requests: list[tuple[bytes, bytes]] = []
        self.connections = 0
        self._behave = behave
        self._ended = Event()
        self._threads: list[Thread] = []
        self._sockets: list[socket.socket] = []
        self._listening = socket.socket()
        if receive_buffer is not None:
            self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen()
        self.port: int = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> RawServer:
        self._start(self._accept)
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def take(self, connection: Any) -> bytes | None:
        """Read a request and return its head, or None if the client has closed."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65_536)
            if not more:
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        while len(body) < length:
            body += connection.recv(65_536)
        self.requests.append((head, body))
        return head

    def drip(self, connection: Any, data: bytes | None = None, *, pause: float = 0.02) -> None:
        """Send data byte by byte; None means `x` for as long as the client stays."""
        for byte in iter(lambda: b"x", None) if data is None else (bytes((b,)) for b in data):
            connection.sendall(byte)
            if self._ended.wait(pause):
                return

    def forget(self) -> None:
        """Forget the connections that have ended, for servers that have very many."""
        self._threads = [one for one in self._threads if one.is_alive()]
        self._sockets = [one for one in self._sockets if one.fileno() >= 0]

    def wait(self, seconds: float = 60.0) -> None:
        """Wait until the server ends."""
        self._ended.wait(seconds)

    def _start(self, target: Callable[..., object], *args: Any) -> None:
        thread = Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                self._sockets.append(connection)
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError), connection:
            self._behave(self, connection)


def always(answer: bytes) -> Callable[[RawServer, Any], None]:
    """Return a behavior that answers every request alike."""

    def behave(server: RawServer, connection: Any) -> None:
        while server.take(connection) is not None:
            connection.sendall(answer)

    return behave


def once(answer: bytes) -> Callable[[RawServer, Any], None]:
    """Return a behavior that answers the first request of a connection, and closes it."""

    def behave(server: RawServer, connection: Any) -> None:
        if server.take(connection) is not None:
            connection.sendall(answer)

    return behave


def tls_context(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's TLS context with a new certificate, and the certificate's path.

    Raises:
        FileNotFoundError: there is no `openssl`.
    """
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
            "-keyout", str(key), "-out", str(certificate),
        ],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate
