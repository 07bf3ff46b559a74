"""The server of the collector, which runs each connection in its own thread."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, Protocol

from typing_extensions import override

from .._process.threads import new_rlock, start_daemon
from .._reports import Reporter, where
from .access import Access
from .api import Readable
from .arrivals import Answer, Request

if TYPE_CHECKING:
    from threading import Thread


class Service(Readable, Protocol):
    """Decides how requests are answered."""

    access: Access

    def has_seen(self, message_id: str) -> bool:
        """Whether a call with this id was accepted."""

    def take(self, request: Request) -> Answer:
        """Decide the answer to a request and store both."""


class Server(ThreadingMixIn, TCPServer):
    """A server that keeps track of its connections so that it can close them."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, host: str, port: int, service: Service, handler: type[BaseHTTPRequestHandler]
    ) -> None:
        self.service = service
        self.reporter = Reporter()
        self._connections: dict[socket.socket, Thread] = {}
        self._lock = new_rlock()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), handler)

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
        """Report the error, unless the client has just disconnected."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            self.report(error)

    def report(self, error: BaseException) -> None:
        """Report an error of the collector once."""
        self.reporter.once(
            "error", f"the collector failed with {type(error).__name__} in {where(error)}"
        )

    @override
    def server_close(self) -> None:
        """Close the listening socket and all open connections."""
        super().server_close()
        with self._lock:
            connections = dict(self._connections)
        for connection in connections:
            with suppress(OSError):  # the connection may already be closed
                connection.shutdown(socket.SHUT_RDWR)
        for thread in connections.values():
            thread.join(timeout=5.0)
