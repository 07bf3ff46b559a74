"""Tests for the journal: the contract, the layout of its files and their permissions."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from typing_extensions import override

from segment_logging._queues.message_queue import MessageQueue
from tests.queues.cases import (
    JournalCase,
    a_journal,
    a_line,
    acknowledge,
    taken_from,
)
from tests.queues.contract import Contract


class JournalTest(Contract, JournalCase):
    """The journal without a memory queue behind it."""

    @override
    def a_queue(self, wake: Callable[[], None]) -> MessageQueue:
        return a_journal(self.root, wake)


class JournalLayoutTest(JournalCase):
    """The layout of the journal's files, and their permissions."""

    def test_path_is_of_the_write_keys_hash(self) -> None:
        """A file is in <12 digits of sha256(write key)>/live/<directory of the process>/."""
        a_journal(self.root).put(a_line())
        (file,) = self.files()
        self.assertEqual(file.parent.name.split("-")[1], str(os.getpid()))
        self.assertEqual(
            {path.name for path in file.parent.iterdir()}, {"owner.lock", "room", "00000001.jsonl"}
        )

    def test_the_line_is_in_the_file_when_put_returns(self) -> None:
        """As soon as `put` returns, the message is an unchanged line in the file."""
        journal = a_journal(self.root)
        journal.put(a_line(1))
        journal.put(a_line(2))
        self.assertEqual(self.files()[0].read_bytes(), a_line(1) + b"\n" + a_line(2) + b"\n")

    def test_nobody_else_can_read(self) -> None:
        """Every directory has mode 0700 and every file 0600, regardless of the process's umask."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        journal = a_journal(self.root)
        journal.put(a_line())
        self.leave_behind(b"garbage\n")
        taken_from(journal)
        self.adopted_by(journal)
        journal.put(a_line())
        modes = {
            (path.is_dir(), stat.S_IMODE(path.stat().st_mode))
            for path in [self.root, *self.root.rglob("*")]
        }
        self.assertEqual(modes, {(True, 0o700), (False, 0o600)})

    def test_a_file_is_a_batch(self) -> None:
        """A file is sealed when it reaches the limits of a batch."""
        journal = a_journal(self.root)
        for number in range(5_001):
            journal.put(a_line(number))
        self.assertEqual(
            [len(file.read_bytes().splitlines()) for file in self.files()], [2_500, 2_500, 1]
        )

    def test_acknowledging_is_unlinking(self) -> None:
        """A file exists until its batch is acknowledged."""
        journal = a_journal(self.root)
        journal.put(a_line())
        journal.take()
        self.assertEqual(len(self.files()), 1)
        acknowledge(journal)
        self.assertEqual(self.files(), [])

    def test_nothing_is_left_after_the_last_message(self) -> None:
        """When everything is acknowledged and the listener ends, the root is empty."""
        journal = a_journal(self.root)
        journal.put(a_line())
        taken_from(journal)
        journal.release()
        self.assertEqual(list(self.root.rglob("*")), [])

    def test_nothing_is_made_before_the_first_message(self) -> None:
        """Looking for adoptable directories does not create any directory."""
        journal = a_journal(self.root)
        journal.look_around()
        self.assertIsNone(journal.take())
        self.assertFalse(self.root.exists())

    def test_different_write_keys_never_share(self) -> None:
        """Messages accepted for one write key are never taken for another."""
        journal = a_journal(self.root, write_key="one")
        journal.put(a_line())
        journal.release()
        self.assertEqual(self.adopted_by(a_journal(self.root, write_key="two")), [])
        self.assertEqual(self.adopted_by(a_journal(self.root, write_key="one")), [a_line()])

    def test_a_relative_root_stays_where_it_was(self) -> None:
        """A program that changes its working directory keeps using the same journal."""
        before = Path.cwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.root.parent)
        journal = a_journal(Path("journal"))
        os.chdir(before)
        journal.put(a_line())
        self.assertEqual(len(self.files()), 1)
