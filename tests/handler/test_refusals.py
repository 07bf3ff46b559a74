"""Tests for refused events: they are counted, reported and dead-lettered, and harm no others."""

from __future__ import annotations

import io
import json
import logging
import tempfile
import unittest
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from segment_logging import SegmentHandler, identity
from segment_logging._messages.limits import MAX_MESSAGE_BYTES
from segment_logging.testing import FakeClient
from tests import needs
from tests.builders import each, run_python

CLOCK = "segment_logging._delivery.refusals.monotonic"

ERRORS: tuple[Exception, ...] = (
    ValueError("secret"), KeyError("secret"), MemoryError("secret"), RecursionError("secret"),
    StopIteration("secret"), UnicodeDecodeError("utf-8", b"secret", 0, 1, "secret"),
    AssertionError("secret"), OSError("secret"), UserWarning("secret"),
    ExceptionGroup("secret", [ValueError("secret")]),
)  # fmt: skip


class Rude:
    """A value whose str() raises an error."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    @override
    def __str__(self) -> str:
        raise self._error

    @override
    def __repr__(self) -> str:
        return "Rude"


class Closed:
    """A value none of whose attributes can be read, not even its class."""

    @override
    def __getattribute__(self, name: str) -> Any:
        raise ValueError("secret")

    @override
    def __repr__(self) -> str:
        return "Closed"


class Items(dict[str, Any]):
    """A dict whose items cannot be read."""

    @override
    def items(self) -> Any:
        raise MemoryError("secret")


class Key(Rude):
    """A key that can be hashed, but not written."""

    @override
    def __hash__(self) -> int:
        return 1


class Shop:
    """A logger with a handler that writes dead letters, and what became of its events."""

    def __init__(self, directory: str, **options: Any) -> None:
        self._path = Path(directory) / "dead-letters.jsonl"
        self.client = FakeClient()
        self.handler = SegmentHandler(
            "key", client=self.client, dead_letters=str(self._path), **options
        )
        self.logger = logging.Logger("shop")
        self.logger.addHandler(self.handler)
        self.stderr = io.StringIO()

    def log(self, msg: Any = "Signup", *args: Any, **extra: Any) -> None:
        with redirect_stderr(self.stderr):
            self.logger.info(msg, *args, extra=extra)

    @property
    def dead_letters(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        return [json.loads(line) for line in self._path.read_text().split("\n") if line]

    @property
    def events(self) -> list[str]:
        """The names of the events that were delivered."""
        self.handler.drain(10)
        return [message.to_dict()["event"] for message in self.client.messages]


class RefusalTest(unittest.TestCase):
    @contextmanager
    def shop(self, **options: Any) -> Iterator[Shop]:
        with tempfile.TemporaryDirectory() as directory:
            shop = Shop(directory, **options)
            try:
                yield shop
            finally:
                with redirect_stderr(shop.stderr):
                    shop.handler.close()

    def refused(
        self,
        extra: Mapping[str, Any],
        message: tuple[Any, ...] = ("Signup",),
        *,
        among_others: bool = True,
        add_filter: Any = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Log an event that is refused, and return its dead letter.

        Args:
            extra: the event's extras.
            message: the log message and its arguments.
            among_others: whether to log valid events before and after it, which must arrive.
            add_filter: a filter of the handler.
            options: the handler's options.
        """
        with self.shop(**options) as shop:
            if add_filter is not None:
                shop.handler.addFilter(add_filter)
            if among_others:
                shop.log("Before", user_id="u")
            shop.log(*message, **extra)
            if among_others:
                shop.log("After", user_id="u")
                self.assertEqual(shop.events, ["Before", "After"])
            self.assertEqual(shop.handler.counts().invalid, 1)
            (letter,) = shop.dead_letters
            said = shop.stderr.getvalue()
        reports = [line for line in said.splitlines() if line.startswith("segment_logging: ")]
        # Where there are no threads, that is reported as well.
        refusals = [line for line in reports if "no thread can be started" not in line]
        self.assertEqual(len(refusals), 1, said)
        self.assertNotIn("secret", said + json.dumps(letter))
        self.assertLess(len(json.dumps(letter)), 9 * MAX_MESSAGE_BYTES)
        return letter


class TestErrors(RefusalTest):
    def test_values(self) -> None:
        """If a value raises any error, the dead letter has the rest of the event."""
        for error in ERRORS:
            with self.subTest(type(error).__name__):
                properties = {"a": 1, "b": Rude(error)}
                message = self.refused({"user_id": "u", "properties": properties})["message"]
                self.assertEqual((message["userId"], message["event"]), ("u", "Signup"))
                self.assertEqual(
                    message["properties"], {"a": 1, "b": "<Rude that cannot be written as JSON>"}
                )

    def test_other_places(self) -> None:
        """The same is true for traits, loose extras, the context and nested values."""
        for bad in each(Rude(ValueError("secret")), Closed(), Items(c=1), [Items(c=1)]):
            for extra in each(
                {"traits": {"a": 1, "b": bad}}, {"a": 1, "b": bad}, {"context": {"a": 1, "b": bad}},
                {"properties": {"a": 1, "b": {"c": [bad]}}}, {"segment": {"a": 1, "b": bad}},
                {"properties": {"a": 1, Key(OSError()): 2}}, {"integrations": {"a": 1, "b": bad}},
            ):  # fmt: skip
                with self.subTest(bad=type(bad).__name__, extra=list(extra)):
                    message = self.refused({"user_id": "u", **extra})["message"]
                    self.assertIn('"a": 1', json.dumps(message))
                    self.assertEqual(message["userId"], "u")

    def test_fields(self) -> None:
        """If a field of the call raises, the dead letter has the other fields."""
        for bad in each(Rude(ValueError("secret")), Closed()):
            for name in ("user_id", "event", "timestamp", "message_id", "properties", "type"):
                with self.subTest(name, bad=type(bad).__name__):
                    letter = self.refused({"user_id": "u", "ref": "ad", name: bad})
                    self.assertIn('"ref": "ad"', json.dumps(letter["message"]))

    def test_messages(self) -> None:
        """If the log message or an argument raises, the event is refused."""
        bad = Rude(LookupError("secret"))
        message = self.refused({"user_id": "u"}, (bad,))["message"]
        self.assertEqual(message["userId"], "u")
        message = self.refused({"user_id": "u"}, ("Paid %s", bad))["message"]
        self.assertEqual((message["userId"], message["event"]), ("u", "Paid %s"))

    def test_filters(self) -> None:
        """If a filter raises any error, the dead letter says where the record was logged."""
        for error in ERRORS:

            def failing(record: logging.LogRecord, error: Exception = error) -> bool:
                if record.msg == "Signup":
                    raise error
                return True

            with self.subTest(type(error).__name__):
                letter = self.refused({"user_id": "u"}, add_filter=failing)
                self.assertEqual(letter["message"]["file"], "test_refusals.py")

    def test_before_send(self) -> None:
        """If before_send raises any error, the dead letter has the complete event."""
        for error in ERRORS:

            def failing(message: Any, error: Exception = error) -> Any:
                if message.event == "Signup":
                    raise error
                return message

            with self.subTest(type(error).__name__):
                extra = {"user_id": "u", "properties": {"a": 1}}
                letter = self.refused(extra, before_send=failing)
                self.assertIn(f"before_send raised {type(error).__name__}", letter["reason"])
                self.assertEqual(letter["message"]["properties"], {"a": 1})

    def test_consent(self) -> None:
        """If the function for the consent raises any error, the dead letter has the event."""
        for error in ERRORS:

            def failing(error: Exception = error) -> Any:
                raise error

            with self.subTest(type(error).__name__):
                extra = {"user_id": "u", "properties": {"a": 1}}
                letter = self.refused(extra, consent=failing, among_others=False)
                self.assertIn(f"consent failed ({type(error).__name__}", letter["reason"])
                self.assertEqual(letter["message"]["properties"], {"a": 1})

    def test_time_and_id(self) -> None:
        """A dead letter has the time and the id of its event, so that it can be sent later."""
        bad = Rude(ValueError("secret"))
        for letter in (
            self.refused({"user_id": "u"}, (bad,)),
            self.refused({"user_id": "u", "group_id": []}),
            self.refused({"user_id": "u", "properties": {"a": bad}}),
            self.refused({"user_id": "u"}, consent=lambda: 1 / 0, among_others=False),
        ):
            self.assertRegex(letter["message"]["timestamp"], r"^20\d\d-\d\d-\d\dT.*Z$")
            self.assertGreater(len(letter["message"]["messageId"]), 20)

    def test_records_that_are_not_events(self) -> None:
        """A record that is not an event is not read, even if its values would raise."""
        with self.shop() as shop:
            for bad in each(Rude(ValueError("secret")), Closed()):
                shop.log(bad)
                shop.log(colour=bad)
            self.assertEqual(shop.handler.counts().ignored, 4)
            self.assertEqual((shop.dead_letters, shop.stderr.getvalue()), ([], ""))

    def test_exits(self) -> None:
        """A SystemExit passes through to the program, and the event is counted."""
        with self.shop() as shop:
            with self.assertRaises(SystemExit):
                shop.log(user_id="u", properties={"a": Rude(SystemExit())})
            self.assertEqual(shop.handler.counts().invalid, 1)

    bad_values = st.recursive(
        st.sampled_from(ERRORS).map(Rude) | st.builds(Closed) | st.builds(Items, a=st.just(1)),
        lambda inner: (
            st.lists(inner, min_size=1)
            | st.dictionaries(st.text(), inner, min_size=1)
            | inner.map(lambda value: {Key(OSError()): value})
        ),
        max_leaves=5,
    )

    @given(st.dictionaries(st.text(), st.integers() | st.text()), bad_values)
    @settings(max_examples=50, deadline=None)
    def test_any_nesting(self, good: Mapping[str, Any], bad: Any) -> None:
        """Values that raise are refused at any depth, together with any others."""
        letter = self.refused({"user_id": "u", "properties": {**good, "": bad}})
        self.assertEqual(letter["message"]["userId"], "u")


class TestBounds(RefusalTest):
    def test_many_bad_values(self) -> None:
        """Of an event with many values that raise, only some are described."""
        bad = Rude(ValueError("secret"))
        properties = {str(number): bad for number in range(10_000)}
        letter = self.refused({"user_id": "u", "properties": properties})
        self.assertEqual(letter["message"]["userId"], "u")
        kept = letter["message"]["properties"]
        self.assertLess(len(kept), 200)
        self.assertEqual(kept["..."], "<more values, omitted>")

    def test_large_message(self) -> None:
        """A message that is too large is kept as a whole, so that it can be shortened."""
        properties = {"text": "x" * 6 * MAX_MESSAGE_BYTES, "number": 1}
        letter = self.refused({"user_id": "u", "properties": properties})
        self.assertEqual(letter["message"]["properties"], properties)
        letter = self.refused({"user_id": "u", "properties": {"text": "x" * 9 * MAX_MESSAGE_BYTES}})
        self.assertRegex(letter["message"]["properties"], "^<dict of 288,0.. bytes, omitted>$")

    def test_many_large_values(self) -> None:
        """Of an event with many large values, only some are kept."""
        large = {f"large-{number}": "x" * (MAX_MESSAGE_BYTES - 100) for number in range(100)}
        letter = self.refused({"user_id": "u", **large, "bad": Rude(OSError())})
        self.assertEqual(letter["message"]["userId"], "u")
        letter = self.refused({"user_id": "u", "type": "unknown", **large})
        self.assertIn("...", letter["message"])

    def test_large_keys(self) -> None:
        """A large key is cut."""
        properties = {"k" * 100_000: 1, "b": Rude(OSError())}
        letter = self.refused({"user_id": "u", "properties": properties})
        self.assertLess(len(json.dumps(letter)), 1_000)

    def test_cycle(self) -> None:
        """A cycle is described."""
        cycle: dict[str, Any] = {"a": 1}
        cycle["cycle"] = cycle
        self.assert_described(cycle)

    @needs.a_limited_stack
    def test_depth(self) -> None:
        """Nesting without end is described."""
        deep: Any = 1
        for _ in range(20_000):
            deep = {"a": deep}
        self.assert_described(deep)

    def assert_described(self, value: object) -> None:
        letter = self.refused({"user_id": "u", "properties": {"b": value}})
        self.assertIn("dict that cannot be written as JSON", json.dumps(letter))

    def test_no_stack_left(self) -> None:
        """At the recursion limit, an event is delivered or counted as invalid, without an error."""
        outcome = run_python(
            """
import contextlib, io, json, logging
from segment_logging import SegmentHandler
from segment_logging.testing import FakeClient

client = FakeClient()
handler = SegmentHandler("key", client=client)
logger = logging.getLogger("shop")
record = logger.makeRecord("shop", 20, "app.py", 1, "Signup", (), None, extra={
    "user_id": "u", "properties": {"value": object()},
})
raised, depths = [], []
def log(depth):
    depths.append(depth)
    again = logging.makeLogRecord(record.__dict__)
    try:
        handler.handle(again)
    except RecursionError as error:
        trace = error.__traceback__
        while trace.tb_next:
            trace = trace.tb_next
        raised.append(trace.tb_frame.f_code.co_name)
    log(depth + 1)
with contextlib.redirect_stderr(io.StringIO()):
    with contextlib.suppress(RecursionError):
        log(0)
    handler.drain(10)
counts = handler.counts()
handler.close()
print(json.dumps([len(depths), counts.delivered, counts.invalid, raised]))
"""
        )
        depths, delivered, invalid, raised = outcome
        self.assertGreater(delivered, 500)
        self.assertGreater(invalid, 0)
        # A frame may be missing even for the code that counts.
        self.assertLessEqual(len(raised), 3, raised)
        self.assertGreaterEqual(delivered + invalid + len(raised), depths - 1)


class TestAboutNobody(RefusalTest):
    def said(self, shop: Shop) -> list[str]:
        """Return the reports about events about nobody."""
        lines = shop.stderr.getvalue().splitlines()
        return [line for line in lines if "neither a user_id nor an anonymous_id" in line]

    def test_once_a_minute(self) -> None:
        """Events about nobody are reported once a minute, with their number."""
        with self.shop() as shop:
            for now, count in ((100.0, 1), (101.0, 500), (159.0, 3), (160.0, 1)):
                with patch(CLOCK, return_value=now):
                    for _ in range(count):
                        shop.log(event="Signup")
            first, second = self.said(shop)
            self.assertIn("1 event had neither a user_id nor an anonymous_id, and was", first)
            self.assertIn("504 events had neither a user_id nor an anonymous_id, and were", second)
            self.assertEqual(shop.handler.counts().invalid, 505)

    def test_alias(self) -> None:
        """An alias needs a user_id. One with only an anonymous_id does not count as without ids."""
        with self.shop() as shop:
            shop.log(previous_id="old", anonymous_id="a-1")
            self.assertEqual((shop.handler.counts().invalid, self.said(shop)), (1, []))

    def test_says_what_to_bind(self) -> None:
        """The report says how to bind or pass the user."""
        with self.shop() as shop:
            shop.log(event="Signup")
            (line,) = self.said(shop)
        for text in ("identity()", "web framework's middleware", "extra={'user_id': ...}"):
            self.assertIn(text, line)

    def test_at_the_end(self) -> None:
        """Events that were not reported yet are reported when the handler is closed."""
        with self.shop() as shop:
            for _ in range(3):
                shop.log(event="Signup")
        self.assertIn("2 events had", self.said(shop)[1])

    def test_ids_that_are_none(self) -> None:
        """An event whose ids are None is about nobody, as is one with only a bound context."""
        with self.shop() as shop:
            shop.log(event="Signup", user_id=None, anonymous_id=None)
            self.assertEqual(len(self.said(shop)), 1)
        with self.shop() as shop, identity(context={"ip": "192.0.2.1"}):
            shop.log(event="Signup")
            self.assertEqual(len(self.said(shop)), 1)

    def test_others(self) -> None:
        """An event with an invalid id, and an alias of a visitor, are not about nobody."""
        with self.shop() as shop:
            shop.log(event="Signup", user_id="")
            shop.log(event="Signup", user_id=["u"])
            shop.log(previous_id="p", anonymous_id="a")
            self.assertEqual(shop.handler.counts().invalid, 3)
        self.assertEqual(self.said(shop), [])

    def test_dead_letters(self) -> None:
        """Each event about nobody is a dead letter, which can be completed and sent later."""
        with self.shop() as shop:
            for number in range(3):
                shop.log(event="Signup", properties={"number": number})
            messages = [letter["message"] for letter in shop.dead_letters]
        self.assertEqual([one["properties"] for one in messages], [{"number": n} for n in range(3)])
        self.assertEqual(len({one["messageId"] for one in messages}), 3)


if __name__ == "__main__":
    unittest.main()
