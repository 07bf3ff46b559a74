"""Tests that commands report messages that a change of the journal's mode left elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from segment_logging import SegmentHandler
from tests.builders import a_record
from tests.cli.cases import CliCase, run_command
from tests.faults.delivering import Deliverer, wait_until
from tests.servers import dead_host


class TestLeftBehind(CliCase):
    @property
    def journal(self) -> Path:
        return self.file.parent / "journal"

    @property
    def own(self) -> Path:
        """The directory of this user in the journal."""
        return self.journal / f"u{os.geteuid()}"

    def leave(self, root: Path) -> Path:
        """Leave an event in a journal, and return the directory of its write key."""
        handler = SegmentHandler("key", journal=str(root), deliver=False)
        handler.handle(a_record("Left", extra={"user_id": "u-17"}))
        handler.close()
        (live,) = root.glob("*/live")
        return live.parent

    def chmod(self, mode: str) -> None:
        subprocess.run(["chmod", "-R", mode, str(self.journal)], check=True)

    def test_others_may_write(self) -> None:
        """The journal command shows the directory. `import` sends the messages, after which it can
        be removed."""
        left = self.leave(self.journal)
        self.chmod("g+w")
        self.own.mkdir(mode=0o700)
        code, out, _ = run_command("journal", str(self.journal))
        self.assertEqual(code, 0)
        self.assertIn(f"0 messages wait\nmessages in {left} are not sent", out)
        self.assertIn(f"run `segment-logging import {left}/live/*/*.jsonl`", out)
        _, out, _ = run_command("journal", str(self.journal), "--json")
        self.assertEqual(json.loads(out)["left_behind"], [str(left)])
        collector = self.collected()
        files = map(str, left.glob("live/*/*.jsonl"))
        to = ("--host", collector.url, "--write-key", "key")
        self.assertEqual(run_command("import", *files, *to)[0], 0)
        self.assertEqual(self.events(collector), ["Left"])
        subprocess.run(["rm", "-r", str(left)], check=True)
        _, out, _ = run_command("journal", str(self.journal), "--json")
        self.assertEqual(json.loads(out)["left_behind"], [])

    def test_no_directory_of_this_user(self) -> None:
        """Nothing was logged since the change, so the other directory does not exist yet."""
        left = self.leave(self.journal)
        self.chmod("g+w")
        for more in ((), ("--drain",)):
            code, _, said = run_command("journal", str(self.journal), *more)
            self.assertEqual(code, 2)
            self.assertIn(f"messages in {left} are not sent", said)
            self.assertNotIn("--group", said)

    def test_drain(self) -> None:
        """After the mode was corrected, a drain sends the messages in the directory. Its exit code
        is 1 until the directory of this user is drained as well."""
        self.leave(self.journal)
        self.chmod("g+w")
        left = self.leave(self.own)
        collector = self.collected()
        to = ("--drain", "--json", "--host", collector.url, "--write-key", "key")
        self.chmod("go-w")
        with self.assertLogs("segment_logging") as logs:
            code, out, _ = run_command("journal", str(self.journal), *to)
        self.assertEqual(code, 1)
        self.assertEqual(json.loads(out)["delivered"], 1)
        self.assertEqual(json.loads(out)["left_behind"], [str(left)])
        command = f"segment-logging journal {self.own} --drain"
        self.assertIn(command, logs.records[0].getMessage())
        self.assertEqual(run_command(*command.split()[1:], *to)[0], 0)
        code, out, _ = run_command("journal", str(self.journal), *to)
        self.assertEqual((code, json.loads(out)["left_behind"]), (0, []))
        self.assertEqual(self.events(collector), ["Left", "Left"])

    def test_reported_by_a_drain_of_nothing(self) -> None:
        """A drain also reports them if the journal itself is empty."""
        self.leave(self.journal)
        self.chmod("g+w")
        self.own.mkdir(mode=0o700)
        to = ("--drain", "--host", dead_host(), "--write-key", "key")
        with self.assertLogs("segment_logging") as logs:
            code, _, _ = run_command("journal", str(self.journal), *to)
        self.assertEqual(code, 1)
        self.assertIn("are not sent", logs.records[0].getMessage())

    def test_deliver(self) -> None:
        """The deliverer reports the directory once, and not as the directory of another user."""
        self.journal.mkdir(mode=0o700)
        left = self.leave(self.own)
        with Deliverer(self.journal, "--host", dead_host(), write_key="key") as deliverer:
            wait_until(lambda: f"messages in {left} are not sent" in deliverer.stderr)
            self.assertNotIn("other users", deliverer.stderr)
            self.assertEqual(deliverer.end(), 0)
