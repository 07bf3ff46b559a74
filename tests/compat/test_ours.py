"""Tests for what only `compat.analytics` has: this package's options, and its tools for tests."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import unittest
from contextlib import redirect_stderr
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from typing_extensions import override

from segment_logging._client.hosts import EU_HOST, US_HOST
from segment_logging.compat.analytics.client import Client
from segment_logging.testing import SendingForbidden, capture_segment, forbid_sending

from ..builders import PROJECT, run_python
from ..servers import ScriptedServer, dead_host
from .test_delivery import REFUSED, DeliveryTest


class TestOurOptions(DeliveryTest):
    """The settings that only this package has."""

    @override
    def setUp(self) -> None:
        super().setUp()
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def test_flush_at_exit(self) -> None:
        """A `flush` in an exit function does not say that delivery continues."""
        program = f"""
import atexit
from segment_logging.compat import analytics
analytics.write_key, analytics.host = "key", {dead_host()!r}
atexit.register(analytics.flush)
analytics.track("u-1", "Signup")
"""
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=PROJECT, capture_output=True, encoding="utf-8", timeout=60, check=True,
        )  # fmt: skip
        self.assertIn("1 message was not delivered before the process ended", done.stderr)
        self.assertNotIn("continues", done.stderr)

    def test_journal(self) -> None:
        """With a journal, a message outlives its process, and the next process sends it."""
        server = self.serve()
        journal = self.directory / "journal"
        for name in ("First", "Second"):
            end = "client.shutdown()" if name == "Second" else "os._exit(0)"
            run_python(
                f"""
import os
from segment_logging.compat.analytics.client import Client
client = Client("key", "{server.host}", upload_interval=60, journal={str(journal)!r})
print(int(client.track("u-1", {name!r})[0]), flush=True)
{end}
"""
            )
        events = [one["event"] for r in server.requests for one in r.json["batch"]]
        self.assertEqual(events, ["First", "Second"])

    def test_dead_letters(self) -> None:
        """Messages that are given up, and those that Segment would drop, are written to a file."""
        path = self.directory / "dead-letters.jsonl"
        client = self.a_client(self.serve(REFUSED).host, dead_letters=path)
        client.track("u-1", "Signup")
        with redirect_stderr(io.StringIO()):
            client.track("u-1", "")
        client.flush()
        client.join()
        letters = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        self.assertCountEqual([one["message"]["event"] for one in letters], ["Signup", ""])

    def test_upload_size(self) -> None:
        """A journal and a size of requests go together."""
        server = self.serve()
        client = self.a_client(
            server.host, upload_size=2, upload_interval=60, journal=self.directory / "journal"
        )
        for number in range(5):
            client.track("u-1", f"Event {number}")
        client.flush()
        self.assertEqual(self.batches(server), [2, 2, 1])

    def test_region(self) -> None:
        """The region decides the host, unless there is one."""
        with mock.patch.dict(os.environ, clear=True):
            for region, host, expected in (
                ("us", None, US_HOST),
                ("eu", None, EU_HOST),
                ("eu", "http://127.0.0.1:9", "http://127.0.0.1:9"),
            ):
                client = Client("key", host, region=region)
                self.assertIn(f" to {expected}:", repr(client._handler))


WAYS: tuple[dict[str, Any], ...] = ({}, {"sync_mode": True}, {"upload_size": 1})


class TestForbidSending(unittest.TestCase):
    def test_each_way(self) -> None:
        """`forbid_sending` stops queued calls, those in sync mode, and those in small requests."""
        for settings in WAYS:
            with self.subTest(settings):
                with ScriptedServer() as server:
                    client = Client("key", server.host, **settings)
                    with self.assertRaisesRegex(SendingForbidden, "Signup"), forbid_sending():
                        client.track("u-1", "Signup")
                    client.join()
                self.assertEqual(server.requests, [])

    def test_send(self) -> None:
        """A client that sends nothing is no reason to complain."""
        client = Client("key", "http://127.0.0.1:9", send=False)
        with forbid_sending():
            self.assertTrue(client.track("u-1", "Signup")[0])

    def test_captured(self) -> None:
        """Calls that are captured are not sent, in whichever way they would be."""
        for settings in WAYS:
            client = Client("key", "http://127.0.0.1:9", **settings)
            with self.subTest(settings), forbid_sending(), capture_segment() as captured:
                client.track("u-1", "Signup")
            captured.assert_tracked("Signup", user_id="u-1")


if __name__ == "__main__":
    unittest.main()
