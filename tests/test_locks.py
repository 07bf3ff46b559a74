"""Tests for locks of files."""

from __future__ import annotations

import os
import unittest
from tempfile import TemporaryDirectory

from typing_extensions import override

from segment_logging._locks import is_locked, try_lock

from . import needs


@needs.file_locks
class TestLooking(unittest.TestCase):
    @override
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "lock")

    def opened(self) -> int:
        file = os.open(self.path, os.O_RDWR | os.O_CREAT)
        self.addCleanup(os.close, file)
        return file

    def test_locked(self) -> None:
        """A lock that somebody else holds is seen."""
        self.assertTrue(try_lock(self.opened()))
        self.assertTrue(is_locked(self.opened()))

    def test_leaves_nothing(self) -> None:
        """Looking at a lock leaves none behind, not even in a child that was forked meanwhile."""
        file = self.opened()
        self.assertFalse(is_locked(file))
        os.dup(file)  # like the child's copy, which stays open
        self.assertTrue(try_lock(self.opened()))
