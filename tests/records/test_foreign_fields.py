"""Tests for values of other libraries, and for odd subclasses, in the fields of an event."""

from __future__ import annotations

import contextvars
import enum
import logging
import unittest
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

from typing_extensions import override

from segment_logging import InvalidMessage, SegmentLogger, Track, User, identity
from segment_logging.testing import Captured, capture_segment
from tests.builders import a_record, each, messages_of

if not all(map(find_spec, ("django", "msgspec", "pandas", "werkzeug", "wrapt"))):
    raise unittest.SkipTest("needs Django, msgspec, pandas, Werkzeug and wrapt")

import msgspec
import numpy as np
import pandas as pd
import wrapt
from django.utils.functional import SimpleLazyObject, lazystr
from django.utils.safestring import mark_safe
from werkzeug.local import LocalProxy

NAME = "tests.records.foreign"


class Text(str):
    """Text whose own methods must not be used."""

    @override
    def __str__(self) -> str:
        raise LookupError

    __repr__ = __eq__ = __hash__ = __len__ = __str__  # type: ignore[assignment]


class Number(int):
    """A number whose own methods must not be used."""

    @override
    def __str__(self) -> str:
        raise LookupError

    __repr__ = __int__ = __eq__ = __hash__ = __str__  # type: ignore[assignment]


class Ratio(float):
    """A float whose own methods must not be used."""

    @override
    def __str__(self) -> str:
        raise LookupError

    __repr__ = __int__ = __eq__ = __hash__ = __str__  # type: ignore[assignment]


class Uuid7(uuid.UUID):
    """A UUID like those of asyncpg and uuid6, which are subclasses."""


class Id(enum.Enum):
    TEXT = "a"
    UUID = uuid.UUID(int=7)
    NONE = None
    LAZY = lazystr("a")


class Mixed(str, enum.Enum):
    TEXT = "a"


class Level(enum.IntEnum):
    HIGH = 3


NO_REQUEST: contextvars.ContextVar[Any] = contextvars.ContextVar("no request")
ID = uuid.UUID(int=7)

IDS: tuple[tuple[Any, str], ...] = (
    (SimpleLazyObject(lambda: 7), "7"), (LocalProxy(lambda: "a"), "a"),
    (wrapt.ObjectProxy(ID), str(ID)),
    (SimpleLazyObject(lambda: LocalProxy(lambda: Uuid7(int=7))), str(ID)), (lazystr("a"), "a"),
    (mark_safe("a"), "a"), (Uuid7(int=7), str(ID)), (np.int64(2**62), str(2**62)),
    (np.uint8(7), "7"), (np.float64(7), "7"), (np.str_("a"), "a"), (np.float32(0.5), "0.5"),
    (Decimal("7.0"), "7"), (Decimal("-0"), "0"), (Fraction(14, 2), "7"), (2**200, str(2**200)),
    (Id.TEXT, "a"), (Id.UUID, str(ID)), (Id.LAZY, "a"), (Mixed.TEXT, "a"), (Level.HIGH, "3"),
    (Text("a"), "a"), (Number(7), "7"), (Ratio(7), "7"), (Ratio(0.5), "0.5"),
)  # fmt: skip
"""Values that may be used as ids, and their text."""

ABSENT: tuple[Any, ...] = (
    None, pd.NA, pd.NaT, np.datetime64("NaT", "s"), msgspec.UNSET, Id.NONE, LocalProxy(NO_REQUEST),
    LocalProxy(lambda: None), SimpleLazyObject(lambda: None), wrapt.ObjectProxy(None),
)  # fmt: skip
"""Values that stand for no value."""

NOT_IDS: tuple[Any, ...] = (
    np.float64("nan"), np.bool_(True), np.timedelta64(5, "s"), np.datetime64("2026-01-01"),
    np.array([1]), np.complex128(1), Decimal("sNaN"), Decimal("Infinity"), Fraction, 10**5_000,
    wrapt.ObjectProxy(True), LocalProxy(lambda: float("inf")), SimpleLazyObject(dict),
    Text(""), pd.Timestamp(0), b"a", memoryview(b"a"), range(1), object(), Id, User(user_id="a"),
)  # fmt: skip
"""Values that would merge several users into one, or that Segment does not accept."""

TIMES: tuple[Any, ...] = (
    pd.Timestamp("2026-01-01T00:00:00.000000001Z"), pd.Timestamp("2026-01-01", tz="UTC"),
    np.datetime64("2026-01-01T00:00:00.000000001"), np.datetime64("2026-01-01T00", "h"),
    np.int64(1_767_225_600), np.float64(1_767_225_600), np.array(1_767_225_600),
    Decimal("1767225600.0004"), Fraction(1_767_225_600), Number(1_767_225_600),
    SimpleLazyObject(lambda: 1_767_225_600), wrapt.ObjectProxy(datetime(2026, 1, 1, tzinfo=UTC)),
    LocalProxy(lambda: "2026-01-01"), np.str_("2026-01-01T00:00:00Z"),
    lazystr("2026-01-01T01:00+01:00"),
)  # fmt: skip
"""The first moment of 2026, in other types."""

NOT_TIMES: tuple[Any, ...] = (
    Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("1E+400"), np.float64("nan"),
    np.bool_(True), np.datetime64("2026-01-01"), np.timedelta64(5, "s"), np.array([1, 2]),
    wrapt.ObjectProxy(True), SimpleLazyObject(lambda: "soon"), pd.Timedelta("1s"),
    pd.Period("2026"), 10**400, 10**5_000, 1_767_225_600_000, Text("soon"), b"2026-01-01", Id.TEXT,
)  # fmt: skip


class FieldsTest(unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.logger = logging.getLogger(NAME)
        self.captured: Captured = self.enterContext(capture_segment(NAME, allow_invalid=True))

    def sent(self, msg: Any = "Signup", **extra: Any) -> dict[str, Any]:
        """Return the wire form of the message of a record with these extras."""
        self.captured.clear()
        self.logger.info(msg, extra=extra)
        self.assertEqual(self.captured.invalid, [])
        (message,) = self.captured
        return message.to_dict()

    def refused(self, msg: Any = "Signup", **extra: Any) -> InvalidMessage:
        """Return why a record with these extras is refused."""
        self.captured.clear()
        self.logger.info(msg, extra=extra)
        self.assertEqual(list(self.captured), [])
        (error,) = self.captured.invalid
        assert isinstance(error, InvalidMessage)
        return error


class TestIds(FieldsTest):
    def test_ids(self) -> None:
        """Every field for an id accepts text, numbers and UUIDs of any library."""
        for value, text in IDS:
            with self.subTest(kind=type(value).__name__, text=text):
                self.assertEqual(self.sent(user_id=value)["userId"], text)
                self.assertEqual(self.sent(anonymous_id=value)["anonymousId"], text)
                message = self.sent(user_id="u", group_id=value, traits={})
                self.assertEqual(message["groupId"], text)
                message = self.sent(user_id="u", previous_id=value)
                self.assertEqual(message["previousId"], text)
                message = self.sent(user_id="u", event="Signup", group_id=value)
                self.assertEqual(message["context"]["groupId"], text)

    def test_bound_ids(self) -> None:
        """Ids of any library may be bound to a context or to a logger."""
        log = SegmentLogger(NAME)
        for value, text in IDS:
            with self.subTest(kind=type(value).__name__, text=text):
                with identity(user_id=value):
                    self.assertEqual(self.sent(segment=True)["userId"], text)
                self.captured.clear()
                log.bind(user_id=value).track("Signup")
                self.captured.assert_tracked("Signup", user_id=text)

    def test_absent_ids(self) -> None:
        """A value that stands for no value counts as no id."""
        for value in ABSENT:
            with self.subTest(kind=type(value).__name__):
                message = self.sent(user_id=value, anonymous_id="a")
                self.assertEqual((message.get("userId"), message["anonymousId"]), (None, "a"))
                self.assertEqual(self.refused(user_id=value).field, "user_id")

    def test_bad_ids(self) -> None:
        """A value that is not an id is refused, and the error names the field."""
        for value in NOT_IDS:
            with self.subTest(kind=type(value).__name__):
                self.assertEqual(self.refused(user_id=value).field, "user_id")

    def test_message_ids(self) -> None:
        """A message id may be text or a UUID of any library, but not a number."""
        for value, text in each((Uuid7(int=7), str(ID)), (LocalProxy(lambda: "m"), "m")):
            self.assertEqual(self.sent(user_id="u", message_id=value)["messageId"], text)
        for value in each(np.int64(7), SimpleLazyObject(lambda: 7), Decimal(7)):
            self.assertEqual(self.refused(user_id="u", message_id=value).field, "message_id")

    def test_ids_of_objects(self) -> None:
        """A message object takes lazy text as an id, and refuses other values with our error."""
        self.assertEqual(User(user_id=LocalProxy(lambda: "a")).user_id, "a")  # type: ignore[arg-type]
        for value in NOT_IDS:
            with self.subTest(kind=type(value).__name__), self.assertRaises(InvalidMessage):
                User(user_id=value)


class TestNames(FieldsTest):
    def test_event_names(self) -> None:
        """Text of any library may be the name of an event, as a field or as the message."""
        for value in (
            lazystr("a"), mark_safe("a"), np.str_("a"), Text("a"), Id.TEXT, Id.LAZY, Mixed.TEXT,
            LocalProxy(lambda: "a"), wrapt.ObjectProxy(Id.TEXT), SimpleLazyObject(lambda: "a"),
        ):  # fmt: skip
            with self.subTest(kind=type(value).__name__):
                self.assertEqual(self.sent(user_id="u", event=value)["event"], "a")

    def test_messages(self) -> None:
        """A lazy log message names the event with its template."""
        message = self.sent(lazystr("Paid"), user_id="u")
        self.assertEqual((message["event"], message["properties"]), ("Paid", {}))

    def test_lazy_messages_of_others(self) -> None:
        """A lazy message of a record that is not an event is not evaluated."""
        record = a_record(SimpleLazyObject(lambda: self.fail("evaluated")))
        self.assertEqual(messages_of(record), [])

    def test_pages(self) -> None:
        """The name and the category of a page may be lazy, and absent if they stand for nothing."""
        nested = {"type": "page", "user_id": "u", "name": lazystr("a"), "category": Text("b")}
        message = self.sent(segment=nested)
        self.assertEqual((message["name"], message["category"]), ("a", "b"))
        nested = {"type": "page", "user_id": "u", "name": pd.NA, "category": pd.NaT}
        self.assertFalse({"name", "category"} & self.sent(segment=nested).keys())

    def test_call_types(self) -> None:
        """The type of the call may be text of any library."""
        for value in (lazystr("page"), np.str_("page"), wrapt.ObjectProxy("page")):
            self.assertEqual(self.sent(user_id="u", type=value)["type"], "page")

    def test_bad_names(self) -> None:
        """A name that is not text is refused."""
        for value in each(np.int64(7), Decimal(7), Level.HIGH, b"a", Text(""), LocalProxy(list)):
            with self.subTest(kind=type(value).__name__):
                self.assertEqual(self.refused(user_id="u", event=value).field, "event")


class TestObjects(FieldsTest):
    def test_proxies_of_objects(self) -> None:
        """Properties, traits, context and integrations may be proxies and mappings of any kind."""
        for value in (
            LocalProxy(lambda: {"a": 1}), SimpleLazyObject(lambda: {"a": 1}),
            MappingProxyType({"a": 1}), wrapt.ObjectProxy({"a": wrapt.ObjectProxy(1)}),
        ):  # fmt: skip
            with self.subTest(kind=type(value).__name__):
                message = self.sent(user_id="u", properties=value, b=2, integrations=value)
                self.assertEqual(message["properties"], {"a": 1, "b": 2})
                self.assertEqual(message["integrations"], {"a": 1})
                self.assertEqual(self.sent(user_id="u", traits=value)["traits"], {"a": 1})
                self.assertEqual(self.sent(user_id="u", context=value)["context"]["a"], 1)

    def test_absent_objects(self) -> None:
        """Objects that stand for no value are left out."""
        for value in ABSENT:
            if value is not Id.NONE:
                message = self.sent(user_id="u", properties=value, traits=value, integrations=value)
                self.assertEqual((message["type"], message["properties"]), ("track", {}))
                self.assertNotIn("integrations", message)

    def test_keys_of_extras(self) -> None:
        """Loose extras with names that are not text become properties."""
        extra: dict[Any, Any] = {"user_id": "u", 7: "a", ID: "b", np.str_("c"): "c"}
        self.logger.info("Signup", extra=extra)
        (message,) = self.captured
        self.assertEqual(message.to_dict()["properties"], {"7": "a", str(ID): "b", "c": "c"})

    def test_a_lazy_mark(self) -> None:
        """The nested fields may be behind a proxy."""
        self.assertEqual(self.sent(segment=LocalProxy(lambda: {"user_id": 7}))["userId"], "7")


class TestTimes(FieldsTest):
    def test_times(self) -> None:
        """A timestamp may be a time, text or a number of any library."""
        for value in TIMES:
            with self.subTest(kind=type(value).__name__):
                message = self.sent(user_id="u", timestamp=value)
                self.assertEqual(message["timestamp"], "2026-01-01T00:00:00.000Z")

    def test_times_without_a_zone(self) -> None:
        """A naive pandas time is local time, like a naive datetime."""
        message = self.sent(user_id="u", timestamp=pd.Timestamp("2026-07-01 12:00"))
        expected = datetime(2026, 7, 1, 12).astimezone(UTC)
        self.assertEqual(datetime.fromisoformat(message["timestamp"]), expected)

    def test_absent_times(self) -> None:
        """With a value that stands for no time, the record's time counts."""
        for value in ABSENT:
            if value is not Id.NONE:
                with self.subTest(kind=type(value).__name__):
                    record = a_record(extra={"user_id": "u", "timestamp": value}, name=NAME)
                    record.created = 1_767_225_600.0
                    self.captured.clear()
                    self.logger.handle(record)
                    (message,) = self.captured
                    self.assertEqual(message.to_dict()["timestamp"], "2026-01-01T00:00:00.000Z")

    def test_bad_times(self) -> None:
        """A value that is not a time is refused, and the error names the field."""
        for value in NOT_TIMES:
            with self.subTest(kind=type(value).__name__):
                self.assertEqual(self.refused(user_id="u", timestamp=value).field, "timestamp")

    def test_times_of_objects(self) -> None:
        """A message object refuses a value that is not a time, even pandas' NaT."""
        for value in (
            *NOT_TIMES,
            pd.NA,
            pd.NaT,
            np.datetime64("NaT", "s"),
            LocalProxy(lambda: None),
        ):
            with self.subTest(kind=type(value).__name__), self.assertRaises(InvalidMessage):
                Track(user=User(user_id="u"), event="Signup", timestamp=value)


if __name__ == "__main__":
    unittest.main()
