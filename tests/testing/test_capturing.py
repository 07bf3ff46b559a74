"""Tests for capturing events."""

from __future__ import annotations

import asyncio
import logging
import traceback
import unittest
from collections.abc import Iterable
from contextlib import ExitStack, contextmanager
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue
from threading import Thread
from typing import Any

from typing_extensions import override

from segment_logging import InvalidMessage, SegmentHandler
from segment_logging._messages.calls import Call
from segment_logging.testing import FakeClient, capture_segment
from tests import needs
from tests.builders import run_python

logger = logging.getLogger("tests.testing")


def names_of(messages: Iterable[Call]) -> list[str]:
    """Return the event names of track calls."""
    return [message.to_dict()["event"] for message in messages]


class TestCapture(unittest.TestCase):
    def test_without_a_handler(self) -> None:
        """Events are captured at once, even if the program has not configured logging."""
        with capture_segment() as captured:
            logger.info("Signup", extra={"user_id": "u-17"})
            self.assertEqual(len(captured), 1)
        self.assertEqual(captured[0].to_dict()["event"], "Signup")
        self.assertEqual(captured[:], captured.messages)

    def test_with_the_programs_handler(self) -> None:
        """With the program's own handler, each event is captured once and none is sent."""
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
        """After the block, the program's handler delivers again."""
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
        self.assertEqual(names_of(captured), ["inside"])
        self.assertEqual(names_of(client.messages), ["before", "after"])

    def test_not_an_event(self) -> None:
        """Plain records are not captured."""
        with capture_segment() as captured:
            logger.warning("just a line", extra={"colour": "red"})
        self.assertEqual(captured.messages, [])

    def test_order(self) -> None:
        """Messages are in the order in which they were logged, across loggers."""
        with capture_segment() as captured:
            for n in range(10):
                logging.getLogger(f"tests.{n % 2}").info(f"e{n}", extra={"user_id": "u"})
        self.assertEqual(names_of(captured), [f"e{n}" for n in range(10)])

    def test_one_logger(self) -> None:
        """With a name, only events that reach that logger are captured."""
        with capture_segment("tests.one") as captured:
            logging.getLogger("tests.one.below").info("yes", extra={"user_id": "u"})
            logging.getLogger("tests.two").warning("no", extra={"user_id": "u"})
        self.assertEqual(names_of(captured), ["yes"])

    def test_level(self) -> None:
        """The level applies only inside the block, and events below it are not captured."""
        root = logging.getLogger()
        before = (root.level, list(root.handlers))
        with capture_segment(level="WARNING") as captured:
            logger.info("no", extra={"user_id": "u"})
            logger.warning("yes", extra={"user_id": "u"})
        self.assertEqual(names_of(captured), ["yes"])
        self.assertEqual((root.level, root.handlers), before)

    def test_invalid(self) -> None:
        """An event that Segment would drop fails the test at the end of the block."""
        with self.assertRaises(InvalidMessage) as caught, capture_segment():
            logger.info("Signup", extra={"user_id": ""})
        self.assertEqual(caught.exception.field, "user_id")

    def test_allow_invalid(self) -> None:
        """With `allow_invalid`, an invalid event is kept separately from the valid ones."""
        with capture_segment(allow_invalid=True) as captured:
            logger.info("Signup", extra={"event": "x"})
            logger.info("Login", extra={"user_id": "u"})
        self.assertEqual([type(error) for error in captured.invalid], [InvalidMessage])
        self.assertEqual(len(captured), 1)

    def test_own_error_first(self) -> None:
        """An error in the block itself is not hidden by an invalid event."""
        with self.assertRaises(KeyError), capture_segment():
            logger.info("Signup", extra={"user_id": ""})
            raise KeyError

    def test_invalid_once(self) -> None:
        """An invalid event is reported once, no matter how many handlers see it."""
        handler = SegmentHandler("key", client=FakeClient())
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        self.addCleanup(handler.close)
        with capture_segment(allow_invalid=True) as captured:
            logger.info("Signup", extra={"user_id": ""})
        self.assertEqual(len(captured.invalid), 1)

    def test_nested(self) -> None:
        """An inner block captures its own events, and the outer one continues afterwards."""
        with capture_segment() as outer:
            with capture_segment() as inner:
                logger.info("inner", extra={"user_id": "u"})
            logger.info("outer", extra={"user_id": "u"})
        self.assertEqual(names_of(inner), ["inner"])
        self.assertEqual(names_of(outer), ["outer"])

    def test_without_write_key(self) -> None:
        """A handler without a write key, as in a test environment, is captured, too."""
        with self.assertLogs("segment_logging", "WARNING"):
            handler = SegmentHandler()
        logger.addHandler(handler)
        logger.propagate = False
        self.addCleanup(setattr, logger, "propagate", True)
        self.addCleanup(logger.removeHandler, handler)
        with capture_segment() as captured:
            logger.info("Signup", extra={"user_id": "u"})
        self.assertEqual(len(captured), 1)

    def test_clear(self) -> None:
        """`clear` forgets captured events, including refused ones."""
        with capture_segment() as captured:
            logger.info("Signup", extra={"user_id": "u"})
            logger.info("Signup", extra={"user_id": ""})
            captured.clear()
            logger.info("Login", extra={"user_id": "u"})
        self.assertEqual(names_of(captured), ["Login"])
        self.assertEqual((captured.invalid, list(captured.passed_over)), ([], []))

    def test_place_of_a_refusal(self) -> None:
        """The error for a refused event contains the place where it was logged."""
        with capture_segment(allow_invalid=True) as captured:
            logger.info("Signup", extra={"user_id": ""})
        with self.assertRaises(InvalidMessage) as caught:
            captured.raise_refused()
        notes = getattr(caught.exception, "__notes__", [f"before Python 3.11: at {__file__}:"])
        self.assertIn(f"at {__file__}:", notes[0])

    def test_error_of_a_hook(self) -> None:
        """The traceback of an exception from a hook shows where it was raised."""

        def fail(message: object) -> None:
            raise ZeroDivisionError

        with attached(logger, SegmentHandler("key", before_send=fail)), ExitStack() as stack:
            caught = stack.enter_context(self.assertRaises(InvalidMessage))
            stack.enter_context(capture_segment())
            logger.info("Signup", extra={"user_id": "u"})
        assert caught.exception.__cause__ is not None
        frames = traceback.extract_tb(caught.exception.__cause__.__traceback__)
        self.assertEqual(frames[-1].name, "fail")


class TestCaptureOfLoggers(unittest.TestCase):
    """The loggers, levels and handlers that are captured with different configurations."""

    def test_no_propagation(self) -> None:
        """A logger that does not propagate is captured, even without a SegmentHandler."""
        child = logging.getLogger("tests.testing.alone.below")
        with attached(logging.getLogger("tests.testing.alone"), logging.NullHandler()):
            with capture_segment() as captured:
                child.info("Signup", extra={"user_id": "u"})
            self.assertEqual(names_of(captured), ["Signup"])

    def test_no_propagation_elsewhere(self) -> None:
        """With a name, a logger that does not propagate is captured only below that name."""
        other = logging.getLogger("tests.testing.alone")
        with attached(other, logging.NullHandler()):
            with capture_segment("tests.testing.one") as captured:
                other.info("Signup", extra={"user_id": "u"})
            self.assertEqual(names_of(captured), [])

    def test_other_loggers_handler(self) -> None:
        """With a name, events from other loggers are neither captured nor sent."""
        client = FakeClient()
        other = logging.getLogger("tests.testing.other")
        with attached(other, SegmentHandler("key", client=client)) as handler:
            with capture_segment("tests.testing.one") as captured:
                other.warning("Signup", extra={"user_id": "u"})
                other.warning("Signup", extra={"user_id": ""})
            handler.drain(5)
        self.assertEqual((names_of(captured), client.requests), ([], []))

    def test_other_loggers_handler_nested(self) -> None:
        """Events from other loggers are captured by the outer block, if there is one."""
        other = logging.getLogger("tests.testing.other")
        with attached(other, SegmentHandler("key", client=FakeClient())):
            with capture_segment(allow_invalid=True) as outer, capture_segment("tests.one"):
                other.warning("Signup", extra={"user_id": "u"})
                other.warning("Signup", extra={"user_id": ""})
            self.assertEqual((names_of(outer), len(outer.invalid)), (["Signup"], 1))

    def test_disabled_logging(self) -> None:
        """`logging.disable`, which test suites use to silence logging, is lifted in the block."""
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        with capture_segment() as captured:
            logger.debug("no", extra={"user_id": "u"})
            logger.info("yes", extra={"user_id": "u"})
        self.assertEqual(names_of(captured), ["yes"])
        self.assertEqual(logging.root.manager.disable, logging.CRITICAL)

    def test_own_level(self) -> None:
        """A logger's own level applies."""
        strict = logging.getLogger("tests.testing.strict")
        strict.setLevel(logging.WARNING)
        self.addCleanup(strict.setLevel, logging.NOTSET)
        with capture_segment() as captured:
            strict.info("no", extra={"user_id": "u"})
            strict.warning("yes", extra={"user_id": "u"})
        self.assertEqual(names_of(captured), ["yes"])

    def test_handlers_level(self) -> None:
        """The level and filters of the program's handler decide which records are captured."""
        handler = SegmentHandler("key", client=FakeClient())
        handler.setLevel(logging.WARNING)
        handler.addFilter(lambda record: record.getMessage() != "filtered")
        with attached(logger, handler), capture_segment() as captured:
            logger.info("below", extra={"user_id": "u"})
            logger.warning("filtered", extra={"user_id": "u"})
            logger.warning("yes", extra={"user_id": "u"})
        self.assertEqual(names_of(captured), ["yes"])

    def test_handlers_options(self) -> None:
        """An event that `before_send` stops is not captured."""
        handler = SegmentHandler("key", client=FakeClient(), before_send=lambda message: None)
        with attached(logger, handler), capture_segment() as captured:
            logger.info("Signup", extra={"user_id": "u"})
        self.assertEqual(names_of(captured), [])

    def test_capture_all(self) -> None:
        """With `capture="all"`, every record that reaches the handler is captured."""
        handler = SegmentHandler("key", client=FakeClient(), capture="all", context={"a": 1})
        with attached(logger, handler), capture_segment() as captured:
            logger.info("Connected", extra={"segment": {"user_id": "u"}})
            logger.info("Line", extra={"anonymous_id": "a", "host": "x"})
        self.assertEqual(names_of(captured), ["Connected", "Line"])

    def test_configured_inside(self) -> None:
        """If the program configures logging inside the block, later events are captured."""
        seen = run_python(
            """
import json, logging, logging.config
from segment_logging.testing import capture_segment
with capture_segment() as captured:
    logging.config.dictConfig({
        "version": 1,
        "handlers": {"segment": {"class": "segment_logging.SegmentHandler", "write_key": "k"}},
        "root": {"level": "ERROR", "handlers": ["segment"]},
        "loggers": {"analytics": {"level": "INFO"}},
    })
    logging.getLogger("analytics").info("Signup", extra={"user_id": "u"})
print(json.dumps([[m.event for m in captured], logging.root.level, len(logging.root.handlers)]))
"""
        )
        self.assertEqual(seen, [["Signup"], logging.ERROR, 1])

    def test_overlapping(self) -> None:
        """If blocks overlap without being nested, the later one captures until it ends."""
        client = FakeClient()
        with attached(logger, SegmentHandler("key", client=client)) as handler:
            first, second = ExitStack(), ExitStack()
            one = first.enter_context(capture_segment())
            two = second.enter_context(capture_segment())
            logger.warning("both", extra={"user_id": "u"})
            first.close()
            logger.warning("second", extra={"user_id": "u"})
            second.close()
            logger.warning("after", extra={"user_id": "u"})
            handler.drain(5)
        self.assertEqual((names_of(one), names_of(two)), ([], ["both", "second"]))
        self.assertEqual(names_of(client.messages), ["after"])

    def test_threads(self) -> None:
        """Events that other threads log are captured."""
        with capture_segment() as captured:
            threads = [
                Thread(target=logger.info, args=[f"e{n}"], kwargs={"extra": {"user_id": "u"}})
                for n in range(5)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(sorted(names_of(captured)), [f"e{n}" for n in range(5)])

    @needs.event_loop
    def test_tasks(self) -> None:
        """Events that tasks and `asyncio.to_thread` log are captured."""

        async def main() -> None:
            def log(name: str) -> None:
                logger.info(name, extra={"user_id": "u"})

            async def work(name: str) -> None:
                log(name)

            await asyncio.gather(work("a"), work("b"), asyncio.to_thread(log, "c"))

        with capture_segment() as captured:
            asyncio.run(main())
        self.assertEqual(sorted(names_of(captured)), ["a", "b", "c"])


class TestCaptureBehindAQueue(unittest.TestCase):
    """Programs that pass records to another thread through their own QueueHandler."""

    def listen(self, *, propagate: bool) -> QueueListener:
        """Connect the logger to a SegmentHandler with a queue, and return the queue's listener."""
        queue: SimpleQueue[Any] = SimpleQueue()
        segment = SegmentHandler("key", client=FakeClient())
        self.addCleanup(segment.close)
        stack = ExitStack()
        self.addCleanup(stack.close)
        stack.enter_context(attached(logger, QueueHandler(queue), propagate=propagate))
        return QueueListener(queue, segment)

    def test_once(self) -> None:
        """A record that also reaches the root logger is captured immediately, and only once."""
        listener = self.listen(propagate=True)
        with capture_segment() as captured:
            logger.info("a", extra={"user_id": "u"})
            logger.info("a", extra={"user_id": "u"})
            self.assertEqual(len(captured), 2)
            listener.start()
            listener.stop()
        self.assertEqual(names_of(captured), ["a", "a"])

    def test_copy_first(self) -> None:
        """The record is also captured only once if the queue's copy arrives first."""
        segment = SegmentHandler("key", client=FakeClient())
        self.addCleanup(segment.close)

        class Overtaking(QueueHandler):
            @override
            def enqueue(self, record: Any) -> None:
                thread = Thread(target=segment.handle, args=[record])
                thread.start()
                thread.join()

        queue: SimpleQueue[Any] = SimpleQueue()
        with attached(logger, Overtaking(queue), propagate=True), capture_segment() as captured:
            logger.info("a", extra={"user_id": "u"})
            logger.info("b", extra={"user_id": "u"})
        self.assertEqual(names_of(captured), ["a", "b"])

    def test_only_by_the_queue(self) -> None:
        """If the logger stops propagating in the block, the queue's listener passes the record
        on."""
        listener = self.listen(propagate=True)
        with capture_segment() as captured:
            logger.propagate = False
            logger.info("Paid %s", 7, extra={"user_id": "u"})
            self.assertEqual(len(captured), 0)
            listener.start()
            listener.stop()
        self.assertEqual(names_of(captured), ["Paid 7"])


@contextmanager
def attached(target: logging.Logger, handler: Any, *, propagate: bool = False) -> Any:
    """Attach the handler to the logger for the block, and set the logger's level to INFO."""
    target.addHandler(handler)
    target.propagate = propagate
    target.setLevel(logging.INFO)
    try:
        yield handler
    finally:
        target.removeHandler(handler)
        target.propagate = True
        target.setLevel(logging.NOTSET)
        handler.close()
