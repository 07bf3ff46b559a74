"""A base class for tests that send HTTP requests to a collector."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import socket
import unittest
from collections.abc import Iterator, Mapping
from typing import Any

from segment_logging import HttpClient
from segment_logging.collector import Collector


@contextlib.contextmanager
def captured_reports() -> Iterator[list[str]]:
    """Collect the lines that are printed on stderr, which the list has after the block."""
    lines: list[str] = []
    with contextlib.redirect_stderr(io.StringIO()) as said:
        yield lines
    lines += said.getvalue().splitlines()


GOOD = b'{"userId":"u","event":"E"}'


class OverHttp(unittest.TestCase):
    """Starts collectors and sends requests to them."""

    def start(self, **options: Any) -> Collector:
        """Return a collector that is closed when the test ends."""
        collector = Collector(**options)
        self.addCleanup(collector.close)
        return collector

    def client(self, collector: Collector, **options: Any) -> HttpClient:
        """Return a client that sends to the collector."""
        client = HttpClient(collector.url, **options)
        self.addCleanup(client.close)
        return client

    def ask(
        self,
        collector: Collector,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10,
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Send one request, and return the answer's status, headers and body."""
        address = collector.url.removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def post(
        self,
        collector: Collector,
        body: bytes = GOOD,
        path: str = "/v1/track",
        **headers: str,
    ) -> int:
        """Send a POST request and return the status of the answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask(collector, "POST", path, body, named)[0]

    def get_json(self, collector: Collector, path: str) -> Any:
        """Return the JSON that is at a path."""
        status, _, body = self.ask(collector, "GET", path)
        self.assertEqual(status, 200, body)
        return json.loads(body)

    def raw(self, collector: Collector, request: bytes) -> bytes:
        """Send bytes, and return everything that is answered until the connection is closed."""
        address = ("127.0.0.1", int(collector.url.rpartition(":")[2]))
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(request)
            answer = b""
            while part := connection.recv(65_536):
                answer += part
            return answer
