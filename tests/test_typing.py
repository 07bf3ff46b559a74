"""Tests for the programs that type checkers must accept or reject; see `typing.check`."""

from __future__ import annotations

import unittest
from pathlib import Path

from .builders import PROJECT, run_python

PROGRAMS = PROJECT / "tests" / "typing"
ACCEPTED, REJECTED = PROGRAMS / "accepted.py", PROGRAMS / "rejected.py"


def wrong_lines(program: Path) -> frozenset[int]:
    """Return the numbers of the lines that are marked as errors."""
    lines = program.read_text(encoding="utf-8").splitlines()
    return frozenset(n for n, line in enumerate(lines, 1) if line.endswith("  # error"))


class TestPrograms(unittest.TestCase):
    def test_marked(self) -> None:
        """The marks are found, and the accepted program has none."""
        self.assertGreater(len(wrong_lines(REJECTED)), 30)
        self.assertEqual(wrong_lines(ACCEPTED), frozenset())

    def test_runs(self) -> None:
        """The program that type checkers accept also runs, without invalid messages."""
        counts = run_python(
            f"""
import json, logging, runpy
from segment_logging import SegmentHandler
from segment_logging.testing import FakeClient
handler = SegmentHandler("key", client=FakeClient())
handler.setLevel(logging.DEBUG)
logging.getLogger("tests.typing").addHandler(handler)
logging.getLogger("tests.typing").setLevel(logging.DEBUG)
runpy.run_path({str(ACCEPTED)!r})
handler.drain(10)
counts = handler.counts()
print(json.dumps([counts.delivered, counts.invalid, counts.ignored]))
"""
        )
        self.assertEqual(counts, [22, 0, 1])


if __name__ == "__main__":
    unittest.main()
