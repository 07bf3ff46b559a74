"""Tests for journal files that were damaged by a disk, a killed process or an editor."""

from __future__ import annotations

import json
import os

from segment_logging._queues.journal.journal import Journal
from tests.queues.cases import (
    WHOLE,
    JournalCase,
    a_journal,
    a_line,
    acknowledged,
    taken_from,
)


class DamageTest(JournalCase):
    """Journal files that were damaged by a disk, a killed process or an editor."""

    def damaged(self, content: bytes) -> tuple[list[bytes], Journal]:
        """Return the lines delivered from files with this content and valid lines around it."""
        self.leave_behind(a_line(1) + b"\n" + content, a_line(2) + b"\n")
        journal = a_journal(self.root)
        with self.assertLogs("segment_logging"):
            return self.adopted_by(journal), journal

    def test_torn_tail(self) -> None:
        """A line without its newline was never accepted. Everything else arrives."""
        taken, journal = self.damaged(a_line(9)[:-5])
        self.assertEqual(taken, [a_line(1), a_line(2)])
        self.assertEqual((journal.adoption.damaged, journal.accepted), (1, 2))

    def test_garbage_line(self) -> None:
        """A line that is not JSON does not affect other lines."""
        taken, journal = self.damaged(b"\xff\xfe no json\n" + a_line(3) + b"\n")
        self.assertEqual(taken, [a_line(1), a_line(3), a_line(2)])
        self.assertEqual(journal.adoption.damaged, 1)

    def test_json_that_is_no_object(self) -> None:
        """A line that is JSON, but not an object, does not affect other lines."""
        taken, journal = self.damaged(b"[1]\n7\nnull\n\n" + a_line(3) + b"\n")
        self.assertEqual(taken, [a_line(1), a_line(3), a_line(2)])
        self.assertEqual(journal.adoption.damaged, 4)

    def test_nul_block(self) -> None:
        """A block of zeros, as left by a power cut, affects only the line that contains it."""
        taken, journal = self.damaged(bytes(4096) + b"\n" + a_line(3) + b"\n" + bytes(4096))
        self.assertEqual(taken, [a_line(1), a_line(3), a_line(2)])
        self.assertEqual(journal.adoption.damaged, 2)

    def test_deep_nesting(self) -> None:
        """A line that is nested too deeply for the decoder does not affect other lines."""
        taken, _ = self.damaged(b"[" * 15_000 + b"\n" + b'{"a":' * 5_000 + b"\n")
        self.assertEqual(taken, [a_line(1), a_line(2)])

    def test_oversize_line(self) -> None:
        """A line above the message limit is not sent: Segment would reject its whole batch."""
        taken, journal = self.damaged(a_line(9, size_bytes=32_001) + b"\n" + a_line(3) + b"\n")
        self.assertEqual(taken, [a_line(1), a_line(3), a_line(2)])
        self.assertEqual(journal.adoption.damaged, 1)

    def test_line_of_exactly_the_limit(self) -> None:
        """A line of exactly the maximum size is delivered."""
        line = a_line(9, size_bytes=32_000)
        self.leave_behind(line + b"\n")
        self.assertEqual(self.adopted_by(a_journal(self.root)), [line])

    def test_damaged_lines_are_kept(self) -> None:
        """Damaged lines are kept unchanged in the quarantine."""
        self.damaged(b"\xff garbage\n" + b"torn")
        self.assertEqual(self.quarantine.read_bytes(), b"\xff garbage\ntorn\n")

    def test_quarantine_is_bounded(self) -> None:
        """When the quarantine is full, the oldest of its files is removed."""
        self.quarantine.parent.mkdir(mode=0o700, parents=True)
        old = self.quarantine.with_name("old")
        old.write_bytes(bytes(900))
        os.utime(old, (1, 1))
        self.leave_behind(bytes(200) + b"\n" + a_line(1) + b"\n")
        journal = a_journal(self.root, max_bytes=10_000)  # a tenth is for the quarantine
        with self.assertLogs("segment_logging"):
            self.assertEqual(self.adopted_by(journal), [a_line(1)])
        self.assertFalse(old.exists())
        self.assertEqual(self.quarantine.read_bytes(), bytes(200) + b"\n")

    def test_own_file(self) -> None:
        """Damage to the process's own file affects only the damaged lines, which count as lost."""
        for damage, whole in (
            (lambda text: text.replace(b"}\n{", b"}x{", 1), [3]),
            (lambda text: a_line(9, size_bytes=40_000) + b"\n" + text, [1, 2, 3]),
            (lambda text: text[: len(a_line(1)) + 5], [1]),
            (lambda text: b"", []),
        ):
            journal = a_journal(self.root)
            for number in (1, 2, 3):
                journal.put(a_line(number))
            (file,) = self.files()
            file.write_bytes(damage(file.read_bytes()))
            taken = taken_from(journal)
            self.assertEqual([json.loads(line)["number"] for line in taken if line in WHOLE], whole)
            self.assertEqual((journal.accepted, acknowledged(journal)), (3, 3))
            self.assertEqual(journal.lost, 3 - len(taken))
            self.assertEqual(self.files(), [])
            journal.release()

    def test_quarantine_that_cannot_be_written(self) -> None:
        """If the quarantine cannot be created, the messages after the damage still arrive."""
        self.root.mkdir()
        self.quarantine.parent.touch()
        taken, _ = self.damaged(b"garbage\n")
        self.assertEqual(taken, [a_line(1), a_line(2)])
