"""Tests that the page for users of the official SDK says what is so."""

from __future__ import annotations

import logging
import re
import unittest
from typing import Any

from segment_logging import SegmentHandler
from segment_logging._options.delivery import DeliveryOptions
from segment_logging._options.table import rows_of
from segment_logging.compat import analytics
from segment_logging.testing import capture_segment

from ..docs.pages import PAGES, rows_under

PAGE = "docs/official-sdk.md"
KINDS_OF_NAMES = ("type", "event", "name", "category", "userId", "anonymousId", "previousId",
                  "groupId", "properties", "traits")  # fmt: skip


class TestPage(unittest.TestCase):
    def test_settings(self) -> None:
        """The table has every setting, and names options that exist."""
        rows = rows_under(PAGE, "Settings")
        named = [name for row in rows for name in re.findall(r"`(\w+)`", row.first)]
        self.assertEqual(sorted(named), sorted(analytics._SETTINGS))
        options = {"write_key", *rows_of(DeliveryOptions)}
        for row in rows:
            self.assertLessEqual(set(re.findall(r"`(\w+)`", row.others[0])), options)

    def test_calls(self) -> None:
        """Each logging call in the table sends the same message as the call that it replaces."""
        logger = logging.Logger("docs")
        logger.addHandler(SegmentHandler("key"))
        client = analytics.Client("key")
        rows = rows_under(PAGE, "Going on to logging")
        self.assertEqual(len(rows), 8)
        for row in rows:
            with self.subTest(row.first), capture_segment() as captured:
                eval(row.first.strip("`"), {"analytics": client})
                eval(row.others[0].strip("`"), {"logger": logger})
                theirs, ours = (one.to_dict() for one in captured)
                self.assertEqual(named(ours), named(theirs))

    def test_limits(self) -> None:
        """The figures on the page are the package's."""
        rows = rows_of(DeliveryOptions)
        for text, name in (
            ("after 5 s without", "shutdown_timeout"),
            ("60 s in all", "max_shutdown"),
        ):
            self.assertIn(text, PAGES[PAGE])
            self.assertIn(f" {rows[name].default:g} s", f" {text}")


def named(message: dict[str, Any]) -> dict[str, Any]:
    return {key: message[key] for key in KINDS_OF_NAMES if key in message}


if __name__ == "__main__":
    unittest.main()
