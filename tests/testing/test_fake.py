"""Tests for FakeClient, which needs no network."""

from __future__ import annotations

import unittest

from segment_logging import Batch, DeliveryError
from segment_logging.testing import FakeClient
from tests.builders import a_track


class TestFakeClient(unittest.TestCase):
    def test_takes_everything(self) -> None:
        """Without a script, every request is answered with 200."""
        client = FakeClient()
        batch = Batch([a_track("a"), a_track("b")])
        client.send("key", batch)
        client.send("other", a_track("c"))
        self.assertEqual(client.messages, [a_track("a"), a_track("b"), a_track("c")])
        self.assertEqual(client.batches, [batch])
        self.assertEqual(client.requests, [batch, a_track("c")])
        self.assertEqual(client.write_keys, ["key", "other"])

    def test_script(self) -> None:
        """A script is a list of answers. After the last one, every answer is 200."""
        client = FakeClient([503, (429, 7.0), 202, None, KeyError, ValueError("x")])
        with self.assertRaises(DeliveryError) as caught:
            client.send("key", a_track("1"))
        self.assertEqual((caught.exception.status, caught.exception.retryable), (503, True))
        with self.assertRaises(DeliveryError) as caught:
            client.send("key", a_track("2"))
        self.assertEqual((caught.exception.status, caught.exception.retry_after), (429, 7.0))
        client.send("key", a_track("3"))
        client.send("key", a_track("4"))
        with self.assertRaises(KeyError):
            client.send("key", a_track("5"))
        with self.assertRaisesRegex(ValueError, "x"):
            client.send("key", a_track("6"))
        client.send("key", a_track("7"))
        self.assertEqual(len(client.requests), 7)
        self.assertEqual(client.messages, [a_track("3"), a_track("4"), a_track("7")])

    def test_retryable(self) -> None:
        """The fake classifies statuses like the real client."""
        for status, retryable in ((400, False), (401, False), (302, False), (500, True)):
            with self.assertRaises(DeliveryError) as caught:
                FakeClient([status]).send("key", a_track())
            self.assertEqual(caught.exception.retryable, retryable)

    def test_function(self) -> None:
        """A script may be a function that takes the message."""
        client = FakeClient(lambda message: 400 if message == a_track("bad") else None)
        client.send("key", a_track("good"))
        with self.assertRaises(DeliveryError):
            client.send("key", a_track("bad"))
        self.assertEqual(client.messages, [a_track("good")])

    def test_closed(self) -> None:
        """The fake reports whether it is closed, and sending opens it again."""
        client = FakeClient()
        client.close()
        self.assertTrue(client.is_closed)
        client.send("key", a_track())
        self.assertFalse(client.is_closed)
