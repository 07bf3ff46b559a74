"""Tests for syncing messages to disk, so that they survive a power cut."""

from __future__ import annotations

import os
import unittest

from segment_logging._queues.journal.journal import Journal
from segment_logging._queues.journal.sync import INTERVAL
from tests import needs
from tests.builders import PROJECT, syncs_counted
from tests.queues.cases import (
    JournalCase,
    a_journal,
    a_line,
)


class SyncTest(JournalCase):
    """Syncing messages to disk, so that they survive a power cut."""

    def test_off_never_syncs(self) -> None:
        """With "off", nothing is synced, and the operating system decides when to write."""
        with syncs_counted() as syncs:
            self.write(100, sync="off")
        self.assertEqual(syncs.count, 0)

    def test_emit_syncs_each_message_before_put_returns(self) -> None:
        """With "emit", `put` syncs every message, and the name of a new file, before it returns."""
        journal = a_journal(self.root, sync="emit")
        with syncs_counted() as syncs:
            for number in range(1, 4):
                journal.put(a_line(number))
                self.assertEqual(syncs.of_data, number)
        self.assertGreaterEqual(syncs.of_all, 1)
        journal.release()

    @needs.threads
    def test_interval(self) -> None:
        """The interval is as short as the documentation says."""
        for page in ("docs/delivery.md", "README.md"):
            text = (PROJECT / page).read_text(encoding="utf-8")
            self.assertIn(f"about the last {INTERVAL} s", text)

    def test_interval_syncs_soon_and_not_each_message(self) -> None:
        """With "interval", one later sync covers all messages until then."""
        with syncs_counted() as syncs:
            journal = self.write(100, sync="interval")
            self.assertTrue(syncs.came.wait(10))
            self.assertLess(syncs.of_data, 10)
        journal.release()

    def test_interval_syncs_what_waits_at_the_end(self) -> None:
        """When the listener ends, the last messages are synced."""
        with syncs_counted() as syncs:
            journal = self.write(1, sync="interval")
            journal.release()
            self.assertGreaterEqual(syncs.of_data, 1)

    @unittest.skipUnless(os.path.exists("/dev/fd"), "needs /dev/fd")
    def test_descriptors_are_closed(self) -> None:
        """In every mode, all descriptors are closed once the journal has been released."""
        for sync in ("off", "interval", "emit"):
            with self.subTest(sync=sync):
                before = len(os.listdir("/dev/fd"))
                self.write(5_001, sync=sync).release()
                self.assertEqual(len(os.listdir("/dev/fd")), before)

    def write(self, count: int, *, sync: str) -> Journal:
        journal = a_journal(self.root, sync=sync)
        for number in range(count):
            journal.put(a_line(number))
        return journal
