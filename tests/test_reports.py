"""Tests for reports, which are rate-limited and contain counts."""

from __future__ import annotations

import io
import logging
import unittest
from contextlib import redirect_stderr
from typing import Any

from typing_extensions import override

from segment_logging._reports import CountReports, RefusedReports, counted, say
from segment_logging.errors import InvalidMessage


class TestCounted(unittest.TestCase):
    def test_number(self) -> None:
        """A count of one takes the singular."""
        self.assertEqual(counted(0, "message"), "0 messages")
        self.assertEqual(counted(1, "message"), "1 message")
        self.assertEqual(counted(46_171, "line"), "46171 lines")


class Writes(io.RawIOBase):
    """A file that stores each write."""

    def __init__(self) -> None:
        self.each: list[bytes] = []

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, data: Any) -> int:
        self.each.append(bytes(data))
        return len(data)


class TestSay(unittest.TestCase):
    def test_one_write(self) -> None:
        """A report and its newline are one write, even if stderr is not buffered.

        The lines of processes that share stderr would otherwise run into each other.
        """
        for text in ("no write key", "InvalidMessage: empty\n  File x.py"):
            writes = Writes()
            with redirect_stderr(io.TextIOWrapper(writes, write_through=True)):  # type: ignore[type-var]
                say(text)
            self.assertEqual(writes.each, [f"segment_logging: {text}\n".encode()])


def said(drops: CountReports, dropped: int, now: float) -> str:
    """Return the text that is reported at time `now`."""
    stderr = io.StringIO()
    with redirect_stderr(stderr):
        drops.report(dropped, now=now)
    return stderr.getvalue()


class TestRefusedReports(unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.now = 0.0
        self.reports = RefusedReports(clock=lambda: self.now)

    def said(self, text: str, *, line: int = 7) -> str:
        """Return what is printed about a record that was logged in this line."""
        record = logging.LogRecord("shop", logging.INFO, "shop.py", line, "Signup", None, None)
        with redirect_stderr(io.StringIO()) as stderr:
            self.reports.say(record, InvalidMessage(text))
        return stderr.getvalue()

    def test_ten_times_a_minute(self) -> None:
        """Each reason is printed ten times a minute for each place, with the number of others."""
        printed = [self.said("too large (40,123 bytes)") for _ in range(1_000)]
        self.assertIn('too large (40,123 bytes)\n  File "shop.py", line 7', printed[0])
        self.assertTrue(all(printed[:10]))
        self.assertEqual(set(printed[10:]), {""})
        self.now = 60.0
        again = self.said("too large (51 bytes)")
        self.assertIn("too large (51 bytes) (and 990 more since this was last printed)", again)
        self.assertIn("too large (51 bytes)\n", self.said("too large (51 bytes)"))

    def test_places_and_reasons(self) -> None:
        """Another reason, or another place, is printed at once."""
        self.assertTrue(self.said("one"))
        self.assertTrue(self.said("one", line=8))
        self.assertTrue(self.said("another"))

    def test_many(self) -> None:
        """The memory does not grow with the number of reasons."""
        for number in range(3_000):
            self.said("one", line=number)
        self.assertLessEqual(len(self.reports._said), 1_000)

    def test_at_last(self) -> None:
        """At the end, the number of those that were not printed is printed once."""
        for _ in range(12):
            self.said("one")
        with redirect_stderr(io.StringIO()) as stderr:
            self.reports.say_at_last()
            self.reports.say_at_last()
        self.assertEqual(
            stderr.getvalue(), "segment_logging: 2 more events were refused for the same reasons\n"
        )


class TestCountReports(unittest.TestCase):
    def test_once_a_minute(self) -> None:
        """At most one report is written per minute, and the reported numbers add up."""
        drops = CountReports(lambda number: f"{counted(number, 'message')} dropped")
        texts = [
            said(drops, dropped, now)
            for dropped, now in ((0, 0.0), (1, 1.0), (500, 2.0), (900, 60.9), (901, 61.0))
        ]
        self.assertEqual([bool(text) for text in texts], [False, True, False, False, True])
        self.assertIn(" 1 message dropped", texts[1])
        self.assertIn(" 900 messages dropped", texts[4])

    def test_comes_back(self) -> None:
        """`report` returns the time of the next report if one is pending, and None otherwise."""
        drops = CountReports(lambda number: f"{counted(number, 'message')} dropped")
        self.assertIsNone(drops.report(0, now=0.0))
        said(drops, 1, 1.0)
        self.assertIsNone(drops.report(1, now=2.0))
        self.assertEqual(drops.report(2, now=3.0), 61.0)
