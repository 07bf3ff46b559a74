"""What users test with is tested, too."""

from __future__ import annotations

import logging
import unittest

from segment_logging import Batch, DeliveryError, InvalidMessage, SegmentHandler
from segment_logging.testing import FakeClient, capture_segment

from .builders import a_track

logger = logging.getLogger("tests.testing")


class TestFakeClient(unittest.TestCase):
    def test_takes_everything(self) -> None:
        """Without a script every request is answered with 200."""
        client = FakeClient()
        batch = Batch([a_track("a"), a_track("b")])
        client.send("key", batch)
        client.send("other", a_track("c"))
        self.assertEqual(client.messages, [a_track("a"), a_track("b"), a_track("c")])
        self.assertEqual(client.batches, [batch])
        self.assertEqual(client.requests, [batch, a_track("c")])
        self.assertEqual(client.write_keys, ["key", "other"])

    def test_script(self) -> None:
        """A script is one answer after the other, then 200."""
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
        """The fake judges statuses as the real one does."""
        for status, retryable in ((400, False), (401, False), (302, False), (500, True)):
            with self.assertRaises(DeliveryError) as caught:
                FakeClient([status]).send("key", a_track())
            self.assertEqual(caught.exception.retryable, retryable)

    def test_function(self) -> None:
        """A script may be a function of the message."""
        client = FakeClient(lambda message: 400 if message == a_track("bad") else None)
        client.send("key", a_track("good"))
        with self.assertRaises(DeliveryError):
            client.send("key", a_track("bad"))
        self.assertEqual(client.messages, [a_track("good")])

    def test_closed(self) -> None:
        """The fake knows whether it is closed; a send opens it again."""
        client = FakeClient()
        client.close()
        self.assertTrue(client.is_closed)
        client.send("key", a_track())
        self.assertFalse(client.is_closed)


class TestCapture(unittest.TestCase):
    def test_without_a_handler(self) -> None:
        """Events are captured at once, in a program that configured nothing."""
        with capture_segment() as captured:
            logger.info("Signup", extra={"user_id": "u-17"})
            self.assertEqual(len(captured), 1)
        self.assertEqual(captured[0].to_dict()["event"], "Signup")
        self.assertEqual(captured[:], captured.messages)

    def test_with_the_programs_handler(self) -> None:
        """With a handler of the program's, each event is captured once, and none is sent."""
        client = FakeClient()
        handler = SegmentHandler("key", client=client, context={"app": {"name": "shop"}})
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        self.addCleanup(handler.close)
        with capture_segment() as captured:
            logger.info("Signup", extra={"user_id": "u-17"})
        self.assertEqual(len(captured), 1)
        self.assertEqual(captured[0].to_dict()["context"]["app"], {"name": "shop"})
        handler.drain(5)
        self.assertEqual(client.requests, [])

    def test_afterwards(self) -> None:
        """After the block the program's handler delivers again."""
        client = FakeClient()
        handler = SegmentHandler("key", client=client)
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        self.addCleanup(handler.close)
        logger.warning("before", extra={"user_id": "u-17"})
        with capture_segment() as captured:
            logger.warning("inside", extra={"user_id": "u-17"})
        logger.warning("after", extra={"user_id": "u-17"})
        handler.drain(5)
        self.assertEqual([m.to_dict()["event"] for m in captured], ["inside"])
        self.assertEqual([m.to_dict()["event"] for m in client.messages], ["before", "after"])

    def test_not_an_event(self) -> None:
        """Plain records are not captured."""
        with capture_segment() as captured:
            logger.warning("just a line", extra={"colour": "red"})
        self.assertEqual(captured.messages, [])

    def test_order(self) -> None:
        """Messages stand in the order they were logged, whatever logger they came from."""
        with capture_segment() as captured:
            for n in range(10):
                logging.getLogger(f"tests.{n % 2}").info(f"e{n}", extra={"user_id": "u"})
        self.assertEqual([m.to_dict()["event"] for m in captured], [f"e{n}" for n in range(10)])

    def test_one_logger(self) -> None:
        """With a name, only what reaches that logger is captured."""
        with capture_segment("tests.one") as captured:
            logging.getLogger("tests.one.below").info("yes", extra={"user_id": "u"})
            logging.getLogger("tests.two").warning("no", extra={"user_id": "u"})
        self.assertEqual([m.to_dict()["event"] for m in captured], ["yes"])

    def test_level(self) -> None:
        """The level holds for the block only, and below it nothing is captured."""
        root = logging.getLogger()
        before = (root.level, list(root.handlers))
        with capture_segment(level="WARNING") as captured:
            logger.info("no", extra={"user_id": "u"})
            logger.warning("yes", extra={"user_id": "u"})
        self.assertEqual([m.to_dict()["event"] for m in captured], ["yes"])
        self.assertEqual((root.level, root.handlers), before)

    def test_invalid(self) -> None:
        """An event that Segment would drop fails the test, at the end of the block."""
        with self.assertRaises(InvalidMessage) as caught, capture_segment():
            logger.info("Signup", extra={"user_id": ""})
        self.assertEqual(caught.exception.field, "user_id")

    def test_allow_invalid(self) -> None:
        """Or it is kept beside the good ones."""
        with capture_segment(allow_invalid=True) as captured:
            logger.info("Signup", extra={"event": "x"})
            logger.info("Login", extra={"user_id": "u"})
        self.assertEqual([type(error) for error in captured.invalid], [InvalidMessage])
        self.assertEqual(len(captured), 1)

    def test_own_error_first(self) -> None:
        """An error of the block itself is not hidden by an invalid event."""
        with self.assertRaises(KeyError), capture_segment():
            logger.info("Signup", extra={"user_id": ""})
            raise KeyError

    def test_invalid_once(self) -> None:
        """An invalid event is reported once, however many handlers it comes past."""
        handler = SegmentHandler("key", client=FakeClient())
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        self.addCleanup(handler.close)
        with capture_segment(allow_invalid=True) as captured:
            logger.info("Signup", extra={"user_id": ""})
        self.assertEqual(len(captured.invalid), 1)

    def test_nested(self) -> None:
        """A block inside a block captures for itself; the outer one goes on afterwards."""
        with capture_segment() as outer:
            with capture_segment() as inner:
                logger.info("inner", extra={"user_id": "u"})
            logger.info("outer", extra={"user_id": "u"})
        self.assertEqual([m.to_dict()["event"] for m in inner], ["inner"])
        self.assertEqual(outer[-1].to_dict()["event"] if outer else None, "outer")

    def test_without_write_key(self) -> None:
        """A handler without a write key, as in a test environment, is captured as well."""
        with self.assertLogs("segment_logging", "WARNING"):
            handler = SegmentHandler()
        logger.addHandler(handler)
        logger.propagate = False
        self.addCleanup(setattr, logger, "propagate", True)
        self.addCleanup(logger.removeHandler, handler)
        with capture_segment() as captured:
            logger.info("Signup", extra={"user_id": "u"})
        self.assertEqual(len(captured), 1)
