"""Tests for the unacknowledged bundles."""

from __future__ import annotations

import unittest

from segment_logging._relay.window import Window


def a_window(*tags: int, size: int = 10) -> Window:
    window = Window(size)
    for tag in tags:
        window.add(tag, float(tag))
    return window


class TestWindow(unittest.TestCase):
    def test_in_order(self) -> None:
        """Bundles that are settled in order need one acknowledgement."""
        self.assertEqual(a_window(1, 2, 3).settle([2, 1]), ([1, 2], []))

    def test_out_of_order(self) -> None:
        """Bundles after an unsettled one are acknowledged by themselves."""
        window = a_window(1, 2, 3, 4)
        self.assertEqual(window.settle([4, 3]), ([], [3, 4]))
        self.assertEqual(window.settle([1]), ([1], []))
        self.assertEqual(len(window), 1)

    def test_both(self) -> None:
        """One acknowledgement covers the first ones, also if others follow a gap."""
        self.assertEqual(a_window(1, 2, 3, 4, 5).settle([5, 2, 1, 4]), ([1, 2], [4, 5]))

    def test_only_once(self) -> None:
        """A bundle is acknowledged once, and one that was never delivered is not."""
        window = a_window(1, 2)
        window.settle([1])
        self.assertEqual(window.settle([1, 7]), ([], []))

    def test_full(self) -> None:
        """The window is full while `size` bundles are unacknowledged."""
        window = a_window(1, 2, size=2)
        self.assertTrue(window.is_full)
        window.settle([2])
        self.assertFalse(window.is_full)

    def test_oldest(self) -> None:
        """The oldest bundle is the one that was delivered first."""
        window = a_window(1, 2)
        self.assertEqual(window.oldest, 1.0)
        window.settle([1])
        self.assertEqual(window.oldest, 2.0)
        window.settle([2])
        self.assertIsNone(window.oldest)
