"""Tests for redaction, event patterns, sampling and consent."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import tempfile
import unittest
from contextlib import redirect_stderr
from pathlib import Path
from types import MappingProxyType
from typing import Any

from segment_logging import ConfigurationError, SegmentHandler, Track
from segment_logging.testing import FakeClient
from tests.builders import a_record, each, message_of, messages_of, refusal_of


def properties_of(properties: dict[str, Any], **options: Any) -> Any:
    """Return the properties that are sent in a track call."""
    record = a_record(extra={"user_id": "u", "properties": properties})
    return message_of(record, **options).to_dict()["properties"]


@dataclasses.dataclass
class Card:
    number: str
    name: str


class TestRedaction(unittest.TestCase):
    def test_any_depth(self) -> None:
        """A plain name matches the key at any depth, including in lists, and in any case."""
        sent = properties_of(
            {"password": "x", "user": {"Password": "x", "name": "Ada"}, "tries": [{"password": 1}]},
            redact=["password"],
        )
        self.assertEqual(sent, {"user": {"name": "Ada"}, "tries": [{}]})

    def test_hashed_once(self) -> None:
        """A refused event has the same hashes as a sent one, so that the two can be joined."""
        extra = {"user_id": "u", "email": "a@b", "traits": {"email": "a@b"}, "event": "E"}
        with tempfile.TemporaryDirectory() as directory, redirect_stderr(io.StringIO()):
            letters = Path(directory, "letters")
            handler = SegmentHandler("key", dead_letters=letters, hashed=["email"])
            handler.handle(a_record(extra={**extra, "user_id": "", "group_id": True}))
            handler.close()
            told = json.loads(letters.read_text())["message"]
        expected = hashlib.sha256(b"a@b").hexdigest()
        self.assertEqual((told["email"], told["traits"]["email"]), (expected, expected))
        self.assertIs(told["group_id"], True)

    def test_only_in_another_case(self) -> None:
        """A key is redacted even if it only occurs with other capitalization."""
        self.assertEqual(properties_of({"PassWord": "x", "a": 1}, redact=["password"]), {"a": 1})

    def test_other_ways_to_write_a_letter(self) -> None:
        """Keys and patterns are compared in one form of Unicode, whatever form either has."""
        composed, decomposed = "pr\u00e9nom", "pre\u0301nom"
        for key, pattern in (
            (composed, decomposed),
            (decomposed, composed),
            (decomposed.upper(), composed),
            ("\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44", "password"),  # full width
            ("pa\u017f\u017fword", "password"),  # long s
            ("\u212aey", "key"),  # the sign for kelvin
            ("pass\u200bword", "password"),  # a space without width
            ("STRASSE", "stra\u00dfe"),
            ("a.b", "\uff41.b"),
        ):
            with self.subTest(key=key, pattern=pattern):
                self.assertEqual(properties_of({key: "SECRET"}, redact=[pattern]), {})
                self.assertEqual(properties_of({"x": {key: 1}}, redact=[f"x.{pattern}"]), {"x": {}})
                sent = properties_of({key: "SECRET"}, hashed=[pattern])
                self.assertNotIn("SECRET", str(sent))

    def test_not_the_object_itself(self) -> None:
        """A pattern only matches keys inside the objects that Segment needs, such as
        `properties`."""
        for options in ({"redact": ["properties"]}, {"hashed": ["p*"]}, {"hashed": ["*"]}):
            self.assertIsInstance(properties_of({"plan": "pro"}, **options), dict)

    def test_path(self) -> None:
        """A path matches the end of a key's own path, and `*` matches any one key."""
        properties = {"card": {"number": 1, "name": "n"}, "number": 2, "a": {"b": {"number": 3}}}
        self.assertEqual(
            properties_of(properties, redact=["card.number"]),
            {"card": {"name": "n"}, "number": 2, "a": {"b": {"number": 3}}},
        )
        self.assertEqual(
            properties_of(properties, redact=["b.*"]),
            {"card": {"number": 1, "name": "n"}, "number": 2, "a": {"b": {}}},
        )
        self.assertEqual(
            properties_of(properties, redact=["*.number"]), {"card": {"name": "n"}, "a": {"b": {}}}
        )

    def test_part_of_a_name(self) -> None:
        """A pattern may match the beginning or end of a key, like an event pattern does."""
        properties = {"password": 1, "Passphrase": 1, "compass": 1, "card": {"pass_code": 1}}
        self.assertEqual(properties_of(properties, redact=["pass*"]), {"compass": 1, "card": {}})
        self.assertEqual(
            properties_of({"a_pin": 1, "b": {"b_pin": 1}}, redact=["b.?_pin"]),
            {"a_pin": 1, "b": {}},
        )

    def test_names_with_dots(self) -> None:
        """A key that contains dots is treated as a path."""
        properties = {"user.password": 1, "user": {"password": 1, "name": "Ada"}, "a.b": 1}
        for pattern in ("password", "user.password", "User.Pass*"):
            with self.subTest(pattern=pattern):
                self.assertEqual(
                    properties_of(properties, redact=[pattern]), {"user": {"name": "Ada"}, "a.b": 1}
                )

    def test_pattern_of_nothing(self) -> None:
        """A pattern that cannot match any key is refused at startup."""
        for pattern in ("a..b", ".a", "a.", "."):
            for option in ("redact", "hashed"):
                with self.assertRaisesRegex(ConfigurationError, "matches no key"):
                    SegmentHandler("key", **{option: [pattern]})  # type: ignore[arg-type]

    def test_names_of_any_kind(self) -> None:
        """Names that JSON escapes, or that have no simple upper and lower case, are matched."""
        for name in ("İsim", 'pa"ss', "b\\s", "straße", "Имя", "a|b", "x.*"[:1]):
            with self.subTest(name=name):
                self.assertEqual(
                    properties_of({name: 1, "plan": "pro"}, redact=[name]), {"plan": "pro"}
                )

    def test_context(self) -> None:
        """`context.ip` matches the one in the context, not a property with that name."""
        record = a_record(
            extra={"user_id": "u", "context": {"ip": "10.0.0.1", "os": {}}, "properties": {"ip": 1}}
        )
        form = message_of(record, redact=["context.ip"]).to_dict()
        self.assertNotIn("ip", form["context"])
        self.assertEqual(form["properties"], {"ip": 1})

    def test_values_of_any_kind(self) -> None:
        """Keys are found in dataclasses, mappings and other values that are written as objects."""
        for value in each(
            Card("4111", "Ada"), MappingProxyType({"number": "4111", "name": "Ada"}),
            {b"number": "4111", "name": "Ada"},
        ):  # fmt: skip
            sent = properties_of({"card": value}, redact=["number"])
            self.assertEqual(sent, {"card": {"name": "Ada"}})

    def test_traits_and_loose_extras(self) -> None:
        """Traits and loose extras are redacted, too."""
        record = a_record(extra={"user_id": "u", "traits": {"email": "a@b.c"}, "ssn": "1"})
        sent = message_of(record, redact=["email", "ssn"]).to_dict()
        self.assertEqual(sent["traits"], {})

    def test_hashed(self) -> None:
        """A hashed value is the SHA-256 of its text. None stays None."""
        sent = properties_of(
            {"email": "a@b.c", "phone": 17, "name": None}, hashed=["email", "phone", "name"]
        )
        self.assertEqual(
            sent,
            {
                "email": hashlib.sha256(b"a@b.c").hexdigest(),
                "phone": hashlib.sha256(b"17").hexdigest(),
                "name": None,
            },
        )

    def test_what_segment_needs(self) -> None:
        """The fields that Segment needs are not redacted."""
        record = a_record(
            extra={"user_id": "u", "properties": {"event": 1, "type": 2, "userId": 3}}
        )
        message = message_of(record, redact=["event", "type", "userId", "properties.x"])
        self.assertEqual((message.event, message.user.user_id), ("Signup", "u"))
        self.assertEqual(message.properties, {})

    def test_after_before_send(self) -> None:
        """Values that `before_send` adds are redacted, too."""

        def add(message: Any) -> Any:
            return dataclasses.replace(message, properties={"password": "x", "plan": "pro"})

        self.assertEqual(properties_of({}, before_send=add, redact=["password"]), {"plan": "pro"})

    def test_nowhere(self) -> None:
        """Redacted values never reach the journal, the dead letters or stderr."""
        with tempfile.TemporaryDirectory() as directory, redirect_stderr(io.StringIO()) as stderr:
            handler = SegmentHandler(
                "key",
                client=FakeClient(lambda message: 400),
                journal=directory,
                redact=["password", "properties.card.pin", "traits.email"],
            )
            cycle: list[Any] = []
            cycle.append(cycle)
            secret = {"password": "hunter2", "deep": [{"password": "hunter2"}]}
            for extra in (
                {"user_id": "u", "properties": secret},
                {"user_id": "", "properties": secret},
                {"user_id": "u", "properties": {**secret, "long": "x" * 40_000}},
                {"user_id": "u", "event": 7, "password": "hunter2"},
                {"user_id": "u", "properties": '{"password": "hunter2"}'},
                {"user_id": "", "traits": {"email": "hunter2"}},
                {"user_id": "u", "type": "no call", "card": {"pin": "hunter2"}, "email": "hunter2"},
                {"user_id": "u", "group_id": [], "Password": "hunter2"},
                {"user_id": "u", "password": "hunter2", "cycle": cycle},
            ):
                handler.handle(a_record(extra=extra))
            written = [path.read_text() for path in Path(directory).rglob("*.jsonl")]
            handler.drain(10)
            handler.close()
            written += [path.read_text() for path in Path(directory).rglob("*.jsonl")]
        self.assertEqual(handler.counts().invalid, 8)
        self.assertGreater(len(written), 1)
        for text in (*written, stderr.getvalue()):
            self.assertNotIn("hunter2", text)
        letters = [json.loads(line) for line in written[-1].splitlines()]
        self.assertEqual(len(letters), 9)


class TestSelection(unittest.TestCase):
    def names(self, *records: Any, **options: Any) -> list[str]:
        return [
            getattr(one, "event", None) or getattr(one, "name", None) or one.type
            for one in messages_of(*records, **options)
        ]

    def records(self) -> list[Any]:
        return [
            a_record("Order Completed", extra={"user_id": "u"}),
            a_record("Debug Click", extra={"user_id": "u"}),
            a_record("Pricing", extra={"user_id": "u", "type": "page"}),
            a_record("x", extra={"user_id": "u", "traits": {}}),
        ]

    def test_deny(self) -> None:
        """Denied names are ignored. An identify call has no name, so it is sent."""
        self.assertEqual(
            self.names(*self.records(), deny_events=["Debug *", "Pric?ng"]),
            ["Order Completed", "identify"],
        )

    def test_allow(self) -> None:
        """With `allow_events`, other events are ignored, and `deny_events` still applies."""
        self.assertEqual(self.names(*self.records(), allow_events=["Order *"]),
                         ["Order Completed", "identify"])  # fmt: skip
        self.assertEqual(
            self.names(*self.records(), allow_events=["*"], deny_events=["Order *"]),
            ["Debug Click", "Pricing", "identify"],
        )
        self.assertEqual(self.names(*self.records(), allow_events=[]), ["identify"])

    def test_after_before_send(self) -> None:
        """The patterns apply to the name that `before_send` gives an event, too."""

        def before_send(message: Any) -> Any:
            return dataclasses.replace(message, event=message.event.replace("A", "B"))

        records = [a_record(name, extra={"user_id": "u"}) for name in ("A", "C")]
        for options in ({"deny_events": ["B"]}, {"allow_events": ["A", "C"]}):
            with self.subTest(options):
                names = self.names(*records, before_send=before_send, **options)
                self.assertEqual(names, ["C"])

    def test_ignored(self) -> None:
        """A denied event counts as ignored, not as accepted."""
        handler = SegmentHandler("key", client=FakeClient(), deny_events=["*"])
        handler.handle(a_record(extra={"user_id": "u"}))
        handler.close()
        self.assertEqual((handler.counts().ignored, handler.counts().accepted), (1, 0))

    def test_sample(self) -> None:
        """Either all or none of a user's messages are in the sample, at about the given rate."""
        records = [
            a_record(name, extra={"user_id": f"user-{number}"})
            for name in ("A", "B")
            for number in range(1_000)
        ]
        sent = messages_of(*records, sample_rate=0.3)
        users = {one.event: set() for one in sent if isinstance(one, Track)}  # type: dict[str, set[Any]]
        for one in sent:
            assert isinstance(one, Track)
            users[one.event].add(one.user.user_id)
        self.assertEqual(users["A"], users["B"])
        self.assertTrue(250 < len(users["A"]) < 350, len(users["A"]))
        self.assertEqual(len(messages_of(*records[:10], sample_rate=1)), 10)
        self.assertEqual(len(messages_of(*records[:10], sample_rate=0)), 0)

    def test_sample_is_stable(self) -> None:
        """Whether a user is in the sample depends only on the id, so this list never changes."""
        records = [a_record(extra={"user_id": f"u{number}"}) for number in range(12)]
        kept = [one.user.user_id for one in messages_of(*records, sample_rate=0.5)]
        self.assertEqual(kept, ["u2", "u3", "u5", "u6", "u9", "u10"])


class TestConsent(unittest.TestCase):
    def consent_of(self, extra: dict[str, Any] | None = None, **options: Any) -> Any:
        message = message_of(a_record(extra={"user_id": "u", **(extra or {})}), **options)
        return message.to_dict()["context"].get("consent")

    def test_fixed(self) -> None:
        """Consent categories are added to the context of every message."""
        categories = {"advertising": False, "analytics": True}
        self.assertEqual(self.consent_of(consent=categories), {"categoryPreferences": categories})

    def test_asked(self) -> None:
        """A consent callable is called for each message, in the caller's thread. None adds
        nothing."""
        self.assertEqual(
            self.consent_of(consent=lambda: {"ads": True}), {"categoryPreferences": {"ads": True}}
        )
        self.assertIsNone(self.consent_of(consent=lambda: None))

    def test_empty_answer(self) -> None:
        """An empty result is sent, because Segment reads it as no consent to anything."""
        self.assertEqual(self.consent_of(consent=dict), {"categoryPreferences": {}})

    def test_record_wins(self) -> None:
        """The record's own consent wins, category by category."""
        own = {"context": {"consent": {"categoryPreferences": {"ads": False}}}}
        self.assertEqual(
            self.consent_of(own, consent={"ads": True, "mail": True}),
            {"categoryPreferences": {"ads": False, "mail": True}},
        )

    def test_new_context(self) -> None:
        """A context that `before_send` made without consent gets that of the message."""
        record = a_record(extra={"user_id": "u"})
        for context in (None, {}, {"ip": "192.0.2.7"}, {"consent": None}):
            with self.subTest(context):
                sent = message_of(
                    record,
                    consent={"advertising": False},
                    before_send=lambda one, new=context: dataclasses.replace(one, context=new),
                ).to_dict()["context"]
                expected = {"categoryPreferences": {"advertising": False}}
                self.assertEqual(sent["consent"], expected)
                self.assertEqual(sent.get("ip"), (context or {}).get("ip"))

    def test_before_send_wins(self) -> None:
        """Consent that `before_send` sets itself stays."""
        own = {"consent": {"categoryPreferences": {"advertising": True}}}
        sent = message_of(
            a_record(extra={"user_id": "u"}),
            consent={"advertising": False},
            before_send=lambda one: dataclasses.replace(one, context=own),
        )
        self.assertEqual(sent.to_dict()["context"]["consent"], own["consent"])

    def test_empty_option(self) -> None:
        """An empty consent option is refused, since hardly anyone wants what it means."""
        for consent in each({}, {"ads": 1}, {1: True}, "ads"):
            with self.assertRaisesRegex(ConfigurationError, "consent"):
                SegmentHandler("key", consent=consent)

    def test_wrong_answer(self) -> None:
        """If the callable's result is not valid for Segment, the event is refused."""
        self.assertIn("consent", refusal_of(a_record(extra={"user_id": "u"}),
                                            consent=lambda: {"ads": "yes"}))  # fmt: skip

    def test_no_answer(self) -> None:
        """If the consent callable raises, the event becomes a dead letter."""

        def nobody_knows() -> dict[str, bool]:
            raise KeyError("secret")

        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "dead-letters.jsonl")
            client = FakeClient()
            handler = SegmentHandler("key", client=client, dead_letters=path,
                                     consent=nobody_knows)  # fmt: skip
            with redirect_stderr(io.StringIO()) as stderr:
                handler.handle(a_record("Open", extra={"anonymous_id": "a"}))
                handler.handle(a_record("Signup", extra={"user_id": "u"}))
            handler.close()
            self.assertIn("consent failed (KeyError", stderr.getvalue())
            letters = [json.loads(line) for line in path.read_text().splitlines()]
            self.assertEqual([one["message"]["event"] for one in letters], ["Open", "Signup"])


class TestOptions(unittest.TestCase):
    def test_wrong_ones(self) -> None:
        """A string in place of a list of patterns is refused, since each letter would be a
        pattern."""
        for option in ("redact", "hashed", "allow_events", "deny_events"):
            for value in each("password", [1], [""], {"a": 1}, 7):
                with self.assertRaisesRegex(ConfigurationError, option, msg=value):
                    SegmentHandler("key", **{option: value})
        for value in each(-0.1, 1.5, "1", None, True):
            with self.assertRaisesRegex(ConfigurationError, "sample_rate"):
                SegmentHandler("key", sample_rate=value)
