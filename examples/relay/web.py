"""A web worker that publishes its events to a broker: `python examples/relay/web.py PORT`.

The broker's URL is in SEGMENT_BROKER, and the journal's directory in SHOP_JOURNAL. The worker needs
no access to Segment.
"""

import logging
import os
import sys
from collections.abc import Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from typing_extensions import override

from segment_logging import SegmentHandler, exit_on_sigterm
from segment_logging.contrib.wsgi import SegmentMiddleware

logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
logger.addHandler(
    SegmentHandler(
        broker=os.environ["SEGMENT_BROKER"],
        journal=os.environ["SHOP_JOURNAL"],
        flush_interval=0.2,
    )
)


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Log one event for each visit."""
    logger.info("Pricing Viewed", extra={"properties": {"path": environ["PATH_INFO"]}})
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Free for one, 29 for all\n"]


class QuietHandler(WSGIRequestHandler):
    """Prints no line for each request."""

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


def main() -> None:
    """Serve until SIGTERM."""
    exit_on_sigterm()
    with make_server(
        "127.0.0.1", int(sys.argv[1]), SegmentMiddleware(application), handler_class=QuietHandler
    ) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
