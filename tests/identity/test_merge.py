"""Tests for merging two objects."""

from __future__ import annotations

import unittest

from segment_logging._identity.merge import merge


class TestMerge(unittest.TestCase):
    def test_nothing(self) -> None:
        """If one side is None, the result is the other side, which may also be None."""
        self.assertIsNone(merge(None, None))
        self.assertEqual(merge({"a": 1}, None), {"a": 1})
        self.assertEqual(merge(None, {"a": 1}), {"a": 1})

    def test_upper_wins(self) -> None:
        """The upper value wins, including in nested objects."""
        lower = {"a": 1, "o": {"x": 1, "y": 1}, "l": [1]}
        upper = {"a": 2, "o": {"y": 2}, "l": [2]}
        self.assertEqual(merge(lower, upper), {"a": 2, "o": {"x": 1, "y": 2}, "l": [2]})
        self.assertEqual(lower, {"a": 1, "o": {"x": 1, "y": 1}, "l": [1]})

    def test_object_over_scalar(self) -> None:
        """An object replaces a scalar, and a scalar replaces an object."""
        self.assertEqual(merge({"a": 1}, {"a": {"b": 1}}), {"a": {"b": 1}})
        self.assertEqual(merge({"a": {"b": 1}}, {"a": 1}), {"a": 1})
