"""Tests for the values that are bound to a SegmentLogger."""

from __future__ import annotations

import logging
import unittest
from copy import deepcopy
from typing import Any

from typing_extensions import override

from segment_logging import (
    ConfigurationError,
    User,
    identity,
)
from segment_logging.logger import SegmentLogger
from tests.builders import a_record, each, message_of, messages_of, refusal_of


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


class TestLogger(Logging):
    def test_which(self) -> None:
        """It wraps a logger, the logger with a given name, or the root logger."""
        self.assertIs(SegmentLogger(self.logger).logger, self.logger)
        self.assertIs(SegmentLogger("tests.adapter").logger, logging.getLogger("tests.adapter"))
        self.assertIs(SegmentLogger().logger, logging.getLogger())

    def test_no_logger(self) -> None:
        """Anything else raises TypeError at once."""
        for value in (7, self.log, logging):
            with self.assertRaises(TypeError):
                SegmentLogger(value)  # type: ignore[arg-type]

    def test_adapter(self) -> None:
        """It is a LoggerAdapter with its logger's level, name and handlers."""
        self.assertIsInstance(self.log, logging.LoggerAdapter)
        self.assertEqual((self.log.name, self.log.getEffectiveLevel()), ("tests.adapter", 20))
        self.assertTrue(self.log.hasHandlers())

    def test_plain_records(self) -> None:
        """With nothing bound, it logs the same records as its logger."""
        self.log.warning("low on %s", "tea", extra={"shelf": 7})
        record = self.record()
        self.assertEqual((record.getMessage(), record.levelname), ("low on tea", "WARNING"))
        self.assertEqual(record.__dict__.keys() - a_record().__dict__.keys(), {"shelf"})


class TestExtras(Logging):
    def test_merged(self) -> None:
        """A record has both the logger's extras and the call's, and the call's win."""
        log = SegmentLogger(self.logger, {"request": "r-1", "shelf": 1})
        log.info("x", extra={"shelf": 2, "tea": "green"})
        record = self.record().__dict__
        self.assertEqual(
            [record[name] for name in ("request", "shelf", "tea")], ["r-1", 2, "green"]
        )

    def test_without_own(self) -> None:
        """A call without extras still has the logger's extras."""
        SegmentLogger(self.logger, {"request": "r-1"}).info("x")
        self.assertEqual(self.record().__dict__["request"], "r-1")

    def test_formatters(self) -> None:
        """Formatters see the extras, including in typed calls."""
        log = SegmentLogger(self.logger, {"request": "r-1"})
        log.track("Signup", user_id="u")
        text = logging.Formatter("%(request)s %(message)s").format(self.record())
        self.assertEqual(text, "r-1 Signup")

    def test_properties(self) -> None:
        """Like any extras, the logger's become properties, and explicit properties win."""
        log = SegmentLogger(self.logger, {"request": "r-1", "plan": "free"})
        log.track("Signup", user_id="u", properties={"plan": "pro"})
        record = self.record()
        self.assertEqual(message_of(record).properties, {"request": "r-1", "plan": "pro"})
        self.assertEqual(message_of(record, include_extras=False).properties, {"plan": "pro"})

    def test_more(self) -> None:
        """`bind` adds extras or replaces them."""
        log = SegmentLogger(self.logger, {"a": 1, "b": 1}).bind({"b": 2}).bind(extra={"c": 3})
        log.info("x")
        record = self.record().__dict__
        self.assertEqual([record[name] for name in "abc"], [1, 2, 3])

    def test_by_name(self) -> None:
        """An unknown keyword argument becomes an extra."""
        SegmentLogger(self.logger, request="r-1").info("x")  # type: ignore[call-arg]
        self.assertEqual(self.record().__dict__["request"], "r-1")

    def test_of_a_record(self) -> None:
        """A name that logging reserves is refused when it is bound, not at every call."""
        for name in ("name", "message", "args", "msg", "levelname", "asctime", "taskName"):
            with self.subTest(name), self.assertRaisesRegex(ConfigurationError, name):
                self.log.bind({name: "x"})

    def test_of_a_call(self) -> None:
        """Fields of a single call cannot be bound: they would make every record an event."""
        for name in ("type", "event", "traits", "message_id", "group_id", "timestamp", "segment"):
            with self.subTest(name), self.assertRaisesRegex(ConfigurationError, name):
                SegmentLogger(self.logger, {name: "x"})


class TestIdentity(Logging):
    def user(self, **call: Any) -> Any:
        self.log.track("Signup", **call)
        return self.message().user

    def test_bound(self) -> None:
        """A bound user applies to every event."""
        self.log = self.log.bind(user_id=17, anonymous_id="a")
        self.assertEqual(self.user(), User(user_id="17", anonymous_id="a"))

    def test_own(self) -> None:
        """The call's own user wins and does not get another user's anonymous id."""
        self.log = self.log.bind(user_id="u", anonymous_id="a")
        self.assertEqual(self.user(user_id="v"), User(user_id="v"))
        self.assertEqual(self.user(anonymous_id="b"), User(user_id="u", anonymous_id="b"))
        self.assertEqual(self.user(user_id="u"), User(user_id="u", anonymous_id="a"))
        self.assertEqual(self.user(user_id=None), User(user_id="u", anonymous_id="a"))

    def test_plain_calls(self) -> None:
        """The same is true for plain calls with analytics extras, nested or not."""
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
        """The logger's user wins, and `identity()` only adds missing ids of the same user."""
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
        """Binding another user drops the previous user's anonymous id."""
        self.log = self.log.bind(user_id="u", anonymous_id="a").bind(user_id="v")
        self.assertEqual(self.user(), User(user_id="v"))

    def test_as_extra(self) -> None:
        """Ids in the dict of extras are bound as ids and do not become extras."""
        self.log = SegmentLogger(self.logger, {"user_id": "u", "request": "r-1"})
        self.log.info("cache miss")
        self.assertEqual(messages_of(self.record()), [])
        self.assertEqual(self.user(), User(user_id="u"))

    def test_nobody(self) -> None:
        """A call without a user is refused by the handler and raises nothing."""
        self.log.track("Signup")
        self.assertIn("no_user_anon_id", refusal_of(self.record()))


class TestContext(Logging):
    def test_order(self) -> None:
        """Contexts are merged in the order handler, `identity()`, logger, call. Later ones win."""
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
        """`bind` merges contexts."""
        log = self.log.bind(context={"o": {"a": 1, "b": 1}}).bind(context={"o": {"b": 2}})
        log.track("Signup", user_id="u")
        self.assertEqual(self.message().context["o"], {"a": 1, "b": 2})

    def test_integrations(self) -> None:
        """Integrations are merged in the same way."""
        log = self.log.bind(integrations={"All": False, "A": {"x": 1, "y": 1}})
        log.track("Signup", user_id="u", integrations={"A": {"y": 2}})
        self.assertEqual(
            self.message(integrations={"All": True, "B": True}).integrations,
            {"All": False, "A": {"x": 1, "y": 2}, "B": True},
        )

    def test_no_object(self) -> None:
        """`bind` refuses a value that is not an object. In a call, the handler refuses it."""
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
        """The call's properties are added to the bound ones, which they replace without merging."""
        for call in (self.log.track, self.log.page, self.log.screen):
            call("Name", properties={"o": {"b": 2}, "own": 1})
            self.assertEqual(self.message().properties, {"plan": "free", "o": {"b": 2}, "own": 1})

    def test_of_plain_calls(self) -> None:
        """The same is true for plain calls, whose other extras also replace bound properties."""
        self.log.info("Signup", extra={"properties": {"own": 1}, "plan": "pro"})
        self.assertEqual(self.message().properties, {"plan": "pro", "o": {"a": 1}, "own": 1})
        self.log.info("Signup", extra={"event": "E"})
        self.assertEqual(self.message().properties, {"plan": "free", "o": {"a": 1}})

    def test_no_traits(self) -> None:
        """Bound properties never become traits."""
        self.log.identify(traits={"name": "Mia"})
        self.assertEqual(self.message().traits, {"name": "Mia"})
        self.log.group("g")
        self.assertEqual(self.message().traits, {})
        self.log.info("x", extra={"traits": {"name": "Mia"}})
        self.assertEqual(self.message().traits, {"name": "Mia"})


class TestBind(Logging):
    def test_new(self) -> None:
        """`bind` returns a new logger and leaves the original unchanged."""
        before = self.log.bind(user_id="u", context={"a": 1}, extra={"x": 1})
        after = before.bind(user_id="v", context={"a": 2}, extra={"x": 2})
        before.track("Signup")
        message = self.message()
        self.assertEqual((message.user.user_id, message.context["a"]), ("u", 1))
        self.assertEqual(message.properties, {"x": 1})
        self.assertIs(after.logger, before.logger)

    def test_none(self) -> None:
        """None keeps the bound value."""
        log = self.log.bind(user_id="u", context={"a": 1}).bind(user_id=None, context=None)
        log.track("Signup")
        message = self.message()
        self.assertEqual((message.user.user_id, message.context["a"]), ("u", 1))

    def test_leaves_the_caller_alone(self) -> None:
        """Binding and logging do not change any dict that the caller passes."""
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
        """`bind` on a subclass returns an instance of the subclass."""

        class Own(SegmentLogger):
            def __init__(self) -> None:
                super().__init__("tests.adapter", user_id="u")

        self.assertIs(type(Own().bind(user_id="v")), Own)
