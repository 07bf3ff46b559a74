"""What assertions match, and what they say when they fail."""

from __future__ import annotations

import logging
import unittest
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from unittest.mock import ANY
from uuid import UUID

from typing_extensions import override

from segment_logging import SegmentHandler, Track, identity
from segment_logging.testing import Captured, FakeClient, capture_segment

logger = logging.getLogger("tests.assertions")


def captured_of(log: Callable[[], object]) -> Captured:
    """Return what a function logs."""
    with capture_segment(allow_invalid=True) as captured:
        log()
    return captured


def signup(**extra: object) -> Captured:
    """Return a captured track call "Signup" of user u-17, plan pro."""
    extra = {"user_id": "u-17", "properties": {"plan": "pro"}, **extra}
    return captured_of(lambda: logger.info("Signup", extra=extra))


def signups(*user_ids: object, event: str = "Signup") -> Captured:
    """Return a captured track call of each user."""

    def log() -> None:
        for number, user_id in enumerate(user_ids):
            logger.info(event.replace("#", str(number)), extra={"user_id": user_id})

    return captured_of(log)


class TestMatches(unittest.TestCase):
    """What an expectation matches, and what not."""

    def refute(self, captured: Captured, **expected: object) -> None:
        with self.assertRaises(AssertionError):
            captured.assert_sent(**expected)  # type: ignore[arg-type]

    def test_returns_the_message(self) -> None:
        """The first message that matches is returned, for whatever else there is to check."""
        captured = signups("u-0", "u-1", "u-2")
        message = captured.assert_tracked("Signup", user_id="u-1")
        self.assertIs(message, captured[1])
        self.assertIsInstance(message, Track)

    def test_event(self) -> None:
        """An event matches by its whole name."""
        signup().assert_tracked("Signup")
        self.refute(signup(), event="Sign")

    def test_anything(self) -> None:
        """What is not named may be anything, and so may what is an ellipsis."""
        signup().assert_tracked()
        signup().assert_tracked(..., user_id=..., properties={"plan": ...})
        self.refute(signup(), properties={"other": ...})

    def test_some_properties(self) -> None:
        """Properties that are not named do not matter, however deep they stand."""
        captured = signup(properties={"plan": "pro", "cart": {"total": 3, "items": [{"a": 1}]}})
        captured.assert_tracked(properties={"cart": {"total": 3}})
        captured.assert_tracked(properties={"cart": {"items": [{}]}})
        self.refute(captured, properties={"cart": {"total": 4}})
        self.refute(captured, properties={"cart": {"items": []}})

    def test_none(self) -> None:
        """None expects that there is no value."""
        captured = signup(properties={"plan": "pro", "coupon": None})
        captured.assert_tracked(anonymous_id=None, properties={"coupon": None, "email": None})
        self.refute(captured, user_id=None)
        self.refute(captured, properties={"plan": None})

    def test_ids(self) -> None:
        """A number or UUID that was logged as an id is expected as that."""
        signup(user_id=17).assert_tracked(user_id=17)
        one = UUID(int=1)
        signup(user_id=one).assert_tracked(user_id=one)

    def test_values(self) -> None:
        """Values are expected as they were logged, or as JSON has them."""

        class Plan(Enum):
            PRO = "pro"

        moment = datetime(2026, 11, 23, tzinfo=UTC)
        logged = {
            "total": Decimal("9.90"), "at": moment, "plan": Plan.PRO, "tags": ("a", "b"), 1: True,
        }  # fmt: skip
        captured = signup(properties=logged)
        captured.assert_tracked(properties=logged)  # type: ignore[arg-type]
        captured.assert_tracked(properties={"total": 9.9, "tags": ["a", "b"], "plan": "pro"})
        self.refute(captured, properties={"1": 1})

    def test_true_is_not_one(self) -> None:
        """A switch is no number."""
        self.refute(signup(properties={"n": 1}), properties={"n": True})

    def test_matchers(self) -> None:
        """Objects that compare as they like do so."""
        signup().assert_tracked(user_id=ANY, properties={"plan": ANY})
        self.refute(signup(), user_id=object())

    def test_ambiguous_comparison(self) -> None:
        """A value that cannot be compared, as an array, is not equal."""

        class Array:
            @override
            def __eq__(self, other: object) -> bool:
                raise ValueError

            __hash__ = None  # type: ignore[assignment]

        self.refute(signup(), user_id=Array())

    def test_timestamp(self) -> None:
        """A moment is expected in any form in which it can be logged."""
        moment = datetime(2026, 11, 23, tzinfo=UTC)
        captured = signup(timestamp=moment)
        for form in (moment, moment.timestamp(), "2026-11-23T00:00:00Z", ANY):
            captured.assert_sent(timestamp=form)
        self.refute(captured, timestamp=moment.timestamp() + 1)

    def test_context(self) -> None:
        """The context counts, beside what every message has."""
        signup(context={"ip": "10.0.0.1"}).assert_tracked(context={"ip": "10.0.0.1"})

    def test_times(self) -> None:
        """With `times` there are exactly so many."""
        captured = signups(0, 1, 0)
        captured.assert_tracked("Signup", times=3)
        captured.assert_tracked("Signup", user_id=0, times=2)
        self.refute(captured, event="Signup", times=1)
        with self.assertRaises(ValueError):
            captured.assert_tracked("Signup", times=0)

    def test_not_tracked(self) -> None:
        """That something was not tracked can be said of it, of a user, and of everything."""
        captured = signup()
        captured.assert_not_tracked("Login")
        captured.assert_not_tracked(user_id="u-18")
        captured.assert_not_tracked("Signup", properties={"plan": "free"})
        for expected in ("Signup", None, ...):
            with self.assertRaises(AssertionError):
                captured.assert_not_tracked(expected)

    def test_not_sent(self) -> None:
        """Without arguments, nothing at all was sent."""
        captured_of(lambda: logger.info("a line")).assert_not_sent()
        with self.assertRaises(AssertionError):
            signup().assert_not_sent()

    def test_identified(self) -> None:
        """A user is identified by traits."""
        captured = signup(traits={"email": "a@example.com"}, properties=None)
        captured.assert_identified("u-17", traits={"email": "a@example.com"}, times=1)
        captured.assert_not_tracked()
        self.refute(captured, call_type="identify", traits={"email": "b@example.com"})

    def test_every_type(self) -> None:
        """Every call has its own fields."""
        signup(type="page", category="Docs").assert_sent("page", name="Signup", category="Docs")
        signup(type="screen").assert_sent("screen", name="Signup")
        signup(traits={"a": 1}, group_id=5, properties=None).assert_sent("group", group_id=5)
        signup(previous_id="old", properties=None).assert_sent("alias", previous_id="old")

    def test_misspelt(self) -> None:
        """A field or a call that does not exist is a mistake of the test."""
        with self.assertRaisesRegex(TypeError, r"track has no field 'plan'.*properties="):
            signup().assert_sent("track", plan="pro")
        with self.assertRaisesRegex(TypeError, r"identify has no field 'plan'.*traits="):
            signup().assert_sent("identify", plan="pro")
        with self.assertRaisesRegex(TypeError, "no call 'tracked'"):
            signup().assert_sent("tracked")

    def test_repr(self) -> None:
        """Captured messages show what they are, as pytest prints them."""
        self.assertEqual(
            repr(signup()),
            "<Captured 1: track 'Signup' user_id='u-17' properties={'plan': 'pro'}>",
        )


class TestFailures(unittest.TestCase):
    """What a failure says."""

    maxDiff = None

    def said(self, check: Callable[[], object]) -> list[str]:
        """The lines of a failure."""
        with self.assertRaises(AssertionError) as caught:
            check()
        return str(caught.exception).splitlines()

    def test_nearest_first(self) -> None:
        """The nearest message comes first, and of each what is not as expected."""

        def log() -> None:
            logger.info("Login", extra={"user_id": "u-17"})
            logger.info("Signup", extra={"user_id": "u-18", "properties": {"plan": "free"}})
            logger.info("x", extra={"user_id": "u-17", "traits": {"a": 1}})

        captured = captured_of(log)
        self.assertEqual(
            self.said(
                lambda: captured.assert_tracked(
                    "Sign Up", user_id="u-17", properties={"plan": "pro"}
                )
            ),
            [
                "track 'Sign Up' with user_id='u-17', properties.plan='pro' was not captured",
                "captured 3 messages, nearest first:",
                "  [1] track 'Signup' user_id='u-18' properties={'plan': 'free'}",
                "      ! event: expected 'Sign Up', got 'Signup'",
                "      ! user_id: expected 'u-17', got 'u-18'",
                "      ! properties.plan: expected 'pro', got 'free'",
                "  [0] track 'Login' user_id='u-17'",
                "      ! event: expected 'Sign Up', got 'Login'",
                "      ! properties.plan: expected 'pro', got nothing",
                "  [2] identify user_id='u-17' traits={'a': 1}",
                "      ! type: expected 'track', got 'identify'",
                "      ! event: expected 'Sign Up', got nothing",
                "      ! properties: expected {'plan': 'pro'}, got nothing",
            ],
        )

    def test_by_fields(self) -> None:
        """Without a name, the one with the most fields as expected comes first."""

        def log() -> None:
            logger.info("a", extra={"user_id": "u-1", "plan": "free"})
            logger.info("b", extra={"user_id": "u-1", "plan": "pro"})

        captured = captured_of(log)
        said = self.said(lambda: captured.assert_tracked(user_id="u-2", properties={"plan": "pro"}))
        self.assertIn("[1]", said[2])

    def test_at_most_five(self) -> None:
        """Of many messages the nearest five are shown."""
        captured = signups(*range(9), event="Step #")
        said = self.said(lambda: captured.assert_tracked("Step 7", user_id=8))
        self.assertEqual((sum("[" in line for line in said), said[-1]), (5, "  and 4 more"))

    def test_at_most_five_differences(self) -> None:
        """Of many differences the first five are shown."""
        said = self.said(lambda: signup().assert_tracked(properties={f"p{n}": 1 for n in range(9)}))
        self.assertEqual((sum("!" in line for line in said), said[-1]), (5, "      and 4 more"))

    def test_list(self) -> None:
        """In a list, the place of the difference is named."""
        captured = signup(properties={"items": [{"sku": "a"}, {"sku": "b"}]})
        said = self.said(
            lambda: captured.assert_tracked(properties={"items": [{"sku": "a"}, {"sku": "c"}]})
        )
        self.assertEqual(said[-1], "      ! properties.items[1].sku: expected 'c', got 'b'")

    def test_long_values(self) -> None:
        """Long values are cut, and where long texts begin to differ is told."""
        captured = signup(properties={"text": "a" * 500 + "b"})
        said = self.said(lambda: captured.assert_tracked(properties={"text": "a" * 500 + "c"}))
        self.assertTrue(said[-1].endswith("got 'b' after 500 identical characters"))
        self.assertLess(max(map(len, said)), 200)

    def test_nothing_expected_or_got(self) -> None:
        """What is not there is called nothing, and what may be anything so."""
        said = self.said(lambda: signup().assert_tracked(user_id=None, properties={"email": ...}))
        self.assertEqual(
            said[-2:],
            [
                "      ! user_id: expected nothing, got 'u-17'",
                "      ! properties.email: expected anything, got nothing",
            ],
        )

    def test_times(self) -> None:
        """A wrong number says both numbers."""
        captured = signups(0, 1)
        self.assertEqual(
            self.said(lambda: captured.assert_tracked("Signup", times=1))[0],
            "track 'Signup' was captured 2 times, expected once",
        )
        self.assertEqual(
            self.said(lambda: captured.assert_tracked("Signup", user_id=1, times=3))[0],
            "track 'Signup' with user_id=1 was captured once, expected 3 times",
        )

    def test_unwanted(self) -> None:
        """What was not to be tracked is shown."""
        self.assertEqual(
            self.said(lambda: signup().assert_not_tracked("Signup")),
            [
                "track 'Signup' was captured once, expected never:",
                "  [0] track 'Signup' user_id='u-17' properties={'plan': 'pro'}",
            ],
        )

    def test_nothing_came_past(self) -> None:
        """When no record came past, the usual reasons are named."""
        captured = captured_of(lambda: None)
        self.assertIn("levels", self.said(lambda: captured.assert_tracked("Signup"))[-1])

    def test_misspelt_extra(self) -> None:
        """A record of that name which is no event is shown, with what it has instead."""
        captured = captured_of(lambda: logger.info("Signup", extra={"userid": 17}))
        said = self.said(lambda: captured.assert_tracked("Sign up"))
        self.assertIn(f"  'Signup' at {__file__}:", said[-2])
        self.assertEqual(
            said[-1],
            "      ! not an event: it has only userid in extra; "
            "pass user_id, event or segment=True",
        )

    def test_identity_alone(self) -> None:
        """So is one that has no more than a bound identity."""

        def log() -> None:
            with identity(user_id="u"):
                logger.info("Signup")

        said = self.said(lambda: captured_of(log).assert_tracked("Signup"))
        self.assertIn("it has nothing in extra", said[-1])

    def test_other_records(self) -> None:
        """Records of other names are not shown beside messages."""

        def log() -> None:
            logger.info("Connected")
            logger.info("Login", extra={"user_id": "u"})

        said = self.said(lambda: captured_of(log).assert_tracked("Signup"))
        self.assertFalse([line for line in said if "Connected" in line])

    def test_refused(self) -> None:
        """An event that was refused is shown with the reason, which is then not raised again."""
        captured = captured_of(lambda: logger.info("Signup", extra={"event": "Signup"}))
        said = self.said(lambda: captured.assert_tracked("Signup"))
        self.assertIn("! refused: track needs a user_id", said[-1])
        captured.assert_valid()
        captured.raise_refused()

    def test_held_back(self) -> None:
        """An event that its handler holds back is shown."""
        handler = SegmentHandler("key", client=FakeClient(), before_send=lambda message: None)
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        self.addCleanup(handler.close)
        self.assertIn("held back", self.said(lambda: signup().assert_tracked("Signup"))[-1])
