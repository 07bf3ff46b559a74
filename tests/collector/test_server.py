"""Tests for the collector: what arrives, what it answers, and what it keeps."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Mapping
from threading import Thread

from segment_logging import Batch, DeliveryError, Track, User
from segment_logging.collector import Answer, Collector, Request
from segment_logging.collector.assets import POLICY, assets

from .serving import OverHttp

TRACK = Track(user=User(user_id="u-1"), event="Signup", message_id="m-1")


class TestCollector(OverHttp):
    """Tests for the server."""

    def test_messages(self) -> None:
        """Messages arrive unchanged and in order."""
        collector = self.start()
        client = self.client(collector)
        client.send("key", TRACK)
        client.send("key", Batch([TRACK, TRACK]))
        self.assertEqual(collector.messages, [TRACK.to_dict()] * 3)

    def test_requests(self) -> None:
        """A request is recorded with its write key, size, encoding, retry count and `sentAt`."""
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
        """The write key is neither in a request's repr nor in its recorded headers."""
        collector = self.start()
        self.client(collector).send("very-secret", TRACK)
        self.assertNotIn("very-secret", repr(collector.requests))
        self.assertNotIn("authorization", collector.requests[0].headers)

    def test_refused_is_not_accepted(self) -> None:
        """A message that was answered with 500 does not count as arrived."""
        collector = self.start(answer=[500])
        with self.assertRaises(DeliveryError):
            self.client(collector).send("key", TRACK)
        self.assertEqual(collector.messages, [])
        self.assertEqual(collector.arrivals[0].reason, "answered 500")

    def test_retry_after(self) -> None:
        """A scripted answer can be a 429 with a Retry-After."""
        collector = self.start(answer=[Answer(429, {"Retry-After": "2"})])
        with self.assertRaises(DeliveryError) as caught:
            self.client(collector).send("key", TRACK)
        self.assertEqual((caught.exception.status, caught.exception.retry_after), (429, 2.0))

    def test_hang_up(self) -> None:
        """A scripted answer can close the connection without a response."""
        collector = self.start(answer=[Answer(None)])
        with self.assertRaises(DeliveryError) as caught:
            self.client(collector).send("key", TRACK)
        self.assertIsNone(caught.exception.status)

    def test_function(self) -> None:
        """The answer can be chosen by a function of the request."""

        def answer(request: Request) -> int | None:
            return 503 if request.retry_count is None else None

        collector = self.start(answer=answer)
        client = self.client(collector)
        with self.assertRaises(DeliveryError):
            client.send("key", TRACK)
        client.send("key", TRACK)
        self.assertEqual(len(collector.messages), 1)

    def test_dropped(self) -> None:
        """A message that Segment drops is answered with 200 and listed with its code."""
        collector = self.start()
        status, _, body = self.ask(collector, "POST", "/v1/track", b'{"userId":"u"}')
        self.assertEqual((status, json.loads(body)), (200, {"success": True}))
        self.assertEqual(
            collector.dropped, [({"type": "track", "userId": "u"}, "event_not_defined")]
        )

    def test_repeated_over_requests(self) -> None:
        """A message id that is repeated in another request gets a warning."""
        collector = self.start()
        client = self.client(collector)
        client.send("key", TRACK)
        client.send("key", TRACK)
        first, second = collector.arrivals
        self.assertNotIn("repeated", "".join(first.warnings))
        self.assertIn("repeated", "".join(second.warnings))

    def test_wait_for(self) -> None:
        """The wait ends when enough calls have arrived or when the time is up."""
        collector = self.start()
        self.assertFalse(collector.wait_for(1, timeout=0.0))
        sender = Thread(target=self.client(collector).send, args=("key", TRACK))
        sender.start()
        self.assertTrue(collector.wait_for(1))
        sender.join(10)

    def test_keep(self) -> None:
        """With `keep`, only the latest calls are kept."""
        collector = self.start(keep=2)
        self.client(collector).send("key", Batch([TRACK] * 5))
        self.assertEqual([one.number for one in collector.arrivals], [4, 5])

    def test_bad_bodies(self) -> None:
        """A body that cannot be decoded or is larger than a megabyte is answered with 400."""
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
        """A body without a valid length is refused."""
        collector = self.start()
        none = b"POST /v1/track HTTP/1.1\r\nHost: localhost\r\n\r\n"
        self.assertIn(b" 411 ", self.raw(collector, none))
        self.assertEqual(
            self.ask(collector, "POST", "/v1/track", None, {"Content-Length": "-1"})[0], 400
        )

    def test_other_names(self) -> None:
        """A request for another host name is refused, which prevents DNS rebinding."""
        collector = self.start()
        for method, path in (("GET", "/"), ("GET", "/api/messages"), ("POST", "/v1/track")):
            with self.subTest(path=path):
                status = self.ask(collector, method, path, b"{}", {"Host": "evil.example"})[0]
                self.assertEqual(status, 403)
        self.assertEqual(collector.requests, [])

    def test_loopback_only(self) -> None:
        """The collector listens on 127.0.0.1."""
        self.assertRegex(self.start().url, r"^http://127\.0\.0\.1:\d+$")

    def test_paths(self) -> None:
        """A GET request for an endpoint is refused, and so are unknown paths."""
        collector = self.start()
        self.assertEqual(self.ask(collector, "GET", "/v1/track")[0], 405)
        self.assertEqual(self.ask(collector, "GET", "/other")[0], 404)
        self.assertEqual(self.ask(collector, "POST", "/v1/other", b"{}")[0], 404)

    def test_news(self) -> None:
        """The page's JSON contains the calls since the last request, and the counts."""
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
        """A page that was open before the collector was restarted receives all calls."""
        collector = self.start()
        self.client(collector).send("key", TRACK)
        news = json.loads(self.ask(collector, "GET", "/api/messages?after=999")[2])
        self.assertEqual(len(news["arrivals"]), 1)

    def test_page(self) -> None:
        """The page is sent with its security policy and contains no data that arrived."""
        collector = self.start()
        hostile = Track(user=User(user_id="u"), event="<script>alert(1)</script>")
        self.client(collector).send("key", hostile)
        status, headers, body = self.ask(collector, "GET", "/")
        self.assertEqual((status, body), (200, assets()["/"][1]))
        self.assertEqual(headers["Content-Security-Policy"], POLICY)
        _, headers, _ = self.ask(collector, "GET", "/api/messages")
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")

    def test_page_writes_text_only(self) -> None:
        """The page's script cannot turn a value into markup, and its policy has no exceptions."""
        for path, (_, content) in assets().items():
            for word in (
                b"innerHTML",
                b"outerHTML",
                b"insertAdjacent",
                b"document.write",
                b"eval(",
            ):
                self.assertNotIn(word, content, path)
        self.assertNotIn("unsafe", POLICY)
        self.assertIn("default-src 'none'", POLICY)

    def test_close_ends_connections(self) -> None:
        """Closing the collector also closes connections that clients keep alive."""
        with Collector() as collector:
            connection = http.client.HTTPConnection(collector.url[7:], timeout=10)
            self.addCleanup(connection.close)
            connection.request("GET", "/api/messages")
            connection.getresponse().read()
        self.assertEqual(connection.sock.recv(1), b"")

    def test_keep_alive(self) -> None:
        """A connection can be used for several requests."""
        collector = self.start()
        connection = http.client.HTTPConnection(collector.url[7:], timeout=10)
        self.addCleanup(connection.close)
        for _ in range(3):
            connection.request("POST", "/v1/track", b'{"userId":"u","event":"e"}')
            self.assertEqual(connection.getresponse().read(), b'{"success": true}')
        self.assertEqual(len(collector.messages), 3)
