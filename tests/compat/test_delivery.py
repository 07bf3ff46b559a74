"""Tests for what `compat.analytics` delivers, and for what it reports."""

from __future__ import annotations

import gc
import io
import logging
import threading
import time
import unittest
from collections.abc import Sequence
from contextlib import redirect_stderr
from typing import Any

from typing_extensions import override

from segment_logging import DeliveryError
from segment_logging._process.threads import THREAD_NAME
from segment_logging.compat.analytics import _settings
from segment_logging.compat.analytics.client import Client
from segment_logging.compat.analytics.request import APIError

from ..builders import run_python
from ..client.test_oauth import PEM
from ..servers import Answer, ScriptedServer, dead_host, mute_server

BUSY = Answer(status=503)
REFUSED = Answer(status=400, body=b'{"code": "bad", "message": "No such source"}')


def delivery_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == THREAD_NAME}


class DeliveryTest(unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.failed: list[tuple[Any, list[dict[str, Any]]]] = []
        logging.getLogger("segment").addHandler(logging.NullHandler())
        self.addCleanup(logging.getLogger("segment").handlers.clear)

    def serve(self, *script: Answer) -> ScriptedServer:
        server = ScriptedServer(script)
        server.__enter__()
        self.addCleanup(server.__exit__)
        return server

    def a_client(self, host: str, **settings: Any) -> Client:
        settings.setdefault("on_error", lambda error, batch: self.failed.append((error, batch)))
        client = Client("the-write-key", host, **settings)
        self.addCleanup(client.join)  # before the server ends
        return client

    def batches(self, server: ScriptedServer) -> list[int]:
        return [len(request.json["batch"]) for request in server.requests]


class TestQueued(DeliveryTest):
    def test_flush(self) -> None:
        """After `flush`, everything has arrived and the queue is empty."""
        server = self.serve()
        client = self.a_client(server.host)
        for _ in range(1000):
            client.identify("u-1", {"trait": "value"})
        client.flush()
        self.assertEqual(sum(self.batches(server)), 1000)
        self.assertTrue(client.queue.empty())
        self.assertEqual(self.failed, [])

    def test_empty_flush(self) -> None:
        """Without messages, `flush`, `join` and `shutdown` return at once."""
        client = self.a_client(dead_host())
        client.flush()
        client.join()
        client.shutdown()

    def test_shutdown(self) -> None:
        """`shutdown` delivers everything and ends the thread. The next call starts it again."""
        server = self.serve()
        client = self.a_client(server.host)
        before = delivery_threads()
        client.track("u-1", "First")
        self.assertEqual(len(delivery_threads() - before), 1)
        client.shutdown()
        self.assertEqual(delivery_threads() - before, set())
        client.track("u-1", "Second")
        client.join()
        self.assertEqual(
            [r.json["batch"][0]["event"] for r in server.requests], ["First", "Second"]
        )

    def test_request(self) -> None:
        """A request has the official path, Basic auth with the write key, and a JSON body."""
        server = self.serve()
        client = self.a_client(server.host + "/")
        client.track("u-1", "Signup")
        client.flush()
        (request,) = server.requests
        self.assertEqual(request.path, "/v1/batch")
        self.assertEqual(request.headers["Authorization"], "Basic dGhlLXdyaXRlLWtleTo=")
        self.assertIn("sentAt", request.json)
        self.assertNotIn("X-Retry-Count", request.headers)

    def test_gzip(self) -> None:
        """With `gzip`, bodies are compressed."""
        server = self.serve()
        client = self.a_client(server.host, gzip=True)
        client.track("u-1", "Signup")
        client.flush()
        self.assertEqual(server.requests[0].headers["Content-Encoding"], "gzip")
        self.assertEqual(server.requests[0].body[:2], b"\x1f\x8b")

    def test_proxies(self) -> None:
        """With `proxies`, requests are sent to the proxy."""
        proxy = self.serve()
        client = self.a_client("http://segment.example", proxies={"http": proxy.host})
        client.track("u-1", "Signup")
        client.flush()
        self.assertEqual(proxy.requests[0].path, "http://segment.example/v1/batch")

    def test_upload_interval(self) -> None:
        """A message is sent after `upload_interval`, without a flush."""
        server = self.serve()
        client = self.a_client(server.host, upload_interval=0.01)
        client.track("u-1", "Signup")
        until = time.monotonic() + 30
        while not server.requests and time.monotonic() < until:
            time.sleep(0.01)
        self.assertEqual(self.batches(server), [1])

    def test_upload_size(self) -> None:
        """No request has more than `upload_size` messages."""
        server = self.serve()
        client = self.a_client(server.host, upload_size=10, upload_interval=60)
        for number in range(25):
            client.track("u-1", f"Event {number}")
        client.flush()
        self.assertEqual(self.batches(server), [10, 10, 5])

    def test_upload_size_and_retries(self) -> None:
        """If one of several requests fails, those before it are not repeated."""
        server = self.serve(Answer(), BUSY)
        client = self.a_client(server.host, upload_size=2, upload_interval=60)
        for number in range(5):
            client.track("u-1", f"Event {number}")
        client.flush()
        events = [[one["event"][-1] for one in r.json["batch"]] for r in server.requests]
        self.assertEqual(events, [["0", "1"], ["2", "3"], ["2", "3"], ["4"]])
        self.assertEqual(self.failed, [])

    def test_max_batch_size(self) -> None:
        """No request is larger than Segment's limit of 500,000 bytes."""
        server = self.serve()
        client = self.a_client(server.host, upload_interval=60)
        for _ in range(100):
            client.track("u-1", "Signup", {"text": "x" * 20_000})
        client.flush()
        self.assertEqual(sum(self.batches(server)), 100)
        self.assertLessEqual(max(len(request.body) for request in server.requests), 500_000)

    def test_other_successes(self) -> None:
        """Every 2xx is a success."""
        for status in (201, 202, 299):
            server = self.serve(Answer(status=status))
            client = self.a_client(server.host, max_retries=0)
            client.track("u-1", "Signup")
            client.flush()
            self.assertEqual((len(server.requests), self.failed), (1, []))

    def test_oauth(self) -> None:
        """With OAuth's settings, requests carry a token."""
        server = self.serve(Answer(body=b'{"access_token": "t-1", "expires_in": 3600}'))
        client = self.a_client(
            server.host,
            oauth_client_id="client-1",
            oauth_client_key=PEM,
            oauth_key_id="key-1",
            oauth_auth_server=server.host,
        )
        client.track("u-1", "Signup")
        client.flush()
        self.assertEqual(server.requests[0].path, "/token")
        self.assertEqual(server.requests[1].headers["Authorization"], "Bearer t-1")

    def test_forgotten_client(self) -> None:
        """A client that nobody refers to any more delivers what it has, and its thread ends."""
        server = self.serve()
        before = delivery_threads()
        client: Client | None = Client("the-write-key", server.host, on_error=print)
        assert client is not None
        client.track("u-1", "Signup")
        (thread,) = delivery_threads() - before
        client = None
        gc.collect()
        thread.join(20)
        self.assertFalse(thread.is_alive())
        self.assertEqual(self.batches(server), [1])

    def test_exit(self) -> None:
        """What was not flushed arrives at exit, which the official SDK loses."""
        server = self.serve()
        run_python(
            f"""
from segment_logging.compat import analytics
analytics.write_key, analytics.host = "key", "{server.host}"
analytics.upload_interval = 60
print(int(analytics.track("u-1", "Signup")[0]))
"""
        )
        self.assertEqual(self.batches(server), [1])


class TestFailures(DeliveryTest):
    def test_retries(self) -> None:
        """A failed request is repeated with the same messages, and its number is counted."""
        server = self.serve(BUSY, Answer(status=429))
        client = self.a_client(server.host)
        client.track("u-1", "Signup")
        client.flush()
        counts = [request.headers.get("X-Retry-Count") for request in server.requests]
        self.assertEqual(counts, [None, "1", "2"])
        self.assertEqual(
            len({request.json["batch"][0]["messageId"] for request in server.requests}), 1
        )
        self.assertEqual(self.failed, [])

    def test_max_retries(self) -> None:
        """After `max_retries` repetitions, `on_error` gets the error and the messages."""
        for settings in ({"max_retries": 1}, {"max_retries": 0}, {"max_total_backoff_duration": 0}):
            with self.subTest(settings):
                self.failed.clear()
                server = self.serve(*[BUSY] * 5)
                client = self.a_client(server.host, **settings)
                _, message = client.track("u-1", "Signup", {"plan": "pro"})
                client.flush()
                self.assertEqual(len(server.requests), 1 + settings.get("max_retries", 0))
                ((error, batch),) = self.failed
                self.assertIsInstance(error, APIError)
                self.assertEqual(error.status, 503)
                self.assertEqual(batch[0]["messageId"], message["messageId"])
                self.assertEqual(batch[0]["properties"], {"plan": "pro"})

    def test_statuses(self) -> None:
        """Statuses that the official SDK does not retry are not retried, and the reverse."""
        for status in (401, 403, 404, 413, 422, 501, 505):
            with self.subTest(status):
                self.failed.clear()
                server = self.serve(Answer(status=status))
                client = self.a_client(server.host)
                client.track("u-1", "Signup")
                client.flush()
                self.assertEqual(len(server.requests), 1)
                self.assertEqual(self.failed[0][0].status, status)
        for status in (408, 410, 429, 460, 500, 502, 503, 504, 529):
            with self.subTest(status):
                self.failed.clear()
                server = self.serve(Answer(status=status))
                client = self.a_client(server.host)
                client.track("u-1", "Signup")
                client.flush()
                self.assertEqual(len(server.requests), 2)
                self.assertEqual(self.failed, [])

    def test_refused(self) -> None:
        """`on_error` gets the server's words, but not if only another message was refused."""
        server = self.serve(REFUSED, REFUSED)
        client = self.a_client(server.host)
        client.track("u-1", "First")
        client.track("u-1", "Second")
        client.flush()
        ((error, batch),) = self.failed
        self.assertEqual((error.status, [one["event"] for one in batch]), (400, ["First"]))
        self.assertIn("No such source", error.message)

    def test_unusual_bodies(self) -> None:
        """A body that is not an object makes no difference."""
        for body in (b"[]", b'"text"', b"7", b"not JSON", b""):
            with self.subTest(body):
                self.failed.clear()
                client = self.a_client(self.serve(Answer(status=400, body=body)).host)
                client.track("u-1", "Signup")
                client.flush()
                self.assertEqual(self.failed[0][0].status, 400)

    def test_retry_after(self) -> None:
        """With a Retry-After, everything waits that long, and it is not counted as a retry."""
        asked = Answer(status=429, headers={"Retry-After": "1"})
        server = self.serve(asked, asked)
        client = self.a_client(server.host, max_retries=0)
        client.track("u-1", "First")
        client.queue.join()
        client.track("u-1", "Second")
        client.flush()
        events = [one["event"] for r in server.requests[2:] for one in r.json["batch"]]
        self.assertEqual(events, ["First", "Second"])
        self.assertEqual(self.failed, [])

    def test_redirect(self) -> None:
        """A redirect is a failure."""
        server = self.serve(Answer(status=302, headers={"Location": "/elsewhere"}))
        client = self.a_client(server.host)
        client.track("u-1", "Signup")
        client.flush()
        self.assertEqual(self.failed[0][0].status, 302)

    def test_no_answer(self) -> None:
        """Without an answer, `on_error` gets a DeliveryError that has no status."""
        client = self.a_client(dead_host(), max_retries=0)
        client.track("u-1", "Signup")
        client.flush()
        self.assertIs(type(self.failed[0][0]), DeliveryError)

    def test_queue_full(self) -> None:
        """If the queue is full, the result is False and the message, and nothing is raised."""
        with mute_server() as host:
            client = self.a_client(host, max_queue_size=1, timeout=1, max_retries=0)
            self.assertTrue(client.track("u-1", "First")[0])
            accepted, message = client.track("u-2", "Second")
            self.assertFalse(accepted)
            self.assertEqual(message["event"], "Second")
            self.assertTrue(client.queue.full())
            client.flush()

    def test_no_limit(self) -> None:
        """As in `queue.Queue`, a size of 0 means no limit."""
        client = self.a_client(self.serve().host, max_queue_size=0)
        self.assertTrue(client.track("u-1", "Signup")[0])
        self.assertFalse(client.queue.full())

    def test_invalid(self) -> None:
        """What Segment would drop is refused with a report, a False and a call of `on_error`."""
        client = self.a_client(dead_host())
        stderr = io.StringIO()
        with redirect_stderr(stderr):
            accepted, message = client.track("u-1", "")
        self.assertFalse(accepted)
        self.assertEqual(self.failed[0][1], [message])
        self.assertIn("event is empty", stderr.getvalue())
        self.assertIn("test_delivery.py", stderr.getvalue())

    def test_keys(self) -> None:
        """The messages that `on_error` gets have all keys that the calls' results have."""
        client = self.a_client(self.serve(Answer(status=404)).host, upload_interval=60)
        calls = (
            client.track("u-1", "Signup"),
            client.identify("u-1"),
            client.group("u-1", "g-1"),
            client.page(anonymous_id="a-1"),
            client.screen("u-1", "Docs", "Home"),
            client.alias("a-1", "u-1"),
        )
        with self.assertLogs("segment_logging"):
            client.flush()
        messages = {one["messageId"]: one for _, batch in self.failed for one in batch}
        for _, result in calls:
            with self.subTest(result["type"]):
                self.assertEqual(messages[result["messageId"]].keys(), result.keys())

    def test_on_error_raises(self) -> None:
        """An exception in `on_error` does not reach the call."""

        def on_error(error: Any, batch: Any) -> None:
            raise KeyError("secret")

        client = self.a_client(dead_host(), on_error=on_error)
        with redirect_stderr(io.StringIO()), self.assertLogs("segment_logging") as logs:
            self.assertFalse(client.track("u-1", "")[0])
        self.assertIn("KeyError", logs.output[0])
        self.assertNotIn("secret", logs.output[0])

    def test_call_in_on_error(self) -> None:
        """A call in `on_error` is refused, because its failure would call `on_error` again."""
        results = []

        def on_error(error: Any, batch: Sequence[Any]) -> None:
            results.append(client.track("u-1", "Failed")[0])

        server = self.serve(Answer(status=404))
        client = self.a_client(server.host, on_error=on_error)
        client.track("u-1", "Signup")
        with self.assertLogs("segment_logging") as logs:
            client.flush()
        self.assertEqual(results, [False])
        self.assertIn("1 call made by on_error", "".join(logs.output))


class TestSyncMode(DeliveryTest):
    def test_arrives(self) -> None:
        """Each call sends its message before it returns, without a thread."""
        server = self.serve()
        client = self.a_client(server.host, sync_mode=True)
        before = delivery_threads()
        self.assertTrue(client.track("u-1", "First")[0])
        self.assertTrue(client.track("u-1", "Second")[0])
        self.assertEqual(self.batches(server), [1, 1])
        self.assertLessEqual(delivery_threads(), before)  # none is new
        self.assertTrue(client.queue.empty())
        client.shutdown()

    def test_raises(self) -> None:
        """A call raises an error if its message did not arrive, after one attempt."""
        server = self.serve(BUSY)
        client = self.a_client(server.host, sync_mode=True)
        with self.assertRaises(APIError) as raised:
            client.track("u-1", "Signup")
        self.assertEqual(raised.exception.status, 503)
        self.assertEqual(len(server.requests), 1)
        self.assertEqual(self.failed, [])
        client = self.a_client(dead_host(), sync_mode=True)
        with self.assertRaises(DeliveryError):
            client.track("u-1", "Signup")

    def test_counts(self) -> None:
        """Messages that were sent in sync mode are counted like others."""
        client = self.a_client(self.serve(Answer(), BUSY).host, sync_mode=True)
        client.track("u-1", "First")
        with self.assertRaises(APIError):
            client.track("u-1", "Second")
        counts = client._handler.counts()
        self.assertEqual((counts.accepted, counts.delivered, counts.dead_lettered), (2, 1, 1))

    def test_timeout(self) -> None:
        """A call waits for an answer as long as `timeout`."""
        with mute_server() as host, self.assertRaisesRegex(DeliveryError, "Timeout"):
            self.a_client(host, sync_mode=True, timeout=0.05).track("u-1", "Signup")


class TestReports(DeliveryTest):
    def test_unfinished_flush(self) -> None:
        """If messages are left, that is reported like other troubles, and only once."""
        with mute_server() as host:
            client = self.a_client(host, timeout=1, max_retries=0)
            client._handler._options.shutdown_timeout = 0.1
            client.track("u-1", "Signup")
            with self.assertLogs("segment_logging") as logs:
                client.flush()
                client.flush()
            self.assertEqual(len(logs.output), 1)
            self.assertIn("flush stopped waiting for 1 message", logs.output[0])
            client.track("u-1", "Signup")
            with self.assertLogs("segment_logging") as logs:
                client.shutdown()
            self.assertEqual(len(logs.output), 1)
            self.assertIn("2 messages were not delivered within", logs.output[0])

    def test_without_meaning(self) -> None:
        """A setting that has no effect is reported once in a process."""
        self.addCleanup(_settings._told.clear)
        _settings._told.clear()
        for name in ("thread", "max_rate_limit_duration", "max_total_backoff_duration"):
            with self.subTest(name), self.assertLogs("segment_logging") as logs:
                Client("key", **{name: 7})  # type: ignore[arg-type]
                Client("key", **{name: 8})  # type: ignore[arg-type]
            self.assertEqual(len(logs.output), 1)
            self.assertIn(name, logs.output[0])

    def test_debug(self) -> None:
        """`debug` logs each call, but nothing of what it contains."""
        logger = logging.getLogger("segment")
        self.addCleanup(logger.setLevel, logging.NOTSET)
        client = self.a_client(self.serve().host, debug=True)
        with self.assertLogs("segment", logging.DEBUG) as logs:
            _, message = client.track("u-17", "Signup", {"email": "secret"})
        self.assertIn(message["messageId"], logs.output[0])
        self.assertNotRegex("".join(logs.output), "secret|u-17")

    def test_write_key_is_hidden(self) -> None:
        """A client's repr does not contain its write key."""
        self.assertNotIn("the-key", repr(Client("the-key")))


if __name__ == "__main__":
    unittest.main()
