"""Tests for `flush_after`, which delivers a function's events before the function returns."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
import unittest
from contextlib import redirect_stderr
from typing import Any

from typing_extensions import override

from segment_logging import ConfigurationError, Message, SegmentHandler
from segment_logging._reports import Reporter
from segment_logging.compat.analytics.client import Client
from segment_logging.contrib import aws_lambda
from segment_logging.contrib.aws_lambda import flush_after, seconds_left
from segment_logging.testing import FakeClient

from .. import needs
from ..servers import ScriptedServer


class Context:
    """The context object that Lambda passes to a function."""

    def __init__(self, milliseconds: int) -> None:
        self.milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


class TestSecondsLeft(unittest.TestCase):
    def test_by_the_context(self) -> None:
        """The result is Lambda's remaining time minus the margin."""
        self.assertEqual(seconds_left(({}, Context(2_000)), timeout=5.0, margin=0.5), 1.5)

    def test_by_the_timeout(self) -> None:
        """The result is at most the timeout."""
        self.assertEqual(seconds_left(({}, Context(60_000)), timeout=5.0, margin=0.5), 5.0)

    def test_none_left(self) -> None:
        """The result is never negative."""
        self.assertEqual(seconds_left(({}, Context(100)), timeout=5.0, margin=0.5), 0.0)

    def test_no_context(self) -> None:
        """Without a Lambda context, the result is the timeout."""
        self.assertEqual(seconds_left(({}, None), timeout=2.0, margin=0.5), 2.0)

    def test_broken_context(self) -> None:
        """With a broken context, the result is the timeout."""
        broken = Context(0)
        broken.milliseconds = "soon"  # type: ignore[assignment]
        with redirect_stderr(io.StringIO()):
            self.assertEqual(seconds_left(({}, broken), timeout=2.0, margin=0.5), 2.0)


class TestFlushAfter(unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.addCleanup(setattr, aws_lambda, "_reporter", aws_lambda._reporter)
        aws_lambda._reporter = Reporter()
        self.released = threading.Event()
        self.released.set()
        self.addCleanup(self.released.set)
        self.clients = [FakeClient(self.answer), FakeClient(self.answer)]
        self.loggers = [logging.Logger(f"function {number}") for number in range(2)]
        for logger, client in zip(self.loggers, self.clients):
            handler = SegmentHandler("key", client=client, flush_interval=30)
            logger.addHandler(handler)
            self.addCleanup(handler.close)
            self.addCleanup(self.released.set)

    def answer(self, message: Message) -> None:
        """Answer after `released` is set."""
        self.released.wait(10)

    def log(self) -> None:
        """Log an event to each of the two handlers."""
        for logger in self.loggers:
            logger.info("Seen", extra={"user_id": "u-1"})

    def arrived(self) -> list[int]:
        """Return the number of messages that each handler has delivered."""
        return [len(client.messages) for client in self.clients]

    def test_delivers(self) -> None:
        """When the function returns, the messages from all handlers have been delivered."""

        @flush_after
        def function(event: int, context: object) -> int:
            """Log and add one."""
            self.log()
            return event + 1

        self.assertEqual(function(1, Context(5_000)), 2)
        self.assertEqual(self.arrived(), [1, 1])
        self.assertEqual((function.__name__, function.__doc__), ("function", "Log and add one."))

    def test_compat(self) -> None:
        """Calls of `compat.analytics` have been delivered, too."""
        with ScriptedServer() as server:
            client = Client("key", server.host, upload_interval=30)
            self.addCleanup(client.join)

            @flush_after
            def function(event: int, context: object) -> None:
                client.track("u-1", "Seen")

            function(1, Context(5_000))
            self.assertEqual(server.requests[0].json["batch"][0]["event"], "Seen")

    def test_context_by_name(self) -> None:
        """The context may be passed by keyword."""
        self.released.clear()

        @flush_after
        def function(event: int, context: object) -> None:
            self.log()

        with redirect_stderr(io.StringIO()) as stderr:
            function(event=1, context=Context(500))
        self.assertIn("within the remaining 0.0 s", stderr.getvalue())

    def test_again(self) -> None:
        """Each call of the function delivers its own events."""
        function = flush_after(self.log)
        for calls in range(1, 4):
            function()
            self.assertEqual(self.arrived(), [calls, calls])

    def test_error(self) -> None:
        """If the function raises, its events are delivered and the exception propagates."""

        @flush_after(timeout=5.0, margin=1.0)
        def function() -> None:
            self.log()
            raise LookupError

        with self.assertRaises(LookupError):
            function()
        self.assertEqual(self.arrived(), [1, 1])

    @needs.event_loop
    def test_async(self) -> None:
        """An async function delivers its events without blocking the event loop."""

        @flush_after(timeout=10.0)
        async def function() -> str:
            asyncio.get_running_loop().call_soon(self.released.set)
            self.log()
            self.released.clear()
            return "ok"

        self.assertEqual(asyncio.run(function()), "ok")
        self.assertEqual(self.arrived(), [1, 1])

    def test_no_time(self) -> None:
        """With no time left, the function returns at once and delivers in the background."""
        self.released.clear()
        function = flush_after(lambda event, context: self.log())
        stderr = io.StringIO()
        with redirect_stderr(stderr):
            function({}, Context(100))
            function({}, Context(100))
        self.assertEqual(self.arrived(), [0, 0])
        self.assertEqual(stderr.getvalue().count("not everything was delivered"), 1)
        self.released.set()
        flush_after(lambda: None)()
        self.assertEqual(self.arrived(), [2, 2])

    def test_nothing_logged(self) -> None:
        """A function that logs no event returns without waiting."""
        self.released.clear()
        self.assertEqual(flush_after(timeout=600.0)(lambda: "ok")(), "ok")

    def test_options(self) -> None:
        """An invalid option is refused when the function is decorated."""
        wrong: Any = "2"
        for options in ({"timeout": wrong}, {"margin": -1.0}):
            with self.subTest(options), self.assertRaises(ConfigurationError):
                flush_after(**options)


if __name__ == "__main__":
    unittest.main()
