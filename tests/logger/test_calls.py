"""Tests for a SegmentLogger's typed calls, and for the source location of their records."""

from __future__ import annotations

import inspect
import json
import logging
import os
import pickle
import subprocess
import sys
import unittest
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from logging.handlers import QueueHandler
from queue import SimpleQueue
from typing import Any

from pythonjsonlogger.json import JsonFormatter
from typing_extensions import override

from segment_logging import (
    Alias,
    Group,
    Identify,
    InvalidMessage,
    Page,
    Screen,
    Track,
    User,
    identity,
)
from segment_logging.collector import Collector
from segment_logging.logger import SegmentLogger
from tests.builders import PROJECT, each, message_of, messages_of, refusal_of

WHEN = datetime(2026, 11, 23, 8, 0, 0, 123_000, UTC)


class Keeping(logging.Handler):
    """A handler that keeps its records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class Logging(unittest.TestCase):
    """Base class with its own logger and a handler that keeps the records."""

    @override
    def setUp(self) -> None:
        self.handler = Keeping()
        self.logger = logging.getLogger("tests.adapter")
        self.logger.setLevel(logging.INFO)
        self.logger.addHandler(self.handler)
        self.addCleanup(self.logger.removeHandler, self.handler)
        self.log = SegmentLogger(self.logger)

    def record(self) -> logging.LogRecord:
        """Return the only record that was logged since the last call."""
        (record,) = self.handler.records
        self.handler.records.clear()
        return record

    def message(self, **options: Any) -> Any:
        """Return the message that a handler with these options makes from the record."""
        return message_of(self.record(), **options)


class TestOrdinaryRecords(Logging):
    """Ordinary records, which bound values do not change."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.log = self.log.bind(
            user_id="u", anonymous_id="a", context={"c": 1}, properties={"p": 1}, integrations={}
        )

    def test_no_event(self) -> None:
        """Bound values do not make an ordinary record an event."""
        self.log.info("cache miss")
        self.log.info("cache %s", "miss", extra={"shelf": 7})
        self.assertEqual(messages_of(*self.handler.records), [])

    def test_capture_all(self) -> None:
        """Bound values are used if every record is an event."""
        self.log.info("cache miss")
        message = self.message(capture="all")
        self.assertEqual(message.user, User(user_id="u", anonymous_id="a"))
        self.assertEqual((message.event, message.properties), ("cache miss", {"p": 1}))

    def test_no_other_handler(self) -> None:
        """A formatter that writes every extra does not write the bound values."""
        self.log.info("cache miss", extra={"shelf": 7})
        told = json.loads(JsonFormatter("%(message)s").format(self.record()))
        self.assertEqual(told, {"message": "cache miss", "shelf": 7})

    def test_other_threads(self) -> None:
        """Bound values stay with a record that a QueueHandler passes to another thread."""
        moved: SimpleQueue[logging.LogRecord] = SimpleQueue()
        self.logger.addHandler(QueueHandler(moved))
        self.log.info("Signup", extra={"event": "E"})
        with identity(user_id="somebody else"):
            record = pickle.loads(pickle.dumps(moved.get()))
            self.assertEqual(message_of(record).user, User(user_id="u", anonymous_id="a"))


class TestCalls(Logging):
    def test_same_as_plain(self) -> None:
        """Each typed call makes the same message as a plain call with extras."""
        common: dict[str, Any] = {
            "user_id": 17, "anonymous_id": "a", "context": {"ip": "192.0.2.1"},
            "integrations": {"All": True}, "timestamp": WHEN, "message_id": "m-1",
        }  # fmt: skip
        objects: Mapping[str, Any] = {"name": "Mia", "message": "hi", "args": [1], "user_id": "no"}
        log, plain = self.log, self.logger.info
        titles: dict[str, Any] = {"properties": objects, "category": "Help"}
        for kind, typed, text, extra in each(
            (Track, lambda: log.track("E", properties=objects, **common), "E",
             {"properties": objects}),
            (Identify, lambda: log.identify(traits=objects, **common), "x",
             {"traits": objects}),
            (Page, lambda: log.page("Docs", **titles, **common), "Docs",
             {"type": "page", **titles}),
            (Screen, lambda: log.screen("Docs", **titles, **common), "Docs",
             {"type": "screen", **titles}),
            (Group, lambda: log.group(7, traits=objects, **common), "x",
             {"group_id": 7, "traits": objects}),
            (Alias, lambda: log.alias(previous_id=7, **common), "x",
             {"previous_id": 7}),
        ):  # fmt: skip
            with self.subTest(kind):
                typed()
                message = self.message()
                plain(text, extra={**common, **extra})
                self.assertIs(type(message), kind)
                self.assertEqual(message, self.message())

    def test_least(self) -> None:
        """Omitted arguments have the same effect as in a plain call."""
        self.log = self.log.bind(user_id="u")
        for call, form in each(
            (lambda: self.log.track("E"), {"type": "track", "event": "E", "properties": {}}),
            (lambda: self.log.identify(), {"type": "identify", "traits": {}}),
            (lambda: self.log.page(), {"type": "page", "properties": {}}),
            (lambda: self.log.screen(), {"type": "screen", "properties": {}}),
            (lambda: self.log.group("g"), {"type": "group", "groupId": "g", "traits": {}}),
            (lambda: self.log.alias(previous_id="p"), {"type": "alias", "previousId": "p"}),
        ):
            call()
            message = self.message().to_dict()
            for name in ("messageId", "timestamp", "context"):
                del message[name]
            self.assertEqual(message, {**form, "userId": "u"})

    def test_texts(self) -> None:
        """Other handlers see the name of the event, page or screen, or else the call's type."""
        self.log.track("Order Completed")
        self.log.identify()
        self.log.page("Docs")
        self.log.page()
        self.log.screen("Home")
        self.log.screen()
        self.log.group("g")
        self.log.alias(previous_id="p")
        self.assertEqual(
            [record.getMessage() for record in self.handler.records],
            ["Order Completed", "Identify", "Docs", "Page", "Home", "Screen", "Group", "Alias"],
        )

    def test_percent(self) -> None:
        """A name that contains `%` is not formatted."""
        self.log.track("100% %s %(name)s", user_id="u")
        record = self.record()
        self.assertEqual(record.getMessage(), "100% %s %(name)s")
        self.assertEqual(message_of(record).event, "100% %s %(name)s")

    def test_enum(self) -> None:
        """An event name may be an Enum member."""

        class Event(Enum):
            SIGNUP = "Signup"

        class Text(str, Enum):
            SIGNUP = "Signup"

        for event in (Event.SIGNUP, Text.SIGNUP):
            self.log.track(event, user_id="u")
            self.assertEqual(self.handler.records[0].getMessage(), "Signup")
            self.assertEqual(self.message().event, "Signup")

    def test_no_name(self) -> None:
        """An invalid event name is refused by the handler."""
        for event in ("", None, 7, b"Signup", ["Signup"], {"event": "Signup"}):
            with self.subTest(event):
                self.log.track(event, user_id="u")  # type: ignore[arg-type]
                self.assertIn("event", refusal_of(self.record()))

    def test_level(self) -> None:
        """The level is INFO or the given one, and nothing is logged below the logger's level."""
        self.log.track("E")
        self.assertEqual(self.record().levelno, logging.INFO)
        self.log.track("E", level=logging.ERROR)
        self.assertEqual(self.record().levelname, "ERROR")
        self.log.track("E", level=logging.DEBUG)
        self.logger.setLevel(logging.WARNING)
        self.log.identify()
        self.assertEqual(self.handler.records, [])

    def test_unknown_argument(self) -> None:
        """A misspelled argument raises even at a disabled level, so it is found in development."""
        self.logger.setLevel(logging.ERROR)
        for call in each(self.log.track, self.log.page, self.log.screen, self.log.group):
            with self.assertRaisesRegex(TypeError, "usr_id"):
                call("x", usr_id="u")
        with self.assertRaisesRegex(TypeError, "usr_id"):
            self.log.identify(usr_id="u")  # type: ignore[call-arg]

    def test_factory(self) -> None:
        """A record factory that sets our field names on every record does not interfere."""

        class Own(logging.LogRecord):
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options)
                self.user_id = "of the factory"
                self.context = {"a": 1}
                self.properties = {"a": 1}

        before = logging.getLogRecordFactory()
        self.addCleanup(logging.setLogRecordFactory, before)
        logging.setLogRecordFactory(Own)
        self.log.bind(context={"b": 1}).track("E", user_id="u", properties={"b": 1})
        message = self.message()
        self.assertEqual((message.user.user_id, message.properties), ("u", {"b": 1}))
        self.assertEqual(message.context["b"], 1)

    def test_traits_of_a_track(self) -> None:
        """A property that has the name of one of our fields stays a property."""
        names = ("traits", "previous_id", "group_id", "type", "segment", "extra")
        properties = dict.fromkeys(names, "x")
        self.log.track("E", user_id="u", properties=properties)
        message = self.message()
        self.assertEqual((type(message), message.properties), (Track, properties))

    def test_invalid(self) -> None:
        """A message that Segment would drop raises nothing here. The handler reports it."""
        self.log.group("g" * 501, user_id="u")
        self.assertIn(InvalidMessage.__name__, refusal_of(self.record()))


class TestPlace(Logging):
    """The source location of a record, which is the line that made the call."""

    def calls(self, **options: Any) -> tuple[Callable[[], Any], ...]:
        """Return every way to log, each on its own line."""
        log = self.log
        return (
            lambda: log.track("x", **options),
            lambda: log.identify(**options),
            lambda: log.page("x", **options),
            lambda: log.screen("x", **options),
            lambda: log.group("x", **options),
            lambda: log.alias(previous_id="x", **options),
            lambda: log.debug("x", **options),
            lambda: log.info("x", **options),
            lambda: log.warning("x", **options),
            lambda: log.error("x", **options),
            lambda: log.critical("x", **options),
            lambda: log.exception("x", **options),
            lambda: log.log(logging.INFO, "x", **options),
        )

    @override
    def setUp(self) -> None:
        super().setUp()
        self.logger.setLevel(logging.DEBUG)
        self.log = self.log.bind(user_id="u")

    def place(self) -> tuple[str, str, int]:
        record = self.record()
        return record.pathname, record.funcName or "", record.lineno

    def test_caller(self) -> None:
        """Every method records the caller's location."""
        for call in self.calls():
            call()
            line = call.__code__.co_firstlineno
            self.assertEqual(self.place(), (__file__, "<lambda>", line))

    def test_stacklevel(self) -> None:
        """With stacklevel=2, the location is that of the caller's caller, and so on."""

        def helper(call: Callable[[], Any]) -> None:
            call()

        for call in self.calls(stacklevel=2):
            helper(call)
            line = inspect.getsourcelines(helper)[1] + 1
            self.assertEqual(self.place(), (__file__, "helper", line))
        for call in self.calls(stacklevel=3):
            helper(call)
            self.assertEqual(self.place()[1], "test_stacklevel")

    def test_stacklevel_of_one(self) -> None:
        """stacklevel=1 is the default."""
        for call in self.calls(stacklevel=1):
            call()
            self.assertEqual(self.place()[2], call.__code__.co_firstlineno)

    def test_refused(self) -> None:
        """The handler's error report shows the same location."""
        self.log.track("")
        line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
        self.assertIn(f'File "{__file__}", line {line}, in test_refused', refusal_of(self.record()))

    def test_exception(self) -> None:
        """`exception` includes the traceback, even for an event."""
        try:
            raise KeyError("x")
        except KeyError as error:
            self.log.exception("Payment Failed", extra={"segment": True})
            record = self.record()
            self.assertIs((record.exc_info or (None, None))[1], error)
        self.assertEqual(message_of(record).event, "Payment Failed")


class TestExample(unittest.TestCase):
    def test_typed_calls(self) -> None:
        """typed_calls.py sends five calls for each user, and its ordinary record is not sent."""
        with_collector = Collector()
        self.addCleanup(with_collector.close)
        paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
        ended = subprocess.run(
            [sys.executable, "-W", "error", PROJECT / "examples" / "typed_calls.py"],
            env={
                **os.environ,
                "SEGMENT_HOST": with_collector.url,
                "SEGMENT_WRITE_KEY": "example-key",
                "PYTHONPATH": os.pathsep.join(paths),
                "PYTHONIOENCODING": "utf-8",
            },
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        self.assertEqual(with_collector.dropped, [])
        self.assertEqual([one for one in with_collector.arrivals if one.warnings], [])
        self.assertEqual(
            Counter((one["userId"], one["type"]) for one in with_collector.messages),
            {
                (user, call): 2 if call == "track" else 1
                for user in ("17", "18")
                for call in ("page", "identify", "group", "track")
            },
        )
        order = next(m for m in with_collector.messages if m.get("event") == "Order 100% Completed")
        self.assertEqual(
            order["properties"],
            {"request": "r-1", "currency": "EUR", "order_id": "o-501", "name": "teapot"},
        )
        self.assertEqual(order["context"]["app"], {"name": "shop"})
        self.assertIn("INFO r-1 check_out: Order 100% Completed\n", ended.stdout)
        self.assertIn("INFO r-2 check_out: cache miss\n", ended.stdout)
