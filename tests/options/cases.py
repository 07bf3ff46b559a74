"""Helpers for tests of options."""

from __future__ import annotations

import unittest
from typing import Any

from segment_logging import ConfigurationError, SegmentHandler


class OptionCase(unittest.TestCase):
    """A test case with a check for refused options."""

    def refused(self, option: str, *values: Any, **others: Any) -> None:
        """Fail unless a handler refuses each value and the error names the option."""
        for value in values:
            with self.subTest(option=option, value=value):
                with self.assertRaises(ConfigurationError) as caught:
                    SegmentHandler("key", **{option: value}, **others)
                self.assertIn(option, str(caught.exception))
