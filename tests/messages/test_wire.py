"""Tests for the rules: a message that Segment would silently drop is refused with a reason."""

from __future__ import annotations

import json
import unittest
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from segment_logging import Alias, Group, Identify, InvalidMessage, Page, Screen, Track, User
from segment_logging._messages.body import batch_body
from segment_logging._messages.values import write_timestamp
from segment_logging._messages.wire import (
    CALL_TYPES,
    CONSENT_EVENT,
    FIELDS,
    read_form,
    wire_form,
)
from tests.builders import each

USER = {"user_id": "u-17"}
NEEDED: dict[str, dict[str, Any]] = {
    "identify": {}, "track": {"event": "Foo"}, "page": {}, "screen": {},
    "group": {"group_id": "g"}, "alias": {"previous_id": "p"},
}  # fmt: skip
"""The fields that each call requires in addition to a user."""


class TestRules(unittest.TestCase):
    def refused(self, call_type: Any, field: str, **fields: Any) -> str:
        """Check that the field is refused by name, and return the error's text."""
        extra = fields.pop("extra", None)
        with self.assertRaises(InvalidMessage, msg=f"{call_type} {fields}") as caught:
            wire_form(call_type, {**USER, **NEEDED.get(str(call_type), {}), **fields}, extra)
        self.assertEqual(caught.exception.field, field)
        self.assertIn(":", str(caught.exception), "the text does not say how to fix it")
        return str(caught.exception)

    def test_no_user(self) -> None:
        """no_user_anon_id, id_required: every call needs an id."""
        for call_type in CALL_TYPES:
            self.refused(call_type, "user_id", user_id=None)

    def test_ids(self) -> None:
        """id_not_string: an invalid id is refused, even next to a valid one."""
        for call_type in CALL_TYPES:
            for value in each("", True, ["x"], {}, b"x", float("nan"), Decimal("nan")):
                self.refused(call_type, "user_id", user_id=value, anonymous_id="good")
                self.refused(call_type, "anonymous_id", anonymous_id=value)

    def test_ids_become_text(self) -> None:
        """Numbers and UUIDs, which databases use as keys, become text."""
        for value, text in each(
            (17, "17"), (17.0, "17"), (1.5, "1.5"), (UUID(int=7), str(UUID(int=7)))
        ):
            form = wire_form("group", {"user_id": value, "anonymous_id": value, "group_id": value})
            self.assertEqual({form["userId"], form["anonymousId"], form["groupId"]}, {text})
            self.assertEqual(wire_form("alias", {**USER, "previous_id": value})["previousId"], text)

    def test_event(self) -> None:
        """event_not_defined, event_not_string: a track call needs an event, which must be text."""
        for value in (None, "", 7, ["x"], b"x"):
            self.refused("track", "event", event=value)

    def test_properties(self) -> None:
        """properties_not_object: properties must be an object."""
        for call_type in ("track", "page", "screen"):
            for value in ("x", [1], 7, True, [], "", 0, False):
                self.refused(call_type, "properties", properties=value)

    def test_traits(self) -> None:
        """traits_not_object: traits must be an object."""
        for call_type in ("identify", "group"):
            for value in ("x", [1], 7, True, [], ""):
                self.refused(call_type, "traits", traits=value)

    def test_name_and_category(self) -> None:
        """name_not_string, category_not_string: both must be non-empty text or absent."""
        for call_type in ("page", "screen"):
            for field in ("name", "category"):
                for value in ("", 7, ["x"]):
                    self.refused(call_type, field, **{field: value})
                self.assertNotIn(field, wire_form(call_type, {**USER, field: None}))

    def test_group_id(self) -> None:
        """A group call needs an id of 1 to 500 characters."""
        for value in (None, "", True, "x" * 501, 10**500):
            self.refused("group", "group_id", group_id=value)
        wire_form("group", {**USER, "group_id": "x" * 500})

    def test_previous_id(self) -> None:
        """An alias call needs a previous id."""
        for value in (None, "", True, ["x"]):
            self.refused("alias", "previous_id", previous_id=value)

    def test_user_of_an_alias(self) -> None:
        """An alias call needs a user id; an anonymous id is not enough."""
        anonymous = {"user_id": None, "anonymous_id": "a", "previous_id": "p"}
        with self.assertRaisesRegex(InvalidMessage, "alias needs a user_id: ") as caught:
            wire_form("alias", anonymous)
        self.assertEqual(caught.exception.field, "user_id")
        wire_form("alias", {**anonymous, "user_id": "u"})

    def test_message_id(self) -> None:
        """A message id must have 1 to 100 characters."""
        for call_type in CALL_TYPES:
            for value in ("", 7, "x" * 101):
                self.refused(call_type, "message_id", message_id=value)
            form = wire_form(call_type, {**USER, **NEEDED[call_type], "message_id": "x" * 100})
            self.assertEqual(form["messageId"], "x" * 100)

    def test_objects(self) -> None:
        """Context and integrations must be objects."""
        for call_type in CALL_TYPES:
            for field in ("context", "integrations"):
                for value in ("x", [1], 7, True, [], ""):
                    self.refused(call_type, field, **{field: value})

    def test_type(self) -> None:
        """An unknown type is refused, and the error lists the six known types."""
        for value in each("trackk", "", None, 7, [], {}, "Track", "batch"):
            text = self.refused(value, "type")
            self.assertIn("identify, track, page, screen, group, alias", text)

    def test_no_value_in_texts(self) -> None:
        """An error text contains no values, since they may be personal data."""
        secret = "mia@example.org, born 1990-01-01"
        for field in ("message_id", "group_id"):
            self.assertNotIn(secret, self.refused("group", field, **{field: secret * 30}))
        self.assertNotIn(secret, self.refused(secret, "type"))
        self.assertNotIn(secret, self.refused("track", "properties", properties=secret))
        self.assertNotIn(secret, self.refused("track", "extra", extra=secret))

    def test_same_for_messages(self) -> None:
        """Message objects are checked by the same rules when they are created."""
        user = User(user_id="u-17")
        for field, make in (
            ("event", lambda: Track(user=user, event="")),
            ("properties", lambda: Track(user=user, event="x", properties=[])),  # type: ignore[arg-type]
            ("traits", lambda: Identify(user=user, traits="x")),  # type: ignore[arg-type]
            ("name", lambda: Page(user=user, name="")),
            ("category", lambda: Screen(user=user, category=7)),  # type: ignore[arg-type]
            ("group_id", lambda: Group(user=user, group_id="")),
            ("previous_id", lambda: Alias(user=user, previous_id="")),
            ("message_id", lambda: Alias(user=user, previous_id="x", message_id="x" * 101)),
            ("context", lambda: Page(user=user, context=[])),  # type: ignore[arg-type]
            ("extra", lambda: Page(user=user, extra={"userId": "x"})),
        ):
            with self.subTest(field=field):
                with self.assertRaises(InvalidMessage) as caught:
                    make()
                self.assertEqual(caught.exception.field, field)


class TestExtra(unittest.TestCase):
    def form(self, extra: Any, **fields: Any) -> dict[str, Any]:
        return wire_form("track", {**USER, "event": "Foo", **fields}, extra)

    def test_top_level(self) -> None:
        """Extra keys are written unchanged at the top level."""
        self.assertEqual(self.form({"channel": "server"})["channel"], "server")

    def test_message_id(self) -> None:
        """An extra key may be `messageId` if it is valid and the field is not set."""
        self.assertEqual(self.form({"messageId": "m"})["messageId"], "m")
        for extra, fields in (
            ({"messageId": ""}, {}),
            ({"messageId": "x" * 101}, {}),
            ({"messageId": "m"}, {"message_id": "n"}),
        ):
            with self.assertRaises(InvalidMessage):
                self.form(extra, **fields)

    def test_field_names(self) -> None:
        """An extra key that is the wire name of a field is refused."""
        for key in ("type", "userId", "event", "properties", "timestamp", "context"):
            with self.assertRaises(InvalidMessage) as caught:
                self.form({key: "x"})
            self.assertEqual(caught.exception.field, "extra")

    def test_no_object(self) -> None:
        """`extra` must be an object."""
        for extra in ("x", [1], 7):
            with self.assertRaises(InvalidMessage) as caught:
                self.form(extra)
            self.assertEqual(caught.exception.field, "extra")


class TestConsent(unittest.TestCase):
    def form(self, context: Any, event: str = CONSENT_EVENT) -> dict[str, Any]:
        return wire_form("track", {**USER, "event": event, "context": context})

    def test_complete(self) -> None:
        """A consent event with its category preferences is accepted."""
        consent = {"categoryPreferences": {"ads": False, "analytics": True}, "version": 2}
        self.form({"consent": consent, "device": {"advertisingId": "x"}})
        self.form({"consent": {"categoryPreferences": {}}})

    def test_incomplete(self) -> None:
        """A consent event that breaks any one of Segment's rules is refused."""
        good = {"categoryPreferences": {"ads": True}}
        for context in each(
            None,
            {},
            {"consent": None},
            {"consent": True},
            {"consent": {}},
            {"consent": {"categoryPreferences": None}},
            {"consent": {"categoryPreferences": ["ads"]}},
            {"consent": {"categoryPreferences": {"ads": "yes"}}},
            {"consent": {"categoryPreferences": {"ads": 1}}},
            {"consent": {**good, "version": "2"}},
            {"consent": {**good, "version": True}},
            {"consent": good, "device": {"advertisingId": 7}},
        ):
            with self.subTest(context=context):
                with self.assertRaises(InvalidMessage) as caught:
                    self.form(context)
                self.assertEqual(caught.exception.field, "context")

    def test_other_events(self) -> None:
        """Other events may have any consent object: Segment validates only the consent event."""
        self.form({"consent": {"categoryPreferences": "x"}}, event="Foo")


class TestTimestamps(unittest.TestCase):
    @given(st.floats(min_value=0, max_value=4_000_000_000))
    @settings(max_examples=200, deadline=None)
    def test_seconds(self, seconds: float) -> None:
        """Seconds since the epoch are truncated to milliseconds, never written as 60 or .1000."""
        text = write_timestamp(seconds)
        back = datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
        self.assertLess(abs(back - seconds), 0.0011)
        self.assertLessEqual(back, seconds + 1e-6)
        self.assertEqual(len(text), 24)

    def test_before_the_epoch(self) -> None:
        """Times before 1970 are written correctly."""
        self.assertEqual(write_timestamp(-0.5), "1969-12-31T23:59:59.500Z")
        self.assertEqual(write_timestamp(-86_400.0), "1969-12-31T00:00:00.000Z")
        self.assertEqual(len(write_timestamp(-1e-20)), 24)

    def test_whole_numbers(self) -> None:
        """Whole numbers are seconds, not milliseconds."""
        self.assertEqual(write_timestamp(1_800_000_000), "2027-01-15T08:00:00.000Z")

    def test_milliseconds(self) -> None:
        """Every millisecond is written as intended, despite the rounding of floats."""
        for milliseconds in range(1000):
            text = write_timestamp(1_800_000_000 + milliseconds / 1000)
            self.assertEqual(text, f"2027-01-15T08:00:00.{milliseconds:03d}Z")
        self.assertEqual(write_timestamp(1_800_000_000.9999998), "2027-01-15T08:00:00.999Z")

    def test_iso_text(self) -> None:
        """ISO 8601 text, as other languages write it, is read on every Python version."""
        for text, expected in (
            ("2026-11-23T08:00:00.123456789Z", "08:00:00.123Z"),
            ("2026-11-23T08:00:00.5Z", "08:00:00.500Z"),
            ("2026-11-23T08:00:00,25z", "08:00:00.250Z"),
            ("2026-11-23T08:00:00+0200", "06:00:00.000Z"),
            ("2026-11-23T08:00:00-02", "10:00:00.000Z"),
            ("2026-11-23 08:00:00.123+02:30", "05:30:00.123Z"),
            ("20261123T080000Z", "08:00:00.000Z"),
            ("2026-11-23T08:00Z", "08:00:00.000Z"),
            ("2026-11-23T08Z", "08:00:00.000Z"),
        ):
            with self.subTest(text=text):
                self.assertEqual(write_timestamp(text), f"2026-11-23T{expected}")

    def test_no_iso_text(self) -> None:
        """Text that is not a timestamp is refused on every Python version."""
        for text in ("", "2026", "2026-13-01T00:00:00Z", "2026-11-23T25:00:00Z", "now", "08:00Z"):
            with self.subTest(text=text), self.assertRaisesRegex(InvalidMessage, "a valid time"):
                write_timestamp(text)

    def test_order(self) -> None:
        """Alternating between different seconds never returns the text of another second."""
        moments = [0.0, 1.25, 0.5, 1e9, 1.0, 1e9 + 0.999]
        for moment in moments * 2:
            expected = datetime.fromtimestamp(moment, UTC)
            self.assertEqual(write_timestamp(moment)[:19], expected.isoformat()[:19])


class TestForms(unittest.TestCase):
    def test_undone(self) -> None:
        """`read_form` returns the fields that were passed to `wire_form`."""
        for call_type in CALL_TYPES:
            fields = {**USER, **NEEDED[call_type], "message_id": "m"}
            form = wire_form(call_type, fields, {"channel": "x"})
            back_type, back, extra = read_form(form)
            self.assertEqual((back_type, extra), (call_type, {"channel": "x"}))
            for name, value in fields.items():
                self.assertEqual(back[name], value)
            self.assertLessEqual(set(back), set(FIELDS[call_type]))

    def test_body(self) -> None:
        """A batch body contains the lines unchanged, and the `sentAt` of this attempt."""
        self.assertEqual(
            batch_body(
                [b'{"a":1}', b'{"b":2}'],
                {"context": {"ip": "x"}, "integrations": {"All": True}},
                sent_at=0.0,
            ),
            b'{"batch":[{"a":1},{"b":2}],"context":{"ip":"x"},"integrations":{"All":true},'
            b'"sentAt":"1970-01-01T00:00:00.000Z"}',
        )
        self.assertEqual(
            json.loads(batch_body([b"{}"], sent_at=0.0)),
            {"batch": [{}], "sentAt": "1970-01-01T00:00:00.000Z"},
        )
