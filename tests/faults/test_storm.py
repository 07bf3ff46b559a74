"""A short storm; `python -m tests.faults.storm --seconds 600` raises a long one."""

from __future__ import annotations

import unittest

from . import storm


class StormTest(unittest.TestCase):
    """Kills, failing requests and lost answers, all at once."""

    def test_no_event_is_lost(self) -> None:
        """Whatever is killed and whatever fails, every event whose logging call had returned is
        delivered, and nothing is left behind."""
        outcome = storm.run(seconds=2, workers=3, seed=7)
        self.assertGreater(outcome.accepted, 0, outcome)
        self.assertGreater(outcome.kills, 0, outcome)
        self.assertEqual((outcome.lost, outcome.stuck, outcome.left), (0, 0, 0), outcome)
