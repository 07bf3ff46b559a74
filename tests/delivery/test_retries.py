"""How long to wait before another attempt."""

from __future__ import annotations

import math
import unittest

from segment_logging._delivery.retries import Progress, RetryPolicy


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
        """A Retry-After of less than a second, from whatever client, does not count as one."""
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
