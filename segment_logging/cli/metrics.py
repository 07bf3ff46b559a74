"""Figures for Prometheus, at http://127.0.0.1:PORT/metrics, in its text format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

from .._process.threads import start_daemon


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics of a service.

    Attributes:
        prefix: the beginning of their names.
        label: the name of their label.
        table: the type and the help text of each metric, by the attribute of the figures.
    """

    prefix: str
    label: str
    table: dict[str, tuple[str, str]]

    def text(self, samples: Sequence[tuple[str, Any]]) -> str:
        """Return figures in Prometheus's text format, version 0.0.4.

        Source: https://prometheus.io/docs/instrumenting/exposition_formats/

        Args:
            samples: figures, each with the value of the label, in which nothing must be escaped.
        """
        lines = []
        for name, (kind, help_text) in self.table.items():
            metric = f"{self.prefix}_{name}{'_total' if kind == 'counter' else ''}"
            lines += [f"# HELP {metric} {help_text}", f"# TYPE {metric} {kind}"]
            lines += [
                f'{metric}{{{self.label}="{value}"}} {float(getattr(figures, name)):.15g}'
                for value, figures in samples
            ]
        return "\n".join(lines) + "\n"


DELIVERER = Metrics(
    "segment_logging",
    "key",
    {
        "delivered": ("counter", "Messages that were answered with a 2xx."),
        "dead_lettered": ("counter", "Messages that can never be delivered."),
        "damaged": ("counter", "Lines that were not messages."),
        "requests": ("counter", "Requests that were answered with a 2xx."),
        "retried": ("counter", "Attempts after the first."),
        "pending": ("gauge", "Messages that were read and are not settled."),
        "lag_seconds": ("gauge", "How long ago the oldest pending message was written."),
        "is_delivering": ("gauge", "1 if this process delivers, 0 if it stands by or cannot."),
        "unreadable": ("gauge", "Directories of processes that cannot be read in full."),
        "other_keys": ("gauge", "Other write keys with messages that nobody sends."),
    },
)

RELAY = Metrics(
    "segment_logging_relay",
    "queue",
    {
        "received": ("counter", "Messages that the broker delivered, also repeatedly."),
        "delivered": ("counter", "Messages that were answered with a 2xx."),
        "dead_lettered": ("counter", "Messages that were stored in the dead-letter queue."),
        "returned": ("counter", "Messages that returned to the queue unsettled."),
        "batches": ("counter", "Requests that were answered with a 2xx."),
        "retried": ("counter", "Attempts after the first."),
        "waiting": ("gauge", "Messages that were received and are not settled."),
        "unacknowledged": ("gauge", "Bundles that are not acknowledged."),
        "is_connected": ("gauge", "1 if there is a connection to the broker, 0 if not."),
    },
)


class MetricsServer:
    """Answers Prometheus's requests on loopback, in a thread of its own.

    Args:
        port: the port to listen on; 0 picks one.
        text: returns the current metrics. It is called in other threads.

    Raises:
        OSError: it cannot listen there.
    """

    def __init__(self, port: int, text: Callable[[], str]) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                is_found = self.path.partition("?")[0] == "/metrics"
                body = text().encode() if is_found else b"see /metrics\n"
                self.send_response(200 if is_found else 404)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            @override
            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/metrics"
        """Where the figures are."""

    def __enter__(self) -> MetricsServer:
        start_daemon(self._server.serve_forever, "segment_logging metrics")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
