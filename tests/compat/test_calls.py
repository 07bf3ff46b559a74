"""Tests for the calls of `compat.analytics`: arguments, results, assertions."""

from __future__ import annotations

import io
import json
import logging
import os
import unittest
from collections.abc import Callable
from contextlib import redirect_stderr
from datetime import date, datetime, timedelta, timezone
from typing import Any
from unittest import mock

from typing_extensions import override

import segment_logging
from segment_logging import DeliveryError, identity
from segment_logging.compat import analytics
from segment_logging.compat.analytics.client import Client
from segment_logging.compat.analytics.version import VERSION
from segment_logging.testing import capture_segment

from ..builders import each, run_python

MOMENT = datetime(2014, 9, 3)
COMMON = ({"ip": "192.0.2.1"}, MOMENT, "a-1", {"Amplitude": True}, "id-1")
"""Context, timestamp, anonymous id, integrations and message id, in this order."""


class CallsTest(unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.client = Client("key")

    def one(self, call: Callable[[], tuple[bool, dict[str, Any]]]) -> tuple[dict[str, Any], Any]:
        """Return the result of a call and the message that it sent, in wire form."""
        with capture_segment() as captured:
            accepted, message = call()
        self.assertTrue(accepted)
        self.assertEqual(len(captured), 1)
        return message, captured[0].to_dict()


class TestResults(CallsTest):
    def test_track(self) -> None:
        """The result is True and the message, with its id and its time as strings."""
        message, sent = self.one(lambda: self.client.track("u-1", "Signup"))
        self.assertEqual(message["event"], "Signup")
        self.assertEqual(message["userId"], "u-1")
        self.assertIsNone(message["anonymousId"])
        self.assertEqual(message["properties"], {})
        self.assertEqual(message["type"], "track")
        self.assertEqual(message["messageId"], sent["messageId"])
        self.assertEqual(
            datetime.fromisoformat(message["timestamp"]), datetime.fromisoformat(sent["timestamp"])
        )

    def test_positional(self) -> None:
        """Every argument can be passed by position, in the official order."""
        call = self.client
        for accepted, expected in (
            (lambda: call.track("u-1", "E", {"p": 1}, *COMMON), {"properties": {"p": 1}}),
            (lambda: call.identify("u-1", {"t": 1}, *COMMON), {"traits": {"t": 1}}),
            (lambda: call.group("u-1", "g-1", {"t": 1}, *COMMON), {"groupId": "g-1"}),
            (lambda: call.page("u-1", "cat", "name", {"p": 1}, *COMMON), {"category": "cat"}),
            (lambda: call.screen("u-1", "cat", "name", {"p": 1}, *COMMON), {"name": "name"}),
        ):
            message, sent = self.one(accepted)
            with self.subTest(sent["type"]):
                everywhere = {
                    "userId": "u-1", "anonymousId": "a-1", "messageId": "id-1",
                    "integrations": {"Amplitude": True}, **expected,
                }  # fmt: skip
                for one in (message, sent):
                    self.assertEqual({name: one[name] for name in everywhere}, everywhere)
                    self.assertEqual(one["context"]["ip"], "192.0.2.1")
                    self.assertEqual(one["context"]["library"]["name"], "segment-logging")
                self.assertEqual(message["timestamp"], "2014-09-03T00:00:00.000+00:00")
                self.assertEqual(sent["timestamp"], "2014-09-03T00:00:00.000Z")

    def test_alias(self) -> None:
        """An alias names the previous id first."""
        _, sent = self.one(lambda: self.client.alias("a-1", "u-1", {"ip": "192.0.2.1"}, MOMENT))
        self.assertEqual((sent["previousId"], sent["userId"]), ("a-1", "u-1"))

    def test_names_are_optional(self) -> None:
        """A page without a name is sent without one."""
        for call in (self.client.page, self.client.screen):
            _, sent = self.one(lambda call=call: call("u-1"))  # type: ignore[misc]
            self.assertNotIn("name", sent)

    def test_numbers(self) -> None:
        """Numbers that are ids become strings, without losing digits."""
        large = 157963456373623802
        message, sent = self.one(lambda: self.client.track(large, "E"))
        self.assertEqual((message["userId"], sent["userId"]), (str(large),) * 2)
        message, sent = self.one(lambda: self.client.track(anonymous_id=large, event="E"))
        self.assertEqual((message["anonymousId"], sent["anonymousId"]), (str(large),) * 2)
        self.assertIsNone(message["userId"])

    def test_empty_ids(self) -> None:
        """An empty id is left out, because Segment would drop the message."""
        _, sent = self.one(lambda: self.client.track("", "E", anonymous_id="a-1"))
        self.assertNotIn("userId", sent)

    def test_dates(self) -> None:
        """The result has the values that were passed, and what is sent is JSON."""
        message, sent = self.one(lambda: self.client.identify("u-1", {"born": date(1981, 2, 2)}))
        self.assertEqual(message["traits"], {"born": date(1981, 2, 2)})
        self.assertEqual(sent["traits"], {"born": "1981-02-02"})

    def test_caller_keeps_its_values(self) -> None:
        """A context can be passed again, as no call writes into it."""
        context = {"library": {"name": "mine"}}
        _, sent = self.one(lambda: self.client.track("u-1", "E", context=context))
        self.assertEqual(context, {"library": {"name": "mine"}})
        self.assertEqual(sent["context"]["library"]["name"], "segment-logging")

    def test_bound_identity(self) -> None:
        """A call is about the ids that are passed, and not about the bound user."""
        with identity(user_id="u-9", context={"ip": "192.0.2.9"}):
            _, sent = self.one(lambda: self.client.track(anonymous_id="a-1", event="E"))
        self.assertNotIn("userId", sent)
        self.assertNotIn("ip", sent["context"])

    def test_zones(self) -> None:
        """A time without a zone is local time if it is from just now, and otherwise in UTC."""
        now = datetime.now()
        message, _ = self.one(lambda: self.client.track("u-1", "E", timestamp=now))
        told = datetime.fromisoformat(message["timestamp"])
        self.assertLess(abs(told.timestamp() - now.timestamp()), 0.001)
        zone = timezone(timedelta(hours=2))
        _, sent = self.one(
            lambda: self.client.track("u-1", "E", timestamp=datetime(2014, 9, 3, 2, tzinfo=zone))
        )
        self.assertEqual(sent["timestamp"], "2014-09-03T00:00:00.000Z")

    def test_result_is_not_the_message(self) -> None:
        """Changing the result does not change what is sent."""
        with capture_segment() as captured:
            _, message = self.client.track("u-1", "E", {"plan": "pro"})
            message["properties"]["plan"] = "free"
        self.assertEqual(captured[0].to_dict()["properties"], {"plan": "pro"})


class TestAssertions(CallsTest):
    def test_wrong_types(self) -> None:
        """What the official SDK asserts raises an AssertionError that does not tell the value."""
        call = self.client
        for wrong in each(
            lambda: Client(),
            lambda: Client(7),  # type: ignore[arg-type]
            lambda: call.track(event="E"),
            lambda: call.track(0, "E"),
            lambda: call.track("u-1"),
            lambda: call.track("u-1", 7),  # type: ignore[arg-type]
            lambda: call.track("u-1", "E", ["secret"]),  # type: ignore[arg-type]
            lambda: call.track("u-1", "E", context="secret"),  # type: ignore[arg-type]
            lambda: call.track("u-1", "E", integrations="secret"),  # type: ignore[arg-type]
            lambda: call.track("u-1", "E", timestamp="2014-09-03"),  # type: ignore[arg-type]
            lambda: call.identify("u-1", "secret"),  # type: ignore[arg-type]
            lambda: call.group("u-1"),
            lambda: call.alias("u-1"),
            lambda: call.alias(None, "u-1"),
            lambda: call.page("u-1", name=7),  # type: ignore[arg-type]
            lambda: call.screen("u-1", category=7),  # type: ignore[arg-type]
        ):
            with self.assertRaises(AssertionError) as raised:
                wrong()
            self.assertNotIn("secret", str(raised.exception))

    def test_texts(self) -> None:
        """The texts are the official ones, with the type of a value instead of the value."""
        cases: tuple[tuple[Callable[[], object], str], ...] = (
            (
                lambda: self.client.track(event="E"),
                "user_id or anonymous_id must have (<class 'numbers.Number'>, <class 'str'>), "
                "got: None",
            ),
            (lambda: self.client.track("u-1"), "event must have <class 'str'>, got: None"),
            (
                lambda: self.client.track("u-1", "E", ["secret"]),  # type: ignore[arg-type]
                "properties must have <class 'dict'>, got: <class 'list'>",
            ),
        )
        for wrong, expected in cases:
            with self.assertRaises(AssertionError) as raised:
                wrong()
            self.assertEqual(str(raised.exception), expected)

    def test_durations(self) -> None:
        """The limits on durations must be numbers from 0."""
        for name in ("max_total_backoff_duration", "max_rate_limit_duration"):
            for value in (None, -1):
                with self.assertRaisesRegex(ValueError, name):
                    Client("key", **{name: value})  # type: ignore[arg-type]

    def test_too_large(self) -> None:
        """A message that is too large raises a RuntimeError that does not tell its contents."""
        with self.assertRaises(RuntimeError) as raised:
            self.client.track("u-1", "E", {"text": "secret" * 6000})
        self.assertIn("limit", str(raised.exception))
        self.assertNotIn("secret", str(raised.exception))


class TestSend(CallsTest):
    def test_off(self) -> None:
        """With `send=False`, calls return the same, and nothing is sent."""
        client = Client("key", "http://127.0.0.1:9", send=False)
        accepted, message = client.track("u-1", "Signup")
        self.assertEqual((accepted, message["event"]), (True, "Signup"))
        self.assertTrue(client.queue.empty())
        client.shutdown()


class TestModule(unittest.TestCase):
    """The functions and settings of the module."""

    @override
    def setUp(self) -> None:
        self.reset()
        self.addCleanup(self.reset)
        analytics.write_key = "key"

    def reset(self) -> None:
        if analytics.default_client is not None:
            analytics.default_client.join()
        analytics.default_client = None
        Client.log.handlers.clear()
        Client.log.setLevel(logging.NOTSET)
        for name in analytics._SETTINGS:
            setattr(analytics, name, getattr(Client.DefaultConfig, name))

    def test_functions(self) -> None:
        """Each function makes its call with the default client."""
        with capture_segment() as captured:
            analytics.track("u-1", "Signup", {"plan": "pro"})
            analytics.identify("u-1", {"plan": "pro"})
            analytics.page("u-1", "Docs", "Pricing")
            analytics.screen("u-1", name="Home")
            analytics.group("u-1", "g-1")
            analytics.alias("a-1", "u-1")
        types = [message.type for message in captured]
        self.assertEqual(types, ["track", "identify", "page", "screen", "group", "alias"])

    def test_settings(self) -> None:
        """The first call reads the settings, and so does the next one after a reset."""
        for name, value in {
            "host": "http://127.0.0.1:9", "debug": True, "gzip": True, "sync_mode": True,
            "timeout": 1.5, "max_queue_size": 1337, "max_retries": 42, "send": False,
            "proxies": {"http": "http://127.0.0.1:9"}, "upload_size": 10, "upload_interval": 3,
        }.items():  # fmt: skip
            with self.subTest(name):
                setattr(analytics, name, value)
                analytics.flush()
                client = analytics.default_client
                self.assertEqual(getattr(client, name), value)
                self.reset()
                analytics.write_key = "key"
                analytics.flush()
                self.assertEqual(
                    getattr(analytics.default_client, name), getattr(Client.DefaultConfig, name)
                )
                self.reset()
                analytics.write_key = "key"

    def test_without_write_key(self) -> None:
        """Without a write key, every function raises an AssertionError."""
        analytics.write_key = None
        for function in (analytics.flush, analytics.join, analytics.shutdown):
            self.assertRaises(AssertionError, function)
        self.assertRaises(AssertionError, analytics.track, "u-1", "Signup")

    def test_our_settings(self) -> None:
        """The module's settings that only this package has are passed on, too."""
        analytics.region, analytics.dead_letters = "eu", "dead-letters.jsonl"
        analytics.flush()
        client = analytics.default_client
        assert client is not None
        self.assertEqual((client.region, client.dead_letters), ("eu", "dead-letters.jsonl"))

    def test_alias_to_nobody(self) -> None:
        """An alias to an empty id is refused, and raises nothing, as in the official SDK."""
        analytics.send = False
        with redirect_stderr(io.StringIO()) as stderr:
            self.assertFalse(analytics.alias("a-1", "")[0])
        self.assertIn("user_id", stderr.getvalue())
        self.assertTrue(analytics.alias("a-1", 0)[0])

    def test_unknown_setting(self) -> None:
        """A setting that does not exist is reported by the first call, with the one meant."""
        module: Any = analytics
        for name, meant in (
            ("max_queue_sise", "did you mean max_queue_size?"),
            ("x9", "remove it"),
            ("shutdown_timeout", "it is an option of SegmentHandler only"),
            ("redact", "it is an option of SegmentHandler only"),
            ("max_attempts", "use max_retries, which does not count the first attempt"),
            ("flush_interval", "use upload_interval"),
        ):
            with mock.patch.object(module, name, 1, create=True):
                analytics.default_client = None
                with self.assertLogs("segment_logging") as logs:
                    analytics.flush()
                self.assertIn(f"analytics has no setting {name}: {meant}", logs.output[0])
        analytics.default_client = None
        with self.assertNoLogs("segment_logging"):
            analytics.flush()

    def test_invalid_setting(self) -> None:
        """The first call raises an error. The later ones fail like undelivered messages."""
        failed: list[tuple[Any, list[Any]]] = []
        analytics.on_error = lambda error, batch: failed.append((error, batch))
        analytics.host = "segment.example"
        self.assert_first_call_raises(failed)
        analytics.host, analytics.default_client = None, None
        failed.clear()
        with mock.patch.dict(os.environ, SEGMENT_HOST="segment.example"):
            self.assert_first_call_raises(failed)

    def assert_first_call_raises(self, failed: list[tuple[Any, list[Any]]]) -> None:
        with self.assertRaisesRegex(ValueError, "host must be a URL"):
            analytics.track("u-1", "First")
        with self.assertLogs("segment_logging"):
            accepted, message = analytics.track("u-1", "Second")
            analytics.flush()
        self.assertTrue(accepted)
        ((error, batch),) = failed
        self.assertIsInstance(error, DeliveryError)
        self.assertIn("host must be a URL", str(error))
        self.assertEqual([one["messageId"] for one in batch], [message["messageId"]])
        with self.assertRaises(AssertionError):
            analytics.track("u-1")

    def test_fixed_setting(self) -> None:
        """After the setting was fixed, `default_client = None` has it read again."""
        analytics.host = "segment.example"
        with self.assertRaises(ValueError):
            analytics.flush()
        analytics.host, analytics.default_client = None, None
        analytics.flush()
        self.assertIs(type(analytics.default_client), Client)

    def test_invalid_write_key(self) -> None:
        """A write key that is a placeholder raises one error, too."""
        analytics.write_key = "YOUR_WRITE_KEY"
        with self.assertRaisesRegex(ValueError, "placeholder"):
            analytics.flush()
        analytics.flush()

    def test_version(self) -> None:
        """The version has the names that the official SDK gives it."""
        self.assertEqual(VERSION, segment_logging.__version__)
        self.assertEqual({analytics.VERSION, analytics.__version__}, {VERSION})

    def test_imports(self) -> None:
        """The import loads everything, so that the first call need not."""
        loaded = run_python(
            """
import json, os, sys
from segment_logging.compat import analytics
before = set(sys.modules)
analytics.write_key, analytics.host = "key", "http://127.0.0.1:9"
analytics.track("u-1", "Signup")
print(json.dumps(sorted(set(sys.modules) - before)), flush=True)
os._exit(0)
"""
        )
        self.assertEqual([name for name in loaded if not name.startswith("encodings")], [])

    def test_result_is_json(self) -> None:
        """A result with plain values can be written as JSON, such as to a dead-letter queue."""
        with capture_segment():
            _, message = analytics.track("u-1", "Signup", {"plan": "pro"})
        self.assertEqual(json.loads(json.dumps(message)), message)


if __name__ == "__main__":
    unittest.main()
