"""Tests that run every example the way a reader would, and check what it sends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
from collections import Counter
from pathlib import Path

from typing_extensions import override

from segment_logging.collector import Collector
from tests.rabbitmq import SERVER, WHY_SKIPPED

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"


class Examples(unittest.TestCase):
    """Each example runs in its own process and sends to a collector."""

    @override
    def setUp(self) -> None:
        self.collector = Collector()
        self.addCleanup(self.collector.close)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def run_example(self, name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run an example in an empty directory, with the collector in place of Segment."""
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.run(
            [sys.executable, "-W", "error", EXAMPLES / name, *arguments],
            env={
                **os.environ,
                "SEGMENT_HOST": self.collector.url,
                "SEGMENT_WRITE_KEY": "example-key",
                "PYTHONPATH": os.pathsep.join(paths),
                "PYTHONIOENCODING": "utf-8",
            },
            cwd=self.directory,
            capture_output=True,
            encoding="utf-8",
            timeout=150,
            check=False,
        )

    def assert_well(self, ended: subprocess.CompletedProcess[str]) -> None:
        """Assert that it exited with 0, printed no errors and sent only valid messages."""
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        self.assertEqual(self.collector.dropped, [])
        self.assertEqual({one.write_key for one in self.collector.requests}, {"example-key"})

    def write_events(self, *lines: str) -> Path:
        """Write the lines to a file and return its path."""
        path = self.directory / "events.jsonl"
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return path

    def test_no_logger_is_silenced(self) -> None:
        """Every logging configuration sets `disable_existing_loggers: False`, README included."""
        for path in (ROOT / "README.md", *EXAMPLES.glob("*.py")):
            text = path.read_text(encoding="utf-8")
            configured, said = text.count('"version": 1,'), text.count('existing_loggers": False')
            self.assertEqual(configured, said, path.name)

    def test_simple(self) -> None:
        """simple.py sends one track call."""
        self.assert_well(self.run_example("simple.py"))
        (message,) = self.collector.messages
        self.assertEqual((message["type"], message["event"]), ("track", "Report Exported"))

    def test_etl_file_that_comes_along(self) -> None:
        """The events file that ships with the examples is delivered completely and in order."""
        for name in ("etl.py", "etl_auto_batch.py"):
            with self.subTest(name=name):
                before = len(self.collector.messages)
                self.assert_well(self.run_example(name, EXAMPLES / "events.jsonl"))
                self.assertEqual(
                    [one["messageId"] for one in self.collector.messages[before:]],
                    [f"import-{number}" for number in range(1, 5)],
                )

    def test_etl_batches_and_dead_letters(self) -> None:
        """Two batches are sent, and messages that cannot be sent become dead letters."""
        good = [
            json.dumps(
                {
                    "type": "track",
                    "userId": "u-1",
                    "event": f"Event {number}",
                    "properties": {"text": "x" * 30_000},
                }
            )
            for number in range(20)
        ]
        oversize = good[0].replace("x" * 30_000, "x" * 40_000)
        dropped = '{"type":"track","userId":"u-1"}'
        for name in ("etl.py", "etl_auto_batch.py"):
            with self.subTest(name=name):
                before = len(self.collector.messages), len(self.collector.requests)
                path = self.write_events(*good[:10], oversize, dropped, "no json", *good[10:])
                letters = self.directory / f"{name}.dead"
                self.assert_well(self.run_example(name, path, "--dead-letters", letters))
                self.assertEqual(
                    [one["event"] for one in self.collector.messages[before[0] :]],
                    [f"Event {number}" for number in range(20)],
                )
                self.assertEqual(len(self.collector.requests) - before[1], 2)
                reasons = [
                    json.loads(line)["reason"]
                    for line in letters.read_text(encoding="utf-8").splitlines()
                ]
                self.assertEqual(len(reasons), 3)
                self.assertIn("32,000", reasons[0])
                self.assertIn("event_not_defined", reasons[1])

    def test_signup_app(self) -> None:
        """The application sends messages of all six types, and none causes a warning."""
        ended = self.run_example("signup_app.py")
        self.assert_well(ended)
        types = Counter(message["type"] for message in self.collector.messages)
        self.assertEqual(
            types, {"page": 3, "track": 5, "identify": 3, "group": 3, "screen": 3, "alias": 1}
        )
        self.assertEqual([one for one in self.collector.arrivals if one.warnings], [])
        self.assertIn("INFO signup_app: Open for business", ended.stdout)

    def test_signup_app_context(self) -> None:
        """Every message contains the context from the dictConfig."""
        self.assert_well(self.run_example("signup_app.py"))
        for message in self.collector.messages:
            self.assertEqual(message["context"]["app"]["name"], "signup-app")

    @unittest.skipUnless(SERVER.exists(), WHY_SKIPPED)
    def test_relay(self) -> None:
        """relay/run.py sends all events through RabbitMQ, although a relay is killed."""
        ended = self.run_example("relay/run.py")
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertIn("110 of 110 events arrived", ended.stdout)
        self.assertNotIn("Traceback", ended.stderr)

    def test_demo(self) -> None:
        """demo.py prints a row for every message and exits with 0."""
        ended = self.run_example("demo.py")
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        table = ended.stdout.partition("What arrived at the collector:")[2]
        rows = table.strip().partition("\n\n")[0].splitlines()
        self.assertEqual(rows[0].split(), ["type", "user", "name", "fields"])
        self.assertEqual(len(rows), 1 + 18)
        self.assertIn('u-1001      Signed Up        {"plan": "pro"}', table)
        self.assertIn("Segment would drop 0", table)

    def test_demo_that_fails(self) -> None:
        """If messages do not arrive, demo.py exits with 1 and prints what is missing."""
        (self.directory / "demo.py").write_bytes((EXAMPLES / "demo.py").read_bytes())
        (self.directory / "signup_app.py").write_text("", encoding="utf-8")
        ended = self.run_example(str(self.directory / "demo.py"))
        self.assertEqual(ended.returncode, 1)
        self.assertIn("missing: 5 track", ended.stdout)


if __name__ == "__main__":
    unittest.main()
