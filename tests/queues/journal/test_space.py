"""Tests for the room that processes reserve: the sum that they keep, and when it is renewed."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from unittest.mock import patch

from segment_logging._queues.journal.space import Space
from segment_logging._queues.journal.stored import on_disk
from tests import needs
from tests.queues.cases import JournalCase, a_journal, a_line, taken_from


class SpaceTest(JournalCase):
    @property
    def sum(self) -> Path:
        return self.live.parent / "space.lock"

    def test_a_short_process_looks_at_no_other_directory(self) -> None:
        """Once the sum is known, another process reserves room without counting anything."""
        a_journal(self.root).put(a_line(1))
        with patch.object(Space, "_used_by_others", side_effect=AssertionError("counted")):
            self.assertTrue(a_journal(self.root).put(a_line(2)))

    def test_the_sum_is_never_too_small(self) -> None:
        """What each process has reserved is in the sum, so the limit holds for all of them."""
        line = a_line(size_bytes=9_999)
        accepted = 0
        for _ in range(30):
            accepted += a_journal(self.root, max_bytes=100_000).put(line)
        self.assertLessEqual(accepted, 10)
        self.assertLessEqual(sum(path.stat().st_size for path in self.files()), 100_000)

    def test_counted_anew_before_a_refusal(self) -> None:
        """If the sum leaves no room, everything is counted before a message is refused."""
        a_journal(self.root).put(a_line(1))
        self.sum.write_bytes(b"%020d %020d" % (1 << 40, 1 << 33))
        self.assertTrue(a_journal(self.root).put(a_line(2)))
        self.assertLess(int(self.sum.read_bytes().split()[0]), 1 << 30)

    def test_a_sum_that_is_damaged(self) -> None:
        """A sum that cannot be read is replaced."""
        a_journal(self.root).put(a_line(1))
        for content in (b"", b"nonsense", b"1", b"\0" * 41, b"-5 x"):
            with self.subTest(content):
                self.sum.write_bytes(content)
                self.assertTrue(a_journal(self.root).put(a_line(2)))
                self.assertGreater(int(self.sum.read_bytes().split()[0]), 0)

    @needs.file_locks
    def test_a_stopped_process_holds_the_lock(self) -> None:
        """While somebody holds the lock, room is reserved as far as the sum allows."""
        a_journal(self.root).put(a_line(1))
        lock = os.open(self.sum, os.O_RDONLY)
        self.addCleanup(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self.assertTrue(a_journal(self.root).put(a_line(2)))
        self.assertFalse(a_journal(self.root, max_bytes=1_000).put(a_line(3)))

    def test_others_get_what_is_given_back(self) -> None:
        """A process that has delivered a full journal leaves the room to the others."""
        line = a_line(size_bytes=9_999)
        full, early, late = (a_journal(self.root, max_bytes=4_000_000) for _ in range(3))
        while full.put(line):
            pass
        self.assertFalse(early.put(line))
        taken_from(full)
        self.assertEqual(self.files(), [])
        accepted = 0
        while late.put(line):
            accepted += 1
        self.assertGreater(accepted * 10_000, 3_500_000)
        while full.put(line):
            pass
        blocks = sum(on_disk(path.stat().st_size) for path in self.files())
        self.assertLessEqual(blocks, 4_000_000)

    def test_own_files_count_once(self) -> None:
        """Files in a directory that has lost its lock count once, because they are still ours."""
        line = a_line(size_bytes=9_999)
        journal = a_journal(self.root, max_bytes=4_000_000)
        accepted = sum(journal.put(line) for _ in range(150))
        for lock in self.live.glob("*/owner.lock"):
            lock.unlink()
        accepted += sum(journal.put(line) for _ in range(400))
        self.assertGreater(accepted * 10_000, 3_500_000)
        self.assertLess(accepted * 10_000, 4_000_000)
