"""Tests for the commands about a journal that several users share with a group."""

from __future__ import annotations

import grp
import json
import os
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from typing_extensions import override

from segment_logging.collector import Collector
from tests.builders import run_python
from tests.cli.cases import run_command
from tests.faults.delivering import Deliverer, wait_until

WRITER, READER = 65_501, 65_502  # ids that no user of this host has

PROGRAM = """
import io, json, logging, os, sys
from contextlib import redirect_stderr, redirect_stdout
from segment_logging import SegmentHandler
from segment_logging.cli import main
# Imported before the user changes, who may not be able to read the interpreter's files.
import segment_logging._delivery.hand_over, requests, encodings.idna, stringprep, pwd, grp

root, group, gid, uid, arguments = GIVEN
os.setgroups([gid])
os.setgid(gid)
os.setuid(uid)
if arguments is None:
    handler = SegmentHandler("key", journal=root, deliver=False, journal_group=group)
    logger = logging.Logger("app")
    logger.addHandler(handler)
    logger.info("Event", extra={"user_id": "u-17"})
    print(json.dumps(handler.drain(0)))
else:
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(out):
        code = main(arguments)
    print(json.dumps([code, out.getvalue()]))
"""


@unittest.skipUnless(os.geteuid() == 0, "only root can become other users")
class TestSharedJournal(unittest.TestCase):
    @override
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        Path(directory.name).chmod(0o755)
        self.journal = str(Path(directory.name, "journal"))
        group = grp.getgrall()[-1]
        self.group, self.gid = group.gr_name, group.gr_gid
        keys = Path(directory.name, "keys")
        keys.write_text("key\n")
        prepare = ("--prepare", "--group", self.group, "--write-key-file", str(keys))
        self.assertEqual(run_command("deliver", self.journal, *prepare)[0], 0)

    def as_user(self, uid: int, *arguments: str) -> Any:
        """Run a command as a user. Without arguments, log an event as that user."""
        given = (self.journal, self.group, self.gid, uid, arguments or None)
        return run_python(PROGRAM.replace("GIVEN", repr(given)))

    def test_shown(self) -> None:
        """With --group and --owner, root and the deliverer's user see the messages."""
        self.assertTrue(self.as_user(WRITER))
        shown = ("journal", self.journal, "--group", self.group, "--owner", str(WRITER), "--json")
        for code, out in (run_command(*shown)[:2], self.as_user(READER, *shown)):
            self.assertEqual(code, 0, out)
            (waiting,) = json.loads(out)["waiting"]
            self.assertEqual(waiting["messages"], 1)
        code, out = self.as_user(READER, *shown[:4], "--json")
        self.assertEqual((code, json.loads(out)["unread"]), (0, 1))
        code, out = self.as_user(READER, *shown[:4])
        self.assertEqual(code, 0)
        self.assertIn("0 messages wait, and there may be more: files of 1 process cannot be", out)
        self.assertIn("it belongs to another user): name that user with --owner", out)

    def test_deliverer_without_owner(self) -> None:
        """A deliverer reports directories of other users, and how their messages can be sent."""
        self.assertTrue(self.as_user(WRITER))
        given = (Path(self.journal), "--group", self.group, "--host", "http://127.0.0.1:9")
        with Deliverer(*given, write_key="key") as deliverer:
            wait_until(lambda: "cannot be read" in deliverer.stderr)
            self.assertIn(
                "1 journal directory cannot be read (it belongs to another user): to send its "
                f"messages, name that user with --owner; check {self.journal}/",
                deliverer.stderr,
            )

    def test_dead_letters(self) -> None:
        """After --drain, the name of this user's dead letters is printed, and they are there."""
        self.assertTrue(self.as_user(WRITER))
        with Collector(answer=lambda request: 400) as collector:
            code, out = self.as_user(
                WRITER,
                *("journal", self.journal, "--drain", "--group", self.group),
                *("--write-key", "key", "--host", collector.url),
            )
        self.assertEqual(code, 1, out)
        named = out.partition("became dead letters: see ")[2].split()[0]
        self.assertEqual(named, f"{self.journal}/dead-letters-u{WRITER}.jsonl")
        self.assertIn("u-17", Path(named).read_text())

    def test_without_the_group(self) -> None:
        """Without --group, the commands say that it is missing, and make nothing."""
        before = sorted(os.listdir(self.journal))
        of_root, _, said_to_root = run_command("journal", self.journal)
        for code, said in (
            (of_root, said_to_root),
            self.as_user(READER, "journal", self.journal, "--drain", "--write-key", "key"),
        ):
            self.assertEqual(code, 2)
            self.assertIn(f"pass --group {self.group}", said)
        _, out = self.as_user(READER, "check", "--no-event", "--journal", self.journal)
        self.assertRegex(out, rf"note +journal: .*/u{READER} would be used")
        self.assertEqual(sorted(os.listdir(self.journal)), before)

    def test_check(self) -> None:
        """With --group, the directory that is used is checked."""
        given = ("check", "--no-event", "--journal", self.journal, "--group", self.group)
        self.assertIn(f"ok       journal: {self.journal} can be written", run_command(*given)[1])
        code, out, _ = run_command(*given[:-1], "no-such-group")
        self.assertEqual(code, 1)
        self.assertIn("PROBLEM  journal: --group 'no-such-group'", out)

    def test_drain(self) -> None:
        """--drain sends this user's messages, and says who sends those of other users."""
        self.assertTrue(self.as_user(WRITER))
        drain = ("journal", self.journal, "--group", self.group, "--drain", "--write-key", "key")
        code, _, said = run_command(*drain, "--owner", str(WRITER))
        self.assertEqual(code, 2)
        self.assertIn("--drain sends only the files of the user who runs it", said)
        code, out = self.as_user(READER, *drain, "--timeout", "1", "--host", "http://127.0.0.1:9")
        self.assertEqual(code, 1)
        self.assertIn("files of other users are sent by `segment-logging deliver`", out)


if __name__ == "__main__":
    unittest.main()
