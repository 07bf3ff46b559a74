"""How to test events with pytest: `pytest examples/test_with_pytest.py`.

The fixture comes with the package. `segment_forbid_sending = true` in pytest's configuration makes
it an error for any test to send something.
"""

import logging

from segment_logging.testing import Captured

logger = logging.getLogger("shop")


def sign_up(user_id: str, plan: str = "free") -> None:
    """Stand in for the code under test."""
    logger.info("Signup", extra={"user_id": user_id, "properties": {"plan": plan}})
    logger.info("Profile", extra={"user_id": user_id, "traits": {"plan": plan}})


def test_event(segment_events: Captured) -> None:
    """A sign-up is tracked once, with the plan."""
    sign_up("u-17", plan="pro")
    segment_events.assert_tracked("Signup", user_id="u-17", properties={"plan": "pro"}, times=1)


def test_traits(segment_events: Captured) -> None:
    """The user's traits become known."""
    sign_up("u-17")
    segment_events.assert_identified("u-17", traits={"plan": "free"})


def test_nothing_else(segment_events: Captured) -> None:
    """Nobody is grouped, and nothing is bought."""
    sign_up("u-17")
    segment_events.assert_not_tracked("Order Completed")
    segment_events.assert_not_sent("group")


def test_two_messages(segment_events: Captured) -> None:
    """The captured messages are a sequence."""
    sign_up("u-17")
    assert len(segment_events) == 2
    assert segment_events[0].type == "track"
