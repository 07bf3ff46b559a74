"""A short storm. For a long one, run `python -m tests.faults.storm --seconds 600`."""

from __future__ import annotations

import unittest

from . import storm


class StormTest(unittest.TestCase):
    """Signals, forks, reloads, failing requests and lost answers at the same time."""

    def test_no_event_is_lost(self) -> None:
        """Every event whose logging call returned is delivered, and no file remains."""
        outcome = storm.run(seconds=4, workers=3, seed=7)
        self.assertGreater(outcome.accepted, 0, outcome)
        self.assertGreater(outcome.happened["kill -9"], 0, outcome)
        self.assertEqual((outcome.lost.total(), outcome.stuck, outcome.left), (0, 0, []), outcome)
