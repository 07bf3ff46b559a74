"""Tests for the pipeline: what is waited for and reported by `close`, by `drain` and at exit.

These tests use the real clock, with short times.
"""

from __future__ import annotations

import io
import threading
import time
import unittest
from collections.abc import Callable
from contextlib import redirect_stderr
from tempfile import TemporaryDirectory
from typing import Any

from typing_extensions import override

from segment_logging import SegmentHandler
from segment_logging._delivery.counts import Counts
from segment_logging._delivery.pipeline import Pipeline
from segment_logging._messages.encoding import encode
from segment_logging._messages.message import Message
from segment_logging._process.shutdown import exit_clock
from segment_logging.testing import FakeClient
from tests import needs
from tests.builders import a_record, a_track, delivery_options


class PipelineTest(unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.addCleanup(self.gate.set)
        self.addCleanup(exit_clock.forget)  # because this process does not end

    def hang(self, message: Message) -> None:
        """Block a fake client's request until `gate` is set."""
        self.entered.set()
        self.gate.wait(30)

    def a_pipeline(self, client: FakeClient | None = None, **options: Any) -> Pipeline:
        options = {"flush_interval": 0.01, "shutdown_timeout": 0.3, **options}
        pipeline = Pipeline(delivery_options(client=client or FakeClient(), **options), "key")
        self.addCleanup(pipeline.close, wait=False)
        return pipeline

    def a_hanging_one(self, **options: Any) -> Pipeline:
        """Return a pipeline with three messages in a hanging request."""
        pipeline = self.a_pipeline(FakeClient(self.hang), **options)
        self.put(pipeline, 3)
        self.assertTrue(self.entered.wait(5))
        return pipeline

    def put(self, pipeline: Pipeline, count: int = 1) -> None:
        for number in range(count):
            pipeline.enqueue(encode(a_track(message_id=str(number)).to_dict()))

    def run_it(self, function: Callable[[], object]) -> tuple[float, str]:
        """Call a function, and return the seconds that it took and its stderr output."""
        stderr = io.StringIO()
        before = time.monotonic()
        with redirect_stderr(stderr):
            function()
        return time.monotonic() - before, stderr.getvalue()


class TestWaiting(PipelineTest):
    def test_nothing_to_wait_for(self) -> None:
        """A pipeline without messages does not wait and starts no thread."""
        before = threading.active_count()
        pipeline = self.a_pipeline(shutdown_timeout=30.0)

        def use() -> None:
            self.assertTrue(pipeline.draining.drain(30))
            pipeline.close()
            pipeline.begin_exit()
            pipeline.end_exit()

        seconds, said = self.run_it(use)
        self.assertLess(seconds, 1)
        self.assertEqual((said, threading.active_count()), ("", before))
        self.assertEqual(pipeline.count(), Counts())

    def test_drain(self) -> None:
        """`drain` sends at once, without waiting for a batch to fill."""
        pipeline = self.a_pipeline(flush_interval=3_600.0)
        self.put(pipeline, 3)
        self.assertTrue(pipeline.draining.drain(5))
        self.assertEqual(pipeline.count(), Counts(accepted=3, delivered=3, batches=1))

    def test_drain_until_given_up(self) -> None:
        """`drain` returns True when the remaining messages have become dead letters."""
        pipeline = self.a_pipeline(FakeClient([401]))
        self.put(pipeline, 3)
        self.run_it(lambda: self.assertTrue(pipeline.draining.drain(5)))
        self.assertEqual(pipeline.count(), Counts(accepted=3, dead_lettered=3))

    @needs.threads
    def test_drain_again(self) -> None:
        """A second `drain` waits again after the first one timed out."""
        pipeline = self.a_hanging_one()
        self.assertFalse(pipeline.draining.drain(0.01))
        threading.Timer(0.1, self.gate.set).start()
        self.assertTrue(pipeline.draining.drain(5))

    def test_close(self) -> None:
        """`close` waits for the accepted messages, and the next message restarts the thread."""
        pipeline = self.a_pipeline(flush_interval=3_600.0, shutdown_timeout=10.0)
        for _ in range(3):
            self.put(pipeline, 2)
            pipeline.close()
        self.assertEqual(pipeline.count(), Counts(accepted=6, delivered=6, batches=3))

    @needs.threads
    def test_close_without_waiting(self) -> None:
        """`close(wait=False)` returns at once, and delivery continues in the background."""
        pipeline = self.a_hanging_one(shutdown_timeout=30.0)
        seconds, _ = self.run_it(lambda: pipeline.close(wait=False))
        self.assertLess(seconds, 1)
        self.put(pipeline, 2)
        self.gate.set()
        self.assertTrue(pipeline.draining.drain(5))
        self.assertEqual(pipeline.count().delivered, 5)

    @needs.threads
    def test_close_in_vain(self) -> None:
        """`close` reports undelivered messages after `shutdown_timeout`; delivery continues."""
        pipeline = self.a_hanging_one()
        seconds, said = self.run_it(pipeline.close)
        self.assertTrue(0.3 <= seconds < 1.3, seconds)
        self.assertIn("3 messages were not delivered within shutdown_timeout", said)
        self.gate.set()
        self.assertTrue(pipeline.draining.drain(5))
        self.assertEqual(pipeline.count().delivered, 3)

    @needs.threads
    def test_one_timeout_for_all(self) -> None:
        """`flush`, `close` and the process's exit share one timeout."""
        handler = SegmentHandler(
            "key", client=FakeClient(self.hang), flush_interval=0, shutdown_timeout=0.5
        )
        for _ in range(3):
            handler.handle(a_record(extra={"user_id": "u"}))
        pipeline = handler._own.get()
        assert pipeline is not None

        def end() -> None:
            handler.flush()
            handler.close()
            pipeline.begin_exit()
            pipeline.end_exit()
            handler.flush()
            handler.close()

        seconds, said = self.run_it(end)
        self.assertTrue(0.5 <= seconds < 0.95, seconds)
        self.assertEqual(said.count("3 messages"), said.count("\n"))
        self.assertEqual(said.count("are lost"), 1)

    def test_closed_by_somebody_else(self) -> None:
        """`drain` returns True if all messages are settled, even if another thread closes."""
        with TemporaryDirectory() as journal:
            for _ in range(30):
                pipeline = self.a_pipeline(journal=journal, shutdown_timeout=5)
                self.put(pipeline, 5)
                thread = threading.Thread(target=pipeline.close)
                thread.start()
                self.assertTrue(pipeline.draining.drain(10, backlog=True))
                thread.join()


class TestExit(PipelineTest):
    def test_delivers(self) -> None:
        """The process's exit delivers the waiting messages and reports nothing."""
        pipeline = self.a_pipeline(flush_interval=3_600.0, shutdown_timeout=10.0)
        self.put(pipeline, 3)
        pipeline.begin_exit()
        _, said = self.run_it(pipeline.end_exit)
        self.assertEqual((pipeline.count().delivered, said), (3, ""))

    @needs.threads
    def test_says_what_is_lost(self) -> None:
        """The number of messages that were not delivered in time is reported, with a solution."""
        pipeline = self.a_hanging_one()
        pipeline.begin_exit()
        seconds, said = self.run_it(pipeline.end_exit)
        self.assertTrue(0.2 <= seconds < 1.3, seconds)
        self.assertIn("3 messages were not delivered", said)
        self.assertIn("journal", said)

    @needs.threads
    def test_says_what_was_dropped(self) -> None:
        """All dropped messages are reported at exit, even within a minute of the last report."""
        pipeline = self.a_hanging_one(max_queue_messages=1)

        def end() -> None:
            self.put(pipeline, 11)
            self.gate.set()
            pipeline.draining.drain(5)
            self.gate.clear()
            self.entered.clear()
            self.put(pipeline)
            self.entered.wait(5)
            self.put(pipeline, 21)
            self.gate.set()
            pipeline.begin_exit()
            pipeline.end_exit()

        _, said = self.run_it(end)
        told = sum(
            int(line.split("full: ")[1].split()[0])
            for line in said.splitlines()
            if "dropped" in line
        )
        self.assertGreater(pipeline.count().dropped, 30)
        self.assertEqual(told, pipeline.count().dropped, said)

    def test_last_message(self) -> None:
        """A message that is logged after our exit function has run is delivered by `drain`."""
        pipeline = self.a_pipeline(shutdown_timeout=10.0)
        self.put(pipeline)
        pipeline.begin_exit()
        pipeline.end_exit()
        self.put(pipeline)
        pipeline.draining.drain(5)
        pipeline.close()
        self.assertEqual(pipeline.count().delivered, 2)
