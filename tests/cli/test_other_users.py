"""Tests that messages in the directories of other users are noticed."""

from __future__ import annotations

import json
import os
from pathlib import Path

from segment_logging import SegmentHandler
from segment_logging.cli.other_users import text_of
from tests.builders import a_record
from tests.cli.cases import CliCase, run_command
from tests.faults.delivering import Deliverer, wait_until
from tests.servers import dead_host


class TestOtherUsers(CliCase):
    def shared(self, *, is_written: bool = True) -> Path:
        """Return a directory in which everybody may write, and another user has messages."""
        directory = self.file.parent / "shared"
        other = directory / f"u{os.geteuid() + 1}"
        other.mkdir(parents=True, mode=0o700)
        if is_written:
            handler = SegmentHandler("key", journal=str(other), deliver=False)
            handler.handle(a_record("Signup", extra={"user_id": "u-17"}))
            handler.close()
        directory.chmod(0o1777)
        return directory

    def test_deliver(self) -> None:
        """The deliverer reports them once, and says that it has created its own directory."""
        directory = self.shared()
        with Deliverer(directory, "--host", dead_host(), write_key="key") as deliverer:
            wait_until(lambda: "other users" in deliverer.stderr)
            self.assertIn(f"{directory}/u{os.geteuid()} does not exist, so", deliverer.stdout)
            self.assertIn(f"(u{os.geteuid() + 1})", deliverer.stderr)
            self.assertEqual(deliverer.end(), 0)
        with Deliverer(directory, "--host", dead_host(), write_key="key") as deliverer:
            self.assertEqual(deliverer.end(), 0)
            self.assertNotIn("does not exist, so", deliverer.stdout)

    def test_directory_of_nobody(self) -> None:
        """They are also noticed if the directory itself is used, because nobody else may write."""
        directory = self.shared()
        directory.chmod(0o755)
        with Deliverer(directory, "--host", dead_host(), write_key="key") as deliverer:
            wait_until(lambda: "other users" in deliverer.stderr)
            self.assertNotIn("does not exist, so", deliverer.stdout)
            self.assertEqual(deliverer.end(), 0)

    def test_empty(self) -> None:
        """A directory without messages is not reported."""
        directory = self.shared(is_written=False)
        with Deliverer(directory, "--host", dead_host(), write_key="key") as deliverer:
            self.assertEqual(deliverer.end(), 0)
            self.assertEqual(deliverer.stderr, "")

    def test_journal(self) -> None:
        """The journal command names them, also if this user has no directory."""
        directory = self.shared()
        other = f"u{os.geteuid() + 1}"
        code, _, said = run_command("journal", str(directory))
        self.assertEqual(code, 2)
        self.assertIn(f"{directory} has directories of other users ({other})", said)
        (directory / f"u{os.geteuid()}").mkdir(mode=0o700)
        code, out, _ = run_command("journal", str(directory))
        self.assertEqual(code, 0)
        self.assertIn(f"directories of other users ({other})", out)
        _, out, _ = run_command("journal", str(directory), "--json")
        self.assertEqual(json.loads(out)["other_users"], [other])

    def test_many(self) -> None:
        """At most five are named."""
        text = text_of([f"u{number}" for number in range(1, 8)], "/shared", "/shared/u0")
        self.assertIn("(u1, u2, u3, u4, u5 and 2 others)", text)
