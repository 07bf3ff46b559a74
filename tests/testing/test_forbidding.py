"""Tests for forbid_sending, which makes sending an error."""

from __future__ import annotations

import logging
import os
import tempfile
import unittest
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

from typing_extensions import override

from segment_logging import AutoBatcher, Batch, Batcher, HttpClient, SegmentHandler
from segment_logging._broker.client import BrokerClient
from segment_logging.testing import (
    FakeClient,
    SendingForbidden,
    allow_sending,
    capture_segment,
    forbid_sending,
)
from tests import needs
from tests.builders import RecordingSession, a_track
from tests.servers import ScriptedServer

logger = logging.getLogger("tests.forbidding")


@contextmanager
def handler_of(key: str | None = "key", **options: Any) -> Iterator[SegmentHandler]:
    """Attach a handler that sends over HTTP, by default to a port that nothing is listening on."""
    options = {"host": "http://127.0.0.1:1", "flush_interval": 60.0, **options}
    handler = SegmentHandler(key, **options)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
        handler.close()


@contextmanager
def unsent_by(**options: Any) -> Iterator[SegmentHandler]:
    """Attach a handler that has no write key."""
    with patch.dict(os.environ), redirect_stderr(StringIO()):
        os.environ.pop("SEGMENT_WRITE_KEY", None)
        with handler_of(None, **options) as handler:
            yield handler


class TestClient(unittest.TestCase):
    """Code that sends without a handler."""

    @override
    def setUp(self) -> None:
        self.session = RecordingSession()
        self.addCleanup(self.session.close)
        self.client = HttpClient(session=self.session)

    def test_raises(self) -> None:
        """The client raises at once and sends nothing. The error shows the message and the fix."""
        with self.assertRaises(SendingForbidden) as caught, forbid_sending():
            self.client.send("key", a_track("Signup", properties={"plan": "pro"}))
        text = str(caught.exception)
        self.assertIn("track 'Signup' user_id='u-17' properties={'plan': 'pro'}", text)
        self.assertIn("capture_segment()", text)
        self.assertNotIn("key", text.replace("segment_events", ""))
        self.assertEqual(self.session.bodies, [])

    @needs.kombu
    def test_broker(self) -> None:
        """A client of a broker raises, too."""
        with self.assertRaises(SendingForbidden), forbid_sending():
            BrokerClient("amqp://127.0.0.1:1").send("key", a_track())

    def test_is_a_failure(self) -> None:
        """SendingForbidden is an AssertionError, unlike the errors that sending code may expect."""
        self.assertTrue(issubclass(SendingForbidden, AssertionError))

    def test_caught(self) -> None:
        """If the code catches every exception, the block raises when it ends."""
        with self.assertRaises(SendingForbidden), forbid_sending():
            with suppress(BaseException):
                self.client.send("key", a_track())
            reached = True
        self.assertTrue(reached)

    def test_batch(self) -> None:
        """The messages of a batch are shown once, no matter how many times it is tried."""
        with self.assertRaises(SendingForbidden) as caught, forbid_sending():
            for _ in range(2):
                with suppress(SendingForbidden):
                    self.client.send("key", Batch([a_track(f"e{n}") for n in range(7)]))
        lines = str(caught.exception).splitlines()
        self.assertEqual(
            lines[0], "7 messages would have been sent to Segment inside forbid_sending():"
        )
        self.assertEqual((lines[1], lines[6]), ("  track 'e0' user_id='u-17'", "  and 2 more"))

    def test_auto_batcher(self) -> None:
        """An AutoBatcher that sends at the end of its block raises there."""
        with (
            self.assertRaises(SendingForbidden),
            forbid_sending(),
            AutoBatcher(self.client, Batcher(), "key") as batcher,
        ):
            batcher.push(a_track())

    def test_own_error(self) -> None:
        """An error in the block itself takes precedence."""
        with self.assertRaises(KeyError), forbid_sending():
            with suppress(SendingForbidden):
                self.client.send("key", a_track())
            raise KeyError

    def test_afterwards(self) -> None:
        """After the block, the client sends again."""
        with forbid_sending():
            pass
        self.client.send("key", a_track())
        self.assertEqual(len(self.session.bodies), 1)

    def test_allowed(self) -> None:
        """Inside `allow_sending`, the client sends."""
        with forbid_sending(), allow_sending():
            self.client.send("key", a_track())
        self.assertEqual(len(self.session.bodies), 1)

    def test_forbidden_again(self) -> None:
        """After `allow_sending`, sending is forbidden again."""
        with self.assertRaises(SendingForbidden), forbid_sending():
            with allow_sending():
                pass
            self.client.send("key", a_track())

    def test_nested(self) -> None:
        """If blocks are nested, the inner one raises and the outer one continues."""
        with forbid_sending(), self.assertRaises(SendingForbidden), forbid_sending():
            self.client.send("key", a_track())
        self.client.send("key", a_track())
        self.assertEqual(len(self.session.bodies), 1)


class TestHandler(unittest.TestCase):
    """A handler that sends in its own thread."""

    def test_raises(self) -> None:
        """The block raises when it ends. The error shows the events, and none of them is sent."""
        with ScriptedServer() as server, handler_of(host=server.host) as handler:
            with self.assertRaises(SendingForbidden) as caught, forbid_sending():
                logger.info("Signup", extra={"user_id": "u"})
                logger.info("Login", extra={"user_id": "u"})
            self.assertTrue(handler.drain(5))
            self.assertEqual(server.requests, [])
        self.assertIn("  track 'Signup' user_id='u'\n  track 'Login'", str(caught.exception))

    def test_logged_before(self) -> None:
        """Events that were logged before the block are sent and do not make it raise."""
        with ScriptedServer() as server, handler_of(host=server.host, flush_interval=60):
            logger.info("Signup", extra={"user_id": "u"})
            with forbid_sending():
                self.assertEqual(len(server.requests), 1)

    def test_own_error(self) -> None:
        """If the block ends with its own error, nothing is sent later either."""
        with ScriptedServer() as server, handler_of(host=server.host) as handler:
            with self.assertRaises(KeyError), forbid_sending():
                logger.info("Signup", extra={"user_id": "u"})
                raise KeyError
            self.assertTrue(handler.drain(5))
            self.assertEqual(server.requests, [])

    def test_journal(self) -> None:
        """Nothing is left in a journal for another process to send."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        with handler_of(journal=directory.name) as handler:
            with self.assertRaises(SendingForbidden), forbid_sending():
                logger.info("Signup", extra={"user_id": "u"})
            self.assertEqual(handler.counts().pending, 0)
        texts = [path.read_bytes() for path in Path(directory.name).rglob("*") if path.is_file()]
        self.assertFalse([text for text in texts if b"Signup" in text])

    def test_captured(self) -> None:
        """Captured events do not count as sent."""
        with handler_of(), forbid_sending(), capture_segment() as captured:
            logger.info("Signup", extra={"user_id": "u"})
        self.assertEqual(len(captured), 1)

    def test_no_write_key(self) -> None:
        """Without a write key, as in CI, the block raises as with one. Nothing is sent later."""
        with unsent_by() as handler:
            with self.assertRaises(SendingForbidden) as caught, forbid_sending():
                logger.info("Signup", extra={"user_id": "u"})
                logger.info("Login", extra={"user_id": "u"})
            logger.info("Afterwards", extra={"user_id": "u"})
            self.assertEqual((handler.counts().invalid, handler.counts().ignored), (0, 1))
        self.assertIn("  track 'Signup' user_id='u'\n  track 'Login'", str(caught.exception))

    def test_no_write_key_but_allowed(self) -> None:
        """Without a write key, what is allowed, captured or for others to send is no error."""
        with unsent_by(), forbid_sending():
            with allow_sending():
                logger.info("Signup", extra={"user_id": "u"})
            with capture_segment() as captured:
                logger.info("Signup", extra={"user_id": "u"})
            self.assertEqual(len(captured), 1)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        for options in ({"client": FakeClient()}, {"journal": directory.name, "deliver": False}):
            with self.subTest(options), unsent_by(**options), forbid_sending():
                logger.info("Signup", extra={"user_id": "u"})

    def test_no_write_key_and_refused(self) -> None:
        """Without a write key, an event that is refused is no error, with dead letters or not."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        with (
            unsent_by(dead_letters=f"{directory.name}/dead.jsonl") as handler,
            forbid_sending(),
        ):
            logger.info("Signup", extra={"segment": True})
        self.assertEqual(handler.counts().invalid, 1)

    def test_fake_client(self) -> None:
        """Events from a handler that uses a fake client do not count as sent."""
        client = FakeClient()
        with handler_of(client=client), forbid_sending():
            logger.info("Signup", extra={"user_id": "u"})
        self.assertEqual(len(client.messages), 1)

    def test_allowed(self) -> None:
        """A handler can deliver events inside `allow_sending`."""
        with ScriptedServer() as server, handler_of(host=server.host) as handler:
            with forbid_sending(), allow_sending():
                logger.info("Signup", extra={"user_id": "u"})
                handler.drain(5)
            self.assertEqual(len(server.requests), 1)


if __name__ == "__main__":
    unittest.main()
