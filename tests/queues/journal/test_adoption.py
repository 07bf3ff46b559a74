"""Tests for the adoption of what dead processes left behind."""

from __future__ import annotations

import fcntl
import os
import shutil

from segment_logging import HttpClient
from tests import needs
from tests.builders import RecordingSession
from tests.queues.cases import (
    KEY,
    JournalCase,
    a_journal,
    a_line,
    acknowledge,
    acknowledged,
    taken_from,
)


class AdoptionTest(JournalCase):
    """Adopting what dead processes left behind."""

    def test_a_dead_owners_messages_are_taken(self) -> None:
        """A directory whose lock is free is adopted. Its files are taken in order, then removed."""
        self.leave_behind(a_line(1) + b"\n" + a_line(2) + b"\n", a_line(3) + b"\n")
        journal = a_journal(self.root)
        self.assertEqual(self.adopted_by(journal), [a_line(1), a_line(2), a_line(3)])
        self.assertEqual((journal.accepted, acknowledged(journal)), (3, 3))
        journal.release()
        self.assertEqual(list(self.root.rglob("*")), [])

    def test_the_oldest_process_comes_first(self) -> None:
        """Directories are taken in the order in which they were created."""
        self.leave_behind(a_line(2) + b"\n", name="00000000000000000002-1-dead")
        self.leave_behind(a_line(1) + b"\n", name="00000000000000000001-1-dead")
        self.assertEqual(self.adopted_by(a_journal(self.root)), [a_line(1), a_line(2)])

    @needs.file_locks
    def test_a_live_owner_is_left_alone(self) -> None:
        """A directory whose lock is held is left alone."""
        directory = self.leave_behind(a_line() + b"\n")
        lock = os.open(directory / "owner.lock", os.O_RDWR)
        self.addCleanup(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self.assertEqual(self.adopted_by(a_journal(self.root)), [])
        self.assertEqual(len(self.files()), 1)

    @needs.file_locks
    def test_a_second_journal_of_this_process_is_a_live_owner(self) -> None:
        """Two journals in one process are two owners, and neither takes the other's messages."""
        first, second = a_journal(self.root), a_journal(self.root)
        first.put(a_line(1))
        second.put(a_line(2))
        first.look_around()
        second.look_around()
        self.assertEqual(taken_from(first), [a_line(1)])
        self.assertEqual(taken_from(second), [a_line(2)])

    def test_released_in_an_outage(self) -> None:
        """Messages that this process released still count until some process takes them."""
        journal = a_journal(self.root)
        for number in range(5):
            journal.put(a_line(number))
        journal.take()
        journal.put_back()
        journal.release()
        self.assertEqual((journal.accepted, acknowledged(journal)), (5, 0))
        journal.put(a_line(5))
        journal.look_around()
        self.assertEqual((journal.accepted, acknowledged(journal)), (6, 0))
        journal.take()
        journal.put_back()
        journal.release()  # while adopted messages remain
        self.assertEqual((journal.accepted, acknowledged(journal)), (6, 0))
        another = a_journal(self.root)
        self.assertEqual(len(self.adopted_by(another)), 6)
        another.release()
        journal.look_around()
        self.assertEqual((journal.accepted, acknowledged(journal)), (0, 0))

    def test_what_cannot_be_read(self) -> None:
        """A directory with only unreadable files is skipped and does not hold up others."""
        for number in range(10):
            name = f"{number:020d}-1-dead"
            directory = self.leave_behind(a_line(number) + b"\n", name=name)
            (directory / "00000002.jsonl").mkdir()
        journal = a_journal(self.root)
        taken = []
        with self.assertLogs("segment_logging"):
            for _ in range(3):
                taken += self.adopted_by(journal)
        self.assertEqual(taken, [a_line(number) for number in range(10)])
        self.assertTrue(journal.has_backlog)

    def test_foreign_lock(self) -> None:
        """A directory that cannot be judged is reported and left, and stays a backlog."""
        (self.live / "foreign" / "owner.lock").mkdir(parents=True)
        journal = a_journal(self.root)
        with self.assertLogs("segment_logging"):
            self.assertEqual(self.adopted_by(journal), [])
        self.assertTrue(journal.has_backlog)

    def test_an_empty_directory_is_removed(self) -> None:
        """The directory of a process that died before its first line is removed."""
        self.leave_behind()
        self.leave_behind(b"", name="00000000000000000002-1-dead")
        journal = a_journal(self.root)
        self.assertEqual(self.adopted_by(journal), [])
        self.assertEqual(list(self.root.rglob("*")), [])

    def test_adopted_counts_as_backlog_until_it_is_answered(self) -> None:
        """There is a backlog until the journal has looked and acknowledged all that it found."""
        self.leave_behind(a_line() + b"\n")
        journal = a_journal(self.root)
        self.assertTrue(journal.has_backlog)
        journal.look_around()
        self.assertTrue(journal.has_backlog)
        taken_from(journal)
        self.assertFalse(journal.has_backlog)

    def test_adopted_files_above_the_limits_are_split(self) -> None:
        """A file larger than a batch is split into several batches within the limits."""
        lines = [a_line(number, size_bytes=1_000) for number in range(1_200)]
        self.leave_behind(b"".join(line + b"\n" for line in lines))
        journal = a_journal(self.root)
        journal.look_around()
        session = RecordingSession()
        taken: list[bytes] = []
        while (batch := journal.take()) is not None:
            HttpClient(session=session).send(KEY, batch)
            taken.extend(batch.lines)
            acknowledge(journal)
        self.assertEqual(taken, lines)
        self.assertLessEqual(max(len(body) for body in session.bodies), 500_000)

    def test_an_adopted_file_stays_until_all_of_it_is_acknowledged(self) -> None:
        """A file that is split into two batches is kept until the second batch is acknowledged."""
        lines = [a_line(number) for number in range(2_501)]
        self.leave_behind(b"".join(line + b"\n" for line in lines))
        journal = a_journal(self.root)
        journal.look_around()
        journal.take()
        acknowledge(journal)
        self.assertEqual(len(self.files()), 1)
        journal.take()
        acknowledge(journal)
        self.assertEqual(self.files(), [])

    def test_an_adopted_batch_put_back_is_the_same(self) -> None:
        """An adopted batch that was put back is taken before the journal's own messages."""
        self.leave_behind(a_line(1) + b"\n")
        journal = a_journal(self.root)
        journal.put(a_line(2))
        journal.look_around()
        batch = journal.take()
        journal.put_back()
        journal.look_around()
        self.assertIs(journal.take(), batch)
        acknowledge(journal)
        self.assertEqual(taken_from(journal), [a_line(2)])

    def test_left_overs_of_a_release_come_back_once(self) -> None:
        """Messages remaining when the listener ended are found again and count only once."""
        journal = a_journal(self.root)
        journal.put(a_line(1))
        journal.put(a_line(2))
        journal.take()
        journal.put_back()
        journal.release()
        journal.put(a_line(3))
        self.assertEqual(self.adopted_by(journal), [a_line(1), a_line(2), a_line(3)])
        self.assertEqual((journal.accepted, acknowledged(journal)), (3, 3))

    def test_released_adoptions_come_back_once(self) -> None:
        """Adopted messages that were released and adopted again by the same process count once."""
        self.leave_behind(a_line(1) + b"\n" + a_line(2) + b"\n")
        journal = a_journal(self.root)
        journal.look_around()
        journal.take()
        journal.put_back()
        journal.release()
        self.assertEqual(self.adopted_by(journal), [a_line(1), a_line(2)])
        self.assertEqual((journal.accepted, acknowledged(journal)), (2, 2))

    def test_released_and_sent_by_another_is_not_waited_for(self) -> None:
        """Messages that another process sent after our listener ended do not stay pending here."""
        journal = a_journal(self.root)
        journal.put(a_line())
        journal.release()
        another = a_journal(self.root)
        self.adopted_by(another)
        another.release()
        journal.look_around()
        self.assertIsNone(journal.take())
        self.assertEqual(journal.accepted, acknowledged(journal))

    def test_lanes(self) -> None:
        """Adopted messages are acknowledged separately from the process's own."""
        self.leave_behind(a_line(1) + b"\n" + a_line(2) + b"\n")
        journal = a_journal(self.root)
        journal.put(a_line(3))
        self.assertEqual(journal.lanes, ((1, 0), (0, 0)))
        journal.look_around()
        journal.take()
        acknowledge(journal)
        self.assertEqual(journal.lanes, ((1, 0), (2, 2)))
        journal.take()
        acknowledge(journal)
        self.assertEqual(journal.lanes, ((1, 1), (2, 2)))
        journal.release()

    def test_an_unreadable_file_holds_up_no_other(self) -> None:
        """A file that cannot be read is reported once and skipped."""
        directory = self.leave_behind(a_line(1) + b"\n", a_line(2) + b"\n")
        first = sorted(directory.glob("*.jsonl"))[0]
        first.unlink()
        first.mkdir()  # not even root can read this as a file
        with self.assertLogs("segment_logging") as logs:
            self.assertEqual(self.adopted_by(a_journal(self.root)), [a_line(2)])
        self.assertEqual(len(logs.output), 1)
        self.assertIn("cannot be read", logs.output[0])
        self.assertTrue(first.exists())

    def test_a_directory_that_vanishes_blocks_nothing(self) -> None:
        """An adopted directory that disappears does not block the messages after it."""
        directory = self.leave_behind(a_line(1) + b"\n")
        journal = a_journal(self.root)
        journal.put(a_line(2))
        journal.look_around()
        shutil.rmtree(directory)
        self.assertEqual(taken_from(journal), [a_line(2)])
