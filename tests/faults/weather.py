"""A server for stress tests that answers in every way that servers, proxies and attackers do."""

from __future__ import annotations

import gzip
import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

Connection = socket.socket
Kind = Callable[[Connection], None]

_OK = b'{"success":true}'


def _answer(status: str, *headers: str, body: bytes = _OK, length: bool = True) -> bytes:
    """Return the bytes of a response."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def _says(status: str, *headers: str, body: bytes = _OK, length: bool = True) -> Kind:
    """Return a function that sends this response."""
    data = _answer(status, *headers, body=body, length=length)
    return lambda connection: connection.sendall(data)


def _drips(data: bytes, *, seconds: float) -> Kind:
    def drip(connection: Connection) -> None:
        for number in range(len(data)):
            connection.sendall(data[number : number + 1])
            time.sleep(seconds)

    return drip


def _drip_body(connection: Connection) -> None:
    head, _, body = _answer("200 OK").partition(b"\r\n\r\n")
    connection.sendall(head + b"\r\n\r\n")
    _drips(body, seconds=0.02)(connection)


def _floods(piece: bytes, *, first: bytes = b"") -> Kind:
    def flood(connection: Connection) -> None:
        connection.sendall(first)
        for _ in range(200):
            connection.sendall(piece)

    return flood


def _resets(connection: Connection) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _hangs(connection: Connection) -> None:
    time.sleep(4)


def _late(connection: Connection) -> None:
    time.sleep(0.4)
    connection.sendall(_answer("200 OK"))


_BOMB = gzip.compress(bytes(10_000_000))

DELIVERED: dict[str, Kind] = {
    "200": _says("200 OK"),
    "204": _says("204 No Content", body=b"", length=False),
    "202": _says("202 Accepted"),
    "200 late": _late,
    "200 after 103": lambda one: one.sendall(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + _answer("200 OK")
    ),
    "200 after five 100": lambda one: one.sendall(
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5 + _answer("200 OK")
    ),
    "200 chunked": _says(
        "200 OK", "Transfer-Encoding: chunked", body=b"4\r\n{}  \r\n0\r\n\r\n", length=False
    ),
    "200 without length": _says("200 OK", "Connection: close", length=False),
    "200 repeated length": _says("200 OK", "Content-Length: 16"),
    "200 garbled length": _says("200 OK", "Content-Length: ten", length=False),
    "200 cut": _says("200 OK", "Content-Length: 900", length=False),
    "200 with a dripping body": _drip_body,
    "200 bomb": _says("200 OK", "Content-Encoding: gzip", body=_BOMB),
    "200 with cookies": _says("200 OK", *(f"Set-Cookie: c{n}={'x' * 500}" for n in range(20))),
    "200 unknown to the client": lambda one: None,  # closes without a response
    "200 and a reset": _resets,
}
"""Ways to accept a request."""

FAILED: dict[str, Kind] = {
    "500": _says("500 Internal Server Error"),
    "502 page": _says("502 Bad Gateway", "Content-Type: text/html", body=b"<html>Bad</html>"),
    "503": _says("503 Service Unavailable"),
    "503 retry-after": _says("503 Service Unavailable", "Retry-After: 0.05"),
    "429": _says("429 Too Many Requests"),
    "429 retry-after": _says("429 Too Many Requests", "Retry-After: 0.05"),
    "429 reset": _says("429 Too Many Requests", "X-RateLimit-Reset: 1"),
    "408": _says("408 Request Timeout"),
    "410": _says("410 Gone"),
    "460": _says("460 Client Closed"),
    "200 page": _says("200 OK", "Content-Type: text/html", body=b"<html>Log in</html>"),
    "200 says failed": _says("200 OK", body=b'{"success":false,"error":{"message":"later"}}'),
    "207 names none": _says("207 Multi-Status", body=b'{"ok":false}'),
    "garbage": lambda one: one.sendall(bytes(range(256)) * 8),
    "mute": _hangs,
    "endless 100": _floods(b"HTTP/1.1 100 Continue\r\n\r\n"),
    # It never ends: a client that was stopped for long enough could receive all of a whole one.
    "dripping head": _drips(b"HTTP/1.1 200 OK\r\nX-More: " + b"x" * 40, seconds=0.1),
    "endless head": _floods(b"X-More: " + b"x" * 60_000 + b"\r\n", first=b"HTTP/1.1 200 OK\r\n"),
    "closed in the head": lambda one: one.sendall(b"HTTP/1.1 200 OK\r\nContent-"),
    "closed": lambda one: None,
    "reset": _resets,
}
"""Ways to fail for a while."""

LASTING: dict[str, Kind] = {
    "301 endless": _floods(
        b"x" * 60_000, first=b"HTTP/1.1 301 Moved\r\nLocation: http://[\r\n\r\n"
    ),
    "401": _says("401 Unauthorized"),
    "404": _says("404 Not Found"),
    "511": _says("511 Network Authentication Required"),
}
"""Ways to say that a setting is wrong."""


class Weather:
    """A server with a thread per connection, for messages with `properties.number`.

    Attributes:
        delivered: how many times each message was accepted.
        kinds: how many times each kind of answer was given.
        last_kind: the kind of the last answer to a request with each message.
        is_calm: set this to True to accept everything from now on.
        url: where it listens, on loopback.
    """

    def __init__(self, choices: random.Random) -> None:
        self._random = choices
        self._lock = threading.Lock()
        self.delivered: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.last_kind: dict[str, str] = {}
        self.is_calm = False
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        with suppress(OSError, ValueError), connection:
            connection.settimeout(30)
            reader = connection.makefile("rb")
            while (body := _read_request(reader)) is not None:
                kind, stays_open = self._choose(body)
                kind(connection)
                if not stays_open:
                    return

    def _choose(self, body: bytes) -> tuple[Kind, bool]:
        messages = json.loads(body)["batch"]
        with self._lock:
            lot = self._random.random()
            kinds: dict[str, Kind]
            if self.is_calm:
                kinds = {"200": DELIVERED["200"]}
            elif lot < 0.005:
                kinds = LASTING
            elif lot < 0.4:
                kinds = FAILED
            else:
                kinds = DELIVERED
            name = self._random.choice(list(kinds))
            self.kinds[name] += 1
            self.last_kind.update((one["properties"]["number"], name) for one in messages)
            if kinds is not FAILED and kinds is not LASTING:
                self.delivered.update(one["properties"]["number"] for one in messages)
        return kinds[name], name in _STAYS_OPEN


_STAYS_OPEN = ("200", "202", "204", "200 late", "200 after 103", "200 chunked", "503", "429", "500")


def _read_request(reader: Any) -> bytes | None:
    """Return the next request's body, or None at the end."""
    if not reader.readline():
        return None
    length = 0
    while (line := reader.readline().strip()) != b"":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    data: bytes = reader.read(length)
    return data if len(data) == length else None
