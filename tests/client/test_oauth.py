"""Tests for OAuth tokens: how they are requested, renewed, refused and used."""

from __future__ import annotations

import importlib.util
import io
import json
import socket
import tempfile
import unittest
from collections.abc import Mapping
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from typing_extensions import override

from segment_logging import ConfigurationError, DeliveryError, HttpClient, SegmentHandler
from segment_logging._client.answers import Answer
from tests.builders import a_record, a_track, run_python
from tests.servers import Answer as ServerAnswer
from tests.servers import ScriptedServer

HAS_JWT = importlib.util.find_spec("jwt") is not None

if HAS_JWT:
    import jwt
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    from segment_logging._client.oauth import OAuth

    _KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    PEM = _KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def token_answer(token: str = "t-1", expires_in: float = 3600, **headers: str) -> Answer:
    body = json.dumps({"access_token": token, "expires_in": expires_in, "token_type": "Bearer"})
    return Answer(200, headers, body.encode())


def asked_for(oauth: Mapping[str, str], **options: Any) -> str:
    """Return the name of the server from which a handler requests a token through a proxy."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxies = {"https": f"http://127.0.0.1:{proxy.getsockname()[1]}"}
        handler = SegmentHandler(
            "key", oauth=oauth, proxies=proxies, max_attempts=1, flush_interval=0, **options
        )
        handler.handle(a_record(extra={"user_id": "u"}))
        connection, _ = proxy.accept()
        with connection:
            request = connection.recv(1000).decode()
    with redirect_stderr(io.StringIO()):
        handler.drain(10)
    return request.removeprefix("CONNECT ").partition(":")[0]


@unittest.skipUnless(HAS_JWT, "needs PyJWT, from the extra oauth")
class OAuthTest(unittest.TestCase):
    """Base class with a fake clock and scripted answers from the token endpoint."""

    @override
    def setUp(self) -> None:
        self.now = 1_700_000_000.0
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.answers: list[Answer | DeliveryError] = []
        self.oauth = OAuth("client-1", "key-1", PEM, clock=lambda: self.now)

    def post(self, url: str, form: Mapping[str, str]) -> Answer:
        self.asked.append((url, form))
        answer = self.answers.pop(0)
        if isinstance(answer, DeliveryError):
            raise answer
        return answer

    def token(self, *answers: Answer | DeliveryError) -> str:
        self.answers[:] = answers
        return self.oauth.token(self.post)

    def claims(self) -> Any:
        """Check the signature of the last assertion and return its claims."""
        return jwt.decode(
            self.asked[-1][1]["client_assertion"],
            _KEY.public_key(),
            algorithms=["RS256"],
            audience="https://oauth2.segment.io",
            options={"verify_exp": False, "verify_iat": False},
        )


class TestAsking(OAuthTest):
    def test_request(self) -> None:
        """The request is a form with an assertion that is signed with our key."""
        self.assertEqual(self.token(token_answer("t-1")), "t-1")
        url, form = self.asked[0]
        self.assertEqual(url, "https://oauth2.segment.io/token")
        self.assertEqual(form["grant_type"], "client_credentials")
        self.assertEqual(form["scope"], "tracking_api:write")
        header = jwt.get_unverified_header(form["client_assertion"])
        self.assertEqual((header["alg"], header["kid"]), ("RS256", "key-1"))
        claims = self.claims()
        self.assertEqual((claims["iss"], claims["sub"]), ("client-1", "client-1"))
        self.assertLess(claims["exp"] - claims["iat"], 60)

    def test_each_assertion_is_new(self) -> None:
        """No assertion is used twice."""
        self.token(token_answer())
        first = self.claims()["jti"]
        self.oauth.forget()
        self.token(token_answer())
        self.assertNotEqual(self.claims()["jti"], first)

    def test_kept(self) -> None:
        """A token is used until half of its lifetime is over."""
        self.token(token_answer(expires_in=100))
        self.now += 49
        self.assertEqual(self.token(), "t-1")
        self.now += 2
        self.assertEqual(self.token(token_answer("t-2")), "t-2")

    def test_endpoint_down_while_it_holds(self) -> None:
        """A failed renewal is retried once a minute while the old token is valid."""
        self.token(token_answer(expires_in=200))
        self.now += 110
        self.assertEqual(self.token(DeliveryError("no answer")), "t-1")
        self.now += 50
        self.assertEqual(self.token(), "t-1")
        self.now += 10
        self.assertEqual(self.token(DeliveryError("no answer")), "t-1")
        self.now += 31
        with self.assertRaises(DeliveryError):
            self.token(DeliveryError("no answer"))

    def test_clock_of_the_server(self) -> None:
        """If the answer shows that our clock is wrong, a corrected assertion is sent."""
        refused = Answer(400, {"Date": "Tue, 14 Nov 2023 23:13:20 GMT"}, b"")
        self.assertEqual(self.token(refused, token_answer()), "t-1")
        self.assertEqual(self.claims()["iat"], 1_700_000_000 + 3600 - 5)

    def test_no_token(self) -> None:
        """A token that is empty or cannot be put in a header is not accepted."""
        for token in ("", "t 1", "t\n1", "ü"):
            with (
                self.subTest(token=token),
                self.assertRaisesRegex(DeliveryError, "without"),
            ):
                self.token(token_answer(token))

    def test_clock_is_not_the_reason(self) -> None:
        """If our clock is right, no second assertion is sent after a refusal."""
        with self.assertRaises(DeliveryError):
            self.token(Answer(400, {"Date": "Tue, 14 Nov 2023 22:13:20 GMT"}, b""))
        self.assertEqual(len(self.asked), 1)


class TestRefusals(OAuthTest):
    def refused(self, answer: Answer) -> DeliveryError:
        with self.assertRaises(DeliveryError) as caught:
            self.token(answer)
        return caught.exception

    def test_configuration(self) -> None:
        """400, 401, 403, 413 and 415 are configuration errors, which are reported as 401."""
        for status in (400, 401, 403, 413, 415):
            error = self.refused(Answer(status, {}, b'{"error":"invalid_client"}'))
            self.assertEqual((error.status, error.retryable), (401, False))
            self.assertIn("check client_id, key_id, private_key", str(error))

    def test_passing(self) -> None:
        """429 and 5xx are retryable, after the delay given in the headers."""
        error = self.refused(Answer(429, {"X-RateLimit-Reset": "7"}, b""))
        self.assertEqual((error.status, error.retry_after, error.retryable), (429, 7.0, True))
        self.assertTrue(self.refused(Answer(503, {}, b"")).retryable)

    def test_no_token_in_it(self) -> None:
        """A 200 without a valid token is retryable."""
        for body in (b"<html>", b"[]", b"{}", b'{"access_token":7}', b'{"access_token":"a\\nb"}'):
            self.assertTrue(self.refused(Answer(200, {}, body)).retryable, body)


class TestOptions(OAuthTest):
    def test_wrong_keys(self) -> None:
        """An unusable key is refused at construction, and the error does not contain it."""
        for key in ("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----", "/no/file"):
            with self.assertRaisesRegex(ConfigurationError, "private_key") as caught:
                OAuth("client-1", "key-1", key)
            self.assertNotIn("c2VjcmV0", str(caught.exception))

    def test_key_in_a_file(self) -> None:
        """The key may be the path of a file."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "key.pem")
            path.write_text(PEM)
            self.oauth = OAuth("client-1", "key-1", path, clock=lambda: self.now)
            self.token(token_answer())
            self.assertEqual(self.claims()["sub"], "client-1")

    def test_secret(self) -> None:
        """The repr contains neither the key nor the token."""
        self.token(token_answer("secret-token"))
        self.assertEqual(repr(self.oauth), "<OAuth of client client-1>")

    def test_handler(self) -> None:
        """The handler accepts a mapping or an OAuth object, and refuses an invalid mapping."""
        good = {"client_id": "c", "key_id": "k", "private_key": PEM}
        SegmentHandler("key", oauth=good).close()
        SegmentHandler("key", oauth=self.oauth).close()
        for wrong in (
            {**good, "clientId": "c"},
            {"client_id": "c"},
            {**good, "client_id": ""},
            {**good, "server": "oauth2.segment.io"},
        ):
            with self.assertRaisesRegex(ConfigurationError, "oauth"):
                SegmentHandler("key", oauth=wrong)

    def test_region(self) -> None:
        """European workspaces use the European token server, unless another is configured."""
        good = {"client_id": "c", "key_id": "k", "private_key": PEM}
        eu = "https://events.eu1.segmentapis.com/v1"
        self.assertEqual(asked_for(good), "oauth2.segment.io")
        self.assertEqual(asked_for(good, region="eu"), "oauth2.eu1.segmentapis.com")
        self.assertEqual(asked_for(good, host=eu), "oauth2.eu1.segmentapis.com")
        named = {**good, "server": "https://tokens.example"}
        self.assertEqual(asked_for(named, region="eu"), "tokens.example")

    def test_without_the_extra(self) -> None:
        """Without the extra, the error states what to install."""
        program = (
            "import json, sys; sys.modules['jwt'] = None\n"
            "from segment_logging import SegmentHandler\n"
            "oauth = {'client_id': 'c', 'key_id': 'k', 'private_key': 'p'}\n"
            "try: SegmentHandler('k', oauth=oauth)\n"
            "except ValueError as error: print(json.dumps(str(error)))"
        )
        self.assertIn("pip install 'segment-logging[oauth]'", run_python(program))


@unittest.skipUnless(HAS_JWT, "needs PyJWT, from the extra oauth")
class TestHttpClient(unittest.TestCase):
    """Tests against a real server that acts as Segment and as its authorization server."""

    def send(self, *script: ServerAnswer, times: int = 1) -> tuple[list[Any], list[Any]]:
        """Send `times` messages; return the requests and each send's exception or None."""
        failures: list[Any] = []
        with ScriptedServer(script) as server:
            oauth = OAuth("client-1", "key-1", PEM, server=server.host)
            client = HttpClient(server.host, oauth=oauth)
            for _ in range(times):
                try:
                    client.send("the-write-key", a_track())
                    failures.append(None)
                except DeliveryError as error:
                    failures.append(error)
            client.close()
        return server.requests, failures

    def token(self, token: str = "t-1") -> ServerAnswer:
        return ServerAnswer(body=token_answer(token).body)

    def test_bearer(self) -> None:
        """The token is in the header, the write key is in the body, and the token is reused."""
        requests, failures = self.send(self.token(), times=2)
        self.assertEqual([one.path for one in requests], ["/token", "/v1/track", "/v1/track"])
        for request in requests[1:]:
            self.assertEqual(request.headers["Authorization"], "Bearer t-1")
            self.assertEqual(request.json["writeKey"], "the-write-key")
        self.assertNotIn("Authorization", requests[0].headers)
        form = parse_qs(requests[0].body.decode())
        self.assertEqual(form["grant_type"], ["client_credentials"])
        self.assertEqual(failures, [None, None])

    def test_refused_when_it_was_good(self) -> None:
        """A token that is refused after it was accepted is replaced, and the send is retryable."""
        requests, failures = self.send(
            self.token("t-1"), ServerAnswer(), ServerAnswer(status=401), self.token("t-2"), times=3
        )
        self.assertTrue(failures[1].retryable)
        self.assertIsNone(failures[1].status)
        self.assertEqual(failures[2], None)
        self.assertEqual(requests[-1].headers["Authorization"], "Bearer t-2")

    def test_refused_at_once(self) -> None:
        """If a second token is refused as well, it is a configuration error."""
        requests, failures = self.send(
            self.token("t-1"), ServerAnswer(status=401), self.token("t-2"),
            ServerAnswer(status=403), self.token("t-3"), ServerAnswer(status=401), times=3,
        )  # fmt: skip
        self.assertEqual([(one.status, one.retryable) for one in failures],
                         [(None, True), (403, False), (401, False)])  # fmt: skip
        self.assertIn("OAuth", str(failures[1]))
        self.assertEqual(len(requests), 6)

    def test_refused_once(self) -> None:
        """A token that is refused once loses no message, even without a journal."""
        script = [self.token("t-1"), ServerAnswer(status=401), self.token("t-2")]
        with ScriptedServer(script) as server:
            oauth = {"client_id": "c", "key_id": "k", "private_key": PEM, "server": server.host}
            handler = SegmentHandler("the-write-key", host=server.host, oauth=oauth)
            handler.handle(a_record(extra={"user_id": "u"}))
            self.assertTrue(handler.drain(10))
            handler.close()
        self.assertEqual((handler.counts().delivered, handler.counts().retried), (1, 1))

    def test_handler(self) -> None:
        """A handler with OAuth delivers a batch."""
        with ScriptedServer([self.token()]) as server:
            handler = SegmentHandler(
                "the-write-key",
                host=server.host,
                oauth={
                    "client_id": "c", "key_id": "k", "private_key": PEM, "server": server.host,
                },
            )  # fmt: skip
            handler.handle(a_record(extra={"user_id": "u"}))
            self.assertTrue(handler.drain(10))
            handler.close()
            body = server.requests[1].json
        self.assertEqual(server.requests[1].path, "/v1/batch")
        self.assertEqual((body["writeKey"], len(body["batch"])), ("the-write-key", 1))


if __name__ == "__main__":
    unittest.main()
