"""Tests for `on_error` in the calling thread, for APIError, and for what is captured."""

from __future__ import annotations

import asyncio
import copy
import io
import pickle
import threading
import unittest
from contextlib import redirect_stderr
from typing import Any
from unittest import mock

from segment.analytics.request import APIError as OfficialError

from segment_logging import DeliveryError
from segment_logging.compat import analytics
from segment_logging.compat.analytics.client import Client
from segment_logging.compat.analytics.request import APIError
from segment_logging.testing import capture_segment

from ..servers import Answer, dead_host
from .test_delivery import DeliveryTest


class TestInTheCallersThread(DeliveryTest):
    def a_telling_client(self, event: str, **settings: Any) -> tuple[Client, list[Any]]:
        """Return a client whose `on_error` makes a call, and the results of these calls."""
        results: list[Any] = []

        def on_error(error: Any, batch: Any) -> None:
            results.append(client.track("u-1", event)[0])

        client = self.a_client(dead_host(), on_error=on_error, **settings)
        return client, results

    def test_refused(self) -> None:
        """A call in `on_error` is refused with a report, whether Segment would drop it or not."""
        for event in ("", "Failed"):
            for is_sync in (False, True):
                client, results = self.a_telling_client(event, sync_mode=is_sync)
                with (
                    self.subTest(event=event, is_sync=is_sync),
                    redirect_stderr(io.StringIO()),
                    self.assertLogs("segment_logging") as logs,
                ):
                    self.assertFalse(client.track("u-1", "")[0])
                    self.assertEqual(results, [False])
                    self.assertIn("1 call made by on_error", logs.output[0])
                    self.assertEqual(client.queue.qsize(), 0)

    def test_other_client(self) -> None:
        """A call of another client is refused there, too, like in the delivery thread."""
        other = self.a_client(dead_host())
        results: list[bool] = []

        def on_error(error: Any, batch: Any) -> None:
            results.append(other.track("u-1", "Failed")[0])

        client = self.a_client(dead_host(), on_error=on_error)
        with redirect_stderr(io.StringIO()), self.assertLogs("segment_logging"):
            client.track("u-1", "")
        self.assertEqual(results, [False])

    def test_afterwards(self) -> None:
        """After `on_error` has returned or raised an error, calls are accepted again."""

        def on_error(error: Any, batch: Any) -> None:
            raise KeyError

        client = self.a_client(self.serve().host, on_error=on_error)
        with redirect_stderr(io.StringIO()), self.assertLogs("segment_logging"):
            client.track("u-1", "")
        self.assertTrue(client.track("u-1", "Signup")[0])

    def test_other_thread(self) -> None:
        """While `on_error` runs in one thread, calls in other threads are accepted."""
        is_inside, may_end = threading.Event(), threading.Event()

        def on_error(error: Any, batch: Any) -> None:
            is_inside.set()
            may_end.wait(10)

        client = self.a_client(self.serve().host, on_error=on_error)
        with redirect_stderr(io.StringIO()):
            thread = threading.Thread(target=client.track, args=("u-1", ""))
            thread.start()
            self.assertTrue(is_inside.wait(10))
            self.assertTrue(client.track("u-1", "Signup")[0])
            may_end.set()
            thread.join(10)

    def test_task(self) -> None:
        """A task that `on_error` started makes calls again after `on_error` has returned."""
        results: list[bool] = []
        tasks: list[asyncio.Task[None]] = []

        async def later() -> None:
            results.append(client.track("u-1", "Later")[0])

        def on_error(error: Any, batch: Any) -> None:
            tasks.append(asyncio.get_running_loop().create_task(later()))

        async def main() -> None:
            client.track("u-1", "")
            await asyncio.gather(*tasks)

        client = self.a_client(self.serve().host, on_error=on_error)
        with redirect_stderr(io.StringIO()):
            asyncio.run(main())
        self.assertEqual(results, [True])


class TestAPIError(DeliveryTest):
    def test_arguments(self) -> None:
        """The error takes the official arguments, and has the official attributes and text."""
        names = ("status", "code", "message", "response")
        cases: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...] = (
            ((500, "x", "y"), {}),
            ((400, "bad", "No source", "response"), {}),
            ((), {"status": 429, "code": "x", "message": "y"}),
        )
        for given, named in cases:
            ours, theirs = APIError(*given, **named), OfficialError(*given, **named)
            for name in names:
                self.assertEqual(getattr(ours, name), getattr(theirs, name))
            self.assertEqual(str(ours), str(theirs))
            self.assertIsInstance(ours, DeliveryError)

    def test_copies(self) -> None:
        """Copies of an error have the same attributes."""
        error = APIError(500, "x", "y")
        for copied in (copy.copy(error), pickle.loads(pickle.dumps(error))):
            self.assertEqual((str(copied), copied.__dict__), (str(error), error.__dict__))

    def test_side_effect(self) -> None:
        """A test can have a call raise the error."""
        error = APIError(500, "x", "y")
        with (
            mock.patch.object(analytics, "track", side_effect=error),
            self.assertRaisesRegex(APIError, r"^\[Segment\] x: y \(500\)$"),
        ):
            analytics.track("u-1", "Signup")

    def test_of_a_server(self) -> None:
        """The error of an answer has the attributes, the official text, and its cause."""
        answer = Answer(status=503, headers={"Retry-After": "3"}, body=b'{"message": "Too busy"}')
        host = self.serve(answer).host
        client = self.a_client(host, sync_mode=True)
        with self.assertRaises(APIError) as raised:
            client.track("u-1", "Signup")
        error = raised.exception
        self.assertEqual((error.status, error.code, error.response), (503, "unknown", None))
        self.assertEqual((error.retry_after, error.retryable), (3.0, True))
        self.assertIn(host, error.message)
        self.assertIn("Too busy", error.message)
        self.assertEqual(str(error), f"[Segment] unknown: {error.message} (503)")
        self.assertEqual(error.message, str(error.__cause__))


class TestCapturing(unittest.TestCase):
    def test_send(self) -> None:
        """A block captures the calls of a client that sends nothing."""
        client = Client("key", dead_host(), send=False)
        with capture_segment() as captured:
            self.assertTrue(client.track("u-1", "Signup")[0])
        captured.assert_tracked("Signup", user_id="u-1", times=1)
        with self.assertRaises(AssertionError):
            captured.assert_not_tracked("Signup")
        self.assertTrue(client.track("u-1", "After")[0])
        self.assertEqual(client.queue.qsize(), 0)

    def test_no_write_key(self) -> None:
        """In a block, too, a write key of None is an error."""
        with capture_segment(), self.assertRaisesRegex(AssertionError, "write_key"):
            Client(None)

    def test_logger(self) -> None:
        """Calls belong to the logger "segment": blocks of others neither capture nor send them."""
        client = Client("key", dead_host())
        for name, number in (("shop", 0), ("segment", 1)):
            with self.subTest(name), capture_segment(name) as captured:
                self.assertTrue(client.track("u-1", "Signup")[0])
            self.assertEqual(len(captured), number)
        self.assertEqual(client.queue.qsize(), 0)


if __name__ == "__main__":
    unittest.main()
