"""How to test events with unittest: `python -m unittest examples/test_with_unittest.py`.

With Django, write `class TestSignUp(SegmentTestCase, django.test.TestCase)`.
"""

import logging
import unittest

from segment_logging.testing import SegmentTestCase

logger = logging.getLogger("shop")


def sign_up(user_id: str, plan: str = "free") -> None:
    """Stand in for the code under test."""
    logger.info("Signup", extra={"user_id": user_id, "properties": {"plan": plan}})
    logger.info("Profile", extra={"user_id": user_id, "traits": {"plan": plan}})


class TestSignUp(SegmentTestCase):
    """Nothing is sent, and an event that Segment would drop fails the test by itself."""

    def test_event(self) -> None:
        """A sign-up is tracked once, with the plan."""
        sign_up("u-17", plan="pro")
        self.assertTracked("Signup", user_id="u-17", properties={"plan": "pro"}, times=1)

    def test_traits(self) -> None:
        """The user's traits become known."""
        sign_up("u-17")
        self.assertIdentified("u-17", traits={"plan": "free"})

    def test_nothing_else(self) -> None:
        """Nobody is grouped, and nothing is bought."""
        sign_up("u-17")
        self.assertNotTracked("Order Completed")
        self.assertNotSent("group")

    def test_message(self) -> None:
        """The assertion returns the message, so that more can be checked."""
        sign_up("u-17")
        message = self.assertTracked("Signup")
        self.assertNotIn("email", message.properties or {})


if __name__ == "__main__":
    unittest.main()
