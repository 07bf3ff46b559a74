"""Tests for how long callers wait. The time is passed in."""

from __future__ import annotations

import math
import unittest

from segment_logging._delivery.patience import Patience
from segment_logging._process.lifecycle import Action

from .test_listener import Answer, ListenerTest


def patience(*, renews: bool = True) -> Patience:
    """Return one with a timeout of five seconds."""
    return Patience(5.0, renews=renews)


class TestUntil(unittest.TestCase):
    def test_without_a_batch(self) -> None:
        """A wait ends `shutdown_timeout` after it began."""
        self.assertEqual(patience().until(100.0, math.inf), 105.0)

    def test_acknowledged(self) -> None:
        """Each acknowledged batch restarts `shutdown_timeout`."""
        one = patience()
        for now in (103.0, 107.0):
            one.acknowledged(now, waited=0.0)
        self.assertEqual(one.until(100.0, math.inf), 112.0)

    def test_acknowledged_before(self) -> None:
        """A batch that was acknowledged before the wait does not shorten it."""
        one = patience()
        one.acknowledged(98.0, waited=0.0)
        self.assertEqual(one.until(100.0, math.inf), 105.0)

    def test_limit(self) -> None:
        """However many batches are acknowledged, the wait ends at the limit."""
        one = patience()
        one.acknowledged(158.0, waited=0.0)
        self.assertEqual(one.until(100.0, 160.0), 160.0)

    def test_journal(self) -> None:
        """With a journal, `shutdown_timeout` is the total time."""
        one = patience(renews=False)
        one.acknowledged(103.0, waited=3.0)
        self.assertEqual(one.until(100.0, math.inf), 105.0)

    def test_waited_in_vain(self) -> None:
        """Time spent waiting in vain at exit is not spent again by the next wait."""
        self.assertEqual(patience().until(110.0, math.inf, waited=4.0), 111.0)

    def test_waited_with_success(self) -> None:
        """Time in which batches were acknowledged was not in vain."""
        one = patience()
        one.acknowledged(104.0, waited=4.0)
        self.assertEqual(one.until(110.0, math.inf, waited=4.0), 115.0)


class TestGivingUp(unittest.TestCase):
    def test_right_after(self) -> None:
        """Right after a wait in vain, another one is pointless, unless the counts have changed."""
        one = patience()
        one.give_up(100.0, accepted=7, pending=3)
        self.assertTrue(one.is_exhausted(100.5, accepted=7, pending=3))
        self.assertFalse(one.is_exhausted(100.5, accepted=8, pending=4))
        self.assertFalse(one.is_exhausted(101.5, accepted=7, pending=3))


class TestAcknowledged(ListenerTest):
    """What a listener tells the pipeline during an exit."""

    def acknowledged_after(self, *answers: Answer) -> list[tuple[int, Action]]:
        """Return after how many requests messages are acknowledged, with the table's actions."""
        told: list[tuple[int, Action]] = []
        self.answers[:] = answers
        listener = self.a_listener(
            on_acknowledged=lambda action: told.append((len(self.client.requests), action))
        )
        self.put(2)
        self.exit_by(100.0)
        self.stderr_of(lambda: listener.handle(listener.dequeue(True)))
        return told

    def test_failed_attempts(self) -> None:
        """Attempts that fail with 5xx, 429 or a network error do not extend the exit."""
        told = self.acknowledged_after(503, (429, 2.0), TimeoutError(), 429, None)
        self.assertEqual(told, [(5, Action.PUT_OFF_AND_GO_ON)])

    def test_given_up(self) -> None:
        """Messages that are abandoned extend the exit like messages that are delivered."""
        told = self.acknowledged_after(400, 400, None)
        self.assertEqual(told, [(2, Action.PUT_OFF_AND_GO_ON), (3, Action.PUT_OFF_AND_GO_ON)])


if __name__ == "__main__":
    unittest.main()
