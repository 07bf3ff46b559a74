"""Tests for values of other libraries, and for odd subclasses, with the same JSON in each encoder.

`encoders` returns the encoder of the `speed` extra as well as the one that is used without it.
"""

from __future__ import annotations

import contextvars
import dataclasses
import enum
import unittest
import uuid
import warnings
from collections import deque, namedtuple
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.util import find_spec
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from segment_logging import InvalidMessage
from segment_logging._messages.encoding import decode, encode
from segment_logging._messages.proxies import behind
from tests.messages.encoders import encoders

if not all(map(find_spec, ("django", "msgspec", "pandas", "pydantic", "werkzeug", "wrapt"))):
    raise unittest.SkipTest("needs Django, msgspec, pandas, pydantic, Werkzeug and wrapt")

import msgspec
import numpy as np
import pandas as pd
import pydantic
import pydantic.v1
import wrapt
from django.utils.functional import SimpleLazyObject, lazy, lazystr
from django.utils.safestring import mark_safe
from werkzeug.local import LocalProxy


class Text(str):
    """Text whose own methods must not be used."""

    @override
    def __str__(self) -> str:
        raise LookupError

    __repr__ = __format__ = encode = __eq__ = __hash__ = __len__ = __str__  # type: ignore[assignment]


class Number(int):
    """A number whose own methods must not be used."""

    @override
    def __repr__(self) -> str:
        raise LookupError

    __str__ = __int__ = __index__ = __float__ = __eq__ = __repr__  # type: ignore[assignment]
    __hash__ = int.__hash__


class Ratio(float):
    """A float whose own methods must not be used."""

    @override
    def __repr__(self) -> str:
        raise LookupError

    __str__ = __int__ = __float__ = __eq__ = __repr__  # type: ignore[assignment]
    __hash__ = float.__hash__


class Rows(list[Any]):
    """A list that cannot be compared, and that has an attribute of any name."""

    def __getattr__(self, name: str) -> str:
        return name

    @override
    def __eq__(self, other: object) -> bool:
        raise LookupError

    __hash__ = None


class Settings(dict[str, Any]):
    """A dict whose items are also its attributes, like those of many libraries."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


class Uuid7(uuid.UUID):
    """A UUID like those of asyncpg and uuid6, which are subclasses."""

    @property
    def timestamp(self) -> int:
        return self.int >> 80


class Plan(enum.Enum):
    PRO = "pro"
    NONE = None
    BOTH = ("pro", "free")
    LAZY = lazystr("lazy")


class Mixed(str, enum.Enum):
    PRO = "pro"


class Ratios(float, enum.Enum):
    HALF = 0.5


class Days(date, enum.Enum):
    NEW_YEAR = (2026, 1, 1)


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Level(enum.IntEnum):
    HIGH = 3


class Model(pydantic.BaseModel):
    id: uuid.UUID = uuid.UUID(int=1)
    price: Decimal = Decimal("9.5")
    secret: pydantic.SecretStr = pydantic.SecretStr("4711")


class Numbers(pydantic.RootModel[list[int]]):
    pass


class OldModel(pydantic.v1.BaseModel):
    price: Decimal = Decimal("9.5")


class Struct(msgspec.Struct):
    day: date = date(2026, 1, 1)
    note: str | msgspec.UnsetType = msgspec.UNSET


@dataclasses.dataclass
class Holder:
    value: Any


class Pair(NamedTuple):
    one: Any
    other: Any


Point = namedtuple("Point", "x y")

NO_REQUEST: contextvars.ContextVar[Any] = contextvars.ContextVar("no request")
ID = uuid.UUID(int=7)
NEW_YEAR = "2026-01-01T00:00:00.000Z"


def numbers() -> Iterator[int]:
    yield 1


PROXIES: tuple[Callable[[Any], Any], ...] = (
    lambda value: SimpleLazyObject(lambda: value),
    lambda value: LocalProxy(lambda: value),
    wrapt.ObjectProxy,
    lambda value: wrapt.ObjectProxy(SimpleLazyObject(lambda: LocalProxy(lambda: value))),
)
"""Functions that return a proxy for a value."""

BEHIND: tuple[tuple[Any, Any], ...] = (
    (None, None), (True, True), (7, 7), (0.5, 0.5), (float("nan"), None), ("text", "text"),
    (b"text", "text"), ([1, None], [1, None]), ((1, 2), [1, 2]), ({"a": [1]}, {"a": [1]}),
    ({1, 2}, [1, 2]), (ID, str(ID)), (Decimal("9.5"), 9.5), (Plan.PRO, "pro"),
    (Holder(1), {"value": 1}), (datetime(2026, 1, 1, tzinfo=UTC), NEW_YEAR),
    (date(2026, 1, 1), "2026-01-01"), (Text("a"), "a"), (np.int64(7), 7), (pd.NA, None),
    (pd.NaT, None),
)  # fmt: skip
"""Values behind proxies, and their JSON."""

VALUES: tuple[tuple[Any, Any], ...] = (
    # Lazy text and other proxies.
    (lazystr("text"), "text"), (lazy(lambda: 5, int)(), 5), (mark_safe("<b>"), "<b>"),
    (LocalProxy(NO_REQUEST), None), (wrapt.LazyObjectProxy(lambda: "text"), "text"),
    # pandas.
    (pd.NA, None), (pd.NaT, None),
    (pd.Timestamp("2026-01-01T00:00:00.123456789Z"), "2026-01-01T00:00:00.123Z"),
    (pd.Timestamp("2026-01-01", tz="Asia/Tokyo"), "2025-12-31T15:00:00.000Z"),
    (pd.Timedelta("90s"), 90.0), (pd.Period("2026-01"), "2026-01"), (pd.Interval(0, 1), "(0, 1]"),
    (pd.Series([1, None]), [1.0, None]),
    (pd.Series([pd.NaT, pd.Timestamp(NEW_YEAR)]), [None, NEW_YEAR]),
    (pd.Index(["a"]), ["a"]), (pd.Categorical(["a", None]), ["a", None]),
    (pd.array([1, None], dtype="Int64"), [1, None]),
    (pd.array(["a", None], dtype="string"), ["a", None]),
    # NumPy.
    (np.uint64(2**64 - 1), 2**64 - 1), (np.float16("inf"), None), (np.bool_(False), False),
    (np.str_("text"), "text"), (np.bytes_(b"text"), "text"), (np.complex128(1 + 2j), "(1+2j)"),
    (np.array(5), 5), (np.array([]), []),
    (np.array([None, {"a": (1,)}], dtype=object), [None, {"a": [1]}]),
    (np.datetime64("2026-01-01T05", "h"), "2026-01-01T05:00:00.000Z"),
    (np.datetime64("NaT", "s"), None),
    (np.array(["NaT", "2026-01-01"], dtype="M8[D]"), [None, "2026-01-01"]),
    (np.timedelta64("NaT", "s"), None), (np.ma.masked, None),
    (np.ma.array([1, 2], mask=[False, True]), [1, None]),
    # Decimals and UUIDs.
    (Decimal("sNaN"), None), (Decimal("Infinity"), None), (Decimal("1E+999999"), None),
    (Decimal("-0.10"), -0.1), (type("Money", (Decimal,), {})("9.99"), 9.99),
    (Uuid7(int=7), str(ID)),
    # Models.
    (Model(), {"id": str(uuid.UUID(int=1)), "price": 9.5, "secret": "**********"}),
    (Numbers([1, 2]), [1, 2]), (OldModel(), {"price": 9.5}), (Model, "Model"),
    (Struct(), {"day": "2026-01-01", "note": None}), (msgspec.UNSET, None),
    (Holder(Pair(1, Point(Holder(None), "y"))), {"value": [1, [{"value": None}, "y"]]}),
    # Enums.
    (Plan.NONE, None), (Plan.BOTH, ["pro", "free"]), (Plan.LAZY, "lazy"), (Mixed.PRO, "pro"),
    (Ratios.HALF, 0.5), (Days.NEW_YEAR, "2026-01-01"), (Access.READ | Access.WRITE, 3),
    (Level.HIGH, 3),
    # Subclasses.
    (Text("text"), "text"), (Number(7), 7), (Ratio(0.5), 0.5), (Rows([1, Rows()]), [1, []]),
    (Settings(a=1, items_=2), {"a": 1, "items_": 2}),
    # Bytes and ranges.
    (memoryview(b"abcd")[::2], "ac"), (bytearray(b"\xff"), "/w=="), (range(3), [0, 1, 2]),
)  # fmt: skip
"""Values and their JSON."""

KEYS: tuple[tuple[Any, str], ...] = (
    (None, "null"), (False, "false"), (7, "7"), (0.5, "0.5"), (10**30, str(10**30)), (ID, str(ID)),
    (Uuid7(int=7), str(ID)), (Plan.PRO, "pro"), (Plan.NONE, "null"), (Level.HIGH, "3"),
    (Mixed.PRO, "pro"), (Ratios.HALF, "0.5"), (Access.READ, "1"), ((1, "x"), '[1, "x"]'),
    (Pair(1, None), "[1, null]"),
    (frozenset({1}), "[1]"), (b"text", "text"), (date(2026, 1, 1), "2026-01-01"),
    (datetime(2026, 1, 1, tzinfo=UTC), NEW_YEAR), (Decimal("9.5"), "9.5"), (np.int64(7), "7"),
    (np.bool_(True), "true"), (np.str_("x"), "x"), (np.float64(0.5), "0.5"), (pd.NA, "null"),
    (pd.NaT, "null"), (pd.Timestamp(NEW_YEAR), NEW_YEAR), (lazystr("x"), "x"), ("\ud800", "\ufffd"),
    (LocalProxy(lambda: 7), "7"), (SimpleLazyObject(lambda: "x"), "x"),
    (wrapt.ObjectProxy(ID), str(ID)),
)  # fmt: skip
"""Keys of dicts, and how they are written."""


_TEXTS = st.text(st.characters(codec="utf-8"))


class TestValues(unittest.TestCase):
    def test_values(self) -> None:
        """Each value is written as the value that it stands for, at any depth."""
        for value, expected in VALUES:
            for name, way in encoders().items():
                with self.subTest(kind=type(value).__name__, expected=expected, encoder=name):
                    self.assertEqual(decode(way({"a": value})), {"a": expected})
                    self.assertEqual(decode(way({"a": [{"b": value}]})), {"a": [{"b": expected}]})

    def test_proxies(self) -> None:
        """A proxy is written like the value behind it, even if that is another proxy."""
        for value, expected in BEHIND:
            for number, proxy in enumerate(PROXIES):
                for name, way in encoders().items():
                    with self.subTest(expected=expected, proxy=number, encoder=name):
                        self.assertEqual(decode(way({"a": proxy(value)})), {"a": expected})

    def test_keys(self) -> None:
        """A key of any hashable type is written as text, in the spelling of `json`."""
        for key, expected in KEYS:
            for name, way in encoders().items():
                with self.subTest(kind=type(key).__name__, expected=expected, encoder=name):
                    self.assertEqual(decode(way({"a": {key: 1}})), {"a": {expected: 1}})

    def test_other_objects(self) -> None:
        """Objects without a form in JSON, such as generators, are written as their str()."""
        for value in (numbers(), map(str, ()), iter(()), object(), len, ..., 1 + 2j):
            for name, way in encoders().items():
                self.assertEqual(decode(way([value])), [str(value)], name)

    def test_generators_are_not_consumed(self) -> None:
        """Writing a generator takes nothing from it, because the program still needs it."""
        left = numbers()
        for way in encoders().values():
            way([left])
        self.assertEqual(list(left), [1])

    def test_without_warnings(self) -> None:
        """A value that its library would warn about is written without a warning."""
        odd = Model.model_construct(price="none")
        stamps = pd.Series([pd.Timestamp("2026-01-01T00:00:00.000000001Z")])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for name, way in encoders().items():
                self.assertEqual(decode(way([odd]))[0]["price"], "none", name)
                self.assertEqual(decode(way(stamps)), [NEW_YEAR], name)

    leaves = (
        st.none()
        | st.booleans()
        | st.integers(-(2**62), 2**62)
        | st.text(st.characters(codec="utf-8"))
    )
    pairs: st.SearchStrategy[tuple[Any, Any]] = st.recursive(
        leaves.map(lambda value: (value, value))
        | st.integers(-(2**31), 2**31).map(lambda n: (Number(n), n))
        | st.integers(-(2**31), 2**31).map(lambda n: (np.int64(n), n))
        | st.floats(allow_nan=False, allow_infinity=False).map(lambda f: (Ratio(f), f))
        | st.floats().map(lambda f: (np.float64(f), f if np.isfinite(f) else None))
        | st.uuids().map(lambda one: (Uuid7(int=one.int), str(one)))
        | _TEXTS.map(lambda text: (Text(text), text))
        | st.sampled_from([(Plan.PRO, "pro"), (pd.NA, None), (pd.NaT, None), (Level.HIGH, 3)]),
        lambda inner: (
            st.tuples(st.sampled_from(PROXIES), inner).map(lambda p: (p[0](p[1][0]), p[1][1]))
            | st.tuples(st.sampled_from([list, tuple, deque, Rows]), st.lists(inner)).map(
                lambda p: (p[0]([value for value, _ in p[1]]), [json for _, json in p[1]])
            )
            | st.tuples(st.sampled_from((dict, Settings)), st.dictionaries(st.text(), inner)).map(
                lambda p: (
                    p[0]({key: value for key, (value, _) in p[1].items()}),
                    {key: json for key, (_, json) in p[1].items()},
                )
            )
            | inner.map(lambda pair: (Holder(pair[0]), {"value": pair[1]}))
        ),
        max_leaves=10,
    )

    @given(pairs)
    @settings(max_examples=150, deadline=None)
    def test_any_nesting(self, pair: tuple[Any, Any]) -> None:
        """Proxies, subclasses and values of libraries can be nested in any way."""
        value, expected = pair
        for name, way in encoders().items():
            self.assertEqual(decode(way([value])), [expected], name)

    def test_columns(self) -> None:
        """Scalars, arrays and frames of PyArrow and Polars are what they contain."""

        def made(package: str, method: str, contents: Any) -> Any:
            methods = {"__module__": f"{package}.lib", method: lambda self: contents}
            return type("Value", (), methods)()

        for package, method, contents in (
            ("pyarrow", "as_py", None),
            ("pyarrow", "to_pylist", [1, None]),
            ("polars", "to_dicts", [{"a": 1}]),
            ("polars", "to_list", [date(2026, 11, 23)]),
        ):
            for name, way in encoders().items():
                with self.subTest(name, package=package, method=method):
                    value = made(package, method, contents)
                    self.assertEqual(decode(way(value)), decode(encode(contents)))


class TestRefusals(unittest.TestCase):
    def refused(self, value: object) -> InvalidMessage:
        with self.assertRaises(InvalidMessage) as caught:
            encode({"a": value})
        return caught.exception

    def test_proxy_of_itself(self) -> None:
        """Proxies that refer to each other in a circle are refused."""
        one: Any = LocalProxy(lambda: other)
        other: Any = LocalProxy(lambda: one)
        self.refused(one)
        with self.assertRaisesRegex(InvalidMessage, "refers to itself"):
            behind(one)

    def test_proxy_that_raises(self) -> None:
        """A lazy object that raises while it computes its value is refused."""

        def fail() -> Any:
            raise ConnectionError("secret")

        for proxy in (SimpleLazyObject(fail), LocalProxy(fail), lazy(fail, str)()):
            error = self.refused(proxy)
            self.assertIn("ConnectionError", str(error))
            self.assertNotIn("secret", str(error))

    def test_objects_that_raise(self) -> None:
        """Any exception from an attribute, an iteration or a conversion is a refusal."""

        class Closed:
            @override
            def __getattribute__(self, name: str) -> Any:
                raise MemoryError

        class Items(dict[str, Any]):
            @override
            def items(self) -> Any:
                raise RecursionError

        class Broken(list[Any]):
            @override
            def __iter__(self) -> Any:
                raise StopIteration

        released = memoryview(b"text")
        released.release()
        unset = Holder(1)
        del unset.value
        for value in (Closed(), {"b": Items(a=1)}, (Broken([1]), Closed()), released, unset):
            self.refused(value)


if __name__ == "__main__":
    unittest.main()
