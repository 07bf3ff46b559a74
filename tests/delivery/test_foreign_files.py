"""Tests for dead letters and paths in whose place somebody else has put something."""

from __future__ import annotations

import json
import os
import stat
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from typing_extensions import override

from segment_logging import ConfigurationError, DeliveryError, SegmentHandler
from segment_logging._delivery.dead_letters import DeadLetters
from segment_logging.testing import FakeClient
from tests import foreign
from tests.builders import a_record

ERROR = DeliveryError("answered 400: fix it", status=400)
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


class Case(unittest.TestCase):
    """A test case with a directory."""

    @override
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        self.path = self.root / "dead.jsonl"


class DeadLettersTest(Case):
    """Dead letters are written only to a file that is ours alone."""

    def test_in_place_of_the_file(self) -> None:
        """Anything that is not a file of ours raises OSError and stays as it is."""
        bait = foreign.Bait(self.root / "elsewhere")
        for planter in foreign.IN_PLACE_OF_FILES:
            for max_bytes in (None, 10):
                with self.subTest(planter.__name__, max_bytes=max_bytes):
                    foreign.remove(self.path)
                    planter(self.path, bait.path)
                    with self.assertRaises(OSError):
                        DeadLetters(str(self.path), max_bytes=max_bytes).write([{}], ERROR)
                    self.assertTrue(bait.is_untouched)

    def test_in_place_of_the_predecessor(self) -> None:
        """A rotation replaces a link or pipe, and does not follow it."""
        bait = foreign.Bait(self.root / "elsewhere")
        previous = self.root / "dead.jsonl.1"
        for planter in foreign.IN_PLACE_OF_FILES:
            with self.subTest(planter.__name__):
                foreign.remove(previous)
                planter(previous, bait.path)
                letters = DeadLetters(str(self.path), max_bytes=200)
                for number in range(3):
                    try:
                        letters.write([{"n": number}], ERROR)
                    except OSError:  # a directory cannot be replaced
                        self.assertTrue(previous.is_dir())
                self.assertTrue(bait.is_untouched)
                self.assertLessEqual(self.path.stat().st_size, 200)

    def test_a_giant_is_rotated_and_not_read(self) -> None:
        """A sparse file of 100 GB is renamed, and a new file is begun."""
        foreign.a_giant(self.path, self.path)
        removed = DeadLetters(str(self.path), max_bytes=10_000).write([{"n": 1}], ERROR)
        self.assertEqual(removed, 0)
        self.assertEqual(json.loads(self.path.read_text())["message"], {"n": 1})

    def test_a_wide_file_is_made_private(self) -> None:
        """A file of ours that others may read is made private before it is written to."""
        self.path.touch()
        self.path.chmod(0o666)
        DeadLetters(str(self.path)).write([{"n": 1}], ERROR)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_events_arrive_all_the_same(self) -> None:
        """A handler delivers its events, and reports that a refused one could not be written."""
        os.mkfifo(self.path)
        client = FakeClient()
        handler = SegmentHandler("key", dead_letters=self.path, client=client, flush_interval=0)
        with self.assertLogs("segment_logging") as logs:
            handler.handle(a_record("Event", extra={"user_id": ""}))
            handler.handle(a_record("Event", extra={"user_id": "u"}))
            handler.flush()
            handler.close()
        self.assertEqual(len(client.messages), 1)
        self.assertTrue(any("dead letters cannot be written" in told for told in logs.output))


class PathsTest(Case):
    """Paths that can never be used raise a ConfigurationError."""

    def refused(self, **options: Any) -> str:
        """Return the text of the error for these options."""
        with self.assertRaises(ConfigurationError) as caught:
            SegmentHandler("key", client=FakeClient(), **options)
        return str(caught.exception)

    def test_unusable_paths(self) -> None:
        """An error names the option and the path."""
        file = self.root / "file"
        file.touch()
        for option in ("journal", "dead_letters"):
            for path in ("a\0b", str(file / "below"), str(self.root / ("x" * 300))):
                with self.subTest(option, path=path):
                    told = self.refused(**{option: path})
                    self.assertIn(option, told)
                    self.assertIn(repr(path)[1:-1], told)
            for wrong in ("", 7, b"bytes"):
                with self.subTest(option, wrong=wrong):
                    self.assertIn(option, self.refused(**{option: wrong}))

    def test_a_journal_that_is_no_directory(self) -> None:
        """A file, a pipe or a socket in the place of the journal is refused."""
        for planter in (foreign.a_file, foreign.a_pipe, foreign.a_socket):
            path = self.root / planter.__name__
            planter(path, path)
            with self.subTest(planter.__name__):
                self.assertIn(f"journal {str(path)!r} is a file", self.refused(journal=path))

    @unittest.skipUnless(IS_ROOT, "needs root")
    def test_a_journal_of_another_user(self) -> None:
        """A directory of another user is refused, and so is a link that another user made."""
        self.root.chmod(0o755)
        theirs, link = self.root / "theirs", self.root / "link"
        theirs.mkdir()
        link.symlink_to(self.root)
        for path in (theirs, link):
            os.chown(path, foreign.STRANGER + 1, -1, follow_symlinks=False)
            with self.subTest(path.name):
                os.seteuid(foreign.STRANGER)
                try:
                    told = self.refused(journal=path)
                finally:
                    os.seteuid(0)
                self.assertIn(f"journal {str(path)!r} belongs to another user", told)
