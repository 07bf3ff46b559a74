"""Tests for commands whose stdout or stderr is closed, full, or has another encoding."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from pathlib import Path

from tests.builders import PROJECT
from tests.cli.cases import CliCase, a_line

INTERRUPTED = """
import sys
class Interrupted:
    def find_spec(self, name, *_):
        if name == "segment_logging.cli.sending":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from segment_logging.__main__ import main
sys.exit(main())
"""


class TestOutput(CliCase):
    def import_with(
        self, redirection: str, *options: str, encoding: str = "utf-8", unbuffered: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Import three messages and a bad line in a shell that redirects the output."""
        self.collector = self.collected()
        self.file.write_text("".join(map(a_line, range(3))) + "bad\n")
        command = [sys.executable, "-m", "segment_logging", "import", str(self.file), *options]
        return subprocess.run(
            ["sh", "-c", f'"$@" {redirection}', "sh", *command],
            cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60,
            env={**os.environ, "SEGMENT_WRITE_KEY": "key", "SEGMENT_HOST": self.collector.url,
                 "PYTHONIOENCODING": encoding, "PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip

    @unittest.skipUnless(os.path.exists("/dev/full"), "only Linux has a device that is full")
    def test_full_stdout(self) -> None:
        """If stdout is full, the messages are sent, and the exit code is not "could not start"."""
        for unbuffered in ("", "1"):
            with self.subTest(unbuffered=unbuffered):
                done = self.import_with(">/dev/full", unbuffered=unbuffered)
                self.assertEqual(done.returncode, 1)
                self.assertIn("stdout cannot be written: No space left on device", done.stderr)
                self.assertNotIn("Traceback", done.stderr)
                self.assertEqual(len(self.collector.messages), 3)

    @unittest.skipUnless(os.path.exists("/dev/full"), "only Linux has a device that is full")
    def test_full_stderr(self) -> None:
        """If stderr is full, the messages are sent and the totals are printed."""
        done = self.import_with("2>/dev/full")
        self.assertEqual(done.returncode, 1)
        self.assertIn("3 messages were delivered", done.stdout)
        self.assertEqual(len(self.collector.messages), 3)

    def test_closed_stderr(self) -> None:
        """If stderr is closed, nothing but the JSON is on stdout."""
        done = self.import_with("2>&-", "--json")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stdout.splitlines()), 1)
        self.assertTrue(done.stdout.startswith('{"delivered": 3, '), done.stdout)

    def test_encoding(self) -> None:
        """Characters that the encoding of stdout does not have are escaped."""
        self.file = Path(self.file.parent, "\u20ac.jsonl")
        done = self.import_with("", encoding="ascii")
        self.assertEqual(done.returncode, 1)
        self.assertIn("\\u20ac.jsonl.dead-letters.jsonl", done.stdout)
        self.assertNotIn("Traceback", done.stderr)

    def test_interrupted_import(self) -> None:
        """Ctrl-C while the modules of the commands are imported shows no traceback."""
        done = subprocess.run(
            [sys.executable, "-c", INTERRUPTED, "check"], cwd=PROJECT,
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stdout, done.stderr), (130, "", ""))


if __name__ == "__main__":
    unittest.main()
