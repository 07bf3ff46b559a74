"""What an answer means."""

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
        """These statuses may pass: the same request is worth another attempt."""
        for status in (408, 410, 429, 460, 500, 502, 503, 504, 506, 511, 520, 599):
            self.assertIs(fault_of(status), Fault.NETWORK, status)

    def test_message(self) -> None:
        """These say that something in the request is at fault."""
        for status in (400, 413):
            self.assertIs(fault_of(status), Fault.MESSAGE, status)

    def test_configuration(self) -> None:
        """All others need somebody to mend the configuration."""
        for status in (301, 302, 307, 308, 401, 403, 404, 405, 411, 415, 422, 451, 501, 505):
            self.assertIs(fault_of(status), Fault.CONFIGURATION, status)

    def test_no_answer(self) -> None:
        """Without an answer, it is as whoever tried to send says."""
        self.assertIs(fault_of(None, retryable=True), Fault.NETWORK)
        self.assertIs(fault_of(None, retryable=False), Fault.CONFIGURATION)


class TestRetryAfter(unittest.TestCase):
    def parsed(self, value: str | None) -> float | None:
        return parse_retry_after(value, now=NOW)

    def date(self, seconds: float) -> str:
        moment = datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=seconds)
        return format_datetime(moment, usegmt=True)

    def test_seconds(self) -> None:
        """Whole and fractional seconds are taken as they are."""
        self.assertEqual(self.parsed("7"), 7.0)
        self.assertEqual(self.parsed("0.5"), 0.5)
        self.assertEqual(self.parsed(" 12 "), 12.0)

    def test_date(self) -> None:
        """An HTTP date is the time left until then."""
        self.assertEqual(self.parsed(self.date(90)), 90.0)

    def test_past_date(self) -> None:
        """A date that is past asks for nothing."""
        self.assertIsNone(self.parsed(self.date(-90)))
        self.assertIsNone(self.parsed(self.date(0)))

    def test_capped(self) -> None:
        """More than 300 seconds are 300, in seconds and as a date."""
        self.assertEqual(self.parsed("301"), 300.0)
        self.assertEqual(self.parsed("inf"), 300.0)
        self.assertEqual(self.parsed("1e999"), 300.0)
        self.assertEqual(self.parsed(self.date(86_400)), 300.0)

    def test_nothing(self) -> None:
        """No header, zero and below, and anything but a number ask for nothing."""
        for value in (None, "0", "-0", "-5", "-inf", "nan"):
            self.assertIsNone(self.parsed(value), value)

    def test_garbage(self) -> None:
        """What cannot be read asks for nothing, and raises nothing."""
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
        """A date in one of HTTP's old forms is UTC, wherever this computer stands."""
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
        """A date in the older form of `-0000` counts as UTC, not as this machine's zone."""
        text = self.date(90).replace("GMT", "-0000")
        self.assertEqual(self.parsed(text), 90.0)
