"""Tests for journals in which somebody else has put something in the place of our files."""

from __future__ import annotations

import logging
import os
import stat
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from typing_extensions import override

from segment_logging import SegmentHandler
from segment_logging.testing import FakeClient
from tests import foreign
from tests.builders import a_record
from tests.queues.cases import JournalCase, a_line

NAME = "00000000000000000001-1-dead"


class ForeignTest(JournalCase):
    """A handler delivers its own event, and reports what it does not use."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.bait = foreign.Bait(self.root.parent / "elsewhere")

    @contextmanager
    def another_journal(self) -> Iterator[None]:
        """Start over with a new root, so that subtests do not see each other's files."""
        before = self.root
        with TemporaryDirectory(ignore_cleanup_errors=True) as directory:
            self.root = Path(directory) / "journal"
            self.bait = foreign.Bait(Path(directory) / "elsewhere")
            yield
        self.root = before

    def event_arrives(self) -> list[str]:
        """Check that a new handler delivers one event. Return the reports."""
        client = FakeClient()
        handler = SegmentHandler(
            "key", journal=self.root, client=client, flush_interval=0, shutdown_timeout=10
        )
        with self.assertLogs("segment_logging", logging.WARNING) as logs:
            logging.getLogger("segment_logging").warning("to have at least one line")
            handler.handle(a_record("Event", extra={"user_id": "u"}))
            handler.flush()
            handler.close()
        events = [message.to_dict().get("event") for message in client.messages]
        self.assertEqual(events, ["Event"])
        self.assertTrue(self.bait.is_untouched)
        return [record.getMessage() for record in logs.records][1:]

    def check(
        self, planters: tuple[foreign.Planter, ...], path_of: Callable[[], Path], leave: bool
    ) -> None:
        for planter in planters:
            with self.subTest(planter.__name__), self.another_journal():
                if leave:
                    self.leave_behind(a_line(1) + b"\n")
                path = path_of()
                path.parent.mkdir(0o700, parents=True, exist_ok=True)
                if path.is_dir():
                    path.rename(path.with_name("away"))
                foreign.remove(path)
                planter(path, self.bait.path)
                self.assertTrue(any("journal" in told for told in self.event_arrives()))
                if path.name != "space.lock":  # removed with the directory that it is in
                    self.assertTrue(os.path.lexists(path))

    def test_in_place_of_a_file_of_messages(self) -> None:
        """A file of messages that is not ours is left where it is, unread, and reported."""
        planters = (*foreign.IN_PLACE_OF_FILES, foreign.a_giant)
        self.check(planters, lambda: self.live / NAME / "00000001.jsonl", leave=True)

    def test_in_place_of_a_lock(self) -> None:
        """A directory whose lock is not ours is left alone and reported."""
        self.check(foreign.IN_PLACE_OF_FILES, lambda: self.live / NAME / "owner.lock", leave=True)

    def test_in_place_of_the_lock_of_the_adopter(self) -> None:
        """Without its own lock, nobody adopts anything, which is reported."""
        self.check(
            foreign.IN_PLACE_OF_FILES, lambda: self.live.parent / "adopting.lock", leave=True
        )

    def test_in_place_of_the_lock_for_room(self) -> None:
        """Without its own lock, nobody reserves room, and events wait in memory."""
        self.check(foreign.IN_PLACE_OF_FILES, lambda: self.live.parent / "space.lock", leave=False)

    def test_in_place_of_a_dead_processs_directory(self) -> None:
        """A directory of messages that is not ours is left alone and reported."""
        planters = tuple(
            one
            for one in foreign.IN_PLACE_OF_DIRECTORIES
            if one not in (foreign.a_file, foreign.a_hard_link, foreign.a_link)
        )
        self.check(planters, lambda: self.live / NAME, leave=False)

    def test_in_place_of_live(self) -> None:
        """If `live` is not ours, events wait in memory, which is reported."""
        self.check(foreign.IN_PLACE_OF_DIRECTORIES, lambda: self.live, leave=False)

    def test_in_place_of_the_write_keys_directory(self) -> None:
        """If the write key's directory is not ours, events wait in memory, which is reported."""
        self.check(foreign.IN_PLACE_OF_DIRECTORIES, lambda: self.live.parent, leave=False)

    def test_in_place_of_the_quarantine(self) -> None:
        """Damaged lines are not written into a directory that is not ours."""
        for planter in foreign.IN_PLACE_OF_DIRECTORIES:
            with self.subTest(planter.__name__), self.another_journal():
                self.leave_behind(b"damaged\n")
                planter(self.root / "quarantine", self.bait.path)
                (told,) = self.event_arrives()
                self.assertIn("1 line of the journal was damaged", told)
                self.assertIn("not kept", told)

    def test_in_place_of_the_damaged_lines(self) -> None:
        """Damaged lines are not written to a file that is not ours."""
        for planter in foreign.IN_PLACE_OF_FILES:
            with self.subTest(planter.__name__), self.another_journal():
                self.leave_behind(b"damaged\n")
                self.quarantine.parent.mkdir(0o700)
                planter(self.quarantine, self.bait.path)
                (told,) = self.event_arrives()
                self.assertIn("not kept", told)

    def test_in_place_of_the_size_that_it_may_grow_to(self) -> None:
        """Nothing foreign is read to find out how much room there is."""
        for planter in (*foreign.IN_PLACE_OF_FILES, foreign.a_giant):
            with self.subTest(planter.__name__), self.another_journal():
                directory = self.leave_behind()
                alive = directory.rename(directory.with_name(f"{1:020d}-{os.getpid()}-live"))
                planter(alive / "room", self.bait.path)
                self.event_arrives()

    def test_strange_names(self) -> None:
        """A directory may have any name, also one whose process id is no number or too large."""
        for name in (
            "x",
            "-",
            "--",
            "1-2",
            "1-99999999999999999999-x",
            "1--1-x",
            "1-0-x",
            "\udcff",
        ):
            with self.subTest(name), self.another_journal():
                (self.live / name).mkdir(0o700, parents=True)
                (self.live / name / "00000001.jsonl").write_bytes(b"")
                self.assertEqual(self.event_arrives(), [])

    def test_a_wide_file_of_messages_is_made_private(self) -> None:
        """A file of ours that others may read is made private as soon as it is opened."""
        self.leave_behind(b"damaged\n")
        self.quarantine.parent.mkdir(0o700)
        self.quarantine.touch()
        self.quarantine.chmod(0o666)
        self.event_arrives()
        self.assertEqual(stat.S_IMODE(self.quarantine.stat().st_mode), 0o600)


@unittest.skipUnless(hasattr(os, "geteuid") and os.geteuid() == 0, "needs root")
class OwnersTest(JournalCase):
    """Who may own the directory that is given as `journal`."""

    def test_root_in_somebodys_place(self) -> None:
        """Root does not write into another user's directory: events wait in memory."""
        self.root.mkdir(0o755)
        foreign.give_away(self.root)
        client = FakeClient()
        handler = SegmentHandler("key", journal=self.root, client=client, flush_interval=0)
        with self.assertLogs("segment_logging") as logs:
            handler.handle(a_record("Event", extra={"user_id": "u"}))
            handler.flush()
            handler.close()
        self.assertEqual(len(client.messages), 1)
        self.assertIn("belongs to another user", logs.output[0])
        self.assertEqual(list(self.root.iterdir()), [])
