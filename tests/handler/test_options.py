"""Tests for the handler's options, passed in code and through dictConfig."""

from __future__ import annotations

import io
import logging
import logging.config
import os
import sys
import unittest
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import fields
from hashlib import sha256
from tempfile import TemporaryDirectory
from typing import Any

from segment_logging import Counts, SegmentHandler
from segment_logging._messages.message import Message
from segment_logging._options.delivery import DeliveryOptions
from segment_logging.collector import Collector
from segment_logging.testing import FakeClient
from tests.builders import a_record, run_python, syncs_counted
from tests.servers import Answer, ScriptedServer


def a_choice(message: Any) -> Any:
    """A `before_send` hook that the dictConfig refers to by name."""
    return message


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


class TestOptions(HandlerTest):
    def configure(self, **options: Any) -> SegmentHandler:
        logger = logging.getLogger("tests.handler.configured")
        config = {
            "version": 1,
            "disable_existing_loggers": False,
            "shop": {"context": {"app": {"name": "shop", "tags": ["a"]}}, "timeout": [1, 2]},
            "handlers": {"segment": {"class": "segment_logging.SegmentHandler", **options}},
            "loggers": {logger.name: {"handlers": ["segment"], "level": "INFO"}},
        }
        self.addCleanup(logger.handlers.clear)
        logging.config.dictConfig(config)
        handler = logger.handlers[0]
        assert isinstance(handler, SegmentHandler)
        self.addCleanup(handler.close)
        return handler

    def test_all_from_dict_config(self) -> None:
        """dictConfig can set every option, including through cfg:// and ext://."""
        given: dict[str, Any] = {
            "host": "http://127.0.0.1:1",
            "region": "eu",
            "capture": "all",
            "flush_interval": 2,
            "max_queue_messages": 10,
            "max_queue_bytes": 1_000,
            "overflow": "block",
            "block_timeout": 0.5,
            "journal": "/tmp/never-made",
            "journal_sync": "emit",
            "max_journal_bytes": 5_000,
            "dead_letters": "/tmp/never-written",
            "max_attempts": 3,
            "timeout": "cfg://shop.timeout",
            "gzip": True,
            "proxies": {"http": "http://127.0.0.1:2"},
            "headers": {"X-Strict-Mode": "1"},
            "shutdown_timeout": 1,
            "context": "cfg://shop.context",
            "integrations": {"All": True},
            "include_extras": False,
            "before_send": f"ext://{__name__}.a_choice",
            "redact": ["password"],
            "hashed": ["email"],
            "allow_events": ["Order *"],
            "deny_events": ["Debug *"],
            "sample_rate": 0.5,
            "consent": {"ads": False},
            "on_error": f"ext://{__name__}.nothing",
        }
        handler = self.configure(write_key="key", **given)
        options = handler._options
        given.update(timeout=[1, 2], on_error=nothing)
        for field in fields(DeliveryOptions):
            if field.name in given:
                self.assertEqual(getattr(options, field.name), given[field.name], field.name)

    def test_reading_from_dict_config(self) -> None:
        """Every option that controls how records are read takes effect."""
        for option, value, extra, expected in (
            ("capture", "all", {"properties": None}, None),
            ("context", "cfg://shop.context", {},
             ("context", "app", {"name": "shop", "tags": ["a"]})),
            ("integrations", {"All": False}, {}, ("integrations", "All", False)),
            ("include_extras", False, {"plan": "pro"}, ("properties", "plan", None)),
            ("before_send", f"ext://{__name__}.nothing", {}, None),
            ("redact", ["plan"], {"plan": "pro"}, ("properties", "plan", None)),
            ("hashed", ["plan"], {"plan": ""}, ("properties", "plan", sha256().hexdigest())),
            ("allow_events", ["Order *"], {}, None),
            ("deny_events", ["Sign*"], {}, None),
            ("sample_rate", 0, {}, None),
            ("consent", {"ads": False}, {},
             ("context", "consent", {"categoryPreferences": {"ads": False}})),
        ):  # fmt: skip
            with self.subTest(option):
                client = FakeClient()
                handler = self.configure(write_key="key", client=client, **{option: value})
                handler.handle(a_record(extra={"user_id": "u", **extra}))
                handler.close()
                if expected is None and option != "capture":
                    self.assertEqual(client.messages, [])
                elif expected is not None:
                    within, key, written = expected
                    (message,) = client.messages
                    self.assertEqual(message.to_dict()[within].get(key), written)

    def test_sending_options(self) -> None:
        """The gzip option compresses requests, and journal_sync syncs the journal."""
        with ScriptedServer() as server, TemporaryDirectory() as directory:
            for option in ({"gzip": True}, {"journal": directory, "journal_sync": "emit"}):
                handler = SegmentHandler("key", host=server.host, **option)
                with syncs_counted() as syncs:
                    handler.handle(a_record(extra={"user_id": "u"}))
                    at_once = syncs.count
                handler.close()
                self.assertEqual(at_once > 0, "journal_sync" in option)
        encodings = [request.headers.get("Content-Encoding") for request in server.requests]
        self.assertEqual(encodings, ["gzip", None])

    def test_headers(self) -> None:
        """Headers from a dictConfig are sent with every request, also while attempts fail."""
        with ScriptedServer([Answer(status=500)]) as server:
            handler = self.configure(
                write_key="key", host=server.host, headers={"X-Strict-Mode": "1"}
            )
            handler.handle(a_record(extra={"user_id": "u"}))
            handler.drain(10)
        sent = [request.headers.get("X-Strict-Mode") for request in server.requests]
        self.assertEqual(sent, ["1", "1"])

    def test_headers_are_secret(self) -> None:
        """The values of headers appear in no repr, report or dead letter."""
        secret, words = "gateway-secret-17", b'{"error": {"message": "bad gateway-secret-17"}}'
        script = [Answer(status=403, body=words), Answer(status=400, body=words)]
        letters = os.path.join(self.enterContext(TemporaryDirectory()), "letters.jsonl")
        shown = []

        def use() -> None:
            handler = SegmentHandler(
                "the-write-key",
                host=server.host,
                headers={"X-Gateway": f"Token {secret}", "user-agent": secret},
                dead_letters=letters,
                on_error=lambda error, _: shown.append(f"{error!r} {error.__cause__!r}"),
            )
            for _ in script:
                self.log(handler)
                handler.drain(10)
            shown.extend((repr(handler), repr(handler._options)))
            handler.close()

        with ScriptedServer(script) as server:
            shown.append(self.stderr_of(use))
        with open(letters, encoding="utf-8") as file:
            shown.append(file.read())
        self.assertEqual(
            {request.headers["X-Gateway"] for request in server.requests}, {f"Token {secret}"}
        )
        self.assertNotIn(secret, " ".join(shown))
        self.assertIn("bad …", " ".join(shown))
        self.assertIn("headers cannot replace user-agent", " ".join(shown))

    def test_exit_of_a_hook(self) -> None:
        """A hook that calls sys.exit ends the program, and its event is counted as invalid."""

        def leave(message: Message) -> None:
            sys.exit()

        handler = self.handler_of(before_send=leave)
        with self.assertRaises(SystemExit):
            self.log(handler)
        self.assertEqual(handler.counts().invalid, 1)

    def test_wrong_ones(self) -> None:
        """An invalid option fails in dictConfig, and the cause names the option."""
        for option, value in (
            ("capture", "most"),
            ("flush_interval", -1),
            ("max_queue_messages", 0),
            ("max_queue_bytes", "64 MiB"),
            ("overflow", "raise"),
            ("journal", 7),
            ("region", "mars"),
            ("timeout", 0),
            ("host", "api.segment.io"),
            ("context", "app"),
            ("headers", {"X-Strict-Mode": 1}),
            ("before_send", "package.function"),
            ("write_key", 7),
            ("flush_intervall", 1),
        ):
            with self.subTest(option), self.assertRaises(ValueError) as caught:
                self.configure(**{"write_key": "key", option: value})
            self.assertIn(option, str(caught.exception.__cause__))

    def test_no_write_key(self) -> None:
        """Without a write key, the handler warns once and then stays silent."""

        def use() -> None:
            handler = SegmentHandler(client=client)
            self.log(handler, 3)
            handler.flush()
            self.assertTrue(handler.drain(1))
            self.assertEqual(handler.counts(), Counts(ignored=3))
            handler.close()

        client = FakeClient()
        said = self.stderr_of(use)
        self.assertEqual(said.count("\n"), 1)
        self.assertIn("SEGMENT_WRITE_KEY", said)
        self.assertEqual(client.requests, [])

    def test_disabled_logger(self) -> None:
        """By default, dictConfig disables existing loggers, but reports still appear."""
        said = run_python(
            "import io, json, logging, logging.config, sys\n"
            "from segment_logging.testing import FakeClient\n"
            "sys.stderr = io.StringIO()\n"
            "segment = {'class': 'segment_logging.SegmentHandler', 'write_key': 'key',\n"
            "           'client': FakeClient([404])}\n"
            "logging.config.dictConfig({'version': 1, 'handlers': {'segment': segment},\n"
            "    'loggers': {'app': {'level': 'INFO', 'handlers': ['segment']}}})\n"
            "app = logging.getLogger('app')\n"
            "app.info('Signup', extra={'user_id': 'u'}); app.handlers[0].drain(5)\n"
            "print(json.dumps(sys.stderr.getvalue()))"
        )
        self.assertIn("404", said)

    def test_environment(self) -> None:
        """SEGMENT_WRITE_KEY and SEGMENT_HOST are used if no option overrides them."""
        with Collector() as collector:
            run_python(
                "import logging; from segment_logging import SegmentHandler\n"
                "logger = logging.Logger('app'); logger.addHandler(SegmentHandler())\n"
                "logger.addHandler(SegmentHandler('of-the-option'))\n"
                "logger.info('Signup', extra={'user_id': 'u'}); print(0)",
                SEGMENT_WRITE_KEY="of-the-environment",
                SEGMENT_HOST=collector.url + "/v1/",
            )
            keys = {request.write_key for request in collector.requests}
        self.assertEqual(keys, {"of-the-environment", "of-the-option"})
