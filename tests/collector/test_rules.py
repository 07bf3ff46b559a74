"""Tests for the collector's rules, which judge a request the way Segment would."""

from __future__ import annotations

import json
import unittest
from collections.abc import Mapping
from typing import Any

from segment_logging import InvalidMessage, Message
from segment_logging._messages.wire import CALL_TYPES, CONSENT_EVENT
from segment_logging.collector import Verdict, judge


def call(**fields: Any) -> dict[str, Any]:
    """Return a valid track call. A field that is passed as `...` is removed."""
    given = {
        "type": "track",
        "userId": "u-1",
        "event": "Signup",
        "properties": {},
        "messageId": "m-1",
        "timestamp": "2026-11-23T08:00:00.000Z",
        "context": {"library": {"name": "test"}},
        **fields,
    }
    return {key: value for key, value in given.items() if value is not ...}


def judge_batch(*calls: Any, **fields: Any) -> Verdict:
    """Return the verdict on a batch of these calls."""
    body = {"batch": list(calls), "sentAt": "2026-11-23T08:00:01.000Z", **fields}
    return judge("/v1/batch", json.dumps(body).encode())


def code_of(**fields: Any) -> str | None:
    """Return the discard code of a call in a batch."""
    return judge_batch(call(**fields)).judged[0].code


def warnings_of(**fields: Any) -> str:
    """Return the warnings about a call in a batch, joined into one string."""
    return "; ".join(judge_batch(call(**fields)).judged[0].warnings)


class Refusals(unittest.TestCase):
    """Requests that are not answered with 200."""

    def test_unreadable_json(self) -> None:
        """A body that is not a JSON object is answered with 400."""
        for body in (
            b"",
            b"{",
            b"[]",
            b"\xff",
            b"1",
            b'{"a":NaN}',
            b'{"a":-Infinity}',
            b"[" * 99999,
        ):
            with self.subTest(body=body[:12]):
                self.assertEqual(judge("/v1/track", body).status, 400)

    def test_nan_is_named(self) -> None:
        """If a body is invalid because of a NaN, the reason mentions it."""
        self.assertIn("NaN", judge("/v1/batch", b'{"batch":[{"a":NaN}]}').reason or "")

    def test_large_call(self) -> None:
        """A call above 32 KB is answered with 400."""
        self.assertEqual(
            judge("/v1/track", json.dumps(call(event="x" * 32_000)).encode()).status, 400
        )

    def test_large_call_in_batch(self) -> None:
        """If one call is above 32 KB, the whole batch is answered with 400."""
        verdict = judge_batch(call(), call(event="x" * 32_000))
        self.assertEqual((verdict.status, verdict.message_count), (400, 2))

    def test_batch_above_a_call(self) -> None:
        """A batch may exceed 32 KB if none of its calls does."""
        self.assertEqual(judge_batch(*[call(event="x" * 20_000)] * 3).status, 200)

    def test_large_body(self) -> None:
        """A body above 500 KB is answered with 400."""
        self.assertEqual(judge_batch(*[call(event="x" * 25_000)] * 20).status, 400)

    def test_unknown_path(self) -> None:
        """An unknown path is answered with 404."""
        self.assertEqual(judge("/v1/tracks", b"{}").status, 404)


class Discards(unittest.TestCase):
    """Calls that are answered with 200 but dropped."""

    def test_faultless(self) -> None:
        """A valid call is accepted without warnings."""
        self.assertEqual((code_of(), warnings_of()), (None, ""))

    def test_codes(self) -> None:
        """Each of Segment's rules has its own discard code."""
        cases: list[tuple[Mapping[str, Any], str | None]] = [
            ({"userId": ...}, "no_user_anon_id"),
            ({"userId": None}, "no_user_anon_id"),
            ({"userId": 17}, "id_not_string"),
            ({"userId": ""}, "id_not_string"),
            ({"anonymousId": 17}, "id_not_string"),
            ({"anonymousId": None}, None),
            ({"event": ...}, "event_not_defined"),
            ({"event": ""}, "event_not_defined"),
            ({"event": 5}, "event_not_string"),
            ({"properties": [1]}, "properties_not_object"),
            ({"properties": ...}, None),
            ({"type": "identify", "traits": "x"}, "traits_not_object"),
            ({"type": "group", "groupId": "g", "traits": []}, "traits_not_object"),
            ({"type": "page", "name": ""}, "name_not_string"),
            ({"type": "page", "name": None}, None),
            ({"type": "screen", "category": 1}, "category_not_string"),
            ({"type": "alias", "previousId": "a", "properties": 1}, None),
            ({"type": ...}, "type_missing"),
            ({"type": "tracks"}, "type_unknown"),
            ({"type": []}, "type_unknown"),
        ]
        for fields, code in cases:
            with self.subTest(fields=fields):
                self.assertEqual(code_of(**fields), code)

    def test_consent(self) -> None:
        """Only the consent event is checked for a valid consent object."""
        cases: list[tuple[Mapping[str, Any], str | None]] = [
            ({}, "consent_categorypreferences_should_exist"),
            ({"consent": {}}, "consent_categorypreferences_should_exist"),
            (
                {"consent": {"categoryPreferences": []}},
                "consent_categorypreferences_should_be_object",
            ),
            (
                {"consent": {"categoryPreferences": {"a": 1}}},
                "consent_categorypreferences_fields_should_be_bool",
            ),
            (
                {"consent": {"categoryPreferences": {"a": True}, "version": "2"}},
                "consent_version_should_be_number",
            ),
            (
                {"consent": {"categoryPreferences": {}}, "device": {"advertisingId": 1}},
                "device_advertisingid_should_be_string",
            ),
            ({"consent": {"categoryPreferences": {"a": True}, "version": 2}}, None),
        ]
        for context, code in cases:
            with self.subTest(context=context):
                self.assertEqual(code_of(event=CONSENT_EVENT, context=context), code)
        self.assertIsNone(code_of(context={"consent": {"categoryPreferences": 1}}))

    def test_consent_of_the_batch(self) -> None:
        """The consent object may be in the batch's context."""
        consent = {"consent": {"categoryPreferences": {"a": True}}}
        verdict = judge_batch(call(event=CONSENT_EVENT), context=consent)
        self.assertIsNone(verdict.judged[0].code)

    def test_only_the_bad(self) -> None:
        """Invalid calls in a batch do not affect the other calls."""
        verdict = judge_batch(call(), "no call", call(userId=1))
        self.assertEqual(
            [one.code for one in verdict.judged], [None, "type_missing", "id_not_string"]
        )

    def test_empty_batch(self) -> None:
        """A batch without calls is answered with 200 and has the code `empty_batch`."""
        for body in (b"{}", b'{"batch":[]}', b'{"batch":5}'):
            with self.subTest(body=body):
                verdict = judge("/v1/batch", body)
                self.assertEqual((verdict.status, verdict.code), (200, "empty_batch"))

    def test_too_many(self) -> None:
        """All calls of a batch with more than 2,500 calls are dropped."""
        small = {"type": "track", "userId": "u", "event": "e"}
        self.assertEqual({one.code for one in judge_batch(*[small] * 2_500).judged}, {None})
        self.assertEqual(
            {one.code for one in judge_batch(*[small] * 2_501).judged}, {"too_many_messages"}
        )

    def test_agrees_with_the_package(self) -> None:
        """The package writes only messages that Segment accepts."""
        values: list[Any] = ["x", "", 5, None, {}, {"a": 1}, [], True]
        keys = ("userId", "event", "name", "category", "properties", "traits", "groupId")
        for call_type in CALL_TYPES:
            base = {"type": call_type, "anonymousId": "a", "event": "e", "groupId": "g"}
            for key in keys:
                for value in values:
                    form = {**base, "previousId": "p", key: value}
                    form = {k: v for k, v in form.items() if k in _FIELDS[call_type]}
                    with self.subTest(form=form):
                        dropped = judge_batch(form).judged[0].code is not None
                        try:
                            written = Message.from_dict(form).to_dict()
                        except InvalidMessage:
                            continue
                        self.assertFalse(dropped)
                        self.assertIsNone(judge_batch(written).judged[0].code)


_USER = {"type", "userId", "anonymousId"}


_FIELDS = {
    "identify": _USER | {"traits"},
    "track": _USER | {"event", "properties"},
    "page": _USER | {"name", "category", "properties"},
    "screen": _USER | {"name", "category", "properties"},
    "group": _USER | {"groupId", "traits"},
    "alias": _USER | {"previousId"},
}


class Warnings(unittest.TestCase):
    """Calls that are accepted but probably wrong."""

    def test_warnings(self) -> None:
        """Each probable mistake has its own warning."""
        cases: list[tuple[Mapping[str, Any], str]] = [
            ({"messageId": ...}, "messageId is missing"),
            ({"messageId": "x" * 101}, "messageId has 101 characters"),
            ({"messageId": 5}, "messageId is not text"),
            ({"timestamp": "yesterday"}, "timestamp is not ISO 8601"),
            ({"timestamp": 1700000000}, "timestamp is not ISO 8601"),
            ({"timestamp": "2026-13-01T00:00:00Z"}, "timestamp is not ISO 8601"),
            ({"timestamp": "2026-11-23T08:00:00"}, "timestamp has no time zone"),
            ({"timestamp": "1969-12-31T08:00:00Z"}, "timestamp is before 1970"),
            ({"userId": "ada@example.com"}, "userId looks like an e-mail address"),
            ({"userId": "a.b@mail.example.co.uk"}, "userId looks like an e-mail address"),
            ({"type": "alias"}, "previousId is missing"),
            ({"type": "group"}, "groupId is missing"),
            ({"type": "group", "groupId": "g" * 501}, "groupId has 501 characters"),
            ({"context": ...}, "context.library is missing"),
            ({"context": 5}, "context is not an object"),
            ({"integrations": {"all": False}}, '"All"'),
            ({"properties": None}, "properties is null"),
            ({"properties": {str(n): n for n in range(301)}}, "properties has 301 keys"),
            ({"properties": {"revenue": "29.00"}}, "revenue is not a number"),
            ({"properties": {"value": True}}, "value is not a number"),
            ({"properties": {"currency": "euro"}}, "currency is not a three-letter code"),
        ]
        for fields, text in cases:
            with self.subTest(fields=fields):
                self.assertIn(text, warnings_of(**fields))

    def test_good_moments(self) -> None:
        """Any ISO 8601 timestamp with a time zone is accepted, down to nanoseconds."""
        for text in ("2026-11-23T08:00Z", "2026-11-23T08:00:00.123456789+01:00"):
            with self.subTest(text=text):
                self.assertEqual(warnings_of(timestamp=text), "")

    def test_repeated_id(self) -> None:
        """If a message id arrives twice, the second call gets a warning."""
        first, second = judge_batch(call(), call()).judged
        self.assertEqual(first.warnings, ())
        self.assertIn("repeated", second.warnings[0])

    def test_sent_at(self) -> None:
        """A request without `sentAt` gets a warning."""
        self.assertIn("sentAt", judge("/v1/track", json.dumps(call()).encode()).warnings[0])


class Kept(unittest.TestCase):
    """The calls that Segment would store."""

    def test_type_of_the_path(self) -> None:
        """A single call gets its type from the path, and the request's fields are removed."""
        body = {"userId": "u", "sentAt": "2026-11-23T08:00:01Z", "writeKey": "k"}
        verdict = judge("/v1/identify", json.dumps(body).encode())
        self.assertEqual(verdict.judged[0].message, {"type": "identify", "userId": "u"})
        self.assertEqual((verdict.sent_at, verdict.write_key), ("2026-11-23T08:00:01Z", "k"))

    def test_batch_context(self) -> None:
        """A batch's context is merged into its calls."""
        verdict = judge_batch(call(), context={"app": {"name": "a"}})
        self.assertEqual(
            verdict.judged[0].message["context"],
            {"app": {"name": "a"}, "library": {"name": "test"}},
        )

    def test_import(self) -> None:
        """/v1/import is an alias of /v1/batch."""
        self.assertEqual(judge("/v1/import/", b'{"batch":[{}]}').message_count, 1)
