"""What tests of options need."""

from __future__ import annotations

import unittest
from typing import Any

from segment_logging import ConfigurationError, SegmentHandler


class OptionCase(unittest.TestCase):
    """Shorthands for options that are refused."""

    def refused(self, option: str, *values: Any, **others: Any) -> None:
        """Fail unless a handler refuses each value, naming the option."""
        for value in values:
            with self.subTest(option=option, value=value):
                with self.assertRaises(ConfigurationError) as caught:
                    SegmentHandler("key", **{option: value}, **others)
                self.assertIn(option, str(caught.exception))
