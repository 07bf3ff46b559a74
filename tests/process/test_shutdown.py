"""Tests for the clock that all pipelines share at exit. The time is passed in."""

from __future__ import annotations

import math
import unittest

from typing_extensions import override

from segment_logging._process.shutdown import TIME_AFTER_SIGTERM, ExitClock


class ExitClockTest(unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.now = 100.0
        self.clock = ExitClock(clock=lambda: self.now)

    def limit(self, max_shutdown: float | None = 60.0) -> float:
        """Return when a wait that begins now must be over."""
        return self.clock.limit(max_shutdown, since=self.now)


class TestLimit(ExitClockTest):
    def test_starts_once(self) -> None:
        """All waits of an exit end at the same time, however late they begin."""
        self.clock.begin()
        limits = [self.limit()]
        for _ in range(3):
            self.now += 10.0
            self.clock.begin()
            limits.append(self.limit())
        self.assertEqual(limits, [160.0] * 4)

    def test_each_handler_has_its_option(self) -> None:
        """Each handler has its own `max_shutdown`, and None means no limit."""
        self.clock.begin()
        self.assertEqual([self.limit(each) for each in (5.0, None)], [105.0, math.inf])

    def test_before_the_exit(self) -> None:
        """Before the exit, the time of each wait counts from its beginning."""
        self.now = 130.0
        self.assertEqual(self.limit(), 190.0)

    def test_sigterm(self) -> None:
        """After SIGTERM, an exit takes at most 25 s, even without a `max_shutdown`."""
        self.assertEqual(TIME_AFTER_SIGTERM, 25.0)
        self.clock.is_terminated = True
        self.clock.begin()
        self.now += 20.0
        limits = [self.limit(each) for each in (60.0, None, 5.0)]
        self.assertEqual(limits, [125.0, 125.0, 105.0])

    def test_sigterm_during_the_exit(self) -> None:
        """A SIGTERM during the exit shortens it."""
        self.clock.begin()
        self.now += 10.0
        self.clock.is_terminated = True
        self.assertEqual(self.limit(), 125.0)

    def test_sigterm_before_a_flush(self) -> None:
        """After SIGTERM, a `flush` before the exit takes at most 25 s, too."""
        self.clock.is_terminated = True
        self.assertEqual(self.limit(), 125.0)

    def test_stopped(self) -> None:
        """After Ctrl-C, every wait is over."""
        self.clock.begin()
        self.clock.stop()
        self.assertEqual(self.limit(None), -math.inf)

    def test_forked_child(self) -> None:
        """A forked child starts with a new clock, whatever its parent was doing."""
        self.clock.is_terminated = True
        self.clock.begin()
        self.clock.stop()
        self.clock.forget()
        self.now = 130.0
        self.assertEqual((self.limit(), self.clock.has_begun), (190.0, False))


class TestForesight(ExitClockTest):
    """Waits that come just before the exit, such as at the end of an ASGI lifespan."""

    def end_of_the_lifespan(self) -> None:
        with self.clock.foreseen():
            self.now += 20.0

    def test_soon(self) -> None:
        """An exit soon after such a wait began with that wait."""
        self.end_of_the_lifespan()
        self.now += 4.0
        self.clock.begin()
        self.assertEqual(self.limit(), 160.0)

    def test_later(self) -> None:
        """An exit that is not soon after it has the whole time."""
        self.end_of_the_lifespan()
        self.now += 6.0
        self.clock.begin()
        self.assertEqual(self.limit(), 186.0)

    def test_flush_in_vain(self) -> None:
        """An exit soon after a `flush` in vain began with that `flush`."""
        self.now += 30.0
        self.clock.foresee(100.0)
        self.clock.begin()
        self.assertEqual(self.limit(), 160.0)


class TestWaited(ExitClockTest):
    def wait(self, seconds: float) -> None:
        with self.clock.running():
            self.now += seconds

    def test_sum(self) -> None:
        """The waits of an exit are added up, and the time in between does not count."""
        self.clock.begin()
        self.wait(1.0)
        self.now += 10.0
        self.wait(2.0)
        self.assertEqual(self.clock.waited, 3.0)

    def test_during_a_wait(self) -> None:
        """The current wait counts already, and a wait inside it does not count twice."""
        self.clock.begin()
        with self.clock.running():
            self.wait(1.0)
            self.now += 2.0
            self.assertEqual(self.clock.waited, 3.0)

    def test_before_the_exit(self) -> None:
        """Waits before the exit do not count."""
        self.wait(1.0)
        self.clock.begin()
        self.assertEqual(self.clock.waited, 0.0)


if __name__ == "__main__":
    unittest.main()
