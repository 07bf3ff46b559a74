"""Tests for the waits between attempts."""

from __future__ import annotations

import math
import unittest

from segment_logging._delivery.retries import Progress, RetryPolicy


class TestWaits(unittest.TestCase):
    def waits(self, policy: RetryPolicy, random: float = 0.0) -> list[float]:
        """Return the waits of a batch if every attempt fails without a Retry-After."""
        progress, waits = Progress(), []
        while (
            wait := policy.wait_before(progress := progress.failed(None), random=random)
        ) is not None:
            waits.append(wait)
        return waits

    def test_series(self) -> None:
        """The first retry is immediate; the waits then double from 0.5 s to a minute."""
        self.assertEqual(self.waits(RetryPolicy()), [0, 0.5, 1, 2, 4, 8, 16, 32, 60, 60])

    def test_max_attempts(self) -> None:
        """`max_attempts` includes the first attempt."""
        for tries in (1, 2, 5, 11):
            self.assertEqual(len(self.waits(RetryPolicy(max_attempts=tries))), tries - 1)

    def test_jitter(self) -> None:
        """Jitter makes a wait up to 10% longer, and does not delay the first retry."""
        self.assertEqual(self.waits(RetryPolicy(max_attempts=4), random=1.0), [0.0, 0.55, 1.1])

    def test_many_attempts(self) -> None:
        """After thousands of attempts, the wait is still a minute and does not overflow."""
        self.assertEqual(self.waits(RetryPolicy(max_attempts=5_000))[-1], 60.0)

    def test_retry_after(self) -> None:
        """A wait after Retry-After has exactly that length, without jitter."""
        progress = Progress().failed(17.0)
        self.assertEqual(RetryPolicy().wait_before(progress, random=0.9), 17.0)

    def test_retry_after_is_no_attempt(self) -> None:
        """An attempt that is answered with a Retry-After is not counted."""
        progress = Progress()
        for _ in range(50):
            progress = progress.failed(1.0)
        self.assertEqual(progress.counted, 0)
        self.assertEqual(RetryPolicy(max_attempts=1).wait_before(progress, random=0), 1.0)

    def test_retry_after_nothing(self) -> None:
        """A Retry-After of less than a second is ignored, and the attempt is counted."""
        policy, progress = RetryPolicy(max_attempts=3), Progress()
        waits = []
        for seconds in (0, -5, 0.001):
            progress = progress.failed(seconds)
            waits.append(policy.wait_before(progress, random=0))
        self.assertEqual(waits, [0.0, 0.5, None])
        self.assertEqual(Progress().failed(math.nan).counted, 1)

    def test_retry_after_of_days(self) -> None:
        """The wait is at most 300 s, even if a custom client reports a longer Retry-After."""
        self.assertEqual(RetryPolicy().wait_before(Progress().failed(86_400), random=0), 300.0)

    def test_retry_after_once(self) -> None:
        """A Retry-After applies to the next attempt only."""
        progress = Progress().failed(None).failed(17.0).failed(None)
        self.assertEqual(progress, Progress(counted=2, rate_limited=17.0))
        self.assertEqual(RetryPolicy().wait_before(progress, random=0), 0.5)

    def test_budget(self) -> None:
        """The batch is abandoned when the Retry-After waits add up to half an hour."""
        policy, progress, waits = RetryPolicy(), Progress(), []
        while (
            wait := policy.wait_before(progress := progress.failed(300.0), random=0)
        ) is not None:
            waits.append(wait)
        self.assertEqual(waits, [300.0] * 6)

    def test_no_budget(self) -> None:
        """With an infinite budget, a Retry-After is always respected."""
        progress = Progress(rate_limited=1e9, retry_after=5.0)
        self.assertEqual(
            RetryPolicy(max_rate_limited=math.inf).wait_before(progress, random=0), 5.0
        )
