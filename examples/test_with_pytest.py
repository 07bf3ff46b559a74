"""How to test events with pytest: `pytest examples/test_with_pytest.py`.

The package provides the fixture. With `segment_forbid_sending = true` in pytest's configuration, it
is an error if a test sends something.
"""

import logging

from segment_logging.testing import Captured

logger = logging.getLogger("shop")


def sign_up(user_id: str, plan: str = "free") -> None:
    """The code under test."""
    logger.info("Signup", extra={"user_id": user_id, "properties": {"plan": plan}})
    logger.info("Profile", extra={"user_id": user_id, "traits": {"plan": plan}})


def test_event(segment_events: Captured) -> None:
    """Signing up is tracked once, with the plan."""
    sign_up("u-17", plan="pro")
    segment_events.assert_tracked("Signup", user_id="u-17", properties={"plan": "pro"}, times=1)


def test_traits(segment_events: Captured) -> None:
    """The user is identified, with the plan as a trait."""
    sign_up("u-17")
    segment_events.assert_identified("u-17", traits={"plan": "free"})


def test_nothing_else(segment_events: Captured) -> None:
    """Signing up logs no order and no group."""
    sign_up("u-17")
    segment_events.assert_not_tracked("Order Completed")
    segment_events.assert_not_sent("group")


def test_two_messages(segment_events: Captured) -> None:
    """The captured messages are a sequence."""
    sign_up("u-17")
    assert len(segment_events) == 2
    assert segment_events[0].type == "track"
