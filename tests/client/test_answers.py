"""Tests for the interpretation of answers."""

from __future__ import annotations

import os
import time
import unittest
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from segment_logging._client.answers import Fault, fault_of, parse_retry_after

NOW = 1_800_000_000.0


class TestFault(unittest.TestCase):
    def test_network(self) -> None:
        """These statuses may be temporary, so the same request is worth another attempt."""
        for status in (408, 410, 429, 460, 500, 502, 503, 504, 506, 511, 520, 599):
            self.assertIs(fault_of(status), Fault.NETWORK, status)

    def test_message(self) -> None:
        """These statuses mean that something in the request is at fault."""
        for status in (400, 413):
            self.assertIs(fault_of(status), Fault.MESSAGE, status)

    def test_configuration(self) -> None:
        """All other statuses mean that the configuration must be fixed."""
        for status in (301, 302, 307, 308, 401, 403, 404, 405, 411, 415, 422, 451, 501, 505):
            self.assertIs(fault_of(status), Fault.CONFIGURATION, status)

    def test_no_answer(self) -> None:
        """Without an answer, `retryable` determines the fault."""
        self.assertIs(fault_of(None, retryable=True), Fault.NETWORK)
        self.assertIs(fault_of(None, retryable=False), Fault.CONFIGURATION)


class TestRetryAfter(unittest.TestCase):
    def parsed(self, value: str | None) -> float | None:
        return parse_retry_after(value, now=NOW)

    def date(self, seconds: float) -> str:
        moment = datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=seconds)
        return format_datetime(moment, usegmt=True)

    def test_seconds(self) -> None:
        """Whole and fractional seconds are accepted."""
        self.assertEqual(self.parsed("7"), 7.0)
        self.assertEqual(self.parsed("0.5"), 0.5)
        self.assertEqual(self.parsed(" 12 "), 12.0)

    def test_date(self) -> None:
        """An HTTP date means the time remaining until then."""
        self.assertEqual(self.parsed(self.date(90)), 90.0)

    def test_past_date(self) -> None:
        """A date in the past means no delay."""
        self.assertIsNone(self.parsed(self.date(-90)))
        self.assertIsNone(self.parsed(self.date(0)))

    def test_capped(self) -> None:
        """A delay of more than 300 seconds is cut to 300, whether it is a number or a date."""
        self.assertEqual(self.parsed("301"), 300.0)
        self.assertEqual(self.parsed("inf"), 300.0)
        self.assertEqual(self.parsed("1e999"), 300.0)
        self.assertEqual(self.parsed(self.date(86_400)), 300.0)

    def test_nothing(self) -> None:
        """A missing header, zero, a negative number and NaN mean no delay."""
        for value in (None, "0", "-0", "-5", "-inf", "nan"):
            self.assertIsNone(self.parsed(value), value)

    def test_several(self) -> None:
        """The longest of several headers counts, which arrive separated by commas."""
        self.assertEqual(self.parsed("5, 9"), 9.0)
        self.assertEqual(self.parsed("0,7,nan"), 7.0)
        self.assertEqual(self.parsed("soon, 5"), 5.0)
        self.assertEqual(self.parsed(f"9, {self.date(90)}"), 9.0)
        self.assertEqual(self.parsed(f"{self.date(90)}, {self.date(200)}"), 90.0)
        self.assertIsNone(self.parsed("soon, later"))

    def test_garbage(self) -> None:
        """A malformed value does not raise, and never means more than 300 seconds."""
        for value in (
            "",
            "soon",
            "1,5",
            "7 seconds",
            "Mon, 99 Foo 2026",
            "\x00",
            "9" * 5_000 + "x",
            "Fri, 31 Dec 9999 23:59:59 -2359",
            "Mon, 01 Jan 0001 00:00:00 +2359",
        ):
            result = self.parsed(value)
            self.assertTrue(result is None or 0 < result <= 300, value[:40])

    @unittest.skipUnless(hasattr(time, "tzset"), "needs time.tzset")
    def test_old_dates(self) -> None:
        """A date in one of HTTP's old formats is UTC, whatever the local time zone."""
        before = os.environ.get("TZ")
        self.addCleanup(time.tzset)
        self.addCleanup(
            lambda: os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        )
        for zone in ("America/New_York", "Asia/Tokyo"):
            os.environ["TZ"] = zone
            time.tzset()
            for text in ("Thu Jan  1 00:00:17 1970", "Thu, 01 Jan 1970 00:00:17 -0000"):
                with self.subTest(zone=zone, text=text):
                    self.assertEqual(parse_retry_after(text, now=0.0), 17.0)

    def test_date_without_zone(self) -> None:
        """A date with the zone `-0000` is UTC, not local time."""
        text = self.date(90).replace("GMT", "-0000")
        self.assertEqual(self.parsed(text), 90.0)
