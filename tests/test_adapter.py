"""A SegmentLogger: what it is bound to, the calls it logs, and where it says they were made."""

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
from copy import deepcopy
from datetime import datetime, timezone
from enum import Enum
from logging.handlers import QueueHandler
from queue import SimpleQueue
from typing import Any

from pythonjsonlogger.json import JsonFormatter
from typing_extensions import override

from segment_logging import (
    Alias,
    ConfigurationError,
    Group,
    Identify,
    InvalidMessage,
    Page,
    Screen,
    Track,
    User,
    identity,
)
from segment_logging.adapter import SegmentLogger
from segment_logging.collector import Collector

from .builders import PROJECT, a_record, each, message_of, messages_of, refusal_of

WHEN = datetime(2026, 11, 23, 8, 0, 0, 123_000, timezone.utc)


class Keeping(logging.Handler):
    """Keeps the records it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class Logging(unittest.TestCase):
    """With a logger of its own, whose records are kept."""

    @override
    def setUp(self) -> None:
        self.handler = Keeping()
        self.logger = logging.getLogger("tests.adapter")
        self.logger.setLevel(logging.INFO)
        self.logger.addHandler(self.handler)
        self.addCleanup(self.logger.removeHandler, self.handler)
        self.log = SegmentLogger(self.logger)

    def record(self) -> logging.LogRecord:
        """The one record that was logged since the last time."""
        (record,) = self.handler.records
        self.handler.records.clear()
        return record

    def message(self, **options: Any) -> Any:
        """What a handler with these options makes of it."""
        return message_of(self.record(), **options)


class TestLogger(Logging):
    def test_which(self) -> None:
        """It wraps a logger, the logger of a name, or the root logger."""
        self.assertIs(SegmentLogger(self.logger).logger, self.logger)
        self.assertIs(SegmentLogger("tests.adapter").logger, logging.getLogger("tests.adapter"))
        self.assertIs(SegmentLogger().logger, logging.getLogger())

    def test_no_logger(self) -> None:
        """Anything else is refused at once."""
        for value in (7, self.log, logging):
            with self.assertRaises(TypeError):
                SegmentLogger(value)  # type: ignore[arg-type]

    def test_adapter(self) -> None:
        """It is a LoggerAdapter, with level, name and handlers of its logger."""
        self.assertIsInstance(self.log, logging.LoggerAdapter)
        self.assertEqual((self.log.name, self.log.getEffectiveLevel()), ("tests.adapter", 20))
        self.assertTrue(self.log.hasHandlers())

    def test_plain_records(self) -> None:
        """With nothing bound, it logs what its logger would."""
        self.log.warning("low on %s", "tea", extra={"shelf": 7})
        record = self.record()
        self.assertEqual((record.getMessage(), record.levelname), ("low on tea", "WARNING"))
        self.assertEqual(record.__dict__.keys() - a_record().__dict__.keys(), {"shelf"})


class TestExtras(Logging):
    def test_merged(self) -> None:
        """The logger's extras and the call's own are both on the record; the call's win."""
        log = SegmentLogger(self.logger, {"request": "r-1", "shelf": 1})
        log.info("x", extra={"shelf": 2, "tea": "green"})
        record = self.record().__dict__
        self.assertEqual(
            [record[name] for name in ("request", "shelf", "tea")], ["r-1", 2, "green"]
        )

    def test_without_own(self) -> None:
        """A call without extras has the logger's."""
        SegmentLogger(self.logger, {"request": "r-1"}).info("x")
        self.assertEqual(self.record().__dict__["request"], "r-1")

    def test_formatters(self) -> None:
        """Formatters see them, with a typed call, too."""
        log = SegmentLogger(self.logger, {"request": "r-1"})
        log.track("Signup", user_id="u")
        text = logging.Formatter("%(request)s %(message)s").format(self.record())
        self.assertEqual(text, "r-1 Signup")

    def test_properties(self) -> None:
        """As any extras they become properties, under the explicit ones."""
        log = SegmentLogger(self.logger, {"request": "r-1", "plan": "free"})
        log.track("Signup", user_id="u", properties={"plan": "pro"})
        record = self.record()
        self.assertEqual(message_of(record).properties, {"request": "r-1", "plan": "pro"})
        self.assertEqual(message_of(record, include_extras=False).properties, {"plan": "pro"})

    def test_more(self) -> None:
        """`bind` adds to them, or replaces them."""
        log = SegmentLogger(self.logger, {"a": 1, "b": 1}).bind({"b": 2}).bind(extra={"c": 3})
        log.info("x")
        record = self.record().__dict__
        self.assertEqual([record[name] for name in "abc"], [1, 2, 3])

    def test_by_name(self) -> None:
        """A keyword that is nothing of ours is one of them."""
        SegmentLogger(self.logger, request="r-1").info("x")  # type: ignore[call-arg]
        self.assertEqual(self.record().__dict__["request"], "r-1")

    def test_of_a_record(self) -> None:
        """A name that logging reserves is refused where it is bound, not at every call."""
        for name in ("name", "message", "args", "msg", "levelname", "asctime", "taskName"):
            with self.subTest(name), self.assertRaisesRegex(ConfigurationError, name):
                self.log.bind({name: "x"})

    def test_of_a_call(self) -> None:
        """What belongs to one call cannot be bound: it would make every record an event."""
        for name in ("type", "event", "traits", "message_id", "group_id", "timestamp", "segment"):
            with self.subTest(name), self.assertRaisesRegex(ConfigurationError, name):
                SegmentLogger(self.logger, {name: "x"})


class TestIdentity(Logging):
    def user(self, **call: Any) -> Any:
        self.log.track("Signup", **call)
        return self.message().user

    def test_bound(self) -> None:
        """A bound user is that of every event."""
        self.log = self.log.bind(user_id=17, anonymous_id="a")
        self.assertEqual(self.user(), User(user_id="17", anonymous_id="a"))

    def test_own(self) -> None:
        """The call's own user wins, and does not get the anonymous id of another one."""
        self.log = self.log.bind(user_id="u", anonymous_id="a")
        self.assertEqual(self.user(user_id="v"), User(user_id="v"))
        self.assertEqual(self.user(anonymous_id="b"), User(user_id="u", anonymous_id="b"))
        self.assertEqual(self.user(user_id="u"), User(user_id="u", anonymous_id="a"))
        self.assertEqual(self.user(user_id=None), User(user_id="u", anonymous_id="a"))

    def test_plain_calls(self) -> None:
        """The same holds for a plain call with analytics extras, nested or not."""
        self.log = self.log.bind(user_id="u", anonymous_id="a")
        for extra, user in (
            ({"event": "E"}, User(user_id="u", anonymous_id="a")),
            ({"user_id": "v"}, User(user_id="v")),
            ({"segment": {"user_id": "v"}}, User(user_id="v")),
            ({"segment": {}, "user_id": "v"}, User(user_id="v")),
            ({"segment": True}, User(user_id="u", anonymous_id="a")),
        ):
            self.log.info("Signup", extra=extra)
            self.assertEqual(self.message().user, user)

    def test_before_the_context(self) -> None:
        """It comes before `identity()`, which fills in what it does not say of the same user."""
        with identity(user_id="c", anonymous_id="a"):
            self.log.track("Signup")
            self.assertEqual(self.message().user, User(user_id="c", anonymous_id="a"))
            self.log.bind(user_id="u").track("Signup")
            self.assertEqual(self.message().user, User(user_id="u"))
            self.log.bind(user_id="u").info("Signup", extra={"event": "E"})
            self.assertEqual(self.message().user, User(user_id="u"))
            self.log.bind(user_id="u").track("Signup", user_id="c")
            self.assertEqual(self.message().user, User(user_id="c", anonymous_id="a"))
        with identity(anonymous_id="a"):
            self.log.bind(user_id="u").track("Signup")
            self.assertEqual(self.message().user, User(user_id="u", anonymous_id="a"))

    def test_another_user(self) -> None:
        """Binding another user drops the anonymous id of the one before."""
        self.log = self.log.bind(user_id="u", anonymous_id="a").bind(user_id="v")
        self.assertEqual(self.user(), User(user_id="v"))

    def test_as_extra(self) -> None:
        """In the dict of extras they are bound just so, and are no extras."""
        self.log = SegmentLogger(self.logger, {"user_id": "u", "request": "r-1"})
        self.log.info("cache miss")
        self.assertEqual(messages_of(self.record()), [])
        self.assertEqual(self.user(), User(user_id="u"))

    def test_nobody(self) -> None:
        """A call about nobody is refused by the handler and raises nothing."""
        self.log.track("Signup")
        self.assertIn("no_user_anon_id", refusal_of(self.record()))


class TestOrdinaryRecords(Logging):
    """What is bound does not touch them."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.log = self.log.bind(
            user_id="u", anonymous_id="a", context={"c": 1}, properties={"p": 1}, integrations={}
        )

    def test_no_event(self) -> None:
        """What is bound makes no event of an ordinary record."""
        self.log.info("cache miss")
        self.log.info("cache %s", "miss", extra={"shelf": 7})
        self.assertEqual(messages_of(*self.handler.records), [])

    def test_capture_all(self) -> None:
        """It is filled in when every record is an event."""
        self.log.info("cache miss")
        message = self.message(capture="all")
        self.assertEqual(message.user, User(user_id="u", anonymous_id="a"))
        self.assertEqual((message.event, message.properties), ("cache miss", {"p": 1}))

    def test_no_other_handler(self) -> None:
        """A formatter that writes every extra writes nothing of it."""
        self.log.info("cache miss", extra={"shelf": 7})
        told = json.loads(JsonFormatter("%(message)s").format(self.record()))
        self.assertEqual(told, {"message": "cache miss", "shelf": 7})

    def test_other_threads(self) -> None:
        """A program's own QueueHandler may move the record to another thread or process."""
        moved: SimpleQueue[logging.LogRecord] = SimpleQueue()
        self.logger.addHandler(QueueHandler(moved))
        self.log.info("Signup", extra={"event": "E"})
        with identity(user_id="somebody else"):
            record = pickle.loads(pickle.dumps(moved.get()))
            self.assertEqual(message_of(record).user, User(user_id="u", anonymous_id="a"))


class TestContext(Logging):
    def test_order(self) -> None:
        """The handler's, the current context's, the logger's, the call's: each over those before,
        and merged within."""
        log = self.log.bind(context={"o": {"l": "l", "x": "l"}, "l": "l"})
        own = {"o": {"x": "own"}}
        for call in each(
            lambda: log.track("Signup", user_id="u", context=own),
            lambda: log.info("Signup", extra={"user_id": "u", "context": own}),
        ):
            with identity(context={"o": {"i": "i", "l": "i"}, "l": "i", "i": "i"}):
                call()
                message = self.message(context={"o": {"h": "h", "i": "h"}, "i": "h", "h": "h"})
            del message.context["library"]
            self.assertEqual(
                message.context,
                {
                    "o": {"h": "h", "i": "i", "l": "l", "x": "own"},
                    "h": "h", "i": "i", "l": "l",
                },
            )  # fmt: skip

    def test_bound_to_more(self) -> None:
        """`bind` merges it, too."""
        log = self.log.bind(context={"o": {"a": 1, "b": 1}}).bind(context={"o": {"b": 2}})
        log.track("Signup", user_id="u")
        self.assertEqual(self.message().context["o"], {"a": 1, "b": 2})

    def test_integrations(self) -> None:
        """Integrations likewise."""
        log = self.log.bind(integrations={"All": False, "A": {"x": 1, "y": 1}})
        log.track("Signup", user_id="u", integrations={"A": {"y": 2}})
        self.assertEqual(
            self.message(integrations={"All": True, "B": True}).integrations,
            {"All": False, "A": {"x": 1, "y": 2}, "B": True},
        )

    def test_no_object(self) -> None:
        """What is no object is refused where it is bound; in a call, by the handler."""
        nothing: Any = {}
        value: Any = [1]
        for name in ("context", "integrations", "properties"):
            with self.assertRaisesRegex(ConfigurationError, name):
                self.log.bind(**{name: value})
            self.log.bind(**{name: nothing}).track("Signup", user_id="u", **{name: value})
            self.assertIn(name, refusal_of(self.record()))


class TestProperties(Logging):
    @override
    def setUp(self) -> None:
        super().setUp()
        self.log = self.log.bind(user_id="u", properties={"plan": "free", "o": {"a": 1}})

    def test_under_the_own(self) -> None:
        """Bound properties lie under the call's, each of which replaces one as a whole."""
        for call in (self.log.track, self.log.page, self.log.screen):
            call("Name", properties={"o": {"b": 2}, "own": 1})
            self.assertEqual(self.message().properties, {"plan": "free", "o": {"b": 2}, "own": 1})

    def test_of_plain_calls(self) -> None:
        """The same holds for a plain call, whose other extras they lie under, too."""
        self.log.info("Signup", extra={"properties": {"own": 1}, "plan": "pro"})
        self.assertEqual(self.message().properties, {"plan": "pro", "o": {"a": 1}, "own": 1})
        self.log.info("Signup", extra={"event": "E"})
        self.assertEqual(self.message().properties, {"plan": "free", "o": {"a": 1}})

    def test_no_traits(self) -> None:
        """They never become traits."""
        self.log.identify(traits={"name": "Mia"})
        self.assertEqual(self.message().traits, {"name": "Mia"})
        self.log.group("g")
        self.assertEqual(self.message().traits, {})
        self.log.info("x", extra={"traits": {"name": "Mia"}})
        self.assertEqual(self.message().traits, {"name": "Mia"})


class TestBind(Logging):
    def test_new(self) -> None:
        """The logger that is bound to more is another one; the one before stays as it was."""
        before = self.log.bind(user_id="u", context={"a": 1}, extra={"x": 1})
        after = before.bind(user_id="v", context={"a": 2}, extra={"x": 2})
        before.track("Signup")
        message = self.message()
        self.assertEqual((message.user.user_id, message.context["a"]), ("u", 1))
        self.assertEqual(message.properties, {"x": 1})
        self.assertIs(after.logger, before.logger)

    def test_none(self) -> None:
        """None leaves what was bound."""
        log = self.log.bind(user_id="u", context={"a": 1}).bind(user_id=None, context=None)
        log.track("Signup")
        message = self.message()
        self.assertEqual((message.user.user_id, message.context["a"]), ("u", 1))

    def test_leaves_the_caller_alone(self) -> None:
        """No dict that is passed is changed, whatever is bound and logged over it."""
        given: dict[str, Any] = {
            "context": {"o": {"a": 1}}, "properties": {"o": {"a": 1}}, "integrations": {"A": {}},
        }  # fmt: skip
        extra = {"user_id": "u", "x": 1}
        own = {"context": {"o": {"b": 2}}, "properties": {"o": 1}, "integrations": {"A": True}}
        before = deepcopy([given, extra, own])
        log = SegmentLogger(self.logger, extra, **given).bind({"y": 1}, **deepcopy(given))
        log = log.bind(context={"o": {"c": 3}}, properties={"z": 1}, integrations={"A": {"k": 1}})
        log.track("Signup", **own)  # type: ignore[arg-type]
        message_of(self.record(), context={"o": {"h": 1}}, integrations={"A": {"h": 1}})
        log.info("Signup", extra=own)
        message_of(self.record(), context={"o": {"h": 1}}, integrations={"A": {"h": 1}})
        self.assertEqual([given, extra, own], before)

    def test_subclass(self) -> None:
        """A logger of a program's own class stays of that class."""

        class Own(SegmentLogger):
            def __init__(self) -> None:
                super().__init__("tests.adapter", user_id="u")

        self.assertIs(type(Own().bind(user_id="v")), Own)


class TestCalls(Logging):
    def test_same_as_plain(self) -> None:
        """Each typed call makes the message that a plain call with extras does."""
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
        """What is left out is as with a plain call."""
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
        """Other handlers see the name of an event, page or screen; else which call it was."""
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
        """A name with `%` in it is not formatted."""
        self.log.track("100% %s %(name)s", user_id="u")
        record = self.record()
        self.assertEqual(record.getMessage(), "100% %s %(name)s")
        self.assertEqual(message_of(record).event, "100% %s %(name)s")

    def test_enum(self) -> None:
        """Names may be kept in an Enum."""

        class Event(Enum):
            SIGNUP = "Signup"

        class Text(str, Enum):
            SIGNUP = "Signup"

        for event in (Event.SIGNUP, Text.SIGNUP):
            self.log.track(event, user_id="u")
            self.assertEqual(self.handler.records[0].getMessage(), "Signup")
            self.assertEqual(self.message().event, "Signup")

    def test_no_name(self) -> None:
        """A name that is none is refused by the handler."""
        for event in ("", None, 7, b"Signup", ["Signup"], {"event": "Signup"}):
            with self.subTest(event):
                self.log.track(event, user_id="u")  # type: ignore[arg-type]
                self.assertIn("event", refusal_of(self.record()))

    def test_level(self) -> None:
        """INFO, or as told; below the logger's level nothing is logged."""
        self.log.track("E")
        self.assertEqual(self.record().levelno, logging.INFO)
        self.log.track("E", level=logging.ERROR)
        self.assertEqual(self.record().levelname, "ERROR")
        self.log.track("E", level=logging.DEBUG)
        self.logger.setLevel(logging.WARNING)
        self.log.identify()
        self.assertEqual(self.handler.records, [])

    def test_unknown_argument(self) -> None:
        """A misspelt argument raises, also where the level is off: not first in production."""
        self.logger.setLevel(logging.ERROR)
        for call in each(self.log.track, self.log.page, self.log.screen, self.log.group):
            with self.assertRaisesRegex(TypeError, "usr_id"):
                call("x", usr_id="u")
        with self.assertRaisesRegex(TypeError, "usr_id"):
            self.log.identify(usr_id="u")  # type: ignore[call-arg]

    def test_factory(self) -> None:
        """A record factory that puts our names onto every record is in nobody's way."""

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
        """A property called as one of our fields stays a property."""
        names = ("traits", "previous_id", "group_id", "type", "segment", "extra")
        properties = dict.fromkeys(names, "x")
        self.log.track("E", user_id="u", properties=properties)
        message = self.message()
        self.assertEqual((type(message), message.properties), (Track, properties))

    def test_invalid(self) -> None:
        """What Segment would drop raises nothing here: the handler says what was wrong."""
        self.log.group("g" * 501, user_id="u")
        self.assertIn(InvalidMessage.__name__, refusal_of(self.record()))


class TestPlace(Logging):
    """A record names the line that made the call."""

    def calls(self, **options: Any) -> tuple[Callable[[], Any], ...]:
        """Every way to log, each on a line of its own."""
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
        """It is the caller's, of every method."""
        for call in self.calls():
            call()
            line = call.__code__.co_firstlineno
            self.assertEqual(self.place(), (__file__, "<lambda>", line))

    def test_stacklevel(self) -> None:
        """With stacklevel=2 it is that of the caller's caller, and so on."""

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
        """stacklevel=1 is what goes without saying."""
        for call in self.calls(stacklevel=1):
            call()
            self.assertEqual(self.place()[2], call.__code__.co_firstlineno)

    def test_refused(self) -> None:
        """It is where the handler's complaint points to, too."""
        self.log.track("")
        line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
        self.assertIn(f'File "{__file__}", line {line}, in test_refused', refusal_of(self.record()))

    def test_exception(self) -> None:
        """`exception` has the traceback, also of an event."""
        try:
            raise KeyError("x")
        except KeyError as error:
            self.log.exception("Payment Failed", extra={"segment": True})
            record = self.record()
            self.assertIs((record.exc_info or (None, None))[1], error)
        self.assertEqual(message_of(record).event, "Payment Failed")


class TestExample(unittest.TestCase):
    def test_typed_calls(self) -> None:
        """typed_calls.py sends five calls of each user; its ordinary record stays one."""
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


if __name__ == "__main__":
    unittest.main()
