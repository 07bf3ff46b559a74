"""One exchange with a server, from the connection to the last byte of its response.

A socket's timeout applies to a single call. A server that sends one byte a second, or one
informational response after another, would hold a POST forever. So the time that is left is worked
out anew before every `recv` and `send`, and what comes in is limited, too.

`connections` uses it with requests' adapter, without its Session: a Session also reads the body of
a redirect, keeps cookies and reads `.netrc`.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import urllib3.connection
from typing_extensions import override

from .._clock import monotonic
from .._process.delivering import time_left
from .._process.threads import call_after

_PIECE_BYTES = 65_536
"""How much is sent at once, and the size of the kernel's send buffer: progress must be the
network's, not the kernel's."""

_MAX_RESPONSE_BYTES = 1_048_576  # heads and body together
_MAX_INFORMATIONAL = 20  # responses with a 1xx status before the actual one
_LONGEST_NUMBER = 19  # digits of a length
_SLOWEST_BYTES_PER_SECOND = 4_096  # a slower upload fails

SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_SNDBUF, _PIECE_BYTES),
]
"""The options of the sockets on which an exchange takes place."""


class Exchange:
    """The time that one POST may take.

    The exchange as a whole may take as long as a connection, an upload at 4 KiB a second and a
    response may take. It also ends with the deadline of the delivering thread.

    Args:
        connect: the seconds to connect, and again for TLS.
        response: the seconds to wait for the response once everything is sent. An upload without
            progress may take as long.
    """

    def __init__(self, connect: float, response: float) -> None:
        self._connect = connect
        self._response = response
        self._ends_at = 0.0
        self._response_ends_at = 0.0
        self._received_bytes = 0
        self.is_connected = False
        """Whether a connection was made or reused."""
        self.is_stalled = False
        """Whether the time was over before all of the request was sent."""
        self._copy: socket.socket | None = None  # see `_cut`
        self._cancel: Callable[[], None] | None = None

    def begin(self, size_bytes: int) -> None:
        """Start the clock for a request of this size."""
        now = monotonic()
        self._ends_at = (
            now + self._connect + self._response + size_bytes / _SLOWEST_BYTES_PER_SECOND
        )
        self._response_ends_at = now + self._response
        self._received_bytes = 0
        self.is_connected = self.is_stalled = False
        if _is_green():
            self._cancel = call_after(self._ends_at - now, self._cut)

    def end(self) -> None:
        """Stop the clock."""
        if self._cancel is not None:
            self._cancel()
            self._cancel = None
        self._forget_copy()

    @property
    def to_connect(self) -> float:
        """The seconds left to connect."""
        return self._at_most(self._connect)

    @property
    def to_send(self) -> float:
        """The seconds left to send the next piece."""
        return self._at_most(self._response)

    @property
    def to_receive(self) -> float:
        """The seconds left to receive the response."""
        return self._at_most(self._response_ends_at - monotonic())

    def uses(self, sock: Any) -> None:
        """Note the connection that the exchange takes place on."""
        if _is_green():
            self._forget_copy()
            self._copy = socket.socket(fileno=os.dup(sock.fileno()))

    def sent(self) -> None:
        """Note that everything is sent, so that the wait for the response begins."""
        self._response_ends_at = monotonic() + self._response

    def received(self, count: int) -> None:
        """Note the bytes that were received.

        Raises:
            ConnectionError: the response is too long.
        """
        self._received_bytes += count
        if self._received_bytes > _MAX_RESPONSE_BYTES:
            raise ConnectionError("the response is too long")

    def _at_most(self, seconds: float) -> float:
        seconds = min(seconds, self._ends_at - monotonic())
        left = time_left()
        if left is not None:
            seconds = min(seconds, left)
        if seconds <= 0:
            raise TimeoutError("the exchange took too long")
        return seconds

    def _cut(self) -> None:
        """End the connection from another thread, under gevent and eventlet.

        They restart the timeout of a TLS socket with every byte. It is a copy of the socket that is
        shut down, because the TLS object must not be used by two threads, and because the number of
        a closed socket may belong to another by now.
        """
        if self._copy is not None:
            with suppress(OSError):
                self._copy.shutdown(socket.SHUT_RDWR)

    def _forget_copy(self) -> None:
        if self._copy is not None:
            self._copy.close()
            self._copy = None


_CONNECTIONS = (urllib3.connection.HTTPConnection, urllib3.connection.HTTPSConnection)


def bound(pool: Any, exchange: Exchange) -> None:
    """Make the connections of a pool of urllib3 keep to the time of an exchange."""
    if pool.ConnectionCls in _CONNECTIONS:  # and not what a test tool has put in its place
        response = type("Response", (_Response,), {"exchange": exchange})
        own = {"exchange": exchange, "response_class": response}
        pool.ConnectionCls = type("Connection", (_Connection, pool.ConnectionCls), own)


class _Connection:
    """A mixin for the connections of urllib3."""

    exchange: Exchange
    sock: Any
    timeout: Any

    def _new_conn(self) -> Any:  # private to urllib3, and the only place where it connects
        self.timeout = self.exchange.to_connect
        sock = super()._new_conn()  # type: ignore[misc]
        self.exchange.uses(sock)
        return sock

    def _tunnel(self) -> None:  # private to http.client: asks a proxy for a tunnel
        try:
            super()._tunnel()  # type: ignore[misc]
        finally:  # only the proxy was reached
            self.exchange.is_connected = self.exchange.is_stalled = False
        self.sock.settimeout(self.exchange.to_connect)  # TLS comes next

    def send(self, data: Any) -> None:
        """Send all of it, with a timeout for each piece."""
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]
        view = memoryview(data)
        self.exchange.is_connected = True
        self.exchange.uses(self.sock)
        try:
            while view:
                self.sock.settimeout(self.exchange.to_send)
                view = view[self.sock.send(view[:_PIECE_BYTES]) :]
        except TimeoutError:
            self.exchange.is_stalled = True
            raise
        finally:  # also if the server has answered and stopped reading
            self.exchange.sent()


class _Response(http.client.HTTPResponse):
    """The response to a request, or to a proxy's CONNECT."""

    exchange: Exchange

    def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        raw = self.fp.detach()
        self._incoming = _Incoming(raw, sock, self.exchange)
        self.fp = io.BufferedReader(self._incoming)

    def _read_status(self) -> Any:  # private to http.client, which only skips 100
        for _ in range(_MAX_INFORMATIONAL):
            status = super()._read_status()  # type: ignore[misc]
            if not 100 <= status[1] < 200 or status[1] == 101:
                return status
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException("too many informational responses")

    @override
    def begin(self) -> None:
        super().begin()
        if self._incoming.is_at_end:  # http.client takes that for the end of the headers
            raise http.client.HTTPException("the connection was closed in the headers")
        lengths = self.headers.get_all("Content-Length", [])
        if lengths and (len(lengths) > 1 or not _is_number(lengths[0])):
            # urllib3 would refuse the whole response because of it, and nobody knows where the
            # body ends: it is read as far as the shortest length, and the connection is closed.
            del self.headers["Content-Length"]
            numbers = [one for one in ",".join(lengths).split(",") if _is_number(one)]
            if not self.chunked:
                self.length = min((int(one) for one in numbers), default=0)
            self.will_close = True


class _Incoming(io.RawIOBase):
    """What a socket receives, with a timeout for each read."""

    def __init__(self, raw: Any, sock: Any, exchange: Exchange) -> None:
        self._raw = raw
        self._sock = sock
        self._exchange = exchange
        self.is_at_end = False

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._exchange.to_receive)
        count: int = self._raw.readinto(buffer) or 0
        self.is_at_end = count == 0
        self._exchange.received(count)
        return count

    @override
    def close(self) -> None:
        self._raw.close()
        super().close()


def _is_number(text: str) -> bool:
    text = text.strip()
    return text.isascii() and text.isdecimal() and len(text) < _LONGEST_NUMBER


def _is_green() -> bool:
    """Whether gevent or eventlet has replaced the sockets of the standard library."""
    return socket.socket.__module__.partition(".")[0] in ("gevent", "eventlet")
