"""Tests for what assertions match, and for their failure messages."""

from __future__ import annotations

import logging
import unittest
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from unittest.mock import ANY
from uuid import UUID

from typing_extensions import override

from segment_logging import SegmentHandler, Track, identity
from segment_logging.testing import Captured, FakeClient, capture_segment

logger = logging.getLogger("tests.assertions")


def captured_of(log: Callable[[], object]) -> Captured:
    """Return what is captured while the function runs."""
    with capture_segment(allow_invalid=True) as captured:
        log()
    return captured


def signup(**extra: object) -> Captured:
    """Return a captured track call "Signup" for user u-17 with plan "pro"."""
    extra = {"user_id": "u-17", "properties": {"plan": "pro"}, **extra}
    return captured_of(lambda: logger.info("Signup", extra=extra))


def signups(*user_ids: object, event: str = "Signup") -> Captured:
    """Return a captured track call for each user."""

    def log() -> None:
        for number, user_id in enumerate(user_ids):
            logger.info(event.replace("#", str(number)), extra={"user_id": user_id})

    return captured_of(log)


class TestMatches(unittest.TestCase):
    """What an expectation matches, and what it does not."""

    def refute(self, captured: Captured, **expected: object) -> None:
        with self.assertRaises(AssertionError):
            captured.assert_sent(**expected)  # type: ignore[arg-type]

    def test_returns_the_message(self) -> None:
        """The first matching message is returned for further checks."""
        captured = signups("u-0", "u-1", "u-2")
        message = captured.assert_tracked("Signup", user_id="u-1")
        self.assertIs(message, captured[1])
        self.assertIsInstance(message, Track)

    def test_event(self) -> None:
        """An event only matches by its full name."""
        signup().assert_tracked("Signup")
        self.refute(signup(), event="Sign")

    def test_anything(self) -> None:
        """Fields that are not given may have any value, and so may fields given as an ellipsis."""
        signup().assert_tracked()
        signup().assert_tracked(..., user_id=..., properties={"plan": ...})
        self.refute(signup(), properties={"other": ...})

    def test_some_properties(self) -> None:
        """Properties that are not given do not matter, at any depth."""
        captured = signup(properties={"plan": "pro", "cart": {"total": 3, "items": [{"a": 1}]}})
        captured.assert_tracked(properties={"cart": {"total": 3}})
        captured.assert_tracked(properties={"cart": {"items": [{}]}})
        self.refute(captured, properties={"cart": {"total": 4}})
        self.refute(captured, properties={"cart": {"items": []}})

    def test_none(self) -> None:
        """None means that no value is expected."""
        captured = signup(properties={"plan": "pro", "coupon": None})
        captured.assert_tracked(anonymous_id=None, properties={"coupon": None, "email": None})
        self.refute(captured, user_id=None)
        self.refute(captured, properties={"plan": None})

    def test_ids(self) -> None:
        """An id that was logged as a number or UUID may be expected as one."""
        signup(user_id=17).assert_tracked(user_id=17)
        one = UUID(int=1)
        signup(user_id=one).assert_tracked(user_id=one)

    def test_values(self) -> None:
        """Values may be expected as they were logged or as they appear in JSON."""

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
        """True does not match 1."""
        self.refute(signup(properties={"n": 1}), properties={"n": True})

    def test_matchers(self) -> None:
        """Expected values may be objects with their own equality, such as ANY."""
        signup().assert_tracked(user_id=ANY, properties={"plan": ANY})
        self.refute(signup(), user_id=object())

    def test_ambiguous_comparison(self) -> None:
        """A value that cannot be compared, such as an array, counts as not equal."""

        class Array:
            @override
            def __eq__(self, other: object) -> bool:
                raise ValueError

            __hash__ = None  # type: ignore[assignment]

        self.refute(signup(), user_id=Array())

    def test_timestamp(self) -> None:
        """A timestamp may be expected in any form in which it can be logged."""
        moment = datetime(2026, 11, 23, tzinfo=UTC)
        captured = signup(timestamp=moment)
        for form in (moment, moment.timestamp(), "2026-11-23T00:00:00Z", ANY):
            captured.assert_sent(timestamp=form)
        self.refute(captured, timestamp=moment.timestamp() + 1)

    def test_context(self) -> None:
        """An expected context may leave out what every message has."""
        signup(context={"ip": "10.0.0.1"}).assert_tracked(context={"ip": "10.0.0.1"})

    def test_times(self) -> None:
        """With `times`, exactly that many messages must match."""
        captured = signups(0, 1, 0)
        captured.assert_tracked("Signup", times=3)
        captured.assert_tracked("Signup", user_id=0, times=2)
        self.refute(captured, event="Signup", times=1)
        with self.assertRaises(ValueError):
            captured.assert_tracked("Signup", times=0)

    def test_not_tracked(self) -> None:
        """`assert_not_tracked` works for an event, for a user and for any track call."""
        captured = signup()
        captured.assert_not_tracked("Login")
        captured.assert_not_tracked(user_id="u-18")
        captured.assert_not_tracked("Signup", properties={"plan": "free"})
        for expected in ("Signup", None, ...):
            with self.assertRaises(AssertionError):
                captured.assert_not_tracked(expected)

    def test_not_sent(self) -> None:
        """Without arguments, `assert_not_sent` requires that nothing at all was sent."""
        captured_of(lambda: logger.info("a line")).assert_not_sent()
        with self.assertRaises(AssertionError):
            signup().assert_not_sent()

    def test_identified(self) -> None:
        """`assert_identified` checks the user and the traits."""
        captured = signup(traits={"email": "a@example.com"}, properties=None)
        captured.assert_identified("u-17", traits={"email": "a@example.com"}, times=1)
        captured.assert_not_tracked()
        self.refute(captured, call_type="identify", traits={"email": "b@example.com"})

    def test_every_type(self) -> None:
        """Every call can be checked by its own fields."""
        signup(type="page", category="Docs").assert_sent("page", name="Signup", category="Docs")
        signup(type="screen").assert_sent("screen", name="Signup")
        signup(traits={"a": 1}, group_id=5, properties=None).assert_sent("group", group_id=5)
        signup(previous_id="old", properties=None).assert_sent("alias", previous_id="old")

    def test_misspelt(self) -> None:
        """A field or a call that does not exist raises TypeError."""
        with self.assertRaisesRegex(TypeError, r"track has no field 'plan'.*properties="):
            signup().assert_sent("track", plan="pro")
        captured = signup()
        for call, said in (
            (captured.assert_tracked, r"use assert_sent\('track', message_id=...\)"),
            (captured.assert_not_tracked, r"use assert_not_sent\('track', message_id=...\)"),
            (captured.assert_identified, r"use assert_sent\('identify', message_id=...\)"),
        ):
            with self.assertRaisesRegex(TypeError, said):
                call(message_id="m-1")  # type: ignore[arg-type]
        with self.assertRaisesRegex(TypeError, r"identify has no field 'plan'.*traits="):
            signup().assert_sent("identify", plan="pro")
        with self.assertRaisesRegex(TypeError, "no call type 'tracked'"):
            signup().assert_sent("tracked")
        with self.assertRaisesRegex(TypeError, "assert_not_tracked.*times"):
            signup().assert_not_tracked("Login", times=1)  # type: ignore[arg-type]

    def test_repr(self) -> None:
        """The repr of captured messages, which pytest prints, lists the messages."""
        self.assertEqual(
            repr(signup()),
            "<Captured 1: track 'Signup' user_id='u-17' properties={'plan': 'pro'}>",
        )


class TestFailures(unittest.TestCase):
    """The message of a failure."""

    maxDiff = None

    def said(self, check: Callable[[], object]) -> list[str]:
        """Return the lines of a failure."""
        with self.assertRaises(AssertionError) as caught:
            check()
        return str(caught.exception).splitlines()

    def test_nearest_first(self) -> None:
        """The nearest message comes first, and each message is shown with its differences."""

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
        """Without a name, the message with the most matching fields comes first."""

        def log() -> None:
            logger.info("a", extra={"user_id": "u-1", "plan": "free"})
            logger.info("b", extra={"user_id": "u-1", "plan": "pro"})

        captured = captured_of(log)
        said = self.said(lambda: captured.assert_tracked(user_id="u-2", properties={"plan": "pro"}))
        self.assertIn("[1]", said[2])

    def test_at_most_five(self) -> None:
        """If there are many messages, only the nearest five are shown."""
        captured = signups(*range(9), event="Step #")
        said = self.said(lambda: captured.assert_tracked("Step 7", user_id=8))
        self.assertEqual((sum("[" in line for line in said), said[-1]), (5, "  and 4 more"))

    def test_at_most_five_differences(self) -> None:
        """If there are many differences, only the first five are shown."""
        said = self.said(lambda: signup().assert_tracked(properties={f"p{n}": 1 for n in range(9)}))
        self.assertEqual((sum("!" in line for line in said), said[-1]), (5, "      and 4 more"))

    def test_list(self) -> None:
        """In a list, the index of the difference is shown."""
        captured = signup(properties={"items": [{"sku": "a"}, {"sku": "b"}]})
        said = self.said(
            lambda: captured.assert_tracked(properties={"items": [{"sku": "a"}, {"sku": "c"}]})
        )
        self.assertEqual(said[-1], "      ! properties.items[1].sku: expected 'c', got 'b'")

    def test_long_values(self) -> None:
        """Long values are cut, and the position at which long texts start to differ is shown."""
        captured = signup(properties={"text": "a" * 500 + "b"})
        said = self.said(lambda: captured.assert_tracked(properties={"text": "a" * 500 + "c"}))
        self.assertTrue(said[-1].endswith("got 'b' after 500 identical characters"))
        self.assertLess(max(map(len, said)), 200)

    def test_nothing_expected_or_got(self) -> None:
        """A missing value is shown as "nothing", and an ellipsis as "anything"."""
        said = self.said(lambda: signup().assert_tracked(user_id=None, properties={"email": ...}))
        self.assertEqual(
            said[-2:],
            [
                "      ! user_id: expected nothing, got 'u-17'",
                "      ! properties.email: expected anything, got nothing",
            ],
        )

    def test_times(self) -> None:
        """If the number of matches is wrong, the failure shows both numbers."""
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
        """A message that should not have been tracked is shown."""
        self.assertEqual(
            self.said(lambda: signup().assert_not_tracked("Signup")),
            [
                "track 'Signup' was captured once, expected never:",
                "  [0] track 'Signup' user_id='u-17' properties={'plan': 'pro'}",
            ],
        )

    def test_nothing_came_past(self) -> None:
        """If no record was logged, the failure lists the usual reasons."""
        captured = captured_of(lambda: None)
        self.assertIn("levels", self.said(lambda: captured.assert_tracked("Signup"))[-1])

    def test_misspelt_extra(self) -> None:
        """A record with that name that is not an event is shown with its extras."""
        captured = captured_of(lambda: logger.info("Signup", extra={"userid": 17}))
        said = self.said(lambda: captured.assert_tracked("Sign up"))
        self.assertIn(f"  'Signup' at {__file__}:", said[-2])
        self.assertEqual(
            said[-1],
            "      ! not an event: it has only userid in extra; "
            "pass user_id, event or segment=True",
        )

    def test_identity_alone(self) -> None:
        """A record that has only a bound identity is shown, too."""

        def log() -> None:
            with identity(user_id="u"):
                logger.info("Signup")

        said = self.said(lambda: captured_of(log).assert_tracked("Signup"))
        self.assertIn("it has nothing in extra", said[-1])

    def test_other_records(self) -> None:
        """Records with other names are not shown next to messages."""

        def log() -> None:
            logger.info("Connected")
            logger.info("Login", extra={"user_id": "u"})

        said = self.said(lambda: captured_of(log).assert_tracked("Signup"))
        self.assertFalse([line for line in said if "Connected" in line])

    def test_refused(self) -> None:
        """A refused event is shown with the reason, and is then not raised again."""
        captured = captured_of(lambda: logger.info("Signup", extra={"event": "Signup"}))
        said = self.said(lambda: captured.assert_tracked("Signup"))
        self.assertIn("! refused: track needs a user_id", said[-1])
        captured.assert_valid()
        captured.raise_refused()

    def test_held_back(self) -> None:
        """An event that its handler stops is shown, with what stopped it."""

        def nothing(_: object) -> None:
            pass

        for stops, reason in (
            ({"before_send": nothing}, "before_send"),
            ({"deny_events": ["Sign*"]}, "deny_events"),
            ({"allow_events": ["Order *"]}, "allow_events"),
            ({"sample_rate": 0}, "sample_rate"),
            ({"sample_rate": 0, "before_send": nothing}, "sample_rate"),
            ({"level": logging.ERROR}, "level: it is ERROR, and the record's is INFO"),
            ({"filter": lambda record: False}, "filter"),
            (
                {"filter": lambda record: False, "before_send": nothing},
                "filter or before_send",
            ),
        ):
            with self.subTest(reason), ExitStack() as stack:
                options: dict[str, Any] = dict(stops)
                level, held = options.pop("level", 0), options.pop("filter", None)
                handler = SegmentHandler("key", client=FakeClient(), **options)
                stack.callback(handler.close)
                handler.setLevel(level)
                if held is not None:
                    handler.addFilter(held)
                logger.addHandler(handler)
                stack.callback(logger.removeHandler, handler)
                said = self.said(lambda: signup().assert_tracked("Signup"))
                self.assertEqual(said[-1].strip(), f"! stopped by its handler's {reason}")

    def test_held_back_twice(self) -> None:
        """If two handlers stop an event, both reasons are shown."""
        both: tuple[dict[str, Any], ...] = ({"deny_events": ["*"]}, {"allow_events": []})
        for options in both:
            handler = SegmentHandler("key", client=FakeClient(), **options)
            logger.addHandler(handler)
            self.addCleanup(handler.close)
            self.addCleanup(logger.removeHandler, handler)
        said = self.said(lambda: signup().assert_tracked("Signup"))
        self.assertRegex(said[-1], "handler's deny_events; .* handler's allow_events")

    def test_not_an_event_for_a_handler_with_options(self) -> None:
        """A record that is not an event is not explained with the handler's options."""
        handler = SegmentHandler("key", client=FakeClient(), deny_events=["*"])
        logger.addHandler(handler)
        self.addCleanup(handler.close)
        self.addCleanup(logger.removeHandler, handler)
        captured = captured_of(lambda: logger.info("Signup"))
        said = self.said(lambda: captured.assert_tracked("Signup"))
        self.assertIn("not an event", said[-1])
