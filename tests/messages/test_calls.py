"""Messages as values."""

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
"""One of each."""


class TestUser(unittest.TestCase):
    def test_str(self) -> None:
        """A user's text is the user id, else the anonymous id."""
        self.assertEqual(str(FOO), "foo")
        self.assertEqual(str(User(anonymous_id="bar")), "bar")
        self.assertEqual(str(BOTH), "foo")

    def test_nobody(self) -> None:
        """A user without any id is refused."""
        with self.assertRaises(InvalidMessage) as caught:
            User()
        self.assertEqual(caught.exception.field, "user_id")

    def test_ids_are_text(self) -> None:
        """An id that is empty or no text is refused, by its name, also beside a good one."""
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
        """The golden identify: type first, and an extra key at the top level."""
        message = Identify(
            user=FOO, traits={"baz": "quux", "foo": "bar"}, extra={"messageId": "123"}
        )
        self.assertEqual(
            self.written(message),
            '{"type":"identify","userId":"foo","traits":{"baz":"quux","foo":"bar"},'
            '"messageId":"123"}',
        )

    def test_track(self) -> None:
        """The golden track, of an anonymous user."""
        message = Track(
            user=User(anonymous_id="foo"), event="Foo", properties={"baz": "quux", "foo": "bar"}
        )
        self.assertEqual(
            self.written(message),
            '{"type":"track","anonymousId":"foo","event":"Foo",'
            '"properties":{"baz":"quux","foo":"bar"}}',
        )

    def test_page_and_screen(self) -> None:
        """The golden page and screen, of a user with both ids."""
        for kind, name in ((Page, "page"), (Screen, "screen")):
            message = kind(user=BOTH, name="Foo", properties={"foo": "bar"})
            self.assertEqual(
                self.written(message),
                f'{{"type":"{name}","userId":"foo","anonymousId":"bar","name":"Foo",'
                '"properties":{"foo":"bar"}}',
            )

    def test_group(self) -> None:
        """The golden group."""
        self.assertEqual(
            self.written(Group(user=FOO, group_id="bar", traits={"foo": "bar"})),
            '{"type":"group","userId":"foo","groupId":"bar","traits":{"foo":"bar"}}',
        )

    def test_alias(self) -> None:
        """The golden alias: no properties, no traits."""
        self.assertEqual(
            self.written(Alias(user=FOO, previous_id="bar")),
            '{"type":"alias","userId":"foo","previousId":"bar"}',
        )

    def test_batch(self) -> None:
        """The golden batch: each call has its type, the batch has none."""
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
        """Every common field has its name and its place."""
        self.assertEqual(
            self.written(Track(event="Foo", **EVERYTHING)),
            '{"type":"track","userId":"foo","anonymousId":"bar","event":"Foo","properties":{},'
            '"timestamp":"2026-11-23T08:00:00.123Z","context":{"ip":"192.0.2.1"},'
            '"integrations":{"All":false},"messageId":"m-1","channel":"server"}',
        )

    def test_absent(self) -> None:
        """What is None is left out, but properties and traits, which become an empty object."""
        self.assertEqual(
            self.written(Page(user=FOO, properties=None)),
            '{"type":"page","userId":"foo","properties":{}}',
        )
        self.assertEqual(
            self.written(Identify(user=FOO, traits=None)),
            '{"type":"identify","userId":"foo","traits":{}}',
        )

    def test_type_first(self) -> None:
        """Whatever the call, `type` stands first."""
        for message in CALLS:
            self.assertEqual(next(iter(message.to_dict())), "type")
            self.assertEqual(message.to_dict()["type"], message.type)


class TestReading(unittest.TestCase):
    def test_round_trip(self) -> None:
        """A message read from its wire form is the message, for all six, with both ids."""
        for message in CALLS:
            for one in (message, dataclasses.replace(message, **EVERYTHING)):
                with self.subTest(one=one):
                    again = Message.from_dict(one.to_dict())
                    self.assertEqual(again, one)
                    self.assertIs(type(again), type(one))

    def test_batch_round_trip(self) -> None:
        """So is a batch."""
        batch = Batch(CALLS, context={"ip": "192.0.2.1"}, integrations={"All": True})
        again = Message.from_dict(batch.to_dict())
        self.assertEqual(again, batch)
        self.assertIsInstance(again, Batch)

    def test_without_type(self) -> None:
        """What only one call has tells which it is; a page or a screen cannot be told apart."""
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
        """Other SDKs write null for an absent id or name: it counts as absent."""
        form = {
            "type": "page", "userId": "foo", "anonymousId": None, "name": None, "category": None,
            "context": None, "properties": None, "timestamp": None,
        }  # fmt: skip
        self.assertEqual(Message.from_dict(form), Page(user=FOO))

    def test_unknown_keys(self) -> None:
        """Keys that no call has come back as extra."""
        form = {"type": "alias", "userId": "foo", "previousId": "bar", "channel": "server"}
        self.assertEqual(
            Message.from_dict(form),
            Alias(user=FOO, previous_id="bar", extra={"channel": "server"}),
        )

    def test_not_a_message(self) -> None:
        """What is no message is refused as InvalidMessage, whatever it is."""
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
        """Any valid track comes back equal."""
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
        """Any object is a message that writes itself back, or InvalidMessage; nothing else."""
        try:
            message = Message.from_dict(form)
        except InvalidMessage:
            return
        form = message.to_dict()
        self.assertEqual(Message.from_dict(form).to_dict(), form)

    def test_plain(self) -> None:
        """What is written holds only what JSON has, and is a copy: the message stays as it is."""
        properties = {"at": date(2026, 11, 23), "ratio": math.nan, "sizes": (1, 2)}
        message = Track(user=User(user_id="u"), event="Signup", properties=properties)
        form = message.to_dict()
        self.assertEqual(form["properties"], {"at": "2026-11-23", "ratio": None, "sizes": [1, 2]})
        form["properties"].clear()
        self.assertEqual(len(message.to_dict()["properties"]), 3)


class TestValues(unittest.TestCase):
    def test_frozen(self) -> None:
        """No field can be set, and none added."""
        for message in (*CALLS, FOO, Batch(CALLS)):
            for name in ("user", "context", "user_id", "unheard_of"):
                with self.assertRaises((AttributeError, TypeError), msg=f"{message!r} {name}"):
                    setattr(message, name, "x")

    def test_slotted(self) -> None:
        """No message has a dict of its own."""
        for message in (*CALLS, FOO, Batch(CALLS)):
            self.assertFalse(hasattr(message, "__dict__"), type(message).__name__)

    def test_keyword_only(self) -> None:
        """Fields are passed by name."""
        for kind in (User, Identify, Track, Page, Screen, Group, Alias):
            with self.assertRaises(TypeError):
                kind("foo")  # type: ignore[call-arg, arg-type]

    def test_equality(self) -> None:
        """Messages of equal fields are equal; of another kind they are not."""
        self.assertEqual(a_track(), a_track())
        self.assertNotEqual(a_track(), a_track("Login"))
        self.assertNotEqual(Page(user=FOO, name="a"), Screen(user=FOO, name="a"))
        self.assertNotEqual(Batch(CALLS), Batch(CALLS, context={"a": 1}))
        self.assertNotEqual(Batch(CALLS), list(CALLS))

    def test_copies(self) -> None:
        """Messages can be copied, pickled and replaced in part."""
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
        """`Message` is what all seven are."""
        for message in (*CALLS, Batch(CALLS)):
            self.assertIsInstance(message, Message)

    def test_ids_are_kept_as_text(self) -> None:
        """A number given for a group or previous id is kept as the text that is sent."""
        group: Any = Group(user=FOO, group_id=7)  # type: ignore[arg-type]
        self.assertEqual(group, Group(user=FOO, group_id="7"))
        alias: Any = Alias(user=FOO, previous_id=7)  # type: ignore[arg-type]
        self.assertEqual(alias, Alias(user=FOO, previous_id="7"))

    def test_user_is_a_user(self) -> None:
        """A bare id for a user is refused, with the way out."""
        with self.assertRaises(InvalidMessage) as caught:
            Track(user="foo", event="Foo")  # type: ignore[arg-type]
        self.assertEqual(caught.exception.field, "user")


class TestTimestamp(unittest.TestCase):
    def kept(self, value: Any) -> Any:
        return a_track(timestamp=value).timestamp

    def test_kept_in_utc(self) -> None:
        """A timestamp is kept in UTC, in whole milliseconds, as Segment keeps it."""
        north = timezone(timedelta(hours=2))
        moment = datetime(2026, 11, 23, 10, 0, 0, 123_999, north)
        self.assertEqual(self.kept(moment), WHEN)
        self.assertEqual(self.kept(moment).tzinfo, UTC)

    def test_text(self) -> None:
        """ISO 8601 text is read, with `Z` and with an offset."""
        for text in (
            "2026-11-23T08:00:00.123Z", "2026-11-23T10:00:00.123+02:00",
            "2026-11-23 08:00:00.123456+00:00", "2026-11-23T08:00:00.123z",
        ):  # fmt: skip
            self.assertEqual(self.kept(text), WHEN, text)

    def test_naive(self) -> None:
        """A naive datetime is local time, not UTC."""
        naive = datetime(2026, 7, 1, 12)
        self.assertEqual(self.kept(naive), naive.astimezone(UTC))

    def test_garbage(self) -> None:
        """What is no moment is refused: Segment would take the time of arrival instead."""
        for value in each("", "soon", "2026-13-01", "Z", True, [], {}, b"2026", float("nan"),
                      float("inf"), 1e30, -1e30):  # fmt: skip
            with self.subTest(value=value):
                with self.assertRaises(InvalidMessage) as caught:
                    a_track(timestamp=value)
                self.assertEqual(caught.exception.field, "timestamp")

    def test_edges(self) -> None:
        """People's "never" are moments."""
        for moment in (datetime.max, datetime.min):
            self.assertIsInstance(self.kept(moment), datetime)


class TestImports(unittest.TestCase):
    def test_batch_with_nothing_else(self) -> None:
        """A batch can be read by who imported no more than `Message`."""
        program = (
            "import json; from segment_logging import Message\n"
            "call = {'type': 'track', 'userId': 'u', 'event': 'e'}\n"
            "print(json.dumps(len(Message.from_dict({'batch': [call]}).batch)))"
        )
        self.assertEqual(run_python(program), 1)
