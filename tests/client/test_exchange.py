"""Tests for servers that answer in unusual ways, or not at all."""

from __future__ import annotations

import base64
import gzip
import time
import unittest
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import requests

from segment_logging import (
    DeliveryError,
    HttpClient,
    InvalidMessage,
)
from segment_logging._process.delivering import delivering_by
from segment_logging.errors import Cause
from tests.builders import a_track
from tests.servers import (
    Answer,
    Request,
    ScriptedServer,
    dead_host,
    dripping_server,
    mute_server,
    raw_server,
)

KEY = "s3cr3t-write-key"
BROKEN = (
    {"Content-Encoding": "gzip"},
    # Closing the connection ends the body. Otherwise, the client would wait for more of it.
    {"Transfer-Encoding": "chunked", "Connection": "close"},
)
"""Headers that do not match the body."""


def sent(message: Any, **options: Any) -> Request:
    """Send the message to a server that answers with 200, and return the request."""
    with ScriptedServer() as server:
        client = HttpClient(server.host, **options)
        client.send(KEY, message)
        client.close()
    (request,) = server.requests
    return request


def failure(answer: Answer, message: Any = None, **options: Any) -> DeliveryError:
    """Send once to a server that gives this answer, and return the error."""
    with ScriptedServer([answer]) as server:
        client = HttpClient(server.host, **options)
        try:
            client.send(KEY, message or a_track())
        except DeliveryError as error:
            return error
        finally:
            client.close()
    raise AssertionError("the answer counted as a delivery")


class TestAnswers(unittest.TestCase):
    def test_2xx(self) -> None:
        """Any 2xx is a delivery, regardless of its body."""
        for answer in (Answer(), Answer(status=201, body=b""), Answer(body=b'{"success": true}')):
            with ScriptedServer([answer]) as server:
                client = HttpClient(server.host)
                client.send(KEY, a_track())
                client.close()

    def test_redirects(self) -> None:
        """A redirect is a failure and is never followed."""
        for status in (301, 302, 303, 307, 308):
            with ScriptedServer() as elsewhere:
                error = failure(
                    Answer(status=status, headers={"Location": elsewhere.host + "/v1/track"})
                )
            self.assertEqual((error.status, error.retryable), (status, False))
            self.assertEqual(elsewhere.requests, [])

    def test_statuses(self) -> None:
        """The status determines whether the error is retryable."""
        for status, retryable in (
            (400, False), (401, False), (403, False), (404, False), (413, False), (422, False),
            (501, False), (505, False), (408, True), (410, True), (429, True), (460, True),
            (500, True), (502, True), (503, True), (504, True), (599, True),
        ):  # fmt: skip
            error = failure(Answer(status=status))
            self.assertEqual((error.status, error.retryable), (status, retryable))
            self.assertIn(str(status), str(error))

    def test_retry_after_seconds(self) -> None:
        """The error contains the Retry-After in seconds, at most 300."""
        for text, seconds in (("7", 7.0), ("0.5", 0.5), ("3600", 300.0)):
            for status in (429, 503):
                error = failure(Answer(status=status, headers={"Retry-After": text}))
                self.assertEqual(error.retry_after, seconds)

    def test_retry_after_date(self) -> None:
        """A date in Retry-After is converted to the time until then."""
        moment = datetime.now(UTC) + timedelta(seconds=60)
        error = failure(
            Answer(status=429, headers={"Retry-After": format_datetime(moment, usegmt=True)})
        )
        assert error.retry_after is not None
        self.assertTrue(50 < error.retry_after <= 60, error.retry_after)

    def test_retry_after_that_means_nothing(self) -> None:
        """Retry-After is ignored if it is malformed or if the status allows no retry."""
        self.assertIsNone(failure(Answer(status=429, headers={"Retry-After": "soon"})).retry_after)
        self.assertIsNone(failure(Answer(status=429)).retry_after)
        self.assertIsNone(failure(Answer(status=400, headers={"Retry-After": "7"})).retry_after)

    def test_web_page(self) -> None:
        """A 200 with a web page, such as a captive portal's, is not a delivery."""
        for body in (b"<!DOCTYPE html><html>", b"\r\n  <html>", b"\xef\xbb\xbf<html>"):
            error = failure(Answer(headers={"Content-Type": "text/html"}, body=body))
            self.assertTrue(error.retryable)
            self.assertIsNone(error.status)

    def test_compressed_web_page(self) -> None:
        """A compressed web page is not a delivery either."""
        body = gzip.compress(b"<!DOCTYPE html>" + b"x" * 100)
        failure(
            Answer(headers={"Content-Encoding": "gzip", "Content-Type": "text/html"}, body=body)
        )

    def test_broken_body(self) -> None:
        """A 2xx with an unreadable body is a delivery, because the request was accepted."""
        for headers in BROKEN:
            answer = Answer(headers=headers, body=b"none of it")
            with ScriptedServer([answer]) as server, HttpClient(server.host) as client:
                client.send(KEY, a_track())
                self.assertEqual(len(server.requests), 1)

    def test_broken_body_of_a_failure(self) -> None:
        """The status and headers of an error answer are used even if its body is unreadable."""
        for status, retryable in ((401, False), (429, True)):
            for broken in BROKEN:
                headers = {**broken, "Retry-After": "7"}
                error = failure(Answer(status=status, headers=headers, body=b"none of it"))
                self.assertEqual((error.status, error.retryable), (status, retryable))
                self.assertEqual(error.retry_after, 7 if retryable else None)

    def test_closed_in_the_headers(self) -> None:
        """A connection that is closed in the middle of the headers has delivered nothing."""
        for head in (b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 200"):
            with self.subTest(head), raw_server(head) as host, HttpClient(host) as client:
                with self.assertRaises(DeliveryError) as caught:
                    client.send(KEY, a_track())
                self.assertTrue(caught.exception.retryable)
                self.assertIsNone(caught.exception.status)

    def test_body_that_drips(self) -> None:
        """A slow body is not waited for, because the status is already known."""
        head = b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\n\r\n"
        with dripping_server(head) as host, self.assertRaises(DeliveryError) as caught:
            HttpClient(host, timeout=(1, 0.2)).send(KEY, a_track())
        self.assertEqual((caught.exception.status, caught.exception.retry_after), (429, 7))

    def test_body_that_drips_at_the_end(self) -> None:
        """A deadline ends the wait for a body, and a 2xx received before it is a delivery."""
        with dripping_server(b"HTTP/1.1 200 OK\r\n\r\n") as host:
            client = HttpClient(host, timeout=60)
            before = time.monotonic()
            with delivering_by(lambda: before + 0.5):
                client.send(KEY, a_track())
            self.assertLess(time.monotonic() - before, 10)

    def test_transport_made_by_hand(self) -> None:
        """The session may return responses that do not come from a network."""
        response = requests.Response()
        response.status_code = 429
        response.headers["Retry-After"] = "2"
        session = SimpleNamespace(post=lambda *_, **__: response)
        with self.assertRaises(DeliveryError) as caught:
            HttpClient(session=session).send(KEY, a_track())
        self.assertEqual((caught.exception.status, caught.exception.retry_after), (429, 2))

    def test_no_message(self) -> None:
        """A value that is not a message is refused, and the error mentions `from_dict`."""
        form: Any = a_track().to_dict()
        with self.assertRaises(InvalidMessage) as caught:
            HttpClient().send(KEY, form)
        self.assertIn("from_dict", str(caught.exception))


class TestNoAnswer(unittest.TestCase):
    def error_of(self, host: str, **options: Any) -> DeliveryError:
        client = HttpClient(host, **options)
        try:
            with self.assertRaises(DeliveryError) as caught:
                client.send(KEY, a_track())
        finally:
            client.close()
        self.assertIsNone(caught.exception.status)
        return caught.exception

    def test_refused(self) -> None:
        """A refused connection is retryable."""
        self.assertTrue(self.error_of(dead_host()).retryable)

    def test_no_tls(self) -> None:
        """If TLS fails, the error is retryable and mentions the certificate."""
        with ScriptedServer() as server:
            error = self.error_of(server.host.replace("http:", "https:"))
        self.assertTrue(error.retryable)
        self.assertIn("certificate", str(error))

    def test_mute(self) -> None:
        """The attempt fails after the timeout if the server never answers."""
        with mute_server() as host:
            before = time.monotonic()
            self.assertTrue(self.error_of(host, timeout=(1, 0.1)).retryable)
            self.assertLess(time.monotonic() - before, 5)

    def test_deadline(self) -> None:
        """A deadline shortens the wait for an answer."""
        with mute_server() as host:
            client = HttpClient(host, timeout=60)
            before = time.monotonic()
            with delivering_by(lambda: before + 0.1), self.assertRaises(DeliveryError) as caught:
                client.send(KEY, a_track())
            client.close()
            self.assertLess(time.monotonic() - before, 5)
            self.assertTrue(caught.exception.retryable)

    def test_deadline_passed(self) -> None:
        """After the deadline, nothing is sent."""
        with ScriptedServer() as server:
            client = HttpClient(server.host)
            over = time.monotonic() - 1
            with delivering_by(lambda: over), self.assertRaises(DeliveryError) as caught:
                client.send(KEY, a_track())
            client.close()
        self.assertTrue(caught.exception.retryable)
        self.assertIs(caught.exception.cause, Cause.NO_TIME)
        self.assertIn("raise shutdown_timeout", str(caught.exception))
        self.assertEqual(server.requests, [])

    def test_bad_proxy(self) -> None:
        """A malformed proxy URL is a configuration error and not retryable."""
        error = self.error_of("http://segment.invalid", proxies={"http": "http://"})
        self.assertFalse(error.retryable)


class TestSecrets(unittest.TestCase):
    def test_never_shown(self) -> None:
        """The write key appears neither in errors nor in the client's repr."""
        errors = [failure(Answer(status=status)) for status in (401, 500)]
        client = HttpClient(dead_host())
        for _ in range(2):
            with self.assertRaises(DeliveryError) as caught:
                client.send(KEY, a_track())
            errors.append(caught.exception)
        for error in errors:
            for shown in (str(error), repr(error), str(vars(error)), str(error.__cause__)):
                self.assertNotIn(KEY, shown)
        self.assertNotIn(KEY, repr(client) + str(vars(client)))
        client.close()

    def test_write_key_of_any_text(self) -> None:
        """A write key with characters outside Latin-1 is sent as UTF-8."""
        with ScriptedServer() as server:
            client = HttpClient(server.host)
            client.send("ключ", a_track())
            client.close()
        authorization = server.requests[0].headers["Authorization"]
        self.assertEqual(base64.b64decode(authorization.split()[1]), "ключ:".encode())
