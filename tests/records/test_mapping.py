"""Tests for the content of an event's message."""

from __future__ import annotations

import json
import logging
import unittest
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from typing_extensions import override

from segment_logging import (
    Alias,
    Group,
    Identify,
    Page,
    Screen,
    Track,
    User,
    __version__,
    identity,
)
from segment_logging.testing import capture_segment
from tests.builders import a_record, each, message_of, messages_of, refusal_of

LIBRARY = {"name": "segment-logging", "version": __version__}


WHEN = datetime(2026, 11, 23, 8, 0, 0, 123_000, UTC)


def event_of(msg: Any = "Signup", *args: Any, extra: Mapping[str, Any], **options: Any) -> Any:
    """Return the message of a record with these extras, for user u-17."""
    return message_of(a_record(msg, *args, extra={"user_id": "u-17", **extra}), **options)


@contextmanager
def record_factory(factory: Any) -> Iterator[None]:
    """Use a record factory inside the block."""
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(factory)
    try:
        yield
    finally:
        logging.setLogRecordFactory(before)


class TestCallType(unittest.TestCase):
    def test_told(self) -> None:
        """`type` determines the call."""
        for call_type, extra, kind in (
            ("track", {}, Track),
            ("identify", {}, Identify),
            ("page", {}, Page),
            ("screen", {}, Screen),
            ("group", {"group_id": "g"}, Group),
            ("alias", {"previous_id": "p"}, Alias),
        ):
            self.assertIs(type(event_of(extra={"type": call_type, **extra})), kind)

    def test_alias(self) -> None:
        """`previous_id` makes an alias call, whatever other fields there are."""
        message = event_of(extra={"previous_id": "a-1"})
        self.assertEqual((type(message), message.previous_id), (Alias, "a-1"))

    def test_group(self) -> None:
        """`group_id` with `traits` makes a group call."""
        message = event_of(extra={"group_id": 7, "traits": {"plan": "pro"}})
        self.assertIs(type(message), Group)
        self.assertEqual((message.group_id, message.traits), ("7", {"plan": "pro"}))

    def test_identify(self) -> None:
        """`traits` alone makes an identify call."""
        message = event_of(extra={"traits": {"name": "Mia"}})
        self.assertEqual((type(message), message.traits), (Identify, {"name": "Mia"}))

    def test_track(self) -> None:
        """Anything else is a track call."""
        self.assertIs(type(event_of(extra={})), Track)
        self.assertIs(type(event_of(extra={"traits": None, "previous_id": None})), Track)

    def test_group_id_of_a_track(self) -> None:
        """`group_id` without `traits` makes a track call in that group (`context.groupId`)."""
        message = event_of(extra={"group_id": "g"})
        self.assertIs(type(message), Track)
        self.assertEqual(message.context["groupId"], "g")
        self.assertEqual(message.properties, {})

    def test_traits_of_a_track(self) -> None:
        """Traits of a call that has no traits field are sent in its context."""
        message = event_of(extra={"type": "track", "traits": {"plan": "pro"}})
        self.assertEqual(message.context["traits"], {"plan": "pro"})

    def test_event_with_traits(self) -> None:
        """A field that only track calls have makes a track call, even with `traits`."""
        for own in ({"event": "Signup"}, {"properties": {"a": 1}}):
            for more in ({}, {"group_id": "g"}):
                message = event_of(extra={**own, **more, "traits": {"plan": "pro"}})
                self.assertEqual((type(message), message.event), (Track, "Signup"))
                self.assertEqual(message.properties, own.get("properties", {}))
                self.assertEqual(message.context["traits"], {"plan": "pro"})
                self.assertEqual(message.context.get("groupId"), more.get("group_id"))

    def test_unknown(self) -> None:
        """An unknown type is refused, and the error lists the known types."""
        for value in ("trackk", 7, ["track"], {"a": 1}):
            record = a_record(extra={"user_id": "u", "type": value})
            self.assertIn("use one of identify", refusal_of(record))


class TestIdentity(unittest.TestCase):
    def user(self, extra: Mapping[str, Any]) -> Any:
        return message_of(a_record(extra=extra)).user

    def test_from_the_record(self) -> None:
        """The user has the record's ids, one or both."""
        self.assertEqual(self.user({"user_id": "u"}), User(user_id="u"))
        self.assertEqual(self.user({"anonymous_id": "a"}), User(anonymous_id="a"))
        self.assertEqual(
            self.user({"user_id": "u", "anonymous_id": "a"}), User(user_id="u", anonymous_id="a")
        )

    def test_numbers_and_uuids(self) -> None:
        """Numbers and UUIDs, which databases use as keys, become text."""

        class Id(Enum):
            ADMIN = 7

        for value, text in (
            (17, "17"), (0, "0"), (17.0, "17"), (1.5, "1.5"), (Decimal("17"), "17"),
            (Decimal("1234567890123456789"), "1234567890123456789"), (Decimal("1E+2"), "100"),
            (UUID(int=7), str(UUID(int=7))), (Id.ADMIN, "7"), (2**70, str(2**70)),
        ):  # fmt: skip
            self.assertEqual(self.user({"user_id": value}).user_id, text)
            self.assertEqual(self.user({"anonymous_id": value}).anonymous_id, text)

    def test_bad_ids(self) -> None:
        """NaN, which would merge all users into one, and other invalid ids are refused."""
        for value in (float("nan"), float("inf"), True, False, "", b"x", ["u"], {}, object(),
                      Decimal("nan")):  # fmt: skip
            for name in ("user_id", "anonymous_id"):
                with self.subTest(name=name, value=value):
                    refusal = refusal_of(a_record(extra={name: value, "event": "x"}))
                    self.assertIn(name, refusal)

    def test_none(self) -> None:
        """An event without a user is refused, and the error says how to pass one."""
        refusal = refusal_of(a_record(extra={"event": "Signup"}))
        self.assertIn('pass extra={"user_id": ...} or bind one with identity()', refusal)
        self.assertIn("test_records" if __name__ == "__main__" else "builders", refusal)

    def test_from_the_context(self) -> None:
        """`identity()` fills in what the record leaves out."""
        with identity(user_id="u", anonymous_id="a", context={"ip": "192.0.2.1"}):
            message = message_of(a_record(extra={"event": "Signup"}))
        self.assertEqual(message.user, User(user_id="u", anonymous_id="a"))
        self.assertEqual(message.context, {"ip": "192.0.2.1", "library": LIBRARY})

    def test_record_beats_context(self) -> None:
        """The record's user wins and does not get another user's anonymous id."""
        with identity(user_id="u-1", anonymous_id="a-1"):
            self.assertEqual(self.user({"user_id": "u-2"}), User(user_id="u-2"))
            self.assertEqual(
                self.user({"anonymous_id": "a-2"}), User(user_id="u-1", anonymous_id="a-2")
            )

    def test_same_user_by_another_type(self) -> None:
        """17 and "17" are the same user, including in a bound identity."""
        with identity(user_id=17, anonymous_id="a"):
            self.assertEqual(self.user({"user_id": "17"}), User(user_id="17", anonymous_id="a"))

    def test_identity_is_no_mark(self) -> None:
        """A bound identity does not make a plain record an event."""
        with identity(user_id="u"):
            self.assertEqual(messages_of(a_record()), [])

    def test_misspelt(self) -> None:
        """An id named `userId`, like in Segment's JSON, is not used, and the error says so."""
        said = refusal_of(a_record(extra={"userId": "u-17", "properties": {"plan": "pro"}}))
        self.assertIn("needs a user_id", said)
        self.assertIn("found 'userId' in its properties: write user_id instead", said)
        self.assertNotIn("write", refusal_of(a_record(extra={"properties": {"plan": "pro"}})))


class TestName(unittest.TestCase):
    def test_none(self) -> None:
        """A record without a message needs an event name, and becomes a page without a name."""
        self.assertIn("needs event", refusal_of(a_record(None, extra={"user_id": "u-17"})))
        self.assertIsNone(event_of(None, extra={"type": "page"}).name)

    def test_template(self) -> None:
        """The event's name is the template, because the text varies with the arguments."""
        message = event_of("Order %s paid", "o-1", extra={})
        self.assertEqual(message.event, "Order %s paid")
        self.assertEqual(message.properties, {"message": "Order o-1 paid"})

    def test_explicit(self) -> None:
        """`event` wins, and the formatted text becomes a property."""
        message = event_of("Order %s paid", "o-1", extra={"event": "Order Paid"})
        self.assertEqual(message.event, "Order Paid")
        self.assertEqual(message.properties, {"message": "Order o-1 paid"})

    def test_no_arguments(self) -> None:
        """Without arguments, no property is added."""
        self.assertEqual(event_of("100% sure", extra={}).properties, {})
        self.assertEqual(event_of("100% sure", extra={}).event, "100% sure")

    def test_own_message_property(self) -> None:
        """An existing `message` property is not overwritten."""
        message = event_of("Paid %s", 7, extra={"properties": {"message": "mine"}})
        self.assertEqual(message.properties, {"message": "mine"})

    def test_no_text(self) -> None:
        """If the record's message is not text, its str() is the event's name."""
        self.assertEqual(event_of(ValueError("no"), extra={}).event, "no")

    def test_enum(self) -> None:
        """An event name may be an Enum member."""

        class Event(Enum):
            SIGNUP = "Signup Completed"

        self.assertEqual(event_of(extra={"event": Event.SIGNUP}).event, "Signup Completed")

    def test_empty(self) -> None:
        """An event without a name is refused."""
        for msg, extra in (("", {}), ("x", {"event": ""}), ("x", {"event": 7})):
            record = a_record(msg, extra={"user_id": "u", **extra})
            self.assertIn("event", refusal_of(record))

    def test_page_and_screen(self) -> None:
        """The text is the name of a page or screen, unless it is empty."""
        for kind in ("page", "screen"):
            message = event_of("Docs %s", 7, extra={"type": kind, "category": "Help"})
            self.assertEqual((message.name, message.category), ("Docs 7", "Help"))
            self.assertIsNone(event_of("", extra={"type": kind}).name)

    def test_arguments_filled_in_otherwise(self) -> None:
        """A record class may format its text in its own way, for example with braces."""

        class InBraces(logging.LogRecord):
            @override
            def getMessage(self) -> str:
                return str(self.msg).format(*(self.args or ()))

        with record_factory(InBraces):
            message = event_of("Paid {}", 5, extra={})
        self.assertEqual((message.event, message.properties), ("Paid {}", {"message": "Paid 5"}))

    def test_bad_arguments(self) -> None:
        """A record whose arguments do not fit the template is refused, and they are not shown."""
        record = a_record("Paid %d", "secret", extra={"user_id": "u"})
        refusal = refusal_of(record)
        self.assertIn("TypeError", refusal)
        self.assertNotIn("secret", refusal)


class TestProperties(unittest.TestCase):
    def test_order(self) -> None:
        """Loose extras keep the order in which they were given."""
        extra = dict.fromkeys("edcba", 1)
        self.assertEqual(list(event_of(extra=extra).properties), list("edcba"))

    def test_explicit_over_loose(self) -> None:
        """Other extras become properties, but explicit properties win."""
        message = event_of(extra={"properties": {"plan": "pro"}, "plan": "free", "seats": 3})
        self.assertEqual(message.properties, {"plan": "pro", "seats": 3})

    def test_not_merged_within(self) -> None:
        """An explicit property replaces a loose one without merging."""
        message = event_of(extra={"properties": {"o": {"a": 1}}, "o": {"b": 2}})
        self.assertEqual(message.properties, {"o": {"a": 1}})

    def test_traits(self) -> None:
        """In identify and group calls, loose extras become traits."""
        message = event_of(extra={"type": "identify", "plan": "pro"})
        self.assertEqual(message.traits, {"plan": "pro"})
        message = event_of(extra={"traits": {"a": 1}, "group_id": "g", "b": 2})
        self.assertEqual(message.traits, {"a": 1, "b": 2})

    def test_alias_has_none(self) -> None:
        """An alias call has neither properties nor traits, so loose extras are not sent."""
        form = event_of(extra={"previous_id": "p", "plan": "pro"}).to_dict()
        self.assertNotIn("plan", form)
        self.assertNotIn("properties", form)

    def test_without_extras(self) -> None:
        """With include_extras=False, only known fields are sent."""
        message = event_of(
            extra={"properties": {"plan": "pro"}, "request_id": "r", "category": "c"},
            include_extras=False,
        )
        self.assertEqual(message.properties, {"plan": "pro", "category": "c"})

    def test_no_object(self) -> None:
        """Properties, traits, context and integrations that are not objects are refused."""
        for name in ("properties", "traits", "context", "integrations"):
            for value in ("x", [1], 7):
                record = a_record(extra={"user_id": "u", "loose": 1, name: value})
                self.assertIn(name, refusal_of(record))

    def test_values(self) -> None:
        """Values of types that JSON lacks are converted, and NaN becomes null."""
        message = event_of(
            extra={
                "properties": {"at": WHEN, "nan": float("nan"), "ids": {2, 1}, "p": Decimal("9.9")}
            }
        )
        self.assertEqual(
            message.properties,
            {"at": "2026-11-23T08:00:00.123Z", "nan": None, "ids": [1, 2], "p": 9.9},
        )

    def test_snapshot(self) -> None:
        """Changes that the caller makes after the call do not affect the event."""
        properties = {"plan": "pro", "tags": ["a"]}
        with capture_segment() as captured:
            logging.getLogger("tests.records").info(
                "Signup", extra={"user_id": "u", "properties": properties}
            )
            properties["tags"].append("b")  # type: ignore[attr-defined]
            properties["plan"] = "free"
        self.assertEqual(captured[0].to_dict()["properties"], {"plan": "pro", "tags": ["a"]})

    def test_leaves_the_caller_alone(self) -> None:
        """The caller's objects are not changed, and the record gets only a message id."""
        extra = {
            "user_id": 17, "properties": {"a": 1}, "context": {"ip": "x"}, "group_id": "g",
            "integrations": {"All": True}, "loose": 1, "segment": {"event": "E"},
        }  # fmt: skip
        context, before = {"app": {"name": "shop"}}, json.dumps(extra)
        record = a_record("Paid %s", 7, extra=extra)
        attributes = dict(record.__dict__)
        with identity(context={"ip": "y"}):
            message_of(record, context=context, integrations={"X": False})
        self.assertEqual(json.dumps(extra), before)
        record.__dict__.pop("_segment_message_id", None)
        self.assertEqual(record.__dict__, attributes)
        self.assertEqual(context, {"app": {"name": "shop"}})


class TestTimeAndIds(unittest.TestCase):
    def test_created(self) -> None:
        """The timestamp is the record's own time, in milliseconds."""
        record = a_record(extra={"user_id": "u"})
        record.created = WHEN.timestamp() + 0.0009
        self.assertEqual(message_of(record).timestamp, WHEN)

    def test_explicit(self) -> None:
        """`timestamp` wins. It may be an aware datetime, ISO text, seconds or naive local time."""
        naive = datetime(2026, 7, 1, 12)
        for value, expected in (
            (WHEN, WHEN),
            (WHEN.astimezone(timezone(timedelta(hours=9))), WHEN),
            ("2026-11-23T08:00:00.123Z", WHEN),
            (WHEN.timestamp() + 0.0001, WHEN),
            (naive, naive.astimezone(UTC)),
        ):
            self.assertEqual(event_of(extra={"timestamp": value}).timestamp, expected)

    def test_bad(self) -> None:
        """An invalid timestamp is refused."""
        for value in each("soon", "", True, [], float("nan"), b"x"):
            record = a_record(extra={"user_id": "u", "timestamp": value})
            self.assertIn("timestamp", refusal_of(record))

    def test_message_ids(self) -> None:
        """Each message has its own id, and a given id is kept."""
        records = [a_record(extra={"user_id": "u"}) for _ in range(100)]
        ids = {message.message_id for message in messages_of(*records)}
        self.assertEqual(len(ids), 100)
        self.assertTrue(all(id_ and len(id_) <= 100 for id_ in ids))
        self.assertEqual(event_of(extra={"message_id": "m-1"}).message_id, "m-1")

    def test_bad_message_ids(self) -> None:
        """A message id that Segment would drop is refused."""
        for value in ("", "x" * 101, 7):
            record = a_record(extra={"user_id": "u", "message_id": value})
            self.assertIn("message_id", refusal_of(record))


class TestContext(unittest.TestCase):
    def test_library(self) -> None:
        """The context names the library that sent the message."""
        self.assertEqual(event_of(extra={}).context, {"library": LIBRARY})

    def test_another_library(self) -> None:
        """If a program sets `library`, its value replaces ours, including the version."""
        own = {"library": {"name": "shop"}}
        self.assertEqual(event_of(extra={}, context=own).context, own)
        self.assertEqual(event_of(extra={"context": own}).context, own)
        with identity(context=own):
            self.assertEqual(event_of(extra={}).context, own)

    def test_layers(self) -> None:
        """The contexts of the handler, the identity and the record are merged. Later ones win."""
        options = {"context": {"app": {"name": "shop", "build": 1}, "ip": "handler"}}
        with identity(context={"app": {"build": 2}, "ip": "bound", "locale": "bound"}):
            message = event_of(extra={"context": {"ip": "record"}}, **options)
        self.assertEqual(
            message.context,
            {
                "library": LIBRARY, "app": {"name": "shop", "build": 2}, "ip": "record",
                "locale": "bound",
            },
        )  # fmt: skip

    def test_integrations(self) -> None:
        """The record's integrations win over the handler's."""
        message = event_of(
            extra={"integrations": {"A": False}}, integrations={"A": True, "B": True}
        )
        self.assertEqual(message.integrations, {"A": False, "B": True})
