"""Tests for which records become events, and for errors that must not reach the program."""

from __future__ import annotations

import io
import logging
import logging.config
import queue
import sys
import threading
import unittest
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from logging.handlers import QueueHandler
from typing import Any
from unittest import mock

from segment_logging import Counts, SegmentHandler, Track
from segment_logging.testing import FakeClient
from tests import needs
from tests.builders import a_record, run_python


def nothing(*_: Any) -> None:
    """An `on_error` hook that does nothing."""


class HandlerTest(unittest.TestCase):
    def handler_of(self, client: FakeClient | None = None, **options: Any) -> SegmentHandler:
        handler = SegmentHandler("the-write-key", client=client or FakeClient(), **options)
        self.addCleanup(handler.close)
        return handler

    def a_logger(self, handler: logging.Handler, level: int = logging.INFO) -> logging.Logger:
        logger = logging.Logger("tests.handler", level)
        logger.addHandler(handler)
        return logger

    def log(
        self, handler: SegmentHandler, count: int = 1, *, events: Sequence[str] = ("Signup",)
    ) -> None:
        for event in events:
            for number in range(count):
                extra = {"user_id": "u", "properties": {"n": number}}
                handler.handle(a_record(event, extra=extra))

    def stderr_of(self, function: Callable[[], object]) -> str:
        stderr = io.StringIO()
        with redirect_stderr(stderr):
            function()
        return stderr.getvalue()

    def assert_adds_up(self, counts: Counts) -> None:
        sum_of_all = counts.delivered + counts.dead_lettered + counts.dropped + counts.pending
        self.assertEqual(counts.accepted, sum_of_all, counts)


class TestRecords(HandlerTest):
    def test_snapshot(self) -> None:
        """Changes that the caller makes after the call do not affect the event."""
        client = FakeClient()
        handler = self.handler_of(client)
        properties = {"plan": ["pro"]}
        handler.handle(a_record(extra={"user_id": "u", "properties": properties}))
        properties["plan"].append("free")
        handler.drain(5)
        assert isinstance(client.messages[0], Track)
        self.assertEqual(client.messages[0].properties, {"plan": ["pro"]})

    def test_record_is_untouched(self) -> None:
        """Later handlers see the record unchanged, except for the added message id."""
        handler = self.handler_of()
        record = a_record("Paid %s", 7, extra={"user_id": "u"})
        before = dict(record.__dict__)
        handler.handle(record)
        del record.__dict__["_segment_message_id"]
        self.assertEqual(record.__dict__, before)

    def test_bad_ones_among_good_ones(self) -> None:
        """Invalid records do not affect the records around them."""
        client = FakeClient()
        handler = self.handler_of(client)

        def log() -> None:
            for number in range(10):
                self.log(handler, 5)
                bad = {"user_id": "u", "properties": {"x": "x" * 40_000}} if number % 2 else {}
                handler.handle(a_record("Bad", extra={"event": "Bad", **bad}))
            self.log(handler, 5)

        said = self.stderr_of(log)
        self.assertTrue(handler.drain(5))
        self.assertEqual([message.type for message in client.messages], ["track"] * 55)
        counts = handler.counts()
        self.assertEqual((counts.accepted, counts.invalid), (55, 10))
        self.assertEqual(said.count("user_id or an anonymous_id"), 5)
        self.assertEqual(said.count("above the limit of 32,000"), 5)

    def test_raise_exceptions(self) -> None:
        """A refused record is reported, unless logging.raiseExceptions is False."""
        handler = self.handler_of()
        self.addCleanup(setattr, logging, "raiseExceptions", logging.raiseExceptions)
        for raise_exceptions in (True, False):
            logging.raiseExceptions = raise_exceptions
            said = self.stderr_of(lambda: handler.handle(a_record(extra={"event": "Nobody"})))
            self.assertEqual(bool(said), raise_exceptions)
        self.assertEqual(handler.counts().invalid, 2)

    def test_without_process_and_thread(self) -> None:
        """Records without process and thread information are still events."""
        for name in ("logProcesses", "logThreads", "logMultiprocessing"):
            self.addCleanup(setattr, logging, name, getattr(logging, name))
            setattr(logging, name, False)
        client = FakeClient()
        handler = self.handler_of(client)
        self.log(handler, 3)
        with mock.patch.object(handler, "_open", side_effect=AssertionError):  # takes a lock
            self.log(handler, 1)
        self.assertTrue(handler.drain(5))
        self.assertEqual(len(client.messages), 4)

    def test_of_another_process(self) -> None:
        """Records that arrive from another process over a socket or a queue are delivered."""
        client = FakeClient()
        handler = self.handler_of(client)
        for _ in range(3):
            record = a_record(extra={"user_id": "u"})
            record.process = 1
            handler.handle(logging.makeLogRecord(record.__dict__))
        self.assertTrue(handler.drain(5))
        self.assertEqual(len(client.messages), 3)

    @needs.threads
    def test_of_a_thread_that_is_gone(self) -> None:
        """A record is sent even if the listener's thread reuses the id of the thread that logged
        it."""
        client = FakeClient()
        handler = self.handler_of(client)
        before = set(threading.enumerate())
        self.log(handler)
        record = a_record(extra={"user_id": "u"})
        (record.thread,) = (thread.ident for thread in set(threading.enumerate()) - before)
        handler.handle(record)
        self.assertTrue(handler.drain(5))
        self.assertEqual(len(client.messages), 2)

    def test_behind_a_queue_handler(self) -> None:
        """Events from short-lived threads arrive through the program's own QueueHandler."""
        for _ in range(5):
            client = FakeClient()
            handler = self.handler_of(client)
            between: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
            logger = self.a_logger(QueueHandler(between))

            def work(logger: logging.Logger = logger) -> None:
                for _ in range(5):
                    logger.info("Signup", extra={"user_id": "u"})

            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            for _ in range(5):
                handler.handle(between.get(timeout=5))
            self.assertTrue(handler.drain(5))
            self.assertEqual(len(client.messages), 5)
            handler.close()

    def test_record_factory(self) -> None:
        """A record factory hides no event, whether it is set before or after the import.

        Attributes that it adds to every record are not sent.
        """
        factory = (
            "import logging\n"
            "plain = logging.getLogRecordFactory()\n"
            "def factory(*args, **options):\n"
            "    record = plain(*args, **options); record.tenant = 't-1'; return record\n"
        )
        setting, resetting = (
            f"logging.setLogRecordFactory({name})\n" for name in ("factory", "plain")
        )
        imports = (
            "from segment_logging import SegmentHandler\n"
            "from segment_logging.testing import FakeClient\n"
        )
        use = (
            "client = FakeClient(); handler = SegmentHandler('key', client=client)\n"
            "handler.setLevel(logging.INFO)\n"
            "logger = logging.Logger('app'); logger.addHandler(handler)\n"
            "logger.info('Signup', extra={'user_id': 'u'}); logger.info('no event')\n"
            "handler.drain(5); print(json.dumps([m.properties for m in client.messages]))"
        )
        for name, program in (
            ("before", setting + imports),
            ("after", imports + setting),
            ("no longer", setting + imports + resetting),
        ):
            with self.subTest(name):
                self.assertEqual(run_python(f"import json\n{factory}{program}{use}"), [{}])

    def test_attribute_taken_away(self) -> None:
        """A filter that deletes attributes from the record does not hide the event."""
        client = FakeClient()
        handler = self.handler_of(client)

        def without_names(record: logging.LogRecord) -> bool:
            del record.threadName, record.processName
            return True

        handler.addFilter(without_names)
        handler.handle(a_record(extra={"user_id": "u"}))
        handler.handle(a_record(extra={"user_id": "u", "plan": "pro", "ref": "ad"}))
        self.assertTrue(handler.drain(5))
        self.assertEqual(len(client.messages), 2)


class TestFilters(HandlerTest):
    def test_refuses(self) -> None:
        """A record that a filter rejects is not sent."""
        client = FakeClient()
        handler = self.handler_of(client)
        handler.addFilter(lambda record: record.msg != "Secret")
        self.log(handler, events=("Secret", "Signup"))
        handler.drain(5)
        self.assertEqual(len(client.messages), 1)

    @unittest.skipUnless(sys.version_info >= (3, 12), "filters can replace records since 3.12")
    def test_replaces(self) -> None:
        """A filter may return another record, which is then sent instead."""
        client = FakeClient()
        handler = self.handler_of(client)
        replacing: Any = lambda record: a_record("Replaced", extra={"user_id": "u"})  # noqa: E731
        handler.addFilter(replacing)
        record = a_record("Original", extra={"user_id": "u"})
        handler.handle(record)
        handler.drain(5)
        assert isinstance(client.messages[0], Track)
        self.assertEqual(client.messages[0].event, "Replaced")

    def test_raises(self) -> None:
        """If a filter raises, its record counts as invalid and the application is unaffected."""
        client = FakeClient()
        handler = self.handler_of(client)

        def raising(record: logging.LogRecord) -> bool:
            return bool(1 / (record.msg != "Bad"))

        handler.addFilter(raising)
        said = self.stderr_of(lambda: self.log(handler, events=("Bad", "Signup")))
        self.assertTrue(handler.drain(5))
        self.assertEqual((handler.counts().invalid, len(client.messages)), (1, 1))
        self.assertIn("ZeroDivisionError", said)
