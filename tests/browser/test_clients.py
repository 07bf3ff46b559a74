"""Tests that the collector takes what Segment's own clients send."""

from __future__ import annotations

import http.server
import subprocess
import sys
import unittest
from pathlib import Path
from threading import Thread
from typing import Any

from typing_extensions import override

from segment_logging.collector import Collector

from .browser import FOLDER, HERE, PageTest, required

_UMD = Path("node_modules/@segment/analytics-next/dist/umd")
_PYTHON = """
import sys
import segment.analytics as analytics

analytics.write_key, analytics.host, analytics.gzip = "any-key", sys.argv[1], True
analytics.identify("u-17", {"plan": "pro"})
analytics.track("u-17", "Signup", {"plan": "pro"})
analytics.group("u-17", "acme")
analytics.shutdown()
"""


class TestServerClients(unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.collector = Collector()
        self.addCleanup(self.collector.close)

    def run_client(self, *command: str | Path) -> None:
        """Run a client that sends, and check what arrived."""
        subprocess.run([*command, self.collector.url], check=True, timeout=60)
        self.assertEqual(
            [message["type"] for message in self.collector.messages], ["identify", "track", "group"]
        )
        self.assertEqual({one.outcome for one in self.collector.arrivals}, {"accepted"})
        self.assertEqual({one.write_key for one in self.collector.requests}, {"any-key"})

    def test_node(self) -> None:
        """The messages of @segment/analytics-node arrive."""
        node, _ = required()
        self.run_client(node, HERE / "clients.mjs", FOLDER)
        self.assertEqual(
            {one.source for one in self.collector.arrivals}, {"@segment/analytics-node"}
        )

    def test_python(self) -> None:
        """The messages of segment-analytics-python arrive, compressed."""
        self.run_client(sys.executable, "-c", _PYTHON)
        self.assertEqual({one.source for one in self.collector.arrivals}, {"analytics-python"})
        self.assertEqual({one.content_encoding for one in self.collector.requests}, {"gzip"})


class _Files(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args, directory=str(FOLDER / _UMD))

    @override
    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><title>a shop</title><script src='index.js'></script>")

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


class TestAnalyticsJs(PageTest):
    """analytics.js on a page of another origin on this machine."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Files)
        Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def send_with(self, settings: str, options: str) -> None:
        """Load analytics.js with settings and options, and send from a page."""
        self.run_js(
            f"""
            await tools.open(args.page);
            await tools.page.evaluate(async (url) => {{
              const analytics = window.AnalyticsNext.AnalyticsBrowser.load(
                {settings}, {options});
              await analytics.page("Shop");
              await analytics.identify("u-17", {{ plan: "pro" }});
              await analytics.track("Signup", {{ plan: "pro" }});
              await analytics.group("acme");
              await analytics.alias("u-18", "u-17");
            }}, args.url);
            """,
            page=f"http://localhost:{self.server.server_address[1]}/",
            url=self.collector.url,
        )
        self.assertTrue(self.collector.wait_for(5))
        self.assertEqual(
            sorted(message["type"] for message in self.collector.messages),
            ["alias", "group", "identify", "page", "track"],
        )
        self.assertEqual({one.write_key for one in self.collector.requests}, {"any-key"})
        self.assertEqual({one.outcome for one in self.collector.arrivals}, {"accepted"})

    def test_settings_of_the_collector(self) -> None:
        """With the collector as `cdnURL`, it needs no other setting and no other server."""
        self.send_with('{ writeKey: "any-key", cdnURL: url }', "{}")
        self.assertEqual(
            {one.path for one in self.collector.requests},
            {"/v1/p", "/v1/i", "/v1/t", "/v1/g", "/v1/a"},
        )

    def test_batching(self) -> None:
        """Its batches arrive as well."""
        self.send_with(
            '{ writeKey: "any-key", cdnURL: url }',
            '{ integrations: { "Segment.io": { deliveryStrategy: '
            '{ strategy: "batching", config: { size: 5, timeout: 500 } } } } }',
        )
        self.assertEqual({one.path for one in self.collector.requests}, {"/v1/b"})
