"""Tests for values that cannot be written as JSON."""

from __future__ import annotations

import dataclasses
import sys
import unittest
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from typing_extensions import override

from segment_logging import InvalidMessage
from segment_logging._messages.encoding import (
    encode,
)
from tests import needs
from tests.builders import run_python
from tests.messages.encoders import encoders


@dataclasses.dataclass
class Address:
    city: str
    when: date | None = None


class Scalar:
    """A class that looks like a NumPy scalar."""

    dtype = "float64"

    def __init__(self, value: Any) -> None:
        self._value = value

    def tolist(self) -> Any:
        return self._value


class Rude:
    @override
    def __str__(self) -> str:
        raise RuntimeError("secret")

    __repr__ = __str__


class TestRefused(unittest.TestCase):
    def refused(self, value: object) -> InvalidMessage:
        with self.assertRaises(InvalidMessage) as caught:
            encode(value)
        return caught.exception

    def test_cycles(self) -> None:
        """A cycle is refused, no matter which types of objects form it."""
        in_list: list[Any] = []
        in_list.append(in_list)
        in_dict: dict[str, Any] = {}
        in_dict["self"] = in_dict
        in_object = Address("x")
        in_object.city = in_object  # type: ignore[assignment]
        in_deque: deque[Any] = deque()
        in_deque.append({"x": (in_deque,)})
        for value in (in_list, in_dict, in_object, in_deque, Scalar(in_list)):
            with self.subTest(kind=type(value).__name__):
                self.assertIn("cycle", str(self.refused({"a": value})))

    def test_objects_without_end(self) -> None:
        """An object that keeps converting to another object is refused."""

        class Endless(Scalar):
            @override
            def tolist(self) -> Any:
                return [Endless(None)]

        self.refused(Endless(None))

    def test_cycle_in_a_small_thread(self) -> None:
        """A cycle does not crash the process, even in a thread with a stack as small as musl's."""
        refused = run_python(
            """
import json, threading
from segment_logging import InvalidMessage
from segment_logging._messages.encoding import encode, encode_standard


cycle, refused = {}, []
cycle["self"] = cycle
def refuse():
    for way in (encode, encode_standard):
        try:
            way(cycle)
        except (InvalidMessage, ValueError, RecursionError):
            refused.append(way(["fine"]) == b'["fine"]')
threading.stack_size(1024 * 1024)
thread = threading.Thread(target=refuse)
thread.start()
thread.join()
print(json.dumps(refused))
"""
        )
        self.assertEqual(refused, [True, True])

    @needs.a_limited_stack
    def test_deep_nesting(self) -> None:
        """10,000 levels of nesting are refused without a crash."""
        for wrap in (lambda x: [x], lambda x: {"a": x}, Scalar, lambda x: {"a": {1: x}}):
            value: Any = 1
            for _ in range(10_000):
                value = wrap(value)
            self.refused(value)

    def test_deep_tuples(self) -> None:
        """Nested tuples are written or refused, and no byte outside a buffer is changed.

        They get their own process, since it may crash, and an allocator that detects this.
        """
        depths = (90, 200, 500, 1_500, 2_000, 5_000, 20_000)
        refused = run_python(
            f"""
import json
from segment_logging import InvalidMessage
from segment_logging._messages.encoding import encode

class Wrapper:
    __attrs_attrs__ = [type("Field", (), {{"name": "value"}})]

def in_an_object(value):
    wrapper = Wrapper()
    wrapper.value = (value,)
    return (wrapper,)

def is_refused(wrap, depth):
    value = 1
    for _ in range(depth):
        value = wrap(value)
    try:
        return json.loads(encode({{"a": value}})) is None
    except InvalidMessage:
        return True

wraps = (lambda value: (value,), lambda value: ([value],), in_an_object)
print(json.dumps([[is_refused(wrap, depth) for depth in {depths}] for wrap in wraps]))
""",
            PYTHONMALLOC="debug",
        )
        for answers in refused:
            self.assertEqual((answers[0], answers[-1]), (False, True))

    def test_levels_that_both_take(self) -> None:
        """Both encoders accept 200 levels of nesting, which is more than programs usually log."""
        value: Any = 1
        for _ in range(200):
            value = {"a": [value]} if _ % 2 else (value,)
        self.assertEqual(len({way(value) for way in encoders().values()}), 1)

    def test_str_that_raises(self) -> None:
        """An object whose str() raises is refused. The error names the exception, not its text."""
        error = self.refused({"a": Rude()})
        self.assertIn("RuntimeError", str(error))
        self.assertNotIn("secret", str(error))
        self.assertIsInstance(error.__cause__, RuntimeError)

    def test_key_that_raises(self) -> None:
        """A key whose str() raises is refused."""
        self.refused({Rude(): 1})

    def test_hostile_objects(self) -> None:
        """Any other exception that an object raises becomes InvalidMessage."""

        class Hostile(Mapping[str, int]):
            @override
            def __getitem__(self, key: str) -> int:
                raise KeyError(key)

            @override
            def __iter__(self) -> Iterator[str]:
                return iter(("a",))

            @override
            def __len__(self) -> int:
                return 1

        class NoZone(tzinfo):
            @override
            def utcoffset(self, when: datetime | None) -> timedelta | None:
                raise ZeroDivisionError

            dst = tzname = utcoffset  # type: ignore[assignment]

        self.refused(Hostile())
        self.refused(datetime(2026, 1, 1, tzinfo=NoZone()))

    def test_digits_without_end(self) -> None:
        """An int with more digits than Python is willing to print is refused."""
        if not hasattr(sys, "get_int_max_str_digits"):
            self.skipTest("this Python can print any int")
        self.refused(10**5_000)

    def test_interrupt_passes(self) -> None:
        """Ctrl-C during an object's str() is not treated as an invalid value."""

        class Slow:
            @override
            def __str__(self) -> str:
                raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            encode(Slow())
