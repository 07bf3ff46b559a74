"""A short storm with a broker. For a long one, run `python -m tests.faults.broker_storm`."""

from __future__ import annotations

import unittest

from . import broker_storm


class BrokerStormTest(unittest.TestCase):
    """Relays and the broker are killed while events are logged."""

    def test_no_event_is_lost(self) -> None:
        """Every event whose logging call returned arrives."""
        outcome = broker_storm.run(relay_kills=2, broker_kills=1, pause=1.0)
        self.assertGreater(outcome.accepted, 1_000, outcome)
        self.assertEqual((outcome.relay_kills, outcome.broker_kills), (2, 1))
        self.assertEqual(outcome.lost, 0, outcome)
