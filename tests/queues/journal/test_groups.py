"""Tests for a journal that several users share: whose files are used, and who may read them."""

from __future__ import annotations

import grp
import logging
import os
import stat
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from typing_extensions import override

from segment_logging import ConfigurationError, SegmentHandler
from segment_logging._files import Folder
from segment_logging._queues.journal.place import Place, trust_in
from segment_logging._trust import NotOurs, Trust
from segment_logging.testing import FakeClient
from tests.builders import run_python

WRITER, READER, STRANGER = 65_501, 65_502, 65_503  # ids that no user of this host has
UNNAMED = 65_504  # the id of a group that has no name on this host

PROGRAM = """
import json, logging, os, sys
from segment_logging import SegmentHandler
from segment_logging._queues.journal.inbox import Inbox
from segment_logging._queues.journal.place import Place, trust_in
from tests.queues.cases import taken_from

root, group, gid, writer, reader = json.loads(sys.argv[1])
logging.disable(logging.NOTSET)
# Imported before the user changes, who may not be able to read the interpreter's files.
import segment_logging._delivery.hand_over, encodings.idna, stringprep, pwd, grp

def as_user(uid, function):
    told, tell = os.pipe()
    if os.fork() == 0:
        try:
            os.setgroups([gid])
            os.setgid(uid)
            os.setuid(uid)
            os.write(tell, json.dumps(function()).encode())
        except BaseException as error:
            os.write(tell, json.dumps(repr(error)).encode())
        os._exit(0)
    os.close(tell)
    os.wait()
    return json.loads(os.read(told, 65536))

def write():
    handler = SegmentHandler("key", journal=root, deliver=False, journal_group=group)
    logger = logging.Logger("app")
    logger.addHandler(handler)
    logger.info("Event", extra={"user_id": "u-17"})
    return handler.drain(0)

def read(owners):
    inbox = Inbox(Place(root, "key", trust_in(group, owners)), max_kept_bytes=1 << 20)
    inbox.tend(1e9)
    lines = taken_from(inbox)
    inbox.release()
    return len(lines)

def refuse():
    handler = SegmentHandler("key", journal=root, deliver=False, journal_group=group)
    logger = logging.Logger("app")
    logger.addHandler(handler)
    logger.info("Event", extra={"user_id": ""})
    return logger.info("Event", extra={"user_id": "u-17"}) or handler.drain(0)

place = Place(root, "key", trust_in(group))
place.live(make=True).close()
if len(sys.argv) > 2:
    print(json.dumps([as_user(writer, refuse), as_user(reader, refuse),
                      sorted(name for name in os.listdir(root) if name.startswith("dead"))]))
    sys.exit()
written = as_user(writer, write)
modes = [oct(os.stat(os.path.join(path, name)).st_mode & 0o7777)
         for path, _, names in os.walk(place.live_path) for name in names if name[-1] == "l"]
print(json.dumps([
    written, modes, as_user(reader, lambda: read([])), as_user(reader, lambda: read([writer])),
    as_user(reader, lambda: read([writer])),
]))
"""


@unittest.skipUnless(os.geteuid() == 0, "only root can become other users")
class TestUsers(unittest.TestCase):
    def test_two_users(self) -> None:
        """A deliverer sends and removes the files of another user if it is told whose they are."""
        group = grp.getgrall()[-1]
        with TemporaryDirectory() as directory:
            Path(directory).chmod(0o755)
            given = [f"{directory}/journal", group.gr_name, group.gr_gid, WRITER, READER]
            program = PROGRAM.replace("sys.argv[1]", repr(str(given).replace("'", '"')))
            self.assertEqual(run_python(program), [True, ["0o640"], 0, 1, 0])

    def test_without_the_setgid_bit(self) -> None:
        """A group also works where the setgid bit is refused, as by systemd's RestrictSUIDSGID=."""
        refusing = """
import errno, os, stat
real_fchmod = os.fchmod

def fchmod(descriptor, mode):
    if mode & stat.S_ISGID:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    real_fchmod(descriptor, mode)
"""
        refuse, made = "os.fchmod = fchmod\n", "place.live(make=True).close()\n"
        group = grp.getgrall()[-1]
        for is_prepared in (False, True):
            with self.subTest(is_prepared=is_prepared), TemporaryDirectory() as directory:
                Path(directory).chmod(0o755)
                given = [f"{directory}/journal", group.gr_name, group.gr_gid, WRITER, READER]
                program = PROGRAM.replace("sys.argv[1]", repr(str(given).replace("'", '"')))
                order = made + refuse if is_prepared else refuse + made
                found = run_python(refusing + program.replace(made, order))
                self.assertEqual(found, [True, ["0o640"], 0, 1, 0])

    def test_a_group_without_a_name(self) -> None:
        """Two users share a journal with a group that has only a number on this host."""
        with TemporaryDirectory() as directory:
            Path(directory).chmod(0o755)
            given = [f"{directory}/journal", str(UNNAMED), UNNAMED, WRITER, READER]
            program = PROGRAM.replace("sys.argv[1]", repr(str(given).replace("'", '"')))
            self.assertEqual(run_python(program), [True, ["0o640"], 0, 1, 0])

    def test_two_writers(self) -> None:
        """Two users write to one journal, and each has a file of dead letters."""
        group = grp.getgrall()[-1]
        with TemporaryDirectory() as directory:
            Path(directory).chmod(0o755)
            given = [f"{directory}/journal", group.gr_name, group.gr_gid, WRITER, READER]
            program = PROGRAM.replace("sys.argv[1]", repr(str(given).replace("'", '"')))
            letters = [f"dead-letters-u{user}.jsonl" for user in (WRITER, READER)]
            found = run_python("import sys; sys.argv += ['', '']\n" + program)
            self.assertEqual(found, [True, True, letters])

    def test_parents_of_a_shared_place(self) -> None:
        """Directories that are made above a shared one can be passed by the group."""
        with TemporaryDirectory() as directory:
            root = Path(directory) / "a" / "b" / "journal"
            Folder.own(str(root), Trust(group=os.getegid()), make=True).close()
            modes = [stat.S_IMODE(path.stat().st_mode) for path in (root, *root.parents[:2])]
            self.assertEqual(modes, [0o2770, 0o755, 0o755])


class TestTidying(unittest.TestCase):
    def test_kept(self) -> None:
        """Empty directories of a write key are removed, except if they were made for a group."""
        for group, is_kept in ((None, False), (os.getegid(), True)):
            with TemporaryDirectory() as directory:
                place = Place(f"{directory}/journal", "key", Trust(group))
                place.live(make=True).close()
                place.tidy()
                self.assertEqual(Path(place.live_path).parent.exists(), is_kept)


class TestTrust(unittest.TestCase):
    @override
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "journal"
        self.path.mkdir(0o700)

    def opened(self, **trust: Any) -> None:
        Folder.at(str(self.path), Trust(**trust)).close()

    def test_a_directory_of_a_group(self) -> None:
        """A directory in which a group may write is used only if that is our group."""
        self.path.chmod(0o770)
        gid = self.path.stat().st_gid
        self.opened(group=gid)
        for group in (None, gid + 1):
            with self.assertRaises(NotOurs):
                self.opened(group=group)

    def test_a_directory_of_everybody(self) -> None:
        """A directory in which everybody may write is never used."""
        self.path.chmod(0o777)
        with self.assertRaises(NotOurs):
            self.opened(group=self.path.stat().st_gid)

    def test_files_without_a_group(self) -> None:
        """Without a group, nobody else can read what is made."""
        with Folder.at(str(self.path)) as folder:
            os.close(folder.open("file", os.O_WRONLY | os.O_CREAT))
            folder.folder("directory", make=True).close()
        modes = [stat.S_IMODE(path.stat().st_mode) for path in sorted(self.path.iterdir())]
        self.assertEqual(modes, [0o700, 0o600])

    def test_a_group_that_does_not_exist(self) -> None:
        """A group that does not exist is refused when the handler is created."""
        for group in ("no-such-group", "-1", "4294967295", "1" * 5000, "\u0661"):
            with self.assertRaisesRegex(ConfigurationError, f"{group}' is not a group on this"):
                SegmentHandler("key", journal=self.path, journal_group=group)
        with self.assertRaisesRegex(ConfigurationError, "'-1' is not a group on this"):
            SegmentHandler("key", journal=self.path, journal_group=-1)
        with self.assertRaisesRegex(ConfigurationError, "must be a non-empty string or None"):
            SegmentHandler("key", journal=self.path, journal_group=True)

    def test_an_int(self) -> None:
        """A group's number can be given as an int, as in YAML without quotes."""
        handler = SegmentHandler(
            "key", journal=self.path, journal_group=os.getegid(), deliver=False
        )
        logger = logging.Logger("app")
        logger.addHandler(handler)
        logger.info("Event", extra={"user_id": "u-17"})
        handler.close()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o2770)

    def test_a_number(self) -> None:
        """A group can be given as a number. A group with that name has precedence."""
        group = grp.getgrall()[-1]
        self.assertEqual(trust_in(group.gr_name).group, group.gr_gid)
        self.assertEqual(trust_in(str(group.gr_gid)).group, group.gr_gid)
        self.assertEqual(trust_in(str(UNNAMED)).group, UNNAMED)
        with patch("grp.getgrnam", return_value=grp.struct_group((str(UNNAMED), "x", 17, []))):
            self.assertEqual(trust_in(str(UNNAMED)).group, 17)

    @unittest.skipUnless(os.geteuid() == 0, "only root can give a directory away")
    def test_a_directory_of_another_user(self) -> None:
        """A directory of another user is used only if its owner is trusted."""
        os.chown(self.path, STRANGER, -1)
        with self.assertRaises(NotOurs):
            self.opened()
        self.opened(owners=frozenset({STRANGER}))


class TestOptions(unittest.TestCase):
    def test_a_journal_is_needed(self) -> None:
        """`deliver=False` without a journal is refused."""
        with self.assertRaisesRegex(ConfigurationError, "deliver=False needs a journal"):
            SegmentHandler("key", deliver=False)

    def test_options_without_an_effect(self) -> None:
        """Options about sending are reported, because they have no effect in this process."""
        with TemporaryDirectory() as directory, self.assertLogs("segment_logging") as logs:
            SegmentHandler(
                "key", journal=directory, deliver=False, gzip=True, client=FakeClient()
            ).close()
        self.assertIn("client, gzip have no effect", logs.output[0])
        self.assertIn("to the command or the handler that sends the journal", logs.output[0])

    def test_default_options(self) -> None:
        """Default values are not reported, also if they are passed."""
        with TemporaryDirectory() as directory, self.assertNoLogs("segment_logging"):
            SegmentHandler(
                "key", journal=directory, deliver=False, timeout=(3.05, 15.0), region="us"
            ).close()
