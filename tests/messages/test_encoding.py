"""Tests for encoding values as JSON, with the same result from every encoder."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import time
import unittest
from collections import OrderedDict, UserDict, UserString, defaultdict, deque, namedtuple
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as time_of_day
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from ipaddress import ip_address
from pathlib import PurePosixPath
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import MagicMock
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from segment_logging._messages.conversions import utc_text
from segment_logging._messages.encoding import decode, encode, encode_fast, encode_standard
from tests.builders import run_python
from tests.messages.encoders import carefully, encoders

NORTH = timezone(timedelta(hours=2))


class Plan(Enum):
    PRO = "pro"


class Size(IntEnum):
    L = 3


class Colour(str, Enum):
    RED = "red"


class Nested(Enum):
    WHEN = date(2026, 11, 23)


class Text(str):
    @override
    def __str__(self) -> str:
        return "not what it holds"


class Number(int):
    @override
    def __repr__(self) -> str:
        return "not a number"


class Shifty(int):
    """An int that converts to a different number."""

    @override
    def __int__(self) -> int:
        return 9


class ShiftyRatio(float):
    @override
    def __float__(self) -> float:
        return 9.9


class LastOfMany(dict[str, Any]):
    """A dict like Django's QueryDict: each value is a list, of which `items` returns the last."""

    @override
    def items(self) -> Any:
        return [(key, values[-1]) for key, values in super().items()]


class Field(NamedTuple):
    name: str


class Attrs:
    """A class that describes its fields like attrs does."""

    __attrs_attrs__ = (Field("pin"),)

    def __init__(self) -> None:
        self.pin = 4711


class Model:
    """A class that looks like a pydantic model."""

    __pydantic_validator__ = None

    def model_dump(self, *, warnings: bool) -> dict[str, Any]:
        return {"when": date(2026, 1, 1)}


class Ratio(float):
    @override
    def __repr__(self) -> str:
        return "not a number"


Point = namedtuple("Point", "x y")


@dataclasses.dataclass
class Address:
    city: str
    when: date | None = None


@dataclasses.dataclass(frozen=True)
class Slotted:
    __slots__ = ("x",)
    x: int


class Scalar:
    """A class that looks like a NumPy scalar."""

    dtype = "float64"

    def __init__(self, value: Any) -> None:
        self._value = value

    def tolist(self) -> Any:
        return self._value


class Thing:
    @override
    def __str__(self) -> str:
        return "a thing"


class Headers(Mapping[str, str]):
    @override
    def __getitem__(self, key: str) -> str:
        return {"A": "1"}[key]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(("A",))

    @override
    def __len__(self) -> int:
        return 1


class NaTType(datetime):
    """A class with the name of the class of pandas.NaT, which is a datetime."""


KINDS: tuple[tuple[Any, Any], ...] = (
    # JSON types.
    (None, None), (True, True), (False, False), (0, 0), (-7, -7), (1.5, 1.5), (1e300, 1e300),
    ("", ""), ("é 日本 🎉", "é 日本 🎉"), ("\x00\x1f\x7f\u2028\"\\", "\x00\x1f\x7f\u2028\"\\"),
    ([], []), ({}, {}), ([1, [2]], [1, [2]]), ({"a": {"b": 1}}, {"a": {"b": 1}}),
    # Times.
    (datetime(2026, 11, 23, 8, 0, 0, 123456, NORTH), "2026-11-23T06:00:00.123Z"),
    (datetime(2026, 11, 23, 8, tzinfo=UTC), "2026-11-23T08:00:00.000Z"),
    (datetime.max, "9999-12-31T23:59:59.999Z"),
    (datetime.min, "0001-01-01T00:00:00.000Z"),
    (date(2026, 11, 23), "2026-11-23"),
    (time_of_day(8, 30), "08:30:00"),
    (time_of_day(8, 30, tzinfo=UTC), "08:30:00+00:00"),
    (timedelta(minutes=1, milliseconds=500), 60.5),
    (NaTType(2026, 11, 23), None),
    # Numbers.
    (Decimal("9.99"), 9.99), (Decimal("NaN"), None), (Decimal("-Infinity"), None),
    (Decimal("sNaN"), None), (Decimal("1e999"), None), (Fraction(1, 3), "1/3"),
    (float("nan"), None), (float("inf"), None), (float("-inf"), None),
    ([1.5, float("nan")], [1.5, None]),
    (2**63, 2**63), (2**64, 2**64), (-(2**64), -(2**64)), (10**100, 10**100),
    (1 + 2j, "(1+2j)"),
    # Subclasses of JSON types.
    (Text("inside"), "inside"), (Number(7), 7), (Ratio(0.5), 0.5), (Ratio("nan"), None),
    (Shifty(7), 7), (ShiftyRatio(1.5), 1.5), (UserString("text"), "text"),
    (LastOfMany(a=[1, 2]), {"a": 2}),
    (OrderedDict(a=1), {"a": 1}), (defaultdict(int, a=1), {"a": 1}), (Point(1, 2), [1, 2]),
    # Enums.
    (Plan.PRO, "pro"), (Size.L, 3), (Colour.RED, "red"), (Nested.WHEN, "2026-11-23"),
    # Collections.
    ((1, 2), [1, 2]), ({3, 1, 2}, [1, 2, 3]), (frozenset({"b", "a"}), ["a", "b"]),
    ({frozenset({1})}, [[1]]), (deque([1, 2]), [1, 2]), (range(3), [0, 1, 2]),
    ({"a": 1}.values(), [1]), ({"a": 1}.items(), [["a", 1]]), (SimpleNamespace(a=[1]), {"a": [1]}),
    (UserDict(a=1), {"a": 1}), (MappingProxyType({"a": (1,)}), {"a": [1]}), (Headers(), {"A": "1"}),
    ({"b": 1, "a": 2}.keys(), ["a", "b"]),
    # Bytes.
    (b"text \xc3\xa9", "text é"), (b"\xff\x00", "/wA="), (bytearray(b"x"), "x"),
    (memoryview(b"x"), "x"),
    # Objects.
    (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    (PurePosixPath("/tmp/x"), "/tmp/x"),
    (ip_address("192.0.2.1"), "192.0.2.1"),
    (Address("Oslo", date(2026, 1, 1)), {"city": "Oslo", "when": "2026-01-01"}),
    (Slotted(7), {"x": 7}), (Attrs(), {"pin": 4711}), (Model(), {"when": "2026-01-01"}),
    (Scalar(1.5), 1.5), (Scalar(float("nan")), None), (Scalar([1, [2]]), [1, [2]]),
    (Scalar(datetime(2026, 1, 1, tzinfo=UTC)), "2026-01-01T00:00:00.000Z"),
    (Thing(), "a thing"), (Address, "Address"), (Plan, "Plan"),
    (ValueError("no"), "ValueError: no"),
    # Text that UTF-8 cannot encode.
    ("a\ud800b", "a\ufffdb"), ("\ud83c\udf89", "🎉"), (["\udfff"], ["\ufffd"]),
    (Text("\ud800"), "\ufffd"),
    # Keys.
    ({1: "a"}, {"1": "a"}), ({1.5: "a"}, {"1.5": "a"}), ({True: "a"}, {"true": "a"}),
    ({None: "a"}, {"null": "a"}), ({Plan.PRO: 1}, {"pro": 1}), ({Size.L: 1}, {"3": 1}),
    ({Colour.RED: 1}, {"red": 1}), ({(1, 2): "a"}, {"[1, 2]": "a"}),
    ({date(2026, 1, 1): 1}, {"2026-01-01": 1}), ({UUID(int=7): 1}, {str(UUID(int=7)): 1}),
    ({b"k": 1}, {"k": 1}), ({"\ud800": 1}, {"\ufffd": 1}), ({Text("k"): 1}, {"k": 1}),
    ({float("nan"): 1}, {"NaN": 1}), ({Thing(): 1}, {"a thing": 1}),
    ({Decimal("9.99"): 1}, {"9.99": 1}),
)  # fmt: skip
"""Values and their expected JSON."""


class TestKinds(unittest.TestCase):
    def test_every_kind(self) -> None:
        """Every encoder writes every kind of value as expected, at any depth."""
        for value, expected in KINDS:
            for name, way in encoders().items():
                with self.subTest(value=repr(value)[:60], encoder=name):
                    self.assertEqual(decode(way(value)), expected)
                    self.assertEqual(decode(way({"a": [value]})), {"a": [expected]})

    def test_mock(self) -> None:
        """A mock, which has every attribute, is written as text like any other object."""
        for name, way in encoders().items():
            self.assertIn("MagicMock", decode(way(MagicMock())), name)

    def test_types_survive(self) -> None:
        """1, 1.0 and True, which are equal in Python, are written differently."""
        for name, way in encoders().items():
            self.assertEqual(way([1, 1.0, True, -0.0]), b"[1,1.0,true,-0.0]", name)

    def test_naive_datetime(self) -> None:
        """A naive datetime is taken as local time."""
        moment = datetime(2026, 7, 1, 12)
        expected = datetime.fromtimestamp(time.mktime(moment.timetuple()), UTC)
        for name, way in encoders().items():
            self.assertEqual(decode(way(moment)), utc_text(expected), name)

    def test_compact_utf8(self) -> None:
        """The output has no spaces, and no escapes that UTF-8 does not need."""
        for name, way in encoders().items():
            self.assertEqual(way({"a": [1, "é"]}), '{"a":[1,"é"]}'.encode(), name)

    def test_order(self) -> None:
        """Keys keep their order."""
        for name, way in encoders().items():
            self.assertEqual(
                way({"b": 1, "a": 2, "c": float("nan")}), b'{"b":1,"a":2,"c":null}', name
            )

    def test_changes_nothing(self) -> None:
        """The caller's objects are not changed."""
        value = {"a": [float("nan"), {1: {2, 3}}], "d": Address("Oslo")}
        before = repr(value)
        for way in encoders().values():
            way(value)
        self.assertEqual(repr(value), before)

    def test_same_object_twice(self) -> None:
        """An object that occurs twice is not mistaken for a cycle."""
        shared = {"x": float("nan")}
        for name, way in encoders().items():
            self.assertEqual(decode(way([shared, shared])), [{"x": None}, {"x": None}], name)


class TestSameInBoth(unittest.TestCase):
    def test_depth(self) -> None:
        """The accepted nesting depth does not depend on which encoder is installed."""
        for depth in (100, 250, 300, 400, 600, 800):
            value: Any = 1
            for _ in range(depth):
                value = [value]
            taken = set()
            for way in (encode_standard, encode_fast or encode_standard):
                try:
                    carefully(way, value)
                    taken.add(True)
                except Exception:
                    taken.add(False)
            self.assertEqual(len(taken), 1, f"{depth} levels")

    def test_without_the_extra(self) -> None:
        """Without the `speed` extra, a process writes every kind of value in the same way."""
        written = run_python(
            """
import sys
sys.modules["orjson"] = None
import json
from segment_logging._messages import encoding
from tests.messages.test_encoding import KINDS
assert encoding.encode_fast is None
print(json.dumps([encoding.encode(value).decode() for value, _ in KINDS]))
"""
        )
        for text, (value, _) in zip(written, KINDS, strict=True):
            self.assertEqual(decode(text), decode(encode(value)), repr(value)[:60])

    def test_old_orjson(self) -> None:
        """An orjson that is too old, which the program has for something else, is not used."""
        written = run_python(
            """
import sys, types
sys.modules["orjson"] = types.SimpleNamespace(__version__="3.8.3", dumps=None)
import json, logging
from segment_logging._messages import encoding, lines
assert encoding.encode_fast is None and lines.FAST is None
print(json.dumps(encoding.encode({"a": 1}).decode()))
"""
        )
        self.assertEqual(written, '{"a":1}')

    json_values = st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
    odd_values = st.recursive(
        st.integers()
        | st.floats()
        | st.text(st.characters())
        | st.text(st.characters(categories=["Cs", "L"]))
        | st.datetimes(timezones=st.sampled_from([UTC, NORTH]))
        | st.dates()
        | st.timedeltas()
        | st.uuids()
        | st.decimals()
        | st.binary(),
        lambda inner: (
            st.lists(inner)
            | st.tuples(inner, inner)
            | st.dictionaries(st.text() | st.integers() | st.floats() | st.none(), inner)
        ),
        max_leaves=12,
    )

    @given(json_values)
    @settings(max_examples=150, deadline=None)
    def test_round_trip(self, value: Any) -> None:
        """JSON values survive encoding and decoding unchanged with every encoder."""
        for name, way in encoders().items():
            self.assertEqual(decode(way(value)), value, name)

    @given(odd_values)
    @settings(max_examples=150, deadline=None)
    def test_odd_values(self, value: Any) -> None:
        """Every encoder writes the same strict JSON in UTF-8 for any value."""
        read = {name: self.strict(way(value)) for name, way in encoders().items()}
        for name, one in read.items():
            self.assertEqual(one, read["encode"], name)

    def strict(self, data: bytes) -> Any:
        return json.loads(data.decode("utf-8", "strict"), parse_constant=self.fail)


class TestUtcText(unittest.TestCase):
    def test_truncates(self) -> None:
        """Microseconds are truncated, never rounded up into the next second."""
        moment = datetime(2026, 12, 31, 23, 59, 59, 999_999, UTC)
        self.assertEqual(utc_text(moment), "2026-12-31T23:59:59.999Z")

    def test_edges(self) -> None:
        """The earliest and the latest datetime can be written in every time zone."""
        for zone in (timezone(timedelta(hours=14)), timezone(timedelta(hours=-12)), None):
            for moment in (datetime.max, datetime.min):
                self.assertTrue(utc_text(moment.replace(tzinfo=zone)).endswith("Z"))


class TestMemory(unittest.TestCase):
    @unittest.skipUnless(sys.platform == "linux", "reads /proc")
    def test_kept_result(self) -> None:
        """A stored result takes its own size in memory, not that of the encoder's 4 KiB buffer."""
        per_message, size = run_python(
            """
import json, os
from segment_logging._messages.encoding import encode
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
value = {"type": "track", "properties": {"text": "x" * 480}}
kept = [encode(value) for _ in range(2_000)]
before = resident()
kept += [encode(value) for _ in range(20_000)]
print(json.dumps([(resident() - before) / 20_000, len(kept[0])]))
"""
        )
        self.assertLess(per_message, 1.5 * size)


class TestFinite(unittest.TestCase):
    @given(st.floats())
    @settings(deadline=None)
    def test_floats(self, number: float) -> None:
        """A float survives bit for bit, or becomes null if JSON has no number for it."""
        for name, way in encoders().items():
            back = decode(way(number))
            if math.isfinite(number):
                self.assertEqual(back.hex(), number.hex(), name)
            else:
                self.assertIsNone(back, name)
