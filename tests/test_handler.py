"""What the handler does with records, options and a full queue, with a fake client behind it."""

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
from dataclasses import fields
from hashlib import sha256
from logging.handlers import QueueHandler
from tempfile import TemporaryDirectory
from typing import Any

from typing_extensions import override

from segment_logging import Counts, SegmentHandler, Track
from segment_logging.collector import Collector
from segment_logging.messages import Message
from segment_logging.settings import Settings
from segment_logging.testing import FakeClient

from .builders import a_record, run_python, syncs_counted
from .servers import ScriptedServer


def a_choice(message: Any) -> Any:
    """A `before_send`, named from dictConfig."""
    return message


def nothing(*_: Any) -> None:
    """An `on_error`, likewise."""


class BlockedClient(FakeClient):
    """A client whose network takes no request until `release`."""

    def __init__(self) -> None:
        super().__init__(self._wait)
        self.entered = threading.Event()
        self._gate = threading.Event()

    def _wait(self, message: Message) -> None:
        self.entered.set()
        self._gate.wait(30)

    def release(self) -> None:
        """Let every request through, from now on."""
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
        """dictConfig can set every option, also by cfg:// and ext://."""
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
        settings = handler._settings
        given.update(timeout=[1, 2], on_error=nothing)
        for field in fields(Settings):
            if field.name in given:
                self.assertEqual(getattr(settings, field.name), given[field.name], field.name)

    def test_reading_from_dict_config(self) -> None:
        """Every option that says how records are read arrives."""
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
        """What says how bodies are sent arrives at the network, and syncing at the disk."""
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

    def test_exit_of_a_hook(self) -> None:
        """A hook that ends the program ends it, and its event is counted."""

        def leave(message: Message) -> None:
            sys.exit()

        handler = self.handler_of(before_send=leave)
        with self.assertRaises(SystemExit):
            self.log(handler)
        self.assertEqual(handler.counts().invalid, 1)

    def test_wrong_ones(self) -> None:
        """A wrong option fails in dictConfig, and the cause names it."""
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
            ("before_send", "package.function"),
            ("write_key", 7),
            ("flush_intervall", 1),
        ):
            with self.subTest(option), self.assertRaises(ValueError) as caught:
                self.configure(**{"write_key": "key", option: value})
            self.assertIn(option, str(caught.exception.__cause__))

    def test_no_write_key(self) -> None:
        """Without a write key there is one warning, then silence."""

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
        """dictConfig's default, which disables loggers, does not silence what is reported."""
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
        """SEGMENT_WRITE_KEY and SEGMENT_HOST are taken where no option says otherwise."""
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


class TestRecords(HandlerTest):
    def test_snapshot(self) -> None:
        """What the caller changes after the call does not change the event."""
        client = FakeClient()
        handler = self.handler_of(client)
        properties = {"plan": ["pro"]}
        handler.handle(a_record(extra={"user_id": "u", "properties": properties}))
        properties["plan"].append("free")
        handler.drain(5)
        assert isinstance(client.messages[0], Track)
        self.assertEqual(client.messages[0].properties, {"plan": ["pro"]})

    def test_record_is_untouched(self) -> None:
        """Handlers after this one get the record as it was."""
        handler = self.handler_of()
        record = a_record("Paid %s", 7, extra={"user_id": "u"})
        before = dict(record.__dict__)
        handler.handle(record)
        self.assertEqual(record.__dict__, before)

    def test_bad_ones_among_good_ones(self) -> None:
        """Bad records cost themselves, and no neighbour."""
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
        """A refused record is told by the rules of handleError: never with raiseExceptions off."""
        handler = self.handler_of()
        self.addCleanup(setattr, logging, "raiseExceptions", logging.raiseExceptions)
        for raise_exceptions in (True, False):
            logging.raiseExceptions = raise_exceptions
            said = self.stderr_of(lambda: handler.handle(a_record(extra={"event": "Nobody"})))
            self.assertEqual(bool(said), raise_exceptions)
        self.assertEqual(handler.counts().invalid, 2)

    def test_without_process_and_thread(self) -> None:
        """Records without process, thread and task are events like others."""
        for name in ("logProcesses", "logThreads", "logMultiprocessing"):
            self.addCleanup(setattr, logging, name, getattr(logging, name))
            setattr(logging, name, False)
        client = FakeClient()
        handler = self.handler_of(client)
        self.log(handler, 3)
        self.assertTrue(handler.drain(5))
        self.assertEqual(len(client.messages), 3)

    def test_of_another_process(self) -> None:
        """Records that came from another process, over a socket or a queue, are delivered here."""
        client = FakeClient()
        handler = self.handler_of(client)
        for _ in range(3):
            record = a_record(extra={"user_id": "u"})
            record.process = 1
            handler.handle(logging.makeLogRecord(record.__dict__))
        self.assertTrue(handler.drain(5))
        self.assertEqual(len(client.messages), 3)

    def test_of_a_thread_that_is_gone(self) -> None:
        """A thread that ended may have had the identifier that the listener's has now."""
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
        """Events of short-lived threads arrive through a QueueHandler of the program's."""
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
        """A record factory, in force when the package is imported or later, hides no event."""
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
        for name, program, tenants in (
            ("before", setting + imports, {"tenant": "t-1"}),
            ("after", imports + setting, {"tenant": "t-1"}),
            ("no longer", setting + imports + resetting, {}),
        ):
            with self.subTest(name):
                self.assertEqual(run_python(f"import json\n{factory}{program}{use}"), [tenants])

    def test_attribute_taken_away(self) -> None:
        """A filter that takes an attribute off the record hides no event."""
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
        """A record that a filter refuses is no event."""
        client = FakeClient()
        handler = self.handler_of(client)
        handler.addFilter(lambda record: record.msg != "Secret")
        self.log(handler, events=("Secret", "Signup"))
        handler.drain(5)
        self.assertEqual(len(client.messages), 1)

    @unittest.skipUnless(sys.version_info >= (3, 12), "filters replace records from 3.12 on")
    def test_replaces(self) -> None:
        """A filter may return another record, which is then the one that is sent."""
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
        """A filter that raises costs its record, counted, and nothing in the application."""
        client = FakeClient()
        handler = self.handler_of(client)

        def raising(record: logging.LogRecord) -> bool:
            return bool(1 / (record.msg != "Bad"))

        handler.addFilter(raising)
        said = self.stderr_of(lambda: self.log(handler, events=("Bad", "Signup")))
        self.assertTrue(handler.drain(5))
        self.assertEqual((handler.counts().invalid, len(client.messages)), (1, 1))
        self.assertIn("ZeroDivisionError", said)


class TestOverflow(HandlerTest):
    def blocked(self, **options: Any) -> tuple[SegmentHandler, BlockedClient]:
        """Return a handler whose queue takes 10 messages, its listener in a hanging request."""
        client = BlockedClient()
        self.addCleanup(client.release)
        handler = self.handler_of(client, max_queue_messages=10, flush_interval=0, **options)
        self.log(handler)
        self.assertTrue(client.entered.wait(5))
        return handler, client

    def end(self, handler: SegmentHandler, client: BlockedClient) -> None:
        """Have the rest delivered, and what is said of the drops kept off the screen."""
        client.release()
        self.stderr_of(handler.close)

    def test_drop(self) -> None:
        """A full queue drops the newest and counts it, and says so once."""
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
        """With "block" the caller waits until there is room, and nothing is lost."""
        handler, client = self.blocked(overflow="block", block_timeout=30)
        thread = threading.Thread(target=self.log, args=(handler, 50))
        thread.start()
        client.release()
        thread.join(30)
        self.assertTrue(handler.drain(5))
        self.assertEqual(len(client.messages), 51)
        self.assertEqual(handler.counts().dropped, 0)

    def test_block_timeout(self) -> None:
        """After block_timeout the message is dropped and counted."""
        handler, client = self.blocked(overflow="block", block_timeout=0.02)
        self.log(handler, 12)
        self.assertEqual(handler.counts().dropped, 3)
        self.end(handler, client)

    def test_bytes(self) -> None:
        """The queue is bounded by bytes, too."""
        client = BlockedClient()
        self.addCleanup(client.release)
        handler = self.handler_of(client, max_queue_bytes=10_000, flush_interval=0)
        self.log(handler)
        self.assertTrue(client.entered.wait(5))
        big = a_record(extra={"user_id": "u", "properties": {"x": "x" * 3_000}})
        for _ in range(5):
            handler.handle(big)
        self.assertEqual(handler.counts().dropped, 2)
        self.end(handler, client)

    def test_eight_threads(self) -> None:
        """The counts add up at every moment, however the threads are switched."""
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
        """close waits for what came before it, not for what others log meanwhile."""
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
        """flush returns when everything is answered for, and returns nothing."""
        client = FakeClient()
        handler = self.handler_of(client, flush_interval=3_600)
        self.log(handler, 3)
        self.assertIsNone(handler.flush())
        self.assertEqual(len(client.messages), 3)

    def test_drain_in_vain(self) -> None:
        """drain is False when time was up, and nothing is lost by that."""
        client = BlockedClient()
        handler = self.handler_of(client, flush_interval=0)
        self.log(handler)
        self.assertFalse(handler.drain(0.05))
        client.release()
        self.assertTrue(handler.drain(5))
        self.assertEqual(len(client.messages), 1)

    def test_drain_in_two_threads(self) -> None:
        """Threads that drain at the same time do not forget each other's messages."""
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
        """It is none of stdlib's QueueHandlers, for which dictConfig has rules of its own."""
        self.assertNotIsInstance(self.handler_of(), QueueHandler)

    def test_ends_that_fail(self) -> None:
        """Whatever the client does, flush and close raise nothing: logging.shutdown goes on."""

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
        """close may be called at any time and twice; the next record opens it again."""
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
        """close closes the client, from the thread that used it; the next event sends again."""
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
        """No log record and no word on stderr holds the write key, whatever goes wrong."""
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


if __name__ == "__main__":
    unittest.main()
