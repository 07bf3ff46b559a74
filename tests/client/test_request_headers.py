"""Tests for the request headers that a user adds."""

from __future__ import annotations

import unittest
from typing import Any

from segment_logging import ConfigurationError, DeliveryError, HttpClient
from tests.builders import a_track
from tests.servers import Answer, Request, ScriptedServer


def sent_with(headers: dict[str, str], **options: Any) -> Request:
    """Send a track with these headers, and return the request."""
    with ScriptedServer() as server, HttpClient(server.host, headers=headers, **options) as client:
        client.send("the-write-key", a_track())
    (request,) = server.requests
    return request


class TestRequestHeaders(unittest.TestCase):
    def test_added(self) -> None:
        """Added headers are in the request as they were given."""
        headers = sent_with({"X-Strict-Mode": "1", "X-Text": "a  b\tü", "X-Empty": ""}).headers
        self.assertEqual(headers["X-Strict-Mode"], "1")
        self.assertEqual(headers["X-Text"], "a  b\tü")
        self.assertEqual(headers["X-Empty"], "")

    def test_not_replaced(self) -> None:
        """The client's own headers cannot be replaced, however they are written."""
        plain = sent_with({}, gzip=True).headers
        for name in (
            "Accept", "ACCEPT-ENCODING", "Authorization", "connection", "Content-Encoding",
            "content-length", "Content-type", "Host", "Transfer-Encoding", "user-agent",
            "X-Retry-Count",
        ):  # fmt: skip
            with self.subTest(name):
                headers = sent_with({name: "17"}, gzip=True).headers
                self.assertEqual(headers.keys(), plain.keys())
                self.assertNotIn("17", headers.values())

    def test_refused(self) -> None:
        """A name or a value that a request cannot have is refused when the client is created."""
        for headers in ({"X Y": "1"}, {"X\r\nY": "1"}, {"X": "secret\r\nY: 1"}, {"X": b"secret"}):
            with self.subTest(headers), self.assertRaises(ConfigurationError) as caught:
                HttpClient(headers=headers)  # type: ignore[arg-type]
            self.assertNotIn("secret", str(caught.exception))

    def test_quoted_by_the_server(self) -> None:
        """An error does not contain a value that the server quotes from the request."""
        body = b'{"error": "the token gateway-secret-17 is unknown"}'
        with (
            ScriptedServer([Answer(status=401, body=body)]) as server,
            HttpClient(server.host, headers={"X-Key": "Bearer gateway-secret-17"}) as client,
            self.assertRaises(DeliveryError) as caught,
        ):
            client.send("the-write-key", a_track())
        self.assertIn("the token … is unknown", str(caught.exception))
