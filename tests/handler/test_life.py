"""Tests for overflow, closing and reopening."""

from __future__ import annotations

import io
import logging
import logging.config
import sys
import threading
import unittest
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from logging.handlers import QueueHandler
from typing import Any

from typing_extensions import override

from segment_logging import Counts, SegmentHandler
from segment_logging._messages.message import Message
from segment_logging.collector import Collector
from segment_logging.testing import FakeClient
from tests import needs
from tests.builders import a_record, run_python


def nothing(*_: Any) -> None:
    """An `on_error` hook that does nothing."""


class BlockedClient(FakeClient):
    """A client that blocks every request until `release` is called."""

    def __init__(self) -> None:
        super().__init__(self._wait)
        self.entered = threading.Event()
        self._gate = threading.Event()

    def _wait(self, message: Message) -> None:
        self.entered.set()
        self._gate.wait(30)

    def release(self) -> None:
        """Let the current request and all later ones through."""
        self._gate.set()


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


@needs.threads
class TestOverflow(HandlerTest):
    def blocked(self, **options: Any) -> tuple[SegmentHandler, BlockedClient]:
        """Return a handler with a queue of 10 messages and a listener stuck in a request."""
        client = BlockedClient()
        self.addCleanup(client.release)
        handler = self.handler_of(client, max_queue_messages=10, flush_interval=0, **options)
        self.log(handler)
        self.assertTrue(client.entered.wait(5))
        return handler, client

    def end(self, handler: SegmentHandler, client: BlockedClient) -> None:
        """Let the remaining messages be delivered, and hide the report about dropped ones."""
        client.release()
        self.stderr_of(handler.close)

    def test_drop(self) -> None:
        """A full queue drops the newest message, counts it and reports the drops once."""
        handler, client = self.blocked()

        def log_and_drain() -> None:
            self.log(handler, 30)
            counts = handler.counts()
            self.assertEqual((counts.accepted, counts.dropped, counts.pending), (31, 21, 10))
            client.release()
            self.assertTrue(handler.drain(5))
            handler.close()

        said = self.stderr_of(log_and_drain)
        numbers = [message.to_dict()["properties"]["n"] for message in client.messages]
        self.assertEqual(numbers, [0, *range(9)])
        self.assert_adds_up(handler.counts())
        self.assertEqual(said.count("21 messages were dropped"), 1)

    def test_block(self) -> None:
        """With "block", the caller waits until there is room, and nothing is lost."""
        handler, client = self.blocked(overflow="block", block_timeout=30)
        thread = threading.Thread(target=self.log, args=(handler, 50))
        thread.start()
        client.release()
        thread.join(30)
        self.assertTrue(handler.drain(5))
        self.assertEqual(len(client.messages), 51)
        self.assertEqual(handler.counts().dropped, 0)

    def test_block_timeout(self) -> None:
        """After block_timeout, the message is dropped and counted."""
        handler, client = self.blocked(overflow="block", block_timeout=0.02)
        self.log(handler, 12)
        self.assertEqual(handler.counts().dropped, 3)
        self.end(handler, client)

    def test_bytes(self) -> None:
        """The queue also has a limit in bytes."""
        client = BlockedClient()
        self.addCleanup(client.release)
        handler = self.handler_of(client, max_queue_bytes=10_000, flush_interval=0)
        self.log(handler)
        self.assertTrue(client.entered.wait(5))
        for _ in range(5):
            handler.handle(a_record(extra={"user_id": "u", "properties": {"x": "x" * 3_000}}))
        self.assertEqual(handler.counts().dropped, 2)
        self.end(handler, client)

    def test_eight_threads(self) -> None:
        """The counts always add up, no matter how the threads are scheduled."""
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(1e-6)
        client = FakeClient()
        handler = self.handler_of(client, max_queue_messages=20, flush_interval=0.001)

        def work() -> None:
            for _ in range(50):
                self.log(handler, 8)
                handler.handle(a_record("no event"))
                handler.handle(a_record(extra={"event": "Nobody"}))

        looks: list[Counts] = []

        def work_and_look() -> None:
            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                looks.append(handler.counts())
            self.assertTrue(handler.drain(10))
            handler.close()

        self.stderr_of(work_and_look)
        for counts in looks:
            self.assert_adds_up(counts)
        counts = handler.counts()
        self.assertEqual((counts.accepted, counts.ignored, counts.invalid), (3_200, 400, 400))
        self.assertEqual(counts.delivered, len(client.messages))
        self.assertEqual(counts.delivered + counts.dropped, 3_200)
        ids = {message.message_id for message in client.messages}
        self.assertEqual(len(ids), counts.delivered)


class TestLife(HandlerTest):
    def test_close_under_traffic(self) -> None:
        """close waits for messages logged before the call, not for those logged during it."""
        handler = self.handler_of(FakeClient(), flush_interval=0.01, shutdown_timeout=30)
        end = threading.Event()

        def work() -> None:
            while not end.wait(0.0005):
                self.log(handler)

        thread = threading.Thread(target=work)
        thread.start()

        def close_often() -> None:
            for _ in range(5):
                handler.close()
            end.set()
            thread.join()
            self.assertTrue(handler.drain(10))

        self.assertEqual(self.stderr_of(close_often), "")
        counts = handler.counts()
        self.assertEqual(counts.delivered, counts.accepted)

    def test_flush(self) -> None:
        """flush returns None once every message is settled."""
        client = FakeClient()
        handler = self.handler_of(client, flush_interval=3_600)
        self.log(handler, 3)
        self.assertIsNone(handler.flush())
        self.assertEqual(len(client.messages), 3)

    @needs.threads
    def test_drain_in_vain(self) -> None:
        """drain returns False if the time runs out, and no message is lost."""
        client = BlockedClient()
        handler = self.handler_of(client, flush_interval=0)
        self.log(handler)
        self.assertFalse(handler.drain(0.05))
        client.release()
        self.assertTrue(handler.drain(5))
        self.assertEqual(len(client.messages), 1)

    def test_drain_in_two_threads(self) -> None:
        """If several threads drain at the same time, each drain succeeds."""
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(1e-6)
        handler = self.handler_of(FakeClient(), flush_interval=3_600)
        failed = []

        def work() -> None:
            for _ in range(150):
                self.log(handler)
                if not handler.drain(5):
                    failed.append(1)
                    return

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.assertEqual(failed, [])

    def test_no_queue_handler(self) -> None:
        """SegmentHandler is not a QueueHandler, because dictConfig treats those specially."""
        self.assertNotIsInstance(self.handler_of(), QueueHandler)

    @needs.threads
    def test_ends_that_fail(self) -> None:
        """flush and close do not raise if the client fails, so logging.shutdown can continue."""

        class Broken(FakeClient):
            @override
            def send(self, write_key: str, message: Message) -> None:
                raise RuntimeError

            @override
            def close(self) -> None:
                raise RuntimeError

        def end() -> None:
            self.log(handler)
            handler.flush()
            handler.close()

        handler = self.handler_of(Broken(), max_attempts=2, shutdown_timeout=5)
        self.assertIn("client.close failed", self.stderr_of(end))
        self.assertEqual(handler.counts().dead_lettered, 1)

    def test_close_and_open_again(self) -> None:
        """close may be called at any time, even twice. The next record reopens the handler."""
        client = FakeClient()
        handler = self.handler_of(client)
        handler.close()
        for _ in range(3):
            self.log(handler, 2)
            handler.close()
            handler.close()
        self.assertEqual(len(client.messages), 6)
        self.assertEqual(handler.counts().delivered, 6)

    def test_closes_the_client(self) -> None:
        """close closes the client in the thread that used it, and later events are still sent."""
        client = FakeClient()
        handler = SegmentHandler("key", client=client)
        handler.handle(a_record(extra={"user_id": "u"}))
        handler.close()
        self.assertTrue(client.is_closed)
        handler.handle(a_record(extra={"user_id": "u"}))
        handler.drain(10)
        self.assertEqual(len(client.messages), 2)
        handler.close()

    def test_write_key_is_never_told(self) -> None:
        """The write key never appears in a log record or on stderr."""
        with Collector(answer=[401, 503, 400]) as collector:
            told = run_python(
                "import io, json, logging, sys\n"
                "from segment_logging import SegmentHandler\n"
                "sys.stderr = logs = io.StringIO()\n"
                "logging.basicConfig(stream=logs, level=logging.DEBUG)\n"
                "logging.getLogger('urllib3').setLevel(logging.DEBUG)\n"
                "handler = SegmentHandler('the-write-key', flush_interval=0)\n"
                "logger = logging.getLogger('app'); logger.addHandler(handler)\n"
                "for number in range(4):\n"
                "    logger.info('Signup', extra={'user_id': 'u'})\n"
                "    logger.info('Nobody', extra={'event': 'Nobody'}); handler.drain(5)\n"
                "print(json.dumps([logs.getvalue(), repr(handler), str(vars(handler).keys())]))",
                SEGMENT_HOST=collector.url,
            )
            self.assertEqual(len(collector.requests), 5)
        self.assertIn("401", told[0])
        self.assertNotIn("the-write-key", "".join(told))
