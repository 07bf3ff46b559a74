"""Tests for files that cannot be read, locks that are gone or do not work, and their reports."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from unittest import mock

from typing_extensions import override

from segment_logging import SegmentHandler
from segment_logging._queues.journal.stored import is_message
from segment_logging._reports import Reporter
from segment_logging.testing import FakeClient
from tests import foreign, needs
from tests.builders import a_record
from tests.queues.cases import JournalCase, a_journal, a_line, taken_from


class UnreadTest(JournalCase):
    """What cannot be read is reported, stays a backlog and delays nothing else."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.bait = foreign.Bait(self.root.parent / "elsewhere")

    def test_an_own_file_that_cannot_be_read(self) -> None:
        """It is skipped and tried again later. The other files are sent."""
        journal = a_journal(self.root)
        journal.put(a_line(1))
        (file,) = self.files()
        other_name = file.with_name("other-name")
        other_name.hardlink_to(file)
        with self.assertLogs("segment_logging") as logs:
            self.assertEqual(taken_from(journal), [])
            journal.put(a_line(2))
            self.assertEqual(taken_from(journal), [a_line(2)])
            journal.look_around()
            self.assertEqual(taken_from(journal), [])
        self.assertEqual(len(logs.output), 1)
        self.assertIn("1 journal file cannot be read (it has another name)", logs.output[0])
        self.assertLess(journal.lanes[0][1], journal.lanes[0][0])  # so that `drain` returns False
        other_name.unlink()
        journal.look_around()
        self.assertEqual(taken_from(journal), [a_line(1)])
        self.assertEqual(journal.lanes[0], (2, 2))

    def test_drain_returns_false(self) -> None:
        """`drain` returns False while something cannot be read."""
        directory = self.leave_behind()
        foreign.a_pipe(directory / "00000001.jsonl", self.bait.path)
        client = FakeClient()
        handler = SegmentHandler("key", journal=self.root, client=client, flush_interval=0)
        with self.assertLogs("segment_logging"):
            handler.handle(a_record("Event", extra={"user_id": "u"}))
            handler.flush()
            self.assertFalse(handler.drain(0.2))
            handler.close()
        self.assertEqual(len(client.messages), 1)

    def test_each_file_is_counted_once(self) -> None:
        """A file that cannot be read is in one report, however many times it is tried."""
        for number in range(3):
            directory = self.leave_behind(name=f"{number:020d}-1-dead")
            (directory / "00000001.jsonl").mkdir()
        journal = a_journal(self.root)
        with self.assertLogs("segment_logging") as logs:
            for _ in range(4):
                self.adopted_by(journal)
            journal.release()
        counts = [record.getMessage().partition(" ")[0] for record in logs.records]
        self.assertEqual(counts, ["1", "2"])  # at once, and at last

    def test_a_minutes_cases_are_reported_together(self) -> None:
        """Cases within a minute are reported together when the minute is over."""
        now = 0.0
        reporter = Reporter(clock=lambda: now)
        with self.assertLogs("segment_logging") as logs:
            for _ in range(100):
                reporter.each("kind", 1, lambda count: f"{count} cases")
            self.assertEqual(reporter.catch_up(), 60.0)
            now = 60.0
            self.assertIsNone(reporter.catch_up())
        self.assertEqual([record.getMessage() for record in logs.records], ["1 cases", "99 cases"])

    def test_lines_that_would_spoil_a_body(self) -> None:
        """A line is a message only if it is a JSON object in UTF-8."""
        text = '{"type":"track","event":"ä"}'
        self.assertTrue(is_message(text.encode()))
        for line in (
            text.encode("utf-16"), text.encode("utf-16-le"), text.encode("utf-32"),
            text.encode("utf-8-sig"), text.encode("latin-1"), b'{"a":NaN}', b'{"a":-Infinity}',
            b'{"a":"\xed\xa0\x80"}', b'{"a":"\x00"}', b"{} {}", b"[]", b"", b"{" * 30_000,
        ):  # fmt: skip
            with self.subTest(line[:40]):
                self.assertFalse(is_message(line))


class LocksTest(JournalCase):
    """Locks that somebody removed, and file systems without locks."""

    def test_without_locks_nothing_is_adopted(self) -> None:
        """If a second lock on a file succeeds, or none does, others' files are not touched."""
        for name, answer in (
            ("none", mock.Mock(side_effect=OSError(errno.ENOLCK, "No locks available"))),
            ("always", mock.Mock(return_value=None)),
        ):
            self.leave_behind(a_line(1) + b"\n", name=f"1-1-{name}")
            client = FakeClient()
            with (
                self.subTest(name),
                mock.patch("fcntl.flock", answer),
                self.assertLogs("segment_logging", logging.WARNING) as logs,
            ):
                handler = SegmentHandler("key", journal=self.root, client=client, flush_interval=0)
                handler.handle(a_record("Event", extra={"user_id": "u"}))
                handler.flush()
                self.assertFalse(handler.drain(0.2))
                handler.close()
            self.assertEqual(len(client.messages), 1)
            self.assertIn("locks", " ".join(logs.output))
            self.assertEqual(len(self.files()), 1)
            shutil.rmtree(self.root)

    @needs.file_locks
    def test_a_live_owners_lock_is_removed(self) -> None:
        """A live owner continues in a new directory. Its open file is left alone until then."""
        owner, other = a_journal(self.root), a_journal(self.root)
        owner.put(a_line(1))
        (file,) = self.files()
        (file.parent / "owner.lock").unlink()
        self.assertEqual(self.adopted_by(other), [])
        owner.put(a_line(2))
        self.assertEqual(taken_from(owner), [a_line(1), a_line(2)])
        owner.put(a_line(3))
        self.assertNotEqual(self.files()[0].parent, file.parent)
        self.assertEqual(taken_from(owner), [a_line(3)])

    def test_a_dead_owners_lock_is_removed(self) -> None:
        """A directory without a lock, whose files nobody holds, is adopted."""
        (self.leave_behind(a_line(1) + b"\n") / "owner.lock").unlink()
        self.assertEqual(self.adopted_by(a_journal(self.root)), [a_line(1)])

    def test_removed_directories_use_up_no_descriptors(self) -> None:
        """An owner whose directory is removed again and again keeps no descriptors of them."""
        journal = a_journal(self.root)
        before = 0
        for number in range(20):
            journal.put(a_line(number))
            taken_from(journal)
            shutil.rmtree(self.root)
            if number == 1:
                before = len(os.listdir("/dev/fd"))
        self.assertLessEqual(len(os.listdir("/dev/fd")), before)
