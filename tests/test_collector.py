"""The collector says what Segment would say, remembers what arrived, and serves nobody else."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import io
import json
import os
import subprocess
import sys
import unittest
from collections.abc import Mapping
from threading import Event, Thread
from typing import Any

from segment_logging import Batch, DeliveryError, HttpClient, InvalidMessage, Message, Track, User
from segment_logging.collector import Answer, Collector, Request, Verdict, judge
from segment_logging.collector.__main__ import main
from segment_logging.collector.lines import columns_of, printable, table
from segment_logging.collector.page import PAGE, POLICY
from segment_logging.wire import CALL_TYPES, CONSENT_EVENT


def call(**fields: Any) -> dict[str, Any]:
    """A track call with nothing to say against it; None takes a field away."""
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
    """What is said to a batch of these calls."""
    body = {"batch": list(calls), "sentAt": "2026-11-23T08:00:01.000Z", **fields}
    return judge("/v1/batch", json.dumps(body).encode())


def code_of(**fields: Any) -> str | None:
    """The discard code of one call in a batch."""
    return judge_batch(call(**fields)).judged[0].code


def warnings_of(**fields: Any) -> str:
    """The warnings about one call in a batch, as one text."""
    return "; ".join(judge_batch(call(**fields)).judged[0].warnings)


class Refusals(unittest.TestCase):
    """What is no 200."""

    def test_unreadable_json(self) -> None:
        """A body that is no JSON object is answered 400."""
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
        """The reason names the NaN that makes the body no JSON."""
        self.assertIn("NaN", judge("/v1/batch", b'{"batch":[{"a":NaN}]}').reason or "")

    def test_large_call(self) -> None:
        """A call above 32 KB is answered 400."""
        self.assertEqual(
            judge("/v1/track", json.dumps(call(event="x" * 32_000)).encode()).status, 400
        )

    def test_large_call_in_batch(self) -> None:
        """One call above 32 KB has the whole batch answered 400."""
        verdict = judge_batch(call(), call(event="x" * 32_000))
        self.assertEqual((verdict.status, verdict.message_count), (400, 2))

    def test_batch_above_a_call(self) -> None:
        """A batch above 32 KB of calls below it is fine."""
        self.assertEqual(judge_batch(*[call(event="x" * 20_000)] * 3).status, 200)

    def test_large_body(self) -> None:
        """A body above 500 KB is answered 400."""
        self.assertEqual(judge_batch(*[call(event="x" * 25_000)] * 20).status, 400)

    def test_unknown_path(self) -> None:
        """Segment has no other paths."""
        self.assertEqual(judge("/v1/tracks", b"{}").status, 404)


class Discards(unittest.TestCase):
    """What is answered 200 and dropped."""

    def test_faultless(self) -> None:
        """A faultless call is accepted without a warning."""
        self.assertEqual((code_of(), warnings_of()), (None, ""))

    def test_codes(self) -> None:
        """Each of Segment's rules has its own code."""
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
        """The consent event, and no other, is checked for its consent object."""
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
        """A consent object may stand in the batch's context."""
        consent = {"consent": {"categoryPreferences": {"a": True}}}
        verdict = judge_batch(call(event=CONSENT_EVENT), context=consent)
        self.assertIsNone(verdict.judged[0].code)

    def test_only_the_bad(self) -> None:
        """One bad call in a batch does not take the others with it."""
        verdict = judge_batch(call(), "no call", call(userId=1))
        self.assertEqual(
            [one.code for one in verdict.judged], [None, "type_missing", "id_not_string"]
        )

    def test_empty_batch(self) -> None:
        """A batch without calls is answered 200 and is nothing."""
        for body in (b"{}", b'{"batch":[]}', b'{"batch":5}'):
            with self.subTest(body=body):
                verdict = judge("/v1/batch", body)
                self.assertEqual((verdict.status, verdict.code), (200, "empty_batch"))

    def test_too_many(self) -> None:
        """A batch of more than 2,500 calls is answered 200, and all of them are dropped."""
        small = {"type": "track", "userId": "u", "event": "e"}
        self.assertEqual({one.code for one in judge_batch(*[small] * 2_500).judged}, {None})
        self.assertEqual(
            {one.code for one in judge_batch(*[small] * 2_501).judged}, {"too_many_messages"}
        )

    def test_agrees_with_the_package(self) -> None:
        """What this package would write, Segment takes; what Segment drops, it refuses to write."""
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
    """What is accepted and yet likely a mistake."""

    def test_warnings(self) -> None:
        """Each suspicion has its own sentence."""
        cases: list[tuple[Mapping[str, Any], str]] = [
            ({"messageId": ...}, "messageId is missing"),
            ({"messageId": "x" * 101}, "messageId has 101 characters"),
            ({"messageId": 5}, "messageId is not text"),
            ({"timestamp": "yesterday"}, "timestamp is not ISO 8601"),
            ({"timestamp": 1700000000}, "timestamp is not ISO 8601"),
            ({"timestamp": "2026-13-01T00:00:00Z"}, "timestamp is not ISO 8601"),
            ({"timestamp": "2026-11-23T08:00:00"}, "timestamp has no zone"),
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
            ({"properties": {str(n): n for n in range(301)}}, "301 properties"),
            ({"properties": {"revenue": "29.00"}}, "revenue is not a number"),
            ({"properties": {"value": True}}, "value is not a number"),
            ({"properties": {"currency": "euro"}}, "currency is not three letters"),
        ]
        for fields, text in cases:
            with self.subTest(fields=fields):
                self.assertIn(text, warnings_of(**fields))

    def test_good_moments(self) -> None:
        """Every ISO 8601 moment with a zone is fine, to the nanosecond."""
        for text in ("2026-11-23T08:00Z", "2026-11-23T08:00:00.123456789+01:00"):
            with self.subTest(text=text):
                self.assertEqual(warnings_of(timestamp=text), "")

    def test_repeated_id(self) -> None:
        """A message id that arrives twice is told with the second."""
        first, second = judge_batch(call(), call()).judged
        self.assertEqual(first.warnings, ())
        self.assertIn("repeated", second.warnings[0])

    def test_sent_at(self) -> None:
        """A request without sentAt is told."""
        self.assertIn("sentAt", judge("/v1/track", json.dumps(call()).encode()).warnings[0])


class Kept(unittest.TestCase):
    """What a call looks like when Segment has it."""

    def test_type_of_the_path(self) -> None:
        """A call alone has the type of its path, and loses what is the request's."""
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
        """/v1/import is another name of /v1/batch."""
        self.assertEqual(judge("/v1/import/", b'{"batch":[{}]}').message_count, 1)


TRACK = Track(user=User(user_id="u-1"), event="Signup", message_id="m-1")


class OverHttp(unittest.TestCase):
    """The server."""

    def start(self, **options: Any) -> Collector:
        """A collector that ends with the test."""
        collector = Collector(**options)
        self.addCleanup(collector.close)
        return collector

    def client(self, collector: Collector, **options: Any) -> HttpClient:
        """A client that sends to the collector."""
        client = HttpClient(collector.url, **options)
        self.addCleanup(client.close)
        return client

    def ask(
        self,
        collector: Collector,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Status, headers and body of the answer to one request."""
        connection = http.client.HTTPConnection(collector.url.removeprefix("http://"), timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def test_messages(self) -> None:
        """What is sent arrives as it was made, in order."""
        collector = self.start()
        client = self.client(collector)
        client.send("key", TRACK)
        client.send("key", Batch([TRACK, TRACK]))
        self.assertEqual(collector.messages, [TRACK.to_dict()] * 3)

    def test_requests(self) -> None:
        """A request is remembered with write key, size, encoding, attempt and time of sending."""
        collector = self.start(answer=[500])
        client = self.client(collector, gzip=True)
        with self.assertRaises(DeliveryError):
            client.send("key", TRACK)
        client.send("key", TRACK)
        first, second = collector.requests
        self.assertEqual((first.path, first.status, first.retry_count), ("/v1/track", 500, None))
        self.assertEqual((second.status, second.retry_count), (200, 1))
        self.assertEqual((second.write_key, second.content_encoding), ("key", "gzip"))
        self.assertEqual(second.body_bytes, int(second.headers["content-length"]))
        self.assertEqual(second.message_count, 1)
        self.assertRegex(second.sent_at, r"^\d{4}-.*Z$")

    def test_write_key_is_not_shown(self) -> None:
        """The write key stands in no text of a request and in no header."""
        collector = self.start()
        self.client(collector).send("very-secret", TRACK)
        self.assertNotIn("very-secret", repr(collector.requests))
        self.assertNotIn("authorization", collector.requests[0].headers)

    def test_refused_is_not_accepted(self) -> None:
        """What was answered 500 has not arrived."""
        collector = self.start(answer=[500])
        with self.assertRaises(DeliveryError):
            self.client(collector).send("key", TRACK)
        self.assertEqual(collector.messages, [])
        self.assertEqual(collector.arrivals[0].reason, "answered 500")

    def test_retry_after(self) -> None:
        """A script can answer 429 with a Retry-After."""
        collector = self.start(answer=[Answer(429, {"Retry-After": "2"})])
        with self.assertRaises(DeliveryError) as caught:
            self.client(collector).send("key", TRACK)
        self.assertEqual((caught.exception.status, caught.exception.retry_after), (429, 2.0))

    def test_hang_up(self) -> None:
        """A script can hang up without an answer."""
        collector = self.start(answer=[Answer(None)])
        with self.assertRaises(DeliveryError) as caught:
            self.client(collector).send("key", TRACK)
        self.assertIsNone(caught.exception.status)

    def test_function(self) -> None:
        """A function of the request can decide."""

        def answer(request: Request) -> int | None:
            return 503 if request.retry_count is None else None

        collector = self.start(answer=answer)
        client = self.client(collector)
        with self.assertRaises(DeliveryError):
            client.send("key", TRACK)
        client.send("key", TRACK)
        self.assertEqual(len(collector.messages), 1)

    def test_dropped(self) -> None:
        """What Segment drops is answered as a success, and told with its code."""
        collector = self.start()
        status, _, body = self.ask(collector, "POST", "/v1/track", b'{"userId":"u"}')
        self.assertEqual((status, json.loads(body)), (200, {"success": True}))
        self.assertEqual(
            collector.dropped, [({"type": "track", "userId": "u"}, "event_not_defined")]
        )

    def test_repeated_over_requests(self) -> None:
        """A message id is remembered over requests."""
        collector = self.start()
        client = self.client(collector)
        client.send("key", TRACK)
        client.send("key", TRACK)
        first, second = collector.arrivals
        self.assertNotIn("repeated", "".join(first.warnings))
        self.assertIn("repeated", "".join(second.warnings))

    def test_wait_for(self) -> None:
        """Waiting ends when as many calls have arrived, and with the time."""
        collector = self.start()
        self.assertFalse(collector.wait_for(1, timeout=0.0))
        sender = Thread(target=self.client(collector).send, args=("key", TRACK))
        sender.start()
        self.assertTrue(collector.wait_for(1))
        sender.join(10)

    def test_keep(self) -> None:
        """With `keep`, only the latest are remembered."""
        collector = self.start(keep=2)
        self.client(collector).send("key", Batch([TRACK] * 5))
        self.assertEqual([one.number for one in collector.arrivals], [4, 5])

    def test_bad_bodies(self) -> None:
        """A body that cannot be unzipped, or is above a megabyte zipped or not, is answered 400."""
        zipped = {"Content-Encoding": "gzip"}
        cases: list[tuple[bytes, Mapping[str, str]]] = [
            (b"no gzip", zipped),
            (gzip.compress(b'{"userId":"u"}')[:-4], zipped),
            (gzip.compress(b" " * 50_000_000), zipped),
            (b" " * 1_500_000, {}),
            (b"{}", {"Content-Encoding": "br"}),
        ]
        collector = self.start()
        for body, headers in cases:
            with self.subTest(body=body[:10]):
                self.assertEqual(self.ask(collector, "POST", "/v1/track", body, headers)[0], 400)
        self.assertEqual([one.outcome for one in collector.arrivals], ["refused"] * len(cases))

    def test_length_is_required(self) -> None:
        """A body without a length is not read."""
        collector = self.start()
        chunked = {"Transfer-Encoding": "chunked"}
        self.assertEqual(self.ask(collector, "POST", "/v1/track", None, chunked)[0], 411)
        self.assertEqual(
            self.ask(collector, "POST", "/v1/track", None, {"Content-Length": "-1"})[0], 400
        )

    def test_other_names(self) -> None:
        """A page elsewhere that points its own name here is refused."""
        collector = self.start()
        for method, path in (("GET", "/"), ("GET", "/api/messages"), ("POST", "/v1/track")):
            with self.subTest(path=path):
                status = self.ask(collector, method, path, b"{}", {"Host": "evil.example"})[0]
                self.assertEqual(status, 403)
        self.assertEqual(collector.requests, [])

    def test_loopback_only(self) -> None:
        """It listens on 127.0.0.1."""
        self.assertRegex(self.start().url, r"^http://127\.0\.0\.1:\d+$")

    def test_paths(self) -> None:
        """A GET of an endpoint, and paths that are not there, are refused."""
        collector = self.start()
        self.assertEqual(self.ask(collector, "GET", "/v1/track")[0], 405)
        self.assertEqual(self.ask(collector, "GET", "/other")[0], 404)
        self.assertEqual(self.ask(collector, "POST", "/v1/other", b"{}")[0], 404)

    def test_news(self) -> None:
        """The page's JSON tells what is new since it last asked, and the counts."""
        collector = self.start()
        client = self.client(collector)
        client.send("key", TRACK)
        news = json.loads(self.ask(collector, "GET", "/api/messages")[2])
        self.assertEqual(news["arrivals"][0]["message"], TRACK.to_dict())
        self.assertEqual(news["counts"]["accepted"], 1)
        client.send("key", TRACK)
        news = json.loads(self.ask(collector, "GET", f"/api/messages?after={news['next']}")[2])
        self.assertEqual([one["number"] for one in news["arrivals"]], [2])

    def test_news_of_another_collector(self) -> None:
        """A page that was open before the collector was started anew sees everything."""
        collector = self.start()
        self.client(collector).send("key", TRACK)
        news = json.loads(self.ask(collector, "GET", "/api/messages?after=999")[2])
        self.assertEqual(len(news["arrivals"]), 1)

    def test_page(self) -> None:
        """The page comes with its policy, and holds nothing that arrived."""
        collector = self.start()
        hostile = Track(user=User(user_id="u"), event="<script>alert(1)</script>")
        self.client(collector).send("key", hostile)
        status, headers, body = self.ask(collector, "GET", "/")
        self.assertEqual((status, body), (200, PAGE))
        self.assertEqual(headers["Content-Security-Policy"], POLICY)
        _, headers, _ = self.ask(collector, "GET", "/api/messages")
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")

    def test_page_writes_text_only(self) -> None:
        """The page's script has no way to make markup of a value, and its policy no exceptions."""
        for word in (b"innerHTML", b"outerHTML", b"insertAdjacent", b"document.write", b"eval"):
            self.assertNotIn(word, PAGE)
        self.assertNotIn("unsafe", POLICY)
        self.assertIn("default-src 'none'", POLICY)

    def test_close_ends_connections(self) -> None:
        """Closing does not wait for a connection that a client keeps alive."""
        with Collector() as collector:
            connection = http.client.HTTPConnection(collector.url[7:], timeout=10)
            self.addCleanup(connection.close)
            connection.request("GET", "/api/messages")
            connection.getresponse().read()
        self.assertEqual(connection.sock.recv(1), b"")

    def test_keep_alive(self) -> None:
        """A connection serves many requests."""
        collector = self.start()
        connection = http.client.HTTPConnection(collector.url[7:], timeout=10)
        self.addCleanup(connection.close)
        for _ in range(3):
            connection.request("POST", "/v1/track", b'{"userId":"u","event":"e"}')
            self.assertEqual(connection.getresponse().read(), b'{"success": true}')
        self.assertEqual(len(collector.messages), 3)


class Lines(unittest.TestCase):
    """Messages as text."""

    def test_columns(self) -> None:
        """A call becomes type, user, name and fields."""
        self.assertEqual(
            columns_of({"type": "track", "anonymousId": "a", "event": "E", "properties": {"n": 1}}),
            ("track", "a", "E", '{"n": 1}'),
        )

    def test_no_call(self) -> None:
        """What is no call has a line as well."""
        self.assertEqual(columns_of([1]), ("?", "", "", "[1]"))

    def test_printable(self) -> None:
        """Control characters of a message do not reach the terminal."""
        self.assertEqual(printable("a\x1b[2Jb\n\x9b\u202ec"), r"a\x1b[2Jb\n\x9b\u202ec")

    def test_table(self) -> None:
        """Columns are as wide as their widest text."""
        self.assertEqual(table([("aaa", "b"), ("a", "")], ("x", "y")), "x    y\naaa  b\na")


class CommandLine(unittest.TestCase):
    """`python -m segment_logging.collector`."""

    def test_runs_until_ended(self) -> None:
        """It says where it listens and ends when told."""
        ended = Event()
        ended.set()
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertEqual(main(["--port", "0"], ended=ended), 0)
        self.assertIn("SEGMENT_HOST=http://127.0.0.1:", said.getvalue())

    def test_port_taken(self) -> None:
        """A port that is taken is told, with exit code 2."""
        with (
            Collector() as collector,
            contextlib.redirect_stderr(io.StringIO()) as said,
        ):
            port = collector.url.rpartition(":")[2]
            self.assertEqual(main(["--port", port]), 2)
        self.assertIn(port, said.getvalue())

    def test_line_for_each_message(self) -> None:
        """A running collector prints a line for each message, in whatever encoding."""
        process = subprocess.Popen(
            [sys.executable, "-m", "segment_logging.collector", "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            encoding="ascii",
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
        )
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        self.addCleanup(process.stdout.close)
        url = process.stdout.readline().partition("http")[2].partition(": ")[0]
        process.stdout.readline()
        client = HttpClient("http" + url)
        self.addCleanup(client.close)
        client.send("key", Track(user=User(user_id="Zoë"), event="Signup", message_id="m"))
        line = process.stdout.readline()
        self.assertRegex(line, r"^track +Zo\\xeb +Signup +\[accepted; context.library")

    def test_package_does_not_import_it(self) -> None:
        """A program that only logs does not load the collector."""
        subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys, segment_logging; assert 'http.server' not in sys.modules; "
                "assert 'segment_logging.collector' not in sys.modules",
            ],
            timeout=30,
            check=True,
        )


if __name__ == "__main__":
    unittest.main()
