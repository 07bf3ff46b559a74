"""Tests for the messages of a file that have the id of another message."""

from __future__ import annotations

import tracemalloc
import unittest

from segment_logging.cli.forms import Ready
from segment_logging.cli.repeats import MAX_IDS, Repeats


def a_message(number: int, message_id: str) -> Ready:
    """Return a message whose content is its number."""
    return Ready(b"%d" % number, "track", True, message_id)


class TestRepeats(unittest.TestCase):
    def test_memory(self) -> None:
        """Long ids take no more memory than short ones."""
        repeats = Repeats()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for number in range(MAX_IDS // 10):
            self.assertFalse(repeats.add(a_message(number, f"{number:0>3000}")))
        self.assertLess(tracemalloc.get_traced_memory()[0], 3_000_000)
        self.assertTrue(repeats.add(a_message(-1, f"{1:0>3000}")))
        self.assertFalse(repeats.add(a_message(1, f"{1:0>3000}")))
        self.assertEqual(repeats.number, 1)
