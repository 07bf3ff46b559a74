"""Tests for messages as immutable values."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
import unittest
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from segment_logging import (
    Alias,
    Batch,
    Group,
    Identify,
    InvalidMessage,
    Message,
    Page,
    Screen,
    Track,
    User,
)
from segment_logging._messages.calls import Call
from segment_logging._messages.encoding import encode
from segment_logging._messages.wire import CONSENT_EVENT
from tests.builders import a_track, each, run_python

FOO = User(user_id="foo")


BOTH = User(user_id="foo", anonymous_id="bar")


WHEN = datetime(2026, 11, 23, 8, 0, 0, 123_000, UTC)


EVERYTHING: dict[str, Any] = {
    "user": BOTH,
    "message_id": "m-1",
    "timestamp": WHEN,
    "context": {"ip": "192.0.2.1"},
    "integrations": {"All": False},
    "extra": {"channel": "server"},
}


CALLS: tuple[Call, ...] = (
    Identify(user=FOO, traits={"a": 1}),
    Track(user=FOO, event="Foo", properties={"a": 1}),
    Page(user=FOO, name="Foo", category="Bar", properties={"a": 1}),
    Screen(user=FOO, name="Foo", category="Bar", properties={"a": 1}),
    Group(user=FOO, group_id="bar", traits={"a": 1}),
    Alias(user=FOO, previous_id="bar"),
)
"""One call of each type."""


class TestUser(unittest.TestCase):
    def test_str(self) -> None:
        """A user's text is the user id or, without one, the anonymous id."""
        self.assertEqual(str(FOO), "foo")
        self.assertEqual(str(User(anonymous_id="bar")), "bar")
        self.assertEqual(str(BOTH), "foo")

    def test_nobody(self) -> None:
        """A user without any id is refused."""
        with self.assertRaises(InvalidMessage) as caught:
            User()
        self.assertEqual(caught.exception.field, "user_id")

    def test_ids_are_text(self) -> None:
        """An id that is empty or not text is refused by name, even next to a valid one."""
        for value in ("", 17, 1.5, True, b"x", ["x"]):
            for name, other in (("user_id", "anonymous_id"), ("anonymous_id", "user_id")):
                with self.subTest(name=name, value=value):
                    with self.assertRaises(InvalidMessage) as caught:
                        User(**{name: value, other: "good"})  # type: ignore[arg-type]
                    self.assertEqual(caught.exception.field, name)


class TestWireForm(unittest.TestCase):
    def written(self, message: Message) -> str:
        return encode(message.to_dict()).decode()

    def test_identify(self) -> None:
        """The expected JSON of an identify call: `type` first, and extra keys at the top level."""
        message = Identify(
            user=FOO, traits={"baz": "quux", "foo": "bar"}, extra={"messageId": "123"}
        )
        self.assertEqual(
            self.written(message),
            '{"type":"identify","userId":"foo","traits":{"baz":"quux","foo":"bar"},'
            '"messageId":"123"}',
        )

    def test_track(self) -> None:
        """The expected JSON of a track call for an anonymous user."""
        message = Track(
            user=User(anonymous_id="foo"), event="Foo", properties={"baz": "quux", "foo": "bar"}
        )
        self.assertEqual(
            self.written(message),
            '{"type":"track","anonymousId":"foo","event":"Foo",'
            '"properties":{"baz":"quux","foo":"bar"}}',
        )

    def test_page_and_screen(self) -> None:
        """The expected JSON of page and screen calls for a user with both ids."""
        for kind, name in ((Page, "page"), (Screen, "screen")):
            message = kind(user=BOTH, name="Foo", properties={"foo": "bar"})
            self.assertEqual(
                self.written(message),
                f'{{"type":"{name}","userId":"foo","anonymousId":"bar","name":"Foo",'
                '"properties":{"foo":"bar"}}',
            )

    def test_group(self) -> None:
        """The expected JSON of a group call."""
        self.assertEqual(
            self.written(Group(user=FOO, group_id="bar", traits={"foo": "bar"})),
            '{"type":"group","userId":"foo","groupId":"bar","traits":{"foo":"bar"}}',
        )

    def test_alias(self) -> None:
        """The expected JSON of an alias call, which has neither properties nor traits."""
        self.assertEqual(
            self.written(Alias(user=FOO, previous_id="bar")),
            '{"type":"alias","userId":"foo","previousId":"bar"}',
        )

    def test_batch(self) -> None:
        """The expected JSON of a batch: each call has a type, and the batch has none."""
        message = Batch(
            [
                Track(user=FOO, event="Foo"),
                Track(user=User(user_id="bar"), event="Bar"),
                Identify(user=FOO),
            ],
            context={"foo": "bar"},
        )
        self.assertEqual(
            self.written(message),
            '{"batch":[{"type":"track","userId":"foo","event":"Foo","properties":{}},'
            '{"type":"track","userId":"bar","event":"Bar","properties":{}},'
            '{"type":"identify","userId":"foo","traits":{}}],"context":{"foo":"bar"}}',
        )

    def test_everything(self) -> None:
        """Every common field is written under its wire name and in the expected place."""
        self.assertEqual(
            self.written(Track(event="Foo", **EVERYTHING)),
            '{"type":"track","userId":"foo","anonymousId":"bar","event":"Foo","properties":{},'
            '"timestamp":"2026-11-23T08:00:00.123Z","context":{"ip":"192.0.2.1"},'
            '"integrations":{"All":false},"messageId":"m-1","channel":"server"}',
        )

    def test_absent(self) -> None:
        """None is left out, except for properties and traits, which become an empty object."""
        self.assertEqual(
            self.written(Page(user=FOO, properties=None)),
            '{"type":"page","userId":"foo","properties":{}}',
        )
        self.assertEqual(
            self.written(Identify(user=FOO, traits=None)),
            '{"type":"identify","userId":"foo","traits":{}}',
        )

    def test_type_first(self) -> None:
        """`type` is the first key of every call."""
        for message in CALLS:
            self.assertEqual(next(iter(message.to_dict())), "type")
            self.assertEqual(message.to_dict()["type"], message.type)


class TestReading(unittest.TestCase):
    def test_round_trip(self) -> None:
        """All six calls can be read back from their wire form, including with both ids."""
        for message in CALLS:
            for one in (message, dataclasses.replace(message, **EVERYTHING)):
                with self.subTest(one=one):
                    again = Message.from_dict(one.to_dict())
                    self.assertEqual(again, one)
                    self.assertIs(type(again), type(one))

    def test_batch_round_trip(self) -> None:
        """A batch can be read back from its wire form."""
        batch = Batch(CALLS, context={"ip": "192.0.2.1"}, integrations={"All": True})
        again = Message.from_dict(batch.to_dict())
        self.assertEqual(again, batch)
        self.assertIsInstance(again, Batch)

    def test_without_type(self) -> None:
        """A missing type is inferred from the fields, except for page and screen calls."""
        for message in CALLS:
            form = message.to_dict()
            del form["type"]
            with self.subTest(type=message.type):
                if isinstance(message, (Page, Screen)):
                    with self.assertRaises(InvalidMessage):
                        Message.from_dict(form)
                else:
                    self.assertEqual(Message.from_dict(form), message)

    def test_nulls(self) -> None:
        """null counts as absent, because other SDKs write it for an absent id or name."""
        form = {
            "type": "page", "userId": "foo", "anonymousId": None, "name": None, "category": None,
            "context": None, "properties": None, "timestamp": None,
        }  # fmt: skip
        self.assertEqual(Message.from_dict(form), Page(user=FOO))

    def test_unknown_keys(self) -> None:
        """Unknown keys are read as `extra`."""
        form = {"type": "alias", "userId": "foo", "previousId": "bar", "channel": "server"}
        self.assertEqual(
            Message.from_dict(form),
            Alias(user=FOO, previous_id="bar", extra={"channel": "server"}),
        )

    def test_not_a_message(self) -> None:
        """Anything that is not a message is refused with InvalidMessage."""
        for form in each(
            None, [], "x", 7, {}, {"type": None}, {"type": "trackk"}, {"type": 7}, {"type": []},
            {"type": "batch"}, {"batch": None}, {"batch": 7}, {"batch": "xy"}, {"batch": {}},
            {"batch": []}, {"batch": [None]}, {"batch": [{}]}, {"batch": [{"batch": []}]},
            {"type": "track", "event": "x"}, {"type": "track", "userId": "x"},
        ):  # fmt: skip
            with self.subTest(form=form), self.assertRaises(InvalidMessage):
                Message.from_dict(form)

    scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
    objects = st.dictionaries(st.text(max_size=5), scalars | st.lists(scalars), max_size=4)

    @given(
        properties=objects,
        context=st.none() | objects.filter(bool),
        event=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
        when=st.none() | st.datetimes(timezones=st.just(UTC)),
    )
    @settings(max_examples=100, deadline=None)
    def test_any_track(
        self, properties: Any, context: Any, event: str, when: datetime | None
    ) -> None:
        """Any valid track call equals the original after it is read back."""
        if event == CONSENT_EVENT:
            return
        message = Track(
            user=FOO, event=event, properties=properties, context=context, timestamp=when
        )
        self.assertEqual(Message.from_dict(message.to_dict()), message)

    @given(
        st.dictionaries(
            st.sampled_from(
                ["type", "userId", "anonymousId", "event", "properties", "traits", "name", "batch",
                 "category", "groupId", "previousId", "timestamp", "context", "messageId", "x"]
            ),
            st.sampled_from(
                ["", "x", "track", "page", None, 7, True, 1.5, [], {}, [1], {"a": 1}, b"x",
                 "2026-11-23T08:00:00Z", 10**30, float("nan"), object(), "group", "identify"]
            ),
        )
    )  # fmt: skip
    @settings(max_examples=300, deadline=None)
    def test_any_form(self, form: Any) -> None:
        """Any object can be read and written back, or is refused with InvalidMessage."""
        try:
            message = Message.from_dict(form)
        except InvalidMessage:
            return
        form = message.to_dict()
        self.assertEqual(Message.from_dict(form).to_dict(), form)

    def test_plain(self) -> None:
        """The written form is plain JSON data. Changing it does not change the message."""
        properties = {"at": date(2026, 11, 23), "ratio": math.nan, "sizes": (1, 2)}
        message = Track(user=User(user_id="u"), event="Signup", properties=properties)
        form = message.to_dict()
        self.assertEqual(form["properties"], {"at": "2026-11-23", "ratio": None, "sizes": [1, 2]})
        form["properties"].clear()
        self.assertEqual(len(message.to_dict()["properties"]), 3)


class TestValues(unittest.TestCase):
    def test_frozen(self) -> None:
        """No field can be set or added."""
        for message in (*CALLS, FOO, Batch(CALLS)):
            for name in ("user", "context", "user_id", "unheard_of"):
                with self.assertRaises((AttributeError, TypeError), msg=f"{message!r} {name}"):
                    setattr(message, name, "x")

    def test_slotted(self) -> None:
        """Messages have no `__dict__`."""
        for message in (*CALLS, FOO, Batch(CALLS)):
            self.assertFalse(hasattr(message, "__dict__"), type(message).__name__)

    def test_keyword_only(self) -> None:
        """Fields must be passed by name."""
        for kind in (User, Identify, Track, Page, Screen, Group, Alias):
            with self.assertRaises(TypeError):
                kind("foo")  # type: ignore[call-arg, arg-type]

    def test_equality(self) -> None:
        """Messages with equal fields are equal, but not to messages of another type."""
        self.assertEqual(a_track(), a_track())
        self.assertNotEqual(a_track(), a_track("Login"))
        self.assertNotEqual(Page(user=FOO, name="a"), Screen(user=FOO, name="a"))
        self.assertNotEqual(Batch(CALLS), Batch(CALLS, context={"a": 1}))
        self.assertNotEqual(Batch(CALLS), list(CALLS))

    def test_copies(self) -> None:
        """Messages can be copied, pickled and passed to `dataclasses.replace`."""
        for message in (*CALLS, FOO):
            self.copied(message)
        self.assertEqual(dataclasses.replace(a_track("a"), event="b"), a_track("b"))

    def test_batch_copies(self) -> None:
        """Batches can be copied and pickled."""
        self.copied(Batch(CALLS, context={"a": 1}))

    def copied(self, value: object) -> None:
        self.assertEqual(copy.copy(value), value)
        self.assertEqual(copy.deepcopy(value), value)
        self.assertEqual(pickle.loads(pickle.dumps(value)), value)

    def test_union(self) -> None:
        """All seven types are instances of `Message`."""
        for message in (*CALLS, Batch(CALLS)):
            self.assertIsInstance(message, Message)

    def test_ids_are_kept_as_text(self) -> None:
        """A number given as a group id or previous id is stored as text."""
        group: Any = Group(user=FOO, group_id=7)  # type: ignore[arg-type]
        self.assertEqual(group, Group(user=FOO, group_id="7"))
        alias: Any = Alias(user=FOO, previous_id=7)  # type: ignore[arg-type]
        self.assertEqual(alias, Alias(user=FOO, previous_id="7"))

    def test_user_is_a_user(self) -> None:
        """A bare id is refused where a User is expected."""
        with self.assertRaises(InvalidMessage) as caught:
            Track(user="foo", event="Foo")  # type: ignore[arg-type]
        self.assertEqual(caught.exception.field, "user")


class TestTimestamp(unittest.TestCase):
    def kept(self, value: Any) -> Any:
        return a_track(timestamp=value).timestamp

    def test_kept_in_utc(self) -> None:
        """A timestamp is stored in UTC and whole milliseconds, as in Segment."""
        north = timezone(timedelta(hours=2))
        moment = datetime(2026, 11, 23, 10, 0, 0, 123_999, north)
        self.assertEqual(self.kept(moment), WHEN)
        self.assertEqual(self.kept(moment).tzinfo, UTC)

    def test_text(self) -> None:
        """ISO 8601 text is accepted with `Z` or with an offset."""
        for text in (
            "2026-11-23T08:00:00.123Z", "2026-11-23T10:00:00.123+02:00",
            "2026-11-23 08:00:00.123456+00:00", "2026-11-23T08:00:00.123z",
            "2026-11-23 08:00:00.123 UTC", "2026-11-23 10:00:00.123 +02:00",
        ):  # fmt: skip
            self.assertEqual(self.kept(text), WHEN, text)

    def test_date(self) -> None:
        """A date is accepted like its text, as midnight in UTC."""
        midnight = datetime(2026, 11, 23, tzinfo=UTC)
        for value in each(date(2026, 11, 23), "2026-11-23"):
            self.assertEqual(self.kept(value), midnight)

    def test_naive(self) -> None:
        """A naive datetime is local time, not UTC."""
        naive = datetime(2026, 7, 1, 12)
        self.assertEqual(self.kept(naive), naive.astimezone(UTC))

    def test_garbage(self) -> None:
        """An invalid timestamp is refused, since Segment would use the time of arrival."""
        for value in each("", "soon", "2026-13-01", "Z", True, [], {}, b"2026", float("nan"),
                      float("inf"), 1e30, -1e30):  # fmt: skip
            with self.subTest(value=value):
                with self.assertRaises(InvalidMessage) as caught:
                    a_track(timestamp=value)
                self.assertEqual(caught.exception.field, "timestamp")

    def test_edges(self) -> None:
        """`datetime.max` and `datetime.min`, which often mean "never", are accepted."""
        for moment in (datetime.max, datetime.min):
            self.assertIsInstance(self.kept(moment), datetime)


class TestImports(unittest.TestCase):
    def test_batch_with_nothing_else(self) -> None:
        """A batch can be read by a program that imports only `Message`."""
        program = (
            "import json; from segment_logging import Message\n"
            "call = {'type': 'track', 'userId': 'u', 'event': 'e'}\n"
            "print(json.dumps(len(Message.from_dict({'batch': [call]}).batch)))"
        )
        self.assertEqual(run_python(program), 1)
