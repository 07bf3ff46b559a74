"""Tests for reports, which are rate-limited and contain counts."""

from __future__ import annotations

import io
import unittest
from contextlib import redirect_stderr

from segment_logging._delivery.losses import _of_drops
from segment_logging._reports import CountReports, counted


class TestCounted(unittest.TestCase):
    def test_number(self) -> None:
        """A count of one takes the singular."""
        self.assertEqual(counted(0, "message"), "0 messages")
        self.assertEqual(counted(1, "message"), "1 message")
        self.assertEqual(counted(46_171, "line"), "46171 lines")


def said(drops: CountReports, dropped: int, now: float) -> str:
    """Return the text that is reported at time `now`."""
    stderr = io.StringIO()
    with redirect_stderr(stderr):
        drops.report(dropped, now=now)
    return stderr.getvalue()


class TestCountReports(unittest.TestCase):
    def test_once_a_minute(self) -> None:
        """At most one report is written per minute, and the reported numbers add up."""
        drops = CountReports(_of_drops)
        texts = [
            said(drops, dropped, now)
            for dropped, now in ((0, 0.0), (1, 1.0), (500, 2.0), (900, 60.9), (901, 61.0))
        ]
        self.assertEqual([bool(text) for text in texts], [False, True, False, False, True])
        self.assertIn(" 1 message was dropped", texts[1])
        self.assertIn(" 900 messages were dropped", texts[4])

    def test_comes_back(self) -> None:
        """`report` returns the time of the next report if one is pending, and None otherwise."""
        drops = CountReports(_of_drops)
        self.assertIsNone(drops.report(0, now=0.0))
        said(drops, 1, 1.0)
        self.assertIsNone(drops.report(1, now=2.0))
        self.assertEqual(drops.report(2, now=3.0), 61.0)
