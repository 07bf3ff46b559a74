"""Tests that messages in the directories of other users are noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from segment_logging import SegmentHandler
from segment_logging.cli.other_users import text_of
from tests.builders import PROJECT, a_record
from tests.cli.cases import CliCase, run_command
from tests.faults.delivering import Deliverer, wait_until
from tests.servers import dead_host

_PROGRAM = """
import logging, sys
from segment_logging import SegmentHandler
handler = SegmentHandler("key", journal=sys.argv[1], host=sys.argv[2], shutdown_timeout=1)
logging.getLogger("a").addHandler(handler)
logging.getLogger("a").warning("E", extra={"user_id": "u-17"})
"""


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

    def test_hints(self) -> None:
        """If a file is in the directory of a user instead, `replay` and `import` name it."""
        directory = self.shared()
        own, other = f"u{os.geteuid()}", f"u{os.geteuid() + 1}"
        wanted = (
            ("replay", "dead-letters.jsonl", "dead-letters.jsonl.1"),
            ("import", "dead-letters.jsonl", "dead-letters.jsonl"),
            ("import", "quarantine/1-2.jsonl", "quarantine/1-2.jsonl"),
            ("import", "0123456789ab/live/*/*.jsonl", "0123456789ab/live/1-2/3.jsonl"),
        )
        self.assertEqual(
            self.said(wanted[0][0], directory / wanted[0][1]), ": there is no such file"
        )
        for user, hint in (
            (other, ", but other users have {}: run the command as its user"),
            (own, ", but there is {}: pass that path"),
        ):
            for command, given, there in wanted:
                file = directory / user / there
                file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                file.write_text("{}\n")
                with self.subTest(user=user, command=command, given=given):
                    said = f": there is no such file{hint.format(directory / user / given)}"
                    self.assertEqual(self.said(command, directory / given), said)

    def test_hint_with_a_group(self) -> None:
        """With a group, a user's dead letters have another name."""
        for number in range(1, 8):
            (self.file.parent / f"dead-letters-u{70_000 + number}.jsonl").touch()
        said = self.said("replay", self.file.parent / "dead-letters.jsonl")
        self.assertIn(f"users have {self.file.parent}/dead-letters-u70001.jsonl, ", said)
        self.assertTrue(said.endswith(" and 2 others: run the command as the user of one of them"))

    def said(self, command: str, path: Path) -> str:
        """Return a command's error about a file that does not exist, without the file's name."""
        code, _, said = run_command(command, str(path), "--write-key", "key")
        self.assertEqual(code, 2)
        begin = f"segment-logging: {path}"
        self.assertTrue(said.startswith(begin), said)
        return said.removeprefix(begin).removesuffix("\n")

    def test_reports(self) -> None:
        """Reports of a program name the directory that is used, and not the one above it."""
        directory = self.shared(is_written=False)
        used = directory / f"u{os.geteuid()}"
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(directory), self.collected(lambda _: 401).url],
            cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        self.assertIn(f"; messages are waiting in the journal {used}\n", done.stderr)
        self.assertIn(f"1 message remains in the journal {used}: the next process", done.stderr)

    def test_many(self) -> None:
        """At most five are named."""
        text = text_of([f"u{number}" for number in range(1, 8)], "/shared", "/shared/u0")
        self.assertIn("(u1, u2, u3, u4, u5 and 2 others)", text)
