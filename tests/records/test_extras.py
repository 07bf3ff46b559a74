"""Tests for SegmentExtra, compared with the fields that are read from records."""

from __future__ import annotations

import typing
import unittest

from segment_logging import SegmentExtra
from segment_logging._messages.wire import CALL_TYPES, FIELDS


class TestSegmentExtra(unittest.TestCase):
    def test_keys(self) -> None:
        """SegmentExtra has every field of every call except `name`, which logging reserves."""
        keys = set(typing.get_type_hints(SegmentExtra))
        self.assertEqual(keys, {"type", "segment", *set().union(*FIELDS.values())} - {"name"})

    def test_call_types(self) -> None:
        """`type` is one of the six calls."""
        literal = typing.get_type_hints(SegmentExtra)["type"]
        self.assertEqual(set(typing.get_args(literal)), set(CALL_TYPES))


if __name__ == "__main__":
    unittest.main()
