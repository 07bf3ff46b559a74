"""Tests for the requests that HttpClient sends: URLs, headers, bodies and retry counts."""

from __future__ import annotations

import base64
import gzip
import os
import tempfile
import time
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from segment_logging import (
    Alias,
    Batch,
    Client,
    ConfigurationError,
    DeliveryError,
    Group,
    HttpClient,
    Identify,
    MessageTooLarge,
    Page,
    Screen,
    User,
)
from segment_logging._client.hosts import EU_HOST, US_HOST, host_of
from tests.builders import RecordingSession, a_track, each, run_python
from tests.servers import Answer, Request, ScriptedServer

KEY = "s3cr3t-write-key"


FOO = User(user_id="foo")


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set environment variables for the duration of a block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def sent(message: Any, **options: Any) -> Request:
    """Send the message to a server that answers with 200, and return the request."""
    with ScriptedServer() as server:
        client = HttpClient(server.host, **options)
        client.send(KEY, message)
        client.close()
    (request,) = server.requests
    return request


class TestRequest(unittest.TestCase):
    def test_endpoints(self) -> None:
        """Each message type has its own endpoint."""
        for message, path in (
            (Identify(user=FOO), "/v1/identify"),
            (a_track(), "/v1/track"),
            (Page(user=FOO), "/v1/page"),
            (Screen(user=FOO), "/v1/screen"),
            (Group(user=FOO, group_id="g"), "/v1/group"),
            (Alias(user=FOO, previous_id="p"), "/v1/alias"),
            (Batch([a_track()]), "/v1/batch"),
        ):
            request = sent(message)
            self.assertEqual((request.method, request.path), ("POST", path))

    def test_single_call(self) -> None:
        """A single call is sent with `sentAt`, and without its type, which the endpoint implies."""
        request = sent(Identify(user=FOO, traits={"b": "é", "a": 1}, message_id="123"))
        text = request.body.decode()
        start = '{"userId":"foo","traits":{"b":"é","a":1},"messageId":"123","sentAt":"'
        self.assertTrue(text.startswith(start), text)
        self.assertEqual(set(request.json), {"userId", "traits", "messageId", "sentAt"})

    def test_batch(self) -> None:
        """Calls in a batch include their type; `sentAt` and the context belong to the batch."""
        request = sent(Batch([a_track("Foo")], context={"ip": "x"}, integrations={"All": True}))
        body = request.json
        self.assertEqual(body.pop("sentAt")[-1], "Z")
        self.assertEqual(
            body,
            {
                "batch": [{"type": "track", "userId": "u-17", "event": "Foo", "properties": {}}],
                "context": {"ip": "x"},
                "integrations": {"All": True},
            },
        )

    def test_too_long_in_a_batch(self) -> None:
        """A call that is too large is also refused in a batch, before anything is sent."""
        for batch in (
            Batch([a_track("Foo", properties={"a": "x" * 32_000})]),
            Batch.of_lines([b"{}", b"x" * 32_001]),
        ):
            with self.assertRaises(MessageTooLarge) as caught:
                sent(batch)
            self.assertEqual(caught.exception.limit_bytes, 32_000)

    def test_with(self) -> None:
        """HttpClient is a `Client`, and leaving its `with` block closes the connections."""
        closed = []
        session = RecordingSession()
        session.close = lambda: closed.append(True)  # type: ignore[method-assign]
        with HttpClient(session=session) as client:
            client.send("key", a_track())
            self.assertIsInstance(client, Client)
            self.assertEqual(closed, [])
        self.assertEqual(closed, [True])

    def test_lines_as_they_are(self) -> None:
        """A batch of encoded lines is sent without decoding them."""
        request = sent(Batch.of_lines([b"not even JSON", b"{}"]))
        self.assertTrue(request.body.startswith(b'{"batch":[not even JSON,{}],"sentAt":"'))

    def test_sent_at_is_now(self) -> None:
        """`sentAt` is the time of the attempt."""
        before = datetime.now(UTC) - timedelta(milliseconds=1)
        text = sent(a_track()).json["sentAt"].replace("Z", "+00:00")
        self.assertTrue(before <= datetime.fromisoformat(text) <= datetime.now(UTC))

    def test_headers(self) -> None:
        """A first attempt has the JSON content type, our user agent and no retry count."""
        headers = sent(a_track()).headers
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertTrue(headers["User-Agent"].startswith("segment-logging/"))
        self.assertNotIn("X-Retry-Count", headers)
        self.assertNotIn("Content-Encoding", headers)

    def test_basic_auth(self) -> None:
        """Basic auth has the write key as the user name and an empty password."""
        expected = "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()
        self.assertEqual(sent(a_track()).headers["Authorization"], expected)

    def test_netrc(self) -> None:
        """A .netrc entry for the host does not replace the write key."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "netrc")
            path.write_text("default login somebody password hunter2\n")
            path.chmod(0o600)
            with environment(NETRC=str(path)):
                authorization = sent(a_track()).headers["Authorization"]
        self.assertEqual(base64.b64decode(authorization.split()[1]), f"{KEY}:".encode())

    def test_gzip(self) -> None:
        """With gzip, the body is compressed and has a Content-Encoding header."""
        request = sent(a_track(properties={"t": "x" * 10_000}), gzip=True)
        self.assertEqual(request.headers["Content-Encoding"], "gzip")
        self.assertLess(len(request.body), 1_000)
        self.assertIn(b'"userId":"u-17"', gzip.decompress(request.body))
        self.assertEqual(request.headers["Content-Length"], str(len(request.body)))

    def test_host_forms(self) -> None:
        """The host may end in a slash or `/v1`, as in the documentation of Segment's SDKs."""
        for ending in ("", "/", "/v1", "/v1/", "//"):
            with ScriptedServer() as server:
                client = HttpClient(server.host + ending)
                client.send(KEY, a_track())
                client.close()
            self.assertEqual(server.requests[0].path, "/v1/track", ending)

    def test_path_prefix(self) -> None:
        """The host may contain a path, under which a proxy serves Segment."""
        with ScriptedServer() as server:
            client = HttpClient(server.host + "/segment/v1")
            client.send(KEY, a_track())
            client.close()
        self.assertEqual(server.requests[0].path, "/segment/v1/track")

    def test_one_connection(self) -> None:
        """Several sends use one TCP connection, even after an error."""
        with ScriptedServer([Answer(), Answer(status=503, body=b"x" * 1_000)]) as server:
            client = HttpClient(server.host)
            for _ in range(5):
                try:
                    client.send(KEY, a_track())
                except DeliveryError as error:
                    self.assertEqual(error.status, 503)
            client.close()
        self.assertEqual(len(server.requests), 5)
        self.assertEqual(len({request.connection for request in server.requests}), 1)

    def test_closed_and_used_again(self) -> None:
        """After `close`, the next send opens a new connection."""
        with ScriptedServer() as server:
            client = HttpClient(server.host)
            for _ in range(2):
                client.send(KEY, a_track())
                client.close()
        self.assertEqual(len({request.connection for request in server.requests}), 2)

    def test_proxies(self) -> None:
        """Requests are sent through the configured proxy."""
        with ScriptedServer() as proxy:
            client = HttpClient("http://segment.invalid", proxies={"http": proxy.host})
            client.send(KEY, a_track())
            client.close()
        self.assertEqual(proxy.requests[0].path, "http://segment.invalid/v1/track")

    def test_too_large(self) -> None:
        """A message above 32,000 bytes or a batch above 500,000 bytes is never sent."""
        with ScriptedServer() as server:
            client = HttpClient(server.host)
            with self.assertRaises(MessageTooLarge) as caught:
                client.send(KEY, a_track(properties={"t": "x" * 32_000}))
            self.assertEqual(caught.exception.limit_bytes, 32_000)
            with self.assertRaises(MessageTooLarge) as caught:
                client.send(KEY, Batch.of_lines([b"x" * 30_000] * 17))
            self.assertEqual(caught.exception.limit_bytes, 500_000)
            client.close()
        self.assertEqual(server.requests, [])

    def test_fork(self) -> None:
        """A forked child does not write to its parent's connection."""
        if not hasattr(os, "fork"):
            self.skipTest("needs fork")
        with ScriptedServer() as server:
            run_python(
                f"""
import os
from segment_logging import HttpClient
from tests.builders import a_track
client = HttpClient({server.host!r})
client.send("key", a_track("parent"))
child = os.fork()
client.send("key", a_track("after"))
client.close()
if child:
    assert os.waitpid(child, 0)[1] == 0
    print("true")
else:
    os._exit(0)
"""
            )
        self.assertEqual(len(server.requests), 3)
        self.assertEqual(len({request.connection for request in server.requests}), 2)


class TestRepeated(unittest.TestCase):
    def test_retry_count(self) -> None:
        """X-Retry-Count holds the number of previous attempts to send the same message."""
        with ScriptedServer([Answer(status=503)] * 2) as server:
            client = HttpClient(server.host)
            batch = Batch([a_track()])
            for _ in range(2):
                with self.assertRaises(DeliveryError):
                    client.send(KEY, batch)
            client.send(KEY, batch)
            client.send(KEY, Batch([a_track()]))
            client.close()
        counts = [request.headers.get("X-Retry-Count") for request in server.requests]
        self.assertEqual(counts, [None, "1", "2", None])

    def test_retry_count_of_two(self) -> None:
        """A client that is shared by two handlers counts their attempts separately."""
        with ScriptedServer([Answer(status=503)] * 2) as server, HttpClient(server.host) as client:
            batches = [Batch([a_track("A")]), Batch([a_track("B")])]
            for batch in batches:
                with self.assertRaises(DeliveryError):
                    client.send(KEY, batch)
            for batch in batches:
                client.send(KEY, batch)
        counts = [request.headers.get("X-Retry-Count") for request in server.requests]
        self.assertEqual(counts, [None, None, "1", "1"])

    def test_retry_count_after_retry_after(self) -> None:
        """X-Retry-Count is also sent after an answer with Retry-After."""
        with ScriptedServer([Answer(status=429, headers={"Retry-After": "1"})]) as server:
            client = HttpClient(server.host)
            track = a_track()
            with self.assertRaises(DeliveryError):
                client.send(KEY, track)
            client.send(KEY, track)
            client.close()
        self.assertEqual(server.requests[1].headers["X-Retry-Count"], "1")

    def test_fresh_sent_at(self) -> None:
        """Each attempt has its own `sentAt`; the rest of the body is the same."""
        with ScriptedServer([Answer(status=503)]) as server:
            client = HttpClient(server.host)
            batch = Batch([a_track(message_id="m-1")])
            with self.assertRaises(DeliveryError):
                client.send(KEY, batch)
            first = time.time()
            while time.time() - first < 0.003:
                pass
            client.send(KEY, batch)
            client.close()
        bodies = [request.json for request in server.requests]
        self.assertLess(bodies[0].pop("sentAt"), bodies[1].pop("sentAt"))
        self.assertEqual(bodies[0], bodies[1])


class TestConfiguration(unittest.TestCase):
    def test_hosts(self) -> None:
        """An invalid host is refused when the client is created."""
        for host in (
            "", "api.segment.io", "ftp://api.segment.io", "https://", "https:///v1", "//x",
            "http://x:port", "http://x:99999", "https://user:password@x", "https://x?y=z",
            "https://x#y", "http://[::1",
        ):  # fmt: skip
            with self.subTest(host=host), self.assertRaises(ConfigurationError) as caught:
                HttpClient(host)
            self.assertNotIn("password", str(caught.exception))

    def test_endpoints(self) -> None:
        """A host that ends with an endpoint is refused. The error names that, and allows a path."""
        for path in ("/v1/batch", "/v1/import/", "/segment/v1/track", "/v1/v1"):
            with self.subTest(path=path):
                with self.assertRaises(ConfigurationError) as caught:
                    HttpClient(f"https://x{path}")
                self.assertRegex(
                    str(caught.exception), "optionally .* a path,.* such as /v1/batch:"
                )

    def test_good_hosts(self) -> None:
        """IPv6 addresses, ports and upper case are accepted."""
        for host in ("http://[::1]:8080", "HTTPS://API.segment.io", "http://localhost:1/x"):
            HttpClient(host)

    def test_timeouts(self) -> None:
        """A timeout that is not one or two positive, finite numbers is refused."""
        for timeout in (
            0, -1, True, None, "10", (), (1,), (1, 2, 3), (1, 0), (None, 1), float("nan"),
            float("inf"),
        ):  # fmt: skip
            with self.subTest(timeout=timeout), self.assertRaises(ConfigurationError):
                HttpClient(timeout=timeout)  # type: ignore[arg-type]

    def test_good_timeouts(self) -> None:
        """A timeout may be a number, a pair, or a list, which is what YAML gives."""
        for timeout in (1, 0.5, (3.05, 15), [1, 2]):
            HttpClient(timeout=timeout)  # type: ignore[arg-type]

    def test_regions(self) -> None:
        """A region sets the default host, and an unknown region is refused."""
        self.assertEqual(host_of(None, "us"), US_HOST)
        self.assertEqual(host_of(None, "eu"), EU_HOST)
        self.assertEqual(host_of("https://x", "eu"), "https://x")
        for region in each("mars", "", "EU", None, []):
            with self.subTest(region=region), self.assertRaises(ConfigurationError):
                host_of(None, region)
