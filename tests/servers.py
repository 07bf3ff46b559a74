"""Real servers on 127.0.0.1 with scripted answers."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from typing_extensions import override


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The server's answer to one request."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"success":true}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that reached the server."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: Any
    """The peer's address, which is equal for requests from the same TCP connection."""

    @property
    def json(self) -> Any:
        """The body, decoded from JSON."""
        return json.loads(self.body)


class ScriptedServer:
    """An HTTP server that records its requests.

    Args:
        script: the answers, one per request, in order. Further requests are answered with 200.

    Attributes:
        requests: all requests that arrived, regardless of their answers.
        host: the host to pass to an HttpClient.
    """

    def __init__(self, script: Iterable[Answer] = ()) -> None:
        self.requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(script, self.requests))
        self.host = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


def _handler_of(script: Iterable[Answer], requests: list[Request]) -> type[BaseHTTPRequestHandler]:
    answers = iter(script)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            requests.append(
                Request(
                    method=self.command,
                    path=self.path,
                    headers=dict(self.headers),
                    body=body,
                    connection=self.client_address,
                )
            )
            answer = next(answers, Answer())
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST  # following a redirect would turn the POST into a GET

        @override
        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def mute_server() -> Iterator[str]:
    """Yield a host that accepts connections but never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def dripping_server(head: bytes) -> Iterator[str]:
    """Yield a host that sends `head` at once and then an endless body, byte by byte."""
    ended = Event()

    def answer() -> None:
        with suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(head)
                while not ended.wait(0.05):
                    connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()


@contextmanager
def raw_server(data: bytes) -> Iterator[str]:
    """Yield a host that answers the first request with these bytes and closes the connection."""

    def answer() -> None:
        with suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            thread.join()


def dead_host() -> str:
    """Return a host that refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    return f"http://127.0.0.1:{port}"
