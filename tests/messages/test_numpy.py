"""Tests for NumPy and pandas values as JSON, with the same result from every encoder."""

from __future__ import annotations

import unittest
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any, cast

import numpy as np
from typing_extensions import override

from segment_logging import Group, InvalidMessage, User
from segment_logging._messages.conversions import utc_text
from segment_logging._messages.encoding import decode, encode
from tests.messages.encoders import encoders


class TestNumPy(unittest.TestCase):
    def test_scalars_and_arrays(self) -> None:
        """NumPy values of any precision are written like the corresponding Python values."""
        for value, expected in (
            (np.int64(2**62), 2**62),
            (np.uint8(7), 7),
            (np.float32(0.5), 0.5),
            (np.longdouble(1.5), 1.5),
            (np.float64("nan"), None),
            (np.bool_(True), True),
            (np.str_("x"), "x"),
            (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
            (np.datetime64("2026-01-02"), "2026-01-02"),
            (np.datetime64("NaT", "ns"), None),
            (np.timedelta64(1_500_000_000, "ns"), 1.5),
            (np.timedelta64(2, "s"), 2.0),
            (np.array([1_500_000_000], dtype="m8[ns]"), [1.5]),
        ):
            for name, way in encoders().items():
                with self.subTest(value=repr(value), encoder=name):
                    self.assertEqual(decode(way({"a": value})), {"a": expected})

    def test_ids(self) -> None:
        """A number of any precision may be used as an id."""
        numbers: tuple[Any, ...]
        numbers = (np.float32(17), np.float16(17), np.longdouble(17), np.int32(17))
        for number in numbers:
            self.assertEqual(
                Group(user=User(user_id="u"), group_id=cast(str, number)).group_id, "17"
            )

    def test_missing_ids(self) -> None:
        """A missing id is refused without the advice to convert it, which would make it a user."""
        for value, name in (
            (float("nan"), "NaN"), (Decimal("NaN"), "NaN"), (Decimal("sNaN"), "NaN"),
            (np.float32("nan"), "NaN"), (np.longdouble("nan"), "NaN"),
            (float("-inf"), "infinite"), (Decimal("inf"), "infinite"),
        ):  # fmt: skip
            with self.subTest(value=repr(value), kind=type(value).__name__):
                with self.assertRaises(InvalidMessage) as refused:
                    Group(user=User(user_id="u"), group_id=cast(str, value))
                self.assertIn(f"group_id is {name}, which is not an id", str(refused.exception))
                self.assertIn("log no events without an id", str(refused.exception))

    def test_other_wrong_ids(self) -> None:
        """A value that is no id is refused, and str() is advised only where it helps."""
        for value, advice in (
            (True, "pass the id itself"),
            ([17], "convert it with str()"),
            (np.timedelta64(2, "s"), "convert it with str()"),
        ):
            with self.subTest(value=repr(value)):
                with self.assertRaises(InvalidMessage) as refused:
                    Group(user=User(user_id="u"), group_id=cast(str, value))
                self.assertTrue(str(refused.exception).endswith(advice), refused.exception)

    def test_pandas(self) -> None:
        """A naive pandas timestamp is taken as local time, which pandas itself refuses to do."""

        class Timestamp(datetime):
            @override
            def astimezone(self, zone: tzinfo | None = None) -> Any:
                raise TypeError("Cannot convert tz-naive Timestamp")

            def to_pydatetime(self, warn: bool = True) -> datetime:
                if warn:
                    raise UserWarning("Discarding nonzero nanoseconds in conversion.")
                return datetime(2026, 1, 2)

        self.assertEqual(decode(encode(Timestamp(2026, 1, 2))), utc_text(datetime(2026, 1, 2)))

    def test_moments(self) -> None:
        """A NumPy datetime of any precision is written as a timestamp, not as a number."""
        for unit in ("s", "ms", "us", "ns"):
            moment = np.datetime64("2026-01-02T03:04:05", unit)
            written = utc_text(datetime(2026, 1, 2, 3, 4, 5))
            self.assertEqual(decode(encode(moment)), written, unit)
