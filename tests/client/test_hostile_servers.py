"""Tests for servers that drip, flood, stall or garble their answers."""

from __future__ import annotations

import gzip
import time
import tracemalloc
import unittest
from collections.abc import Callable
from typing import Any
from unittest import mock

from segment_logging import Batch, DeliveryError, HttpClient, Message
from segment_logging._client import exchange
from segment_logging.errors import Cause
from tests.builders import a_track
from tests.raw_servers import OK, RawServer, always, an_answer, once

Behavior = Callable[[RawServer, Any], object]
KEY = "s3cr3t-write-key"
FAR_LONGER = 20.0
"""Seconds that no exchange of these tests may take, although its limits are below one."""


def outcome(
    behave: Behavior, message: Message | None = None, *, timeout: Any = (0.5, 0.25), **options: Any
) -> tuple[DeliveryError | None, RawServer]:
    """Send once, and return the error, if any, and the server. The time is checked, too."""
    with RawServer(behave, **options) as server:
        client = HttpClient(server.url, timeout=timeout)
        before = time.monotonic()
        try:
            client.send(KEY, message or a_track())
        except DeliveryError as error:
            return error, server
        finally:
            client.close()
            if time.monotonic() - before > FAR_LONGER:
                raise AssertionError("the exchange was not bounded")
    return None, server


def after_request(act: Behavior) -> Behavior:
    """Return a behavior that reads one request and then does something else."""

    def behave(server: RawServer, connection: Any) -> None:
        if server.take(connection) is not None:
            act(server, connection)

    return behave


def dripping(head: bytes) -> Behavior:
    """Return a behavior that sends `head` at once, and then one byte after another forever."""

    def drip(server: RawServer, connection: Any) -> None:
        connection.sendall(head)
        server.drip(connection)

    return after_request(drip)


def flooding(head: bytes, piece: bytes) -> Behavior:
    """Return a behavior that sends `head`, and then the same piece forever."""

    def flood(server: RawServer, connection: Any) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece)

    return after_request(flood)


class TestTime(unittest.TestCase):
    """The time of an exchange is bounded, however the server spends it."""

    def test_drips_without_an_answer(self) -> None:
        """A status line, a header or an informational answer that drips is a failed attempt."""
        for head in (b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nX-A: ", b"HTTP/1.1 100 C\r\nX-A: "):
            with self.subTest(head=head):
                error, _ = outcome(dripping(head))
                assert error is not None
                self.assertEqual((error.status, error.retryable), (None, True))
                self.assertIs(error.cause, Cause.OTHER)

    def test_drips_after_the_headers(self) -> None:
        """Complete headers count, even if the body, a chunk or a trailer drips."""
        for head in (
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        ):
            with self.subTest(head=head):
                self.assertIsNone(outcome(dripping(head))[0])
                error, _ = outcome(dripping(head.replace(b"200 OK", b"500 X")))
                assert error is not None
                self.assertEqual(error.status, 500)

    def test_mute(self) -> None:
        """A server that reads the request and never answers is a failed attempt."""
        error, _ = outcome(after_request(lambda server, connection: server.wait()))
        assert error is not None
        self.assertEqual((error.status, error.cause), (None, Cause.OTHER))

    def test_reads_nothing(self) -> None:
        """An upload without progress ends, and the error says that it was the upload."""
        error, _ = outcome(
            lambda server, connection: server.wait(), a_large_batch(), receive_buffer=4_096
        )
        assert error is not None
        self.assertEqual((error.retryable, error.cause), (True, Cause.UPLOAD))

    def test_reads_slowly(self) -> None:
        """A large body that a slow network takes for longer than the timeout is delivered."""

        def slowly(server: RawServer, connection: Any) -> None:
            received, body = b"", b""
            while not received.endswith(b"}") or b"sentAt" not in received[-200:]:
                received += (body := connection.recv(8_192))
                time.sleep(0.03)
                if not body:
                    return
            connection.sendall(OK)

        with mock.patch.object(exchange, "_SLOWEST_BYTES_PER_SECOND", 100_000):
            before = time.monotonic()
            error, _ = outcome(slowly, a_large_batch(), timeout=1, receive_buffer=4_096)
        self.assertIsNone(error)
        self.assertGreater(time.monotonic() - before, 1)

    def test_reads_too_slowly(self) -> None:
        """An upload below the slowest speed ends, although it never stops."""

        def too_slowly(server: RawServer, connection: Any) -> None:
            while connection.recv(1_024):
                time.sleep(0.02)

        with mock.patch.object(exchange, "_SLOWEST_BYTES_PER_SECOND", 1_000_000):
            error, _ = outcome(too_slowly, a_large_batch(), receive_buffer=4_096)
        assert error is not None
        self.assertIs(error.cause, Cause.UPLOAD)

    def test_slowest_speed(self) -> None:
        """The slowest speed of an upload is 4 KiB a second."""
        bounded = exchange.Exchange(60.0, 60.0)
        bounded.begin(40_960)
        self.assertAlmostEqual(bounded._ends_at - bounded._response_ends_at, 70.0, places=3)


class TestFloods(unittest.TestCase):
    """What comes in is bounded, in number and in bytes."""

    def test_informational(self) -> None:
        """Endless informational answers are a failed attempt."""
        for status in (b"100 Continue", b"102 Processing", b"103 Early Hints"):
            with self.subTest(status=status):
                error, _ = outcome(flooding(b"", b"HTTP/1.1 " + status + b"\r\n\r\n"))
                assert error is not None
                self.assertEqual((error.status, error.retryable), (None, True))

    def test_informational_before_the_answer(self) -> None:
        """Informational answers before a 200 are skipped, and the message is sent once."""
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3
        error, server = outcome(once(hints + b"HTTP/1.1 100 Continue\r\n\r\n" + OK))
        self.assertIsNone(error)
        self.assertEqual(len(server.requests), 1)

    def test_endless(self) -> None:
        """An endless status line, header or list of headers is a failed attempt."""
        for head, piece in (
            (b"HTTP/1.1 200 ", b"O" * 65_536),
            (b"HTTP/1.1 200 OK\r\nX-A: ", b"x" * 65_536),
            (b"HTTP/1.1 200 OK\r\n", b"X-A: x\r\n" * 1_000),
        ):
            with self.subTest(head=head):
                error, _ = outcome(flooding(head, piece))
                assert error is not None
                self.assertEqual((error.status, error.retryable), (None, True))

    def test_endless_bodies(self) -> None:
        """Endless bodies cost no memory, and the status counts."""
        chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        chunked = b"Transfer-Encoding: chunked\r\n\r\n"
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for status in (b"200 OK", b"302 Found\r\nLocation: http://127.0.0.1:1/", b"500 X"):
            with self.subTest(status=status):
                error, _ = outcome(flooding(b"HTTP/1.1 " + status + b"\r\n" + chunked, chunk))
                found = None if error is None else error.status
                self.assertEqual(found, None if status == b"200 OK" else int(status[:3]))
        self.assertLess(tracemalloc.get_traced_memory()[1], 8_000_000)

    def test_bombs(self) -> None:
        """Encoded bodies are not inflated, and the status counts."""
        bomb = gzip.compress(gzip.compress(b"\0" * 20_000_000))
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for coding in (b"gzip", b"gzip, gzip", b"deflate", b"br", b"identity, gzip", b"\xff"):
            head = b"Content-Encoding: " + coding + b"\r\n"
            with self.subTest(coding=coding):
                self.assertIsNone(outcome(once(an_answer(bomb, headers=head)))[0])
                error, _ = outcome(once(an_answer(bomb, status="503 Busy", headers=head)))
                assert error is not None
                self.assertEqual(error.status, 503)
        self.assertLess(tracemalloc.get_traced_memory()[1], 8_000_000)


class TestGarbled(unittest.TestCase):
    """The status counts if the rest of the head cannot be read."""

    def test_content_length(self) -> None:
        """A repeated or garbled Content-Length changes nothing, and the wait for more is short."""
        body = b'{"success":true}'
        for lengths in (
            b"Content-Length: 16, 16\r\n", b"Content-Length: 16\r\nContent-Length: 16\r\n",
            b"Content-Length: 16\r\nContent-Length: 17\r\n", b"Content-Length: 17, 16\r\n",
            b"Content-Length: -1\r\n", b"Content-Length: x\r\n", b"Content-Length: +16\r\n",
            b"Content-Length: \r\n", b"Content-Length: " + b"9" * 5_000 + b"\r\n",
        ):  # fmt: skip
            for status, expected in ((b"200 OK", None), (b"503 Busy", 503), (b"400 Bad", 400)):
                with self.subTest(lengths=lengths[:40], status=status):
                    head = b"HTTP/1.1 " + status + b"\r\n" + lengths + b"\r\n"
                    error, _ = outcome(always(head + body), timeout=60)
                    self.assertEqual(None if error is None else error.status, expected)

    def test_words_with_a_garbled_length(self) -> None:
        """The server's words are read if its Content-Length is repeated."""
        body = b'{"message":"too old"}'
        head = b"HTTP/1.1 400 Bad\r\nContent-Length: %d, %d\r\n\r\n" % (len(body), len(body))
        error, _ = outcome(always(head + body), timeout=60)
        self.assertIn("(too old)", str(error))

    def test_locations(self) -> None:
        """A redirect is a failure with its status, whatever its Location is."""
        for location in (
            b"http://[",
            b"\xff\xfe",
            b"http://a:99999999/",
            b"//",
            b"",
            b"x" * 60_000,
        ):
            with self.subTest(location=location[:20]):
                headers = b"Location: " + location + b"\r\n"
                error, _ = outcome(once(an_answer(status="307 T", headers=headers)))
                assert error is not None
                self.assertEqual((error.status, error.retryable), (307, False))

    def test_not_http(self) -> None:
        """Bytes that are not HTTP, or none at all, are a failed attempt."""
        for answer in (
            b"",
            b"\0" * 64,
            b"SSH-2.0-x\r\n",
            b"HTTP/9 x\r\n\r\n",
            b"HTTP/1.1 99 X\r\n\r\n",
        ):
            with self.subTest(answer=answer[:10]):
                error, _ = outcome(once(answer))
                assert error is not None
                self.assertEqual((error.status, error.retryable), (None, True))

    def test_an_answer_too_many(self) -> None:
        """A second answer to the same request is not taken for the answer to the next one."""

        def behave(server: RawServer, connection: Any) -> None:
            while server.take(connection) is not None:
                connection.sendall(
                    OK if len(server.requests) > 1 else OK + an_answer(status="500 X")
                )

        with RawServer(behave) as server, HttpClient(server.url) as client:
            for _ in range(3):
                client.send(KEY, a_track())
                time.sleep(0.05)

    def test_cookies(self) -> None:
        """Cookies are not sent back."""
        answer = an_answer(b"{}", headers=b"Set-Cookie: a=b; Path=/\r\nSet-Cookie: c=d\r\n")
        with RawServer(always(answer)) as server, HttpClient(server.url) as client:
            for _ in range(3):
                client.send(KEY, a_track())
        self.assertEqual(len(server.requests), 3)
        for head, _ in server.requests:
            self.assertNotIn(b"cookie", head.lower())


def a_large_batch() -> Batch:
    """Return a batch of about 400 KB."""
    return Batch([a_track(properties={"text": "x" * 20_000}) for _ in range(20)])
