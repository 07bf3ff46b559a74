"""Tests for `segment-logging deliver` and `relay` together, with a real RabbitMQ."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from typing_extensions import override

from segment_logging import SegmentHandler
from segment_logging.cli.metrics import RELAY
from tests.builders import PROJECT, a_record
from tests.docs.pages import rows_under
from tests.relay.cases import KEY, RelayCase


class TestServices(RelayCase):
    @override
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.collector = self.a_collector()

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "SEGMENT_BROKER": self.url,
            "SEGMENT_HOST": self.collector.url,
            "SEGMENT_WRITE_KEY": KEY,
        }
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "segment_logging", *arguments],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_password_is_not_shown(self) -> None:
        """With `--broker` and SEGMENT_BROKER, messages pass from a journal through the broker to
        Segment, and no password is in the list of processes."""
        journal = self.folder / "journal"
        handler = SegmentHandler(KEY, journal=str(journal), deliver=False)
        handler.handle(a_record("Signup", extra={"user_id": "u"}))
        handler.close()
        services = [
            self.start("deliver", str(journal), "--broker"),
            self.start("relay", "--broker", "--header", "X-Shop: 17"),
        ]
        self.assertTrue(self.collector.wait_for(1, 60))
        self.assertEqual(self.collector.requests[0].headers["x-shop"], "17")
        for service in services:
            shown = Path(f"/proc/{service.pid}/cmdline").read_bytes()
            self.assertIn(b"--broker", shown)
            self.assertNotIn(b"guest", shown)
            service.terminate()
            out, err = service.communicate(timeout=60)
            self.assertEqual(service.returncode, 0, err)
            self.assertNotIn("guest", out + err)

    def test_metrics(self) -> None:
        """Prometheus finds the relay's figures on loopback, and they add up."""
        relay = self.start("relay", "--metrics-port", "0")
        assert relay.stderr is not None
        url = relay.stderr.readline().split("metrics are at ")[1].strip()
        self.assertTrue(url.startswith("http://127.0.0.1:"))
        self.publish("A", "B")
        found: dict[str, float] = {}

        def is_delivered() -> bool:
            with urllib.request.urlopen(url) as answer:
                lines = answer.read().decode().splitlines()
            for line in lines:
                if not line.startswith("#"):
                    name, _, rest = line.removeprefix("segment_logging_relay_").partition("{")
                    label, _, value = rest.partition("} ")
                    self.assertEqual(label, f'queue="{self.queue}"')
                    found[name] = float(value)
            return found["delivered_total"] == 2

        self.wait_until(is_delivered)
        self.assertEqual((found["received_total"], found["waiting"]), (2, 0))
        self.assertEqual(found["is_connected"], 1)

    def test_documented(self) -> None:
        """The documentation has every metric of the relay."""
        told = [row.first.strip("`") for row in rows_under("docs/many-hosts.md", "Watch it")]
        lines = RELAY.text([]).splitlines()
        names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
        self.assertEqual(names, told)
