"""How to test events with unittest: `python -m unittest examples/test_with_unittest.py`.

With Django, write `class TestSignUp(SegmentTestCase, django.test.TestCase)`.
"""

import logging
import unittest

from segment_logging.testing import SegmentTestCase

logger = logging.getLogger("shop")


def sign_up(user_id: str, plan: str = "free") -> None:
    """The code under test."""
    logger.info("Signup", extra={"user_id": user_id, "properties": {"plan": plan}})
    logger.info("Profile", extra={"user_id": user_id, "traits": {"plan": plan}})


class TestSignUp(SegmentTestCase):
    """Nothing is sent. An event that Segment would drop fails its test automatically."""

    def test_event(self) -> None:
        """Signing up is tracked once, with the plan."""
        sign_up("u-17", plan="pro")
        self.assertTracked("Signup", user_id="u-17", properties={"plan": "pro"}, times=1)

    def test_traits(self) -> None:
        """The user is identified, with the plan as a trait."""
        sign_up("u-17")
        self.assertIdentified("u-17", traits={"plan": "free"})

    def test_nothing_else(self) -> None:
        """Signing up logs no order and no group."""
        sign_up("u-17")
        self.assertNotTracked("Order Completed")
        self.assertNotSent("group")

    def test_message(self) -> None:
        """An assertion returns the message, so it can be checked further."""
        sign_up("u-17")
        message = self.assertTracked("Signup")
        self.assertNotIn("email", message.properties or {})


if __name__ == "__main__":
    unittest.main()
