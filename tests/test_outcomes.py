"""What answers mean and how long to wait: arithmetic only."""

from __future__ import annotations

import math
import os
import time
import unittest
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

from segment_logging.outcomes import Fault, Progress, RetryPolicy, fault_of, parse_retry_after

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
        moment = datetime.fromtimestamp(NOW, timezone.utc) + timedelta(seconds=seconds)
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
        """No header, zero and below, and what is no number ask for nothing."""
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


class TestWaits(unittest.TestCase):
    def waits(self, policy: RetryPolicy, random: float = 0.0) -> list[float]:
        """The waits of a batch whose every attempt fails without a Retry-After."""
        progress, waits = Progress(), []
        while (
            wait := policy.wait_before(progress := progress.failed(None), random=random)
        ) is not None:
            waits.append(wait)
        return waits

    def test_series(self) -> None:
        """At once, then 0.5 s and twice as long each time, up to a minute; eleven tries."""
        self.assertEqual(self.waits(RetryPolicy()), [0, 0.5, 1, 2, 4, 8, 16, 32, 60, 60])

    def test_max_attempts(self) -> None:
        """`max_attempts` counts the first try, too."""
        for tries in (1, 2, 5, 11):
            self.assertEqual(len(self.waits(RetryPolicy(max_attempts=tries))), tries - 1)

    def test_jitter(self) -> None:
        """Chance makes a wait up to a tenth longer, never shorter; the first stays at once."""
        self.assertEqual(self.waits(RetryPolicy(max_attempts=4), random=1.0), [0.0, 0.55, 1.1])

    def test_many_attempts(self) -> None:
        """Thousands of attempts wait a minute each: the formula does not overflow."""
        self.assertEqual(self.waits(RetryPolicy(max_attempts=5_000))[-1], 60.0)

    def test_retry_after(self) -> None:
        """After a Retry-After the wait is exactly that long, whatever chance says."""
        progress = Progress().failed(17.0)
        self.assertEqual(RetryPolicy().wait_before(progress, random=0.9), 17.0)

    def test_retry_after_is_no_attempt(self) -> None:
        """An attempt that was answered with a Retry-After is not counted."""
        progress = Progress()
        for _ in range(50):
            progress = progress.failed(1.0)
        self.assertEqual(progress.counted, 0)
        self.assertEqual(RetryPolicy(max_attempts=1).wait_before(progress, random=0), 1.0)

    def test_retry_after_nothing(self) -> None:
        """A Retry-After of less than a second, from whatever client, is no leave to try on."""
        policy, progress = RetryPolicy(max_attempts=3), Progress()
        waits = []
        for seconds in (0, -5, 0.001):
            progress = progress.failed(seconds)
            waits.append(policy.wait_before(progress, random=0))
        self.assertEqual(waits, [0.0, 0.5, None])
        self.assertEqual(Progress().failed(math.nan).counted, 1)

    def test_retry_after_of_days(self) -> None:
        """A client of the user's, too, makes nobody wait for more than 300 s."""
        self.assertEqual(RetryPolicy().wait_before(Progress().failed(86_400), random=0), 300.0)

    def test_retry_after_once(self) -> None:
        """A Retry-After holds for the next attempt only."""
        progress = Progress().failed(None).failed(17.0).failed(None)
        self.assertEqual(progress, Progress(counted=2, rate_limited=17.0))
        self.assertEqual(RetryPolicy().wait_before(progress, random=0), 0.5)

    def test_budget(self) -> None:
        """Retry-After waits add up to half an hour at most; then the batch is given up."""
        policy, progress, waits = RetryPolicy(), Progress(), []
        while (
            wait := policy.wait_before(progress := progress.failed(300.0), random=0)
        ) is not None:
            waits.append(wait)
        self.assertEqual(waits, [300.0] * 6)

    def test_no_budget(self) -> None:
        """With an infinite budget a Retry-After is honoured for ever."""
        progress = Progress(rate_limited=1e9, retry_after=5.0)
        self.assertEqual(
            RetryPolicy(max_rate_limited=math.inf).wait_before(progress, random=0), 5.0
        )
