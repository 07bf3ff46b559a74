"""Tests for the commands about a journal that several users share with a group."""

from __future__ import annotations

import errno
import grp
import json
import os
import re
import shutil
import stat
import subprocess
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from typing_extensions import override

from segment_logging import ConfigurationError, SegmentHandler
from segment_logging._broker.bundles import key_name_of
from segment_logging._queues.journal.place import Place
from segment_logging._trust import NOT_PREPARED, OF_ANOTHER_USER, NotOurs, Trust
from segment_logging.collector import Collector
from tests.builders import run_python
from tests.cli.cases import run_command
from tests.faults.delivering import Deliverer, wait_until

WRITER, READER = 65_501, 65_502  # ids that no user of this host has

PROGRAM = """
import io, json, logging, os, signal, sys, threading
from contextlib import redirect_stderr, redirect_stdout
from segment_logging import SegmentHandler
from segment_logging.cli import main
# Imported before the user changes, who may not be able to read the interpreter's files.
import segment_logging._delivery.hand_over, requests, encodings.idna, stringprep, pwd, grp

root, group, gid, uid, write_key, arguments = GIVEN
os.setgroups([gid])
os.setgid(gid)
os.setuid(uid)
if arguments is None:
    handler = SegmentHandler(write_key, journal=root, deliver=False, journal_group=group)
    logger = logging.Logger("app")
    logger.addHandler(handler)
    logger.info("Event", extra={"user_id": "u-17"})
    print(json.dumps(handler.drain(0)))
else:
    if arguments[0] == "deliver" and "--prepare" not in arguments:
        timer = threading.Timer(2, os.kill, (os.getpid(), signal.SIGTERM))
        timer.daemon = True
        timer.start()
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(out):
        code = main(arguments)
    print(json.dumps([code, out.getvalue()]))
"""


class SharedJournalCase(unittest.TestCase):
    @override
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        Path(directory.name).chmod(0o755)
        self.journal = str(Path(directory.name, "journal"))
        group = grp.getgrall()[-1]
        self.group, self.gid = group.gr_name, group.gr_gid
        self.keys = Path(directory.name, "keys")
        self.keys.write_text("key\n")
        self.prepare = (
            *("deliver", self.journal, "--prepare", "--group", self.group),
            *("--write-key-file", str(self.keys)),
        )
        self.assertEqual(run_command(*self.prepare)[0], 0)

    def as_user(
        self, uid: int, *arguments: str, write_key: str = "key", group: str | None = ""
    ) -> Any:
        """Run a command as a user. Without arguments, log an event as that user."""
        group = self.group if group == "" else group
        given = (self.journal, group, self.gid, uid, write_key, arguments or None)
        return run_python(PROGRAM.replace("GIVEN", repr(given)))


@unittest.skipUnless(os.geteuid() == 0, "only root can become other users")
class TestSharedJournal(SharedJournalCase):
    def test_shown(self) -> None:
        """With --group and --owner, root and the deliverer's user see the messages."""
        self.assertTrue(self.as_user(WRITER))
        shown = ("journal", self.journal, "--group", self.group, "--owner", str(WRITER), "--json")
        for code, out in (run_command(*shown)[:2], self.as_user(READER, *shown)):
            self.assertEqual(code, 0, out)
            (waiting,) = json.loads(out)["waiting"]
            self.assertEqual(waiting["messages"], 1)
            self.assertNotIn("sends them", waiting["why"])
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
        with Deliverer(*given, "--json", write_key="key") as deliverer:
            wait_until(lambda: "cannot be read" in deliverer.stderr)
            self.assertIn(
                "1 journal directory cannot be read (it belongs to another user): to send its "
                f"messages, name that user with --owner; check {self.journal}/",
                deliverer.stderr,
            )
            shown = ("journal", self.journal, "--group", self.group, "--owner", str(WRITER))
            self.assertIn(
                "has ended, and `segment-logging deliver` sends them if it runs as user "
                f"{WRITER} or with --owner {WRITER}",
                run_command(*shown)[1],
            )
            self.assertEqual(deliverer.end(), 0)
            self.assertEqual(json.loads(deliverer.stdout.splitlines()[-1])["unreadable"], 1)

    def test_directory_of_a_user(self) -> None:
        """If the journal belongs to a user, the errors of other users' programs name the way to
        share it."""
        os.chown(self.journal, WRITER, self.gid)
        way_out = (
            f"belongs to another user: as root, run `chgrp -R {self.group} {self.journal}`, "
            f"`chown root {self.journal}` and `chmod 2770 {self.journal}`, and then "
            f"`segment-logging {' '.join(self.prepare[:5])} --write-key-file FILE`"
        )
        os.seteuid(READER)
        try:
            with self.assertRaises(ConfigurationError) as caught:
                SegmentHandler("key", journal=self.journal, deliver=False, journal_group=self.group)
        finally:
            os.seteuid(0)
        self.assertEqual(str(caught.exception), f"journal {self.journal!r} {way_out}")
        check = ("check", "--no-event", "--write-key", "key", "--journal", self.journal)
        self.assertIn(way_out, self.as_user(READER, *check, "--group", self.group)[1])

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

    def test_quarantine(self) -> None:
        """All users of the group can keep damaged lines, also if a user made the quarantine."""
        quarantine = Path(self.journal, "quarantine")
        quarantine.rmdir()
        quarantine.mkdir(0o700)
        (quarantine / "damaged-lines").touch(0o600)
        for path in (quarantine, quarantine / "damaged-lines"):
            os.chown(path, WRITER, WRITER)
        code, out, said = run_command(*self.prepare)
        self.assertEqual(code, 0, said)
        self.assertIn(f"{quarantine} now belongs to root and the group {self.group}", out)
        self.assertNotIn("now belongs", run_command(*self.prepare)[1])
        given = ("deliver", self.journal, "--group", self.group, "--write-key-file", str(self.keys))
        with Collector() as collector:
            for user in (WRITER, READER):
                self.assertTrue(self.as_user(WRITER))
                (file,) = Path(self.journal, key_name_of("key"), "live").rglob("*.jsonl")
                with file.open("a") as written:
                    written.write("damaged\n")
                sender = (*given, "--owner", str(WRITER), "--host", collector.url)
                code, out = self.as_user(user, *sender)
                self.assertIn("cannot be sent; kept in the journal's quarantine", out)
        found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in quarantine.iterdir()}
        names = ("damaged-lines", *(f"damaged-lines-u{user}" for user in (WRITER, READER)))
        self.assertEqual(found, dict.fromkeys(names, 0o640))

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
        self.assertIn("ok       journal", run_command(*given[:-1], str(self.gid))[1])
        code, out, _ = run_command(*given[:-1], "no-such-group")
        self.assertEqual(code, 1)
        self.assertIn("PROBLEM  journal: --group 'no-such-group'", out)

    def test_check_makes_a_directory(self) -> None:
        """`check` makes a directory like that of a handler, and reports if that is refused."""
        given = ("check", "--no-event", "--journal", self.journal, "--group", self.group)
        live = Path(self.journal, key_name_of("key"), "live")
        with patch("os.fchmod", side_effect=PermissionError(errno.EPERM, "Not permitted")):
            code, out, _ = run_command(*given, "--write-key", "key")
        self.assertEqual(code, 1)
        self.assertIn(
            f"PROBLEM  journal: {live} cannot be used (Not permitted): correct the journal's", out
        )
        self.assertIn("ok       journal", run_command(*given, "--write-key", "key")[1])
        self.assertEqual(list(live.iterdir()), [])

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


@unittest.skipUnless(os.geteuid() == 0, "only root can become other users")
class TestNewKey(SharedJournalCase):
    """A write key that is added later."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.of_key = Path(self.journal, key_name_of("new-key"))
        self.live = self.of_key / "live"
        self.keys.write_text("key\nnew-key\n")
        self.keys.chmod(0o644)
        self.advice = f"as root, run `segment-logging {' '.join(self.prepare[:5])} --write-key-file"
        self.check = (
            *("check", "--no-event", "--journal", self.journal, "--group", self.group),
            *("--write-key", "new-key"),
        )

    def owned_by(self, uid: int) -> None:
        """Make the directories as that user made them before they could be prepared."""
        for path in (self.of_key, self.live):
            path.mkdir()
            os.chown(path, uid, self.gid)
            path.chmod(0o2770)

    def test_programs(self) -> None:
        """Programs do not make the key's directories. They work when root has prepared them."""
        with self.subTest("before"):
            self.assertFalse(self.as_user(WRITER, write_key="new-key"))
            self.assertFalse(self.of_key.exists())
        self.assertEqual(run_command(*self.prepare)[0], 0)
        for user in (WRITER, READER):
            self.assertTrue(self.as_user(user, write_key="new-key"))
        self.assertEqual(len(list(self.live.iterdir())), 2)

    def test_report(self) -> None:
        """The report of a program names the command that prepares the directories."""
        place = Place(self.journal, "new-key", Trust(self.gid))
        for why in (NOT_PREPARED, OF_ANOTHER_USER):
            self.assertIn(self.advice, place.text_of(NotOurs(why, "DIR")))

    def test_deliverer(self) -> None:
        """A deliverer does not make them either, and its report names the command."""
        code, out = self.as_user(
            READER, *self.prepare[:2], *self.prepare[3:], "--host", "http://127.0.0.1:9", "--quiet"
        )
        self.assertEqual(code, 0, out)
        self.assertIn(
            f"the journal in {self.live} cannot be searched (it is not prepared): {self.advice}",
            out,
        )
        self.assertFalse(self.of_key.exists())
        code, out = self.as_user(
            READER, *self.prepare[:2], *self.prepare[3:], "--host", "http://127.0.0.1:9"
        )
        self.assertIn("not delivering, and perhaps nobody is; stderr has the", out)
        self.assertNotIn("standing by", out)

    def test_deliverer_without_a_directory(self) -> None:
        """A deliverer that is not root does not make the directory of a group."""
        other = f"{self.journal}/other"
        given = ("deliver", other, "--group", self.group, "--write-key-file", str(self.keys))
        code, out = self.as_user(READER, *given)
        self.assertEqual(code, 2)
        self.assertIn(f"{other} does not exist, and a group is to share it: as root, run", out)
        self.assertFalse(Path(other).exists())

    def test_preparing_as_a_user(self) -> None:
        """Only root can prepare the directories in a directory of root."""
        code, out = self.as_user(READER, *self.prepare)
        self.assertEqual(code, 2)
        self.assertIn("cannot be prepared (it is not prepared): run this command as root", out)

    def test_taken_over(self) -> None:
        """As root, `--prepare` takes over directories that a user made, and no files in them."""
        self.owned_by(WRITER)
        self.assertTrue(self.as_user(WRITER, write_key="new-key"))
        self.assertFalse(self.as_user(READER, write_key="new-key"))
        code, out, said = run_command(*self.prepare)
        self.assertEqual(code, 0, said)
        for path in (self.of_key, self.live):
            self.assertIn(f"{path} now belongs to root and the group {self.group}\n", out)
            found = path.stat()
            self.assertEqual((found.st_uid, found.st_gid), (0, self.gid))
            self.assertEqual(stat.S_IMODE(found.st_mode), 0o2770)
        self.assertTrue(self.as_user(READER, write_key="new-key"))
        self.assertTrue(self.as_user(WRITER, write_key="new-key"))
        owners = sorted(path.stat().st_uid for path in self.live.iterdir())
        self.assertEqual(owners, [WRITER, WRITER, READER])
        self.assertNotIn("now belongs", run_command(*self.prepare)[1])

    def test_links(self) -> None:
        """`--prepare` follows no links, and changes nothing behind them."""
        bait = Path(self.journal).with_name("bait")
        (bait / "live").mkdir(parents=True)
        for path in (bait, bait / "live"):
            os.chown(path, WRITER, -1)
        for link, target in ((self.of_key, bait), (self.live, bait / "live")):
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(target)
            code, _, said = run_command(*self.prepare)
            self.assertEqual(code, 2)
            self.assertRegex(said, "it is a link|Not a directory")
            self.assertEqual([one.stat().st_uid for one in (bait, bait / "live")], [WRITER] * 2)
            link.unlink()

    def test_private_journal(self) -> None:
        """After the commands that are named, another user sends what is in a user's journal."""
        journal = Path(self.journal)
        shutil.rmtree(journal)
        journal.mkdir(0o700)
        os.chown(journal, WRITER, WRITER)
        given = (self.prepare[1], "--write-key-file", str(self.keys), "--host")
        self.assertTrue(self.as_user(WRITER, write_key="new-key", group=None))
        code, out = self.as_user(WRITER, "deliver", *given, "http://127.0.0.1:9")
        self.assertIn("1 pending", out)
        code, _, said = run_command(*self.prepare)
        for command in re.findall("`([^`]*)`", said):
            subprocess.run(command.split(), check=True, timeout=30)
        code, out, said = run_command(*self.prepare)
        self.assertEqual(code, 0, said)
        self.assertIn(
            f"the group {self.group} can now use what was in {self.live} (1 handler)", out
        )
        self.assertNotIn("can now use", run_command(*self.prepare)[1])
        owners = {path.stat().st_uid for path in self.live.rglob("*")}
        self.assertEqual(owners, {WRITER})
        with Collector() as collector:
            shared = ("--group", self.group, "--owner", str(WRITER))
            code, out = self.as_user(READER, "deliver", *given, collector.url, *shared)
            self.assertIn("1 message delivered", out)
            self.assertNotIn("cannot be", out)

    def test_files_that_are_not_shared(self) -> None:
        """`--prepare` gives the group no access to links, to files with two names, or to files of
        others than the directory's owner."""
        self.owned_by(WRITER)
        handler = self.live / "handler"
        handler.mkdir()
        bait = Path(self.journal).with_name("bait")
        bait.touch(0o600)
        (handler / "link").symlink_to(bait)
        (self.live / "link").symlink_to(bait.parent)
        (self.of_key / "link.lock").symlink_to(bait)
        (handler / "name").touch(0o600)
        os.link(handler / "name", handler / "other-name")
        os.mkfifo(handler / "pipe", 0o600)
        for name in ("own", "moved", "public"):
            (handler / name).touch(0o600)
        (handler / "public").chmod(0o644)
        for path in (handler, *(handler / name for name in ("name", "pipe", "own"))):
            os.chown(path, WRITER, WRITER)
        code, _, said = run_command(*self.prepare)
        self.assertEqual(code, 0, said)
        modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in handler.iterdir()}
        self.assertEqual(modes.pop("own"), 0o640)
        self.assertEqual(stat.S_IMODE(handler.stat().st_mode), 0o2770)
        self.assertEqual(modes.pop("public"), 0o644)
        modes.pop("link")
        modes["bait"] = stat.S_IMODE(bait.stat().st_mode)
        self.assertEqual(set(modes.values()), {0o600}, modes)
        self.assertNotEqual(stat.S_IMODE(bait.parent.stat().st_mode), 0o2770)

    def test_directory_with_other_files(self) -> None:
        """A directory that is not only for the journal is left as it is."""
        other = Path(self.journal).with_name("other")
        other.mkdir(0o755)
        (other / key_name_of("key")).mkdir()
        (other / "dead-letters.jsonl.1").touch()
        (other / "app.log").touch()
        given = ("deliver", str(other), *self.prepare[2:])
        code, _, said = run_command(*given)
        self.assertEqual(code, 2)
        self.assertIn("who may use the other files in it (app.log): name a directory that is", said)
        self.assertEqual(stat.S_IMODE(other.stat().st_mode), 0o755)
        (other / "app.log").unlink()
        code, out, said = run_command(*given)
        self.assertEqual(code, 0, said)
        self.assertIn(
            f"{other} now belongs to the group {self.group} and has mode 2770; before, it belonged "
            "to the group ",
            out,
        )
        self.assertIn("and had mode 0755\n", out)
        (other / "app.log").touch()
        code, out, said = run_command(*given)
        self.assertEqual((code, out), (0, f"{other} is ready for 2 write keys\n"), said)

    def test_owner_changed_by_systemd(self) -> None:
        """The commands that `--prepare` names work after the owner of everything was changed."""
        self.assertTrue(self.as_user(WRITER))
        for path in (Path(self.journal), *Path(self.journal).rglob("*")):
            os.chown(path, WRITER, WRITER)
        code, _, said = run_command(*self.prepare)
        self.assertEqual(code, 2)
        for command in re.findall("`([^`]*)`", said):
            subprocess.run(command.split(), check=True, timeout=30)
        self.assertEqual(run_command(*self.prepare)[0], 0)
        for user in (WRITER, READER):
            self.assertTrue(self.as_user(user))

    def test_directory_that_cannot_be_shared(self) -> None:
        """`--prepare` says how to share a directory that one user made, or that all may use."""
        journal = self.journal
        of_user = (f"chgrp -R {self.group} {journal}", f"chown root {journal}")
        for uid, mode, why, commands in (
            (WRITER, 0o2770, "it belongs to another user", of_user),
            (0, 0o2777, "others may write in it", (f"chown root:{self.group} {journal}",)),
        ):
            os.chown(self.journal, uid, self.gid)
            Path(self.journal).chmod(mode)
            code, _, said = run_command(*self.prepare)
            self.assertEqual(code, 2)
            self.assertIn(f"cannot be shared by the group {self.group} ({why})", said)
            for command in (*commands, f"chmod 2770 {journal}"):
                self.assertIn(f"`{command}`", said)
                os.system(command)
            self.assertEqual(run_command(*self.prepare)[0], 0)
        self.assertTrue(self.as_user(WRITER, write_key="new-key"))

    def test_check(self) -> None:
        """`check` looks at the key's directories, which may not be prepared."""
        text = f"journal: {self.live} is not prepared for all users of the group: {self.advice}"
        for code, out in (run_command(*self.check)[:2], self.as_user(WRITER, *self.check)):
            self.assertEqual(code, 1)
            self.assertIn(f"PROBLEM  {text}", out)
        self.owned_by(WRITER)
        self.assertIn(f"PROBLEM  {text}", run_command(*self.check)[1])
        self.assertIn(f"PROBLEM  {text}", self.as_user(READER, *self.check)[1])
        self.assertIn(f"note     {text}", self.as_user(WRITER, *self.check)[1])
        self.assertEqual(run_command(*self.prepare)[0], 0)
        for user in (WRITER, READER):
            self.assertIn("ok       journal: ", self.as_user(user, *self.check)[1])
        self.live.chmod(0o755)
        self.assertIn(f"PROBLEM  {text}", run_command(*self.check)[1])


if __name__ == "__main__":
    unittest.main()
