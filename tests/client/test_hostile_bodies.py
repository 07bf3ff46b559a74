"""Tests for what the bodies of answers say: failures inside of a success, words and secrets."""

from __future__ import annotations

import json
import unittest
from base64 import b64encode
from typing import Any
from urllib.parse import quote

from segment_logging import Batch, DeliveryError, HttpClient
from segment_logging._client.answers import Answer, check_answer, wait_asked_for
from tests.builders import a_track, each
from tests.raw_servers import RawServer, an_answer, once

KEY = "s3cr3t/wr1te=key"
GIVEN = b64encode(f"{KEY}:".encode()).decode()
IDS = frozenset(("m-1", "m-2", "a:b"))
NOW = 1_800_000_000.0


def error_of(status: int, body: Any, headers: Any = None, **options: Any) -> DeliveryError | None:
    """Return the error for an answer, or None if it counts as a delivery."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = Answer(status, headers or {}, data, **options)
    try:
        check_answer("http://host", answer, ids=lambda: IDS, secrets=lambda: (GIVEN, KEY), now=NOW)
    except DeliveryError as error:
        return error
    return None


def refused(body: Any, status: int = 200) -> dict[str, str]:
    """Return the messages that an answer refuses."""
    error = error_of(status, body)
    return {} if error is None else error.refused


class TestFailuresInside(unittest.TestCase):
    def test_delivered(self) -> None:
        """A success is a delivery, also if its body is unusual, cut or not JSON."""
        for body in each(
            {"success": True}, {"ok": True}, {}, [], {"status": "ok"}, {"status": 200},
            {"errors": []}, {"error": None}, {"success": "false?"}, {"success": True, "errors": []},
            {"success": "True", "failed": 1}, {"accepted": 3, "rejected": 0}, {"ok": 3},
            {"success": True, "warnings": ["m-1 is old"], "droppedFields": ["x"]},
            {"results": {"m-1": "ok", "m-2": True}}, {"m-1": {"duplicate": False}},
            {"success": True, "data": {"messageId": "m-1", "message": "stored"}},
            b"", b"OK", b'{"success":false', b"{" * 60_000, b"\xff\xfe{}", b'"false"', b"false",
        ):  # fmt: skip
            for status in (200, 202, 207):
                with self.subTest(body=str(body)[:40], status=status):
                    self.assertIsNone(error_of(status, body))
        self.assertIsNone(error_of(200, {"success": False}, is_complete=False))
        stored = [{"messageId": "m-1", "message": "queued"}]
        self.assertIsNone(error_of(200, {"dropped": ["x"], "stored": stored}))

    def test_failed_as_a_whole(self) -> None:
        """A success whose JSON says that it failed is treated like a 503."""
        for body in (
            {"success": False}, {"ok": False, "errors": ["busy"]}, {"status": 500},
            {"status": "error", "message": "busy"}, {"error": {"message": "busy"}},
            {"success": "false"}, {"Success": False}, {"ok": 0}, {"Errors": ["busy"]},
            {"errorMessage": "busy", "errorType": "KeyError"}, {"accepted": 2, "rejected": 1},
            {"failed": ["m-99"]}, {"Status": "FAILED"},
            [{"success": False}], b" \r\n\t{\"success\":false}", b'\xef\xbb\xbf{"success": false}',
        ):  # fmt: skip
            for status in (200, 201, 207):
                with self.subTest(body=body, status=status):
                    error = error_of(status, body, {"Retry-After": "7"})
                    assert error is not None
                    self.assertEqual((error.status, error.retryable), (status, True))
                    self.assertEqual((error.retry_after, error.refused), (7.0, {}))

    def test_named_messages(self) -> None:
        """The messages that a body names are refused, with the server's words for each."""
        old = {"m-1": "too old"}
        for body in (
            {"ok": False, "errors": ["Message ID: m-1: too old"]},
            {"success": False, "errors": [{"messageId": "m-1", "message": "too old"}]},
            {"success": False, "errors": [{"id": "m-1", "error": {"reason": "too old"}}]},
            {"success": False, "errors": {"m-1": "too old"}},
            {"success": False, "errors": {"m-1": ["too old", "too long"]}},
            {"success": False, "error": {"messageId": "m-1", "detail": "too old"}},
            {"success": False, "messageId": "m-1", "message": "too old"},
            {"success": False, "results": [
                {"messageId": "m-1", "success": False, "reason": "too old"},
                {"messageId": "m-2", "success": True, "reason": "fine"},
                {"messageId": "a:b"},
            ]},
            {"results": [
                {"messageId": "m-1", "status": 400, "message": "too old"},
                {"messageId": "m-2", "status": 200, "message": "created"},
            ]},
            [{"messageId": "m-1", "statusCode": "422", "error": "too old"},
             {"messageId": "m-2", "statusCode": "201"}],
            {"responses": {"m-1": {"status": 400, "error": "too old"}, "m-2": {"status": 200}}},
        ):  # fmt: skip
            for status in (200, 207):
                with self.subTest(body=body, status=status):
                    found = refused(body, status)
                    self.assertEqual(list(found), ["m-1"])
                    self.assertIn(old["m-1"], found["m-1"])

    def test_lists_of_ids(self) -> None:
        """Ids in a list below `failed` or `rejected` are refused, and those accepted are not."""
        for key in ("failed", "rejected", "failedMessageIds", "invalid_ids", "errors"):
            body = {"success": False, "accepted": ["m-1"], key: ["m-2", "a:b", "m-99"]}
            self.assertEqual(refused(body), {"m-2": "", "a:b": ""}, key)

    def test_ids_without_a_failure(self) -> None:
        """Ids that a body names as failed are refused, even if it says nothing else of a failure,
        or that the request succeeded."""
        for body in (
            {"failed": ["m-1"]}, {"rejected": [{"messageId": "m-1", "reason": "too old"}]},
            {"success": True, "failed": ["m-1"], "accepted": ["m-2"]}, {"dropped": ["m-1"]},
            {"invalid": ["m-1"], "valid": ["m-2"]}, {"success": True, "results": {"m-1": False}},
            {"results": {"m-1": "failed", "m-2": "ok"}},
        ):  # fmt: skip
            with self.subTest(body=body):
                self.assertEqual(list(refused(body)), ["m-1"])

    def test_similar_ids(self) -> None:
        """An id that is part of a longer one is not named by it."""
        self.assertEqual(refused({"ok": False, "errors": ["m-10 is bad", "xm-1 is bad"]}), {})
        self.assertEqual(list(refused({"ok": False, "errors": ['"a:b" is bad']})), ["a:b"])

    def test_deep_and_wide(self) -> None:
        """A body as deep or as wide as a server likes raises nothing else."""
        for body in (
            b'{"success":false,"errors":' + b"[" * 900 + b"]" * 900 + b"}",
            b'{"error":' * 900 + b"1" + b"}" * 900,
            b'{"success":false,"errors":[' + b"1," * 30_000 + b"1]}",
            b'{"success":false,"errors":["' + b"m-1 " * 15_000 + b'"]}',
            b'{"success":false,"code":' + b"9" * 5_000 + b"}",
            b'{"success":false,"message":"\\ud800"}',
        ):
            for status in (200, 207, 400, 500):
                with self.subTest(body=body[:30], status=status):
                    error = error_of(status, body)
                    self.assertLess(len(str(error)), 4_000)


class TestWords(unittest.TestCase):
    def words(self, body: Any, **headers: str) -> str:
        """Return the text of the error for a refusal with this body."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return str(error_of(400, body, names))

    def test_shown(self) -> None:
        """The server's own code and words are in the error's text."""
        for body, shown in (
            ({"code": "invalid_request", "message": "no user"}, "(invalid_request: no user)"),
            ({"error": {"code": 7, "message": "no user"}}, "(7: no user)"),
            ({"errors": [{"detail": "no user"}]}, "(no user)"),
            ({"error": "invalid", "error_description": "no user"}, "(invalid: no user)"),
            ({"message": "no\r\n\tuser  "}, "(no user)"),
            ({"Message": "no user"}, "(no user)"), ({"msg": "no user"}, "(no user)"),
            ({"detail": [{"loc": ["body"], "msg": "no user"}]}, "(no user)"),
            ({"errors": {"userId": ["is required"]}}, "(userId: is required)"),
            ({"ok": 0, "result": {"error": "no user"}}, "(no user)"), ([[{"msg": "no"}]], "(no)"),
            ({"fault": {"faultstring": "no user"}}, "(no user)"), (b'"no user"', "(no user)"),
            (b'{"message":"no \xe9t\xe9"}', "(no \ufffdt\ufffd)"),
            ({"message": ""}, "400 Bad Request:"), ({"message": {"a": 1}}, "400 Bad Request:"),
        ):  # fmt: skip
            self.assertIn(shown, self.words(body))
        self.assertIn("(no user)", self.words(b"no user\n", Content_Type="text/plain"))
        self.assertNotIn("no user", self.words(b"no user\n"))

    def test_repeated_request(self) -> None:
        """Values of a request that a server repeats are not shown."""
        sent = {"event": "E", "properties": {"message": "personal", "error": "personal"}}
        for body in ({"batch": [sent]}, {"code": 7, "request": sent}, {"error": 1, "sent": sent}):
            self.assertNotIn("personal", self.words(body))

    def test_cut_and_escaped(self) -> None:
        """The words are cut, and hold no character that a terminal would obey."""
        text = self.words({"message": "\x1b[2J\u202e\u2066\x00\x7f\x9b\ufeff\u2028" + "x" * 9_000})
        self.assertTrue(text.isprintable())
        self.assertIn("\\x1b[2J\\u202e", text)
        self.assertLess(len(text), 500)

    def test_secrets(self) -> None:
        """The write key and what was sent for it are hidden, however JSON escapes them."""
        for secret in (KEY, GIVEN, f"Basic {GIVEN}"):
            escaped = "".join(f"\\u{ord(one):04x}" for one in secret)
            slashed = secret.replace("/", "\\/")
            for text in (secret, escaped, slashed, "x" * 190 + secret, "x" * 197 + secret):
                body = b'{"message":"bad: %s"}' % text.encode()
                for status in (200, 400, 500):
                    shown = str(error_of(status, body.replace(b"{", b'{"success":false,', 1)))
                    self.assertIn("bad", shown)
                    for part in (KEY[:6], GIVEN[:6]):
                        self.assertNotIn(part, shown)

    def test_secrets_of_a_request(self) -> None:
        """What the client sends as its key is hidden, in the forms that a server may quote."""

        def echo(server: RawServer, connection: Any) -> None:
            head = server.take(connection) or b""
            given = head.partition(b"Authorization: ")[2].partition(b"\r\n")[0].decode()
            alone = b64encode(KEY.encode()).decode()
            quoted = [given, given.rstrip("="), KEY, quote(KEY, safe=""), quote(KEY).lower(),
                      KEY.upper(), alone.rstrip("=")]  # fmt: skip
            body = json.dumps({"message": "; ".join(quoted)}).encode()
            connection.sendall(an_answer(body, status="403 No"))

        with (
            RawServer(echo) as server,
            HttpClient(server.url) as client,
            self.assertRaises(DeliveryError) as caught,
        ):
            client.send(KEY, a_track())
        self.assertIn("(Basic …; Basic …; …; …; …; …; …)", str(caught.exception))


class TestWaits(unittest.TestCase):
    def wait(self, status: int = 429, **headers: str) -> float | None:
        """Return the wait that an answer asks for."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return wait_asked_for(Answer(status, names, b""), NOW)

    def test_date_of_the_answer(self) -> None:
        """A Retry-After that is a date is compared with the answer's own Date."""
        until, date = "Fri, 01 Jan 2021 00:00:42 GMT", "Fri, 01 Jan 2021 00:00:12 GMT"
        self.assertEqual(self.wait(Retry_After=until, Date=date), 30.0)
        self.assertIsNone(self.wait(Retry_After=until))
        self.assertIsNone(self.wait(Retry_After=date, Date=until))

    def test_rate_limit(self) -> None:
        """X-RateLimit-Reset counts for a 429 without a Retry-After, as seconds or as a moment."""
        self.assertEqual(self.wait(X_RateLimit_Reset="9"), 9.0)
        self.assertEqual(self.wait(X_RateLimit_Reset="9", Retry_After="3"), 3.0)
        self.assertEqual(self.wait(X_RateLimit_Reset=str(NOW + 5)), 5.0)
        self.assertEqual(self.wait(X_RateLimit_Reset="5000"), 300.0)
        self.assertIsNone(self.wait(X_RateLimit_Reset="soon"))
        self.assertIsNone(self.wait(503, X_RateLimit_Reset="9"))


class TestNetworks(unittest.TestCase):
    def test_login(self) -> None:
        """A 511 says that a login is needed, and is tried again."""
        error = error_of(511, b"<html>login</html>")
        assert error is not None
        self.assertIn("log in to the network", str(error))
        self.assertTrue(error.retryable)

    def test_only_a_short_body_counts(self) -> None:
        """A body above 64 KiB does not count, even if it says that the request failed."""
        for size, is_delivered in ((65_000, False), (65_537, True), (500_000, True)):
            body = b'{"success":false}'.ljust(size)
            with RawServer(once(an_answer(body))) as server, HttpClient(server.url) as client:
                try:
                    client.send(KEY, Batch([a_track()]))
                except DeliveryError:
                    self.assertFalse(is_delivered, size)
                else:
                    self.assertTrue(is_delivered, size)
