"""The HTTP server of the collector. It reads requests up to a maximum size and writes answers."""

from __future__ import annotations

import base64
import binascii
import json
import re
import socket
import sys
import zlib
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, urlsplit

from typing_extensions import override

from .._messages.limits import MAX_BATCH_BYTES
from .._process.threads import new_rlock, start_daemon
from .arrivals import Answer, Request
from .page import PAGE, POLICY
from .rules import Verdict, judge

if TYPE_CHECKING:
    from threading import Thread

MAX_BODY_BYTES = 2 * MAX_BATCH_BYTES
"""The maximum size of a body, both compressed and decompressed. It is twice Segment's limit, so
that the rules can report a body that is above that limit."""

_MAX_SKIPPED_BYTES = 16_000_000
_NAMES = ("127.0.0.1", "localhost")
_SUCCESS = b'{"success": true}'


class Service(Protocol):
    """Decides how requests are answered."""

    def has_seen(self, message_id: str) -> bool:
        """Whether a call with this id was accepted."""

    def take(self, request: Request) -> Answer:
        """Decide the answer to a request and store both."""

    def since(self, number: int) -> dict[str, Any]:
        """Return what arrived after the arrival with this number."""


class Server(ThreadingHTTPServer):
    """A server on 127.0.0.1 that keeps track of its connections so that it can close them."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, service: Service) -> None:
        self.service = service
        self._connections: dict[socket.socket, Thread] = {}
        self._lock = new_rlock()
        super().__init__(("127.0.0.1", port), _Connection)

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in its own thread."""
        with self._lock:  # add the thread before it can end and remove itself
            self._connections[request] = start_daemon(
                lambda: self.process_request_thread(request, client_address), "collector connection"
            )

    @override
    def shutdown_request(self, request: Any) -> None:
        """Close a connection that has ended and remove it."""
        super().shutdown_request(request)
        with self._lock:
            self._connections.pop(request, None)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Show the error, unless the client has just disconnected."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    @override
    def server_close(self) -> None:
        """Close the listening socket and all open connections."""
        super().server_close()
        with self._lock:
            connections = dict(self._connections)
        for connection, thread in connections.items():
            with suppress(OSError):  # the connection may already be closed
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=5.0)


class _Refused(Exception):
    """Raised to answer a request with this status and then close the connection."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # sends the headers and the body in one packet
    timeout = 60.0  # seconds per read, including the wait for the next request
    server: Server

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing, because the collector itself prints what arrives."""

    @override
    def version_string(self) -> str:
        return "collector"

    def do_GET(self) -> None:
        try:
            self._check_name()
            url = urlsplit(self.path)
            if url.path == "/":
                headers = {"Content-Type": "text/html; charset=utf-8"}
                self._send(Answer(200, {**headers, "Content-Security-Policy": POLICY}, PAGE))
            elif url.path == "/api/messages":
                after = parse_qs(url.query).get("after", ["0"])[0]
                number = int(after) if re.fullmatch("[0-9]{1,18}", after) else 0
                self._send(Answer(200, body=json.dumps(self.server.service.since(number)).encode()))
            elif url.path.startswith("/v1/"):
                self._send(Answer(405, {"Allow": "POST"}))
            else:
                self._send(Answer(404))
        except _Refused as refused:
            self._refuse(refused)

    def do_POST(self) -> None:
        try:
            self._check_name()
            size_bytes = self._content_length()
            path = urlsplit(self.path).path
            verdict = self._verdict(path, size_bytes)
            request = Request(
                path=path,
                headers={
                    name.lower(): value
                    for name, value in self.headers.items()
                    if name.lower() != "authorization"
                },
                write_key=_user_of(self.headers.get("Authorization")) or verdict.write_key,
                body_bytes=size_bytes,
                verdict=verdict,
                status=verdict.status,
            )
            self._send(self.server.service.take(request))
        except _Refused as refused:
            self._refuse(refused)

    def _verdict(self, path: str, size_bytes: int) -> Verdict:
        if size_bytes > MAX_BODY_BYTES:
            self._skip(size_bytes)
            return Verdict(status=400, reason=f"the body has {size_bytes:,} bytes")
        body = self.rfile.read(size_bytes)
        if len(body) < size_bytes:
            raise _Refused(400, "the body is shorter than its Content-Length")
        try:
            body = self._unzipped(body)
        except _Refused as refused:
            return Verdict(status=refused.status, reason=str(refused))
        return judge(path, body, has_seen=self.server.service.has_seen)

    def _check_name(self) -> None:
        """Refuse other host names, to prevent DNS rebinding by web pages."""
        host = (self.headers.get("Host") or "").rpartition(":")
        name = host[0] if host[1] else host[2]
        if name not in _NAMES:
            raise _Refused(403, "the host must be 127.0.0.1 or localhost: use 127.0.0.1")

    def _content_length(self) -> int:
        text = self.headers.get("Content-Length")
        if text is None:
            raise _Refused(411, "Content-Length is required")
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise _Refused(400, "Content-Length is not a number")
        return int(text)

    def _skip(self, size_bytes: int) -> None:
        """Read and discard a body, so that the client can read the answer."""
        self.close_connection = True
        left = min(size_bytes, _MAX_SKIPPED_BYTES)
        while left > 0 and (read := self.rfile.read(min(left, 65_536))):
            left -= len(read)

    def _unzipped(self, body: bytes) -> bytes:
        encoding = self.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding == "identity":
            return body
        if encoding != "gzip":
            raise _Refused(400, f"Content-Encoding is {encoding}: only gzip is supported")
        unzip = zlib.decompressobj(wbits=31)
        try:
            unzipped = unzip.decompress(body, MAX_BODY_BYTES + 1)
        except zlib.error:
            raise _Refused(400, "the body is not gzip") from None
        if len(unzipped) <= MAX_BODY_BYTES and not unzip.eof:
            raise _Refused(400, "the gzip body is cut short")
        return unzipped

    def _refuse(self, refused: _Refused) -> None:
        self.close_connection = True
        body = json.dumps({"success": False, "message": str(refused)}).encode()
        self._send(Answer(refused.status, body=body))

    def _send(self, answer: Answer) -> None:
        if answer.status is None:
            self.close_connection = True
            return
        body = answer.body
        if body is None:
            body = _SUCCESS if 200 <= answer.status < 300 else b'{"success": false}'
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            **({"Connection": "close"} if self.close_connection else {}),
            **answer.headers,
        }
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _user_of(authorization: str | None) -> str | None:
    """Return the user name from Basic auth, which is the write key, or None if it is missing."""
    scheme, _, text = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(text, validate=True).decode().partition(":")[0] or None
    except (binascii.Error, UnicodeDecodeError):
        return None
