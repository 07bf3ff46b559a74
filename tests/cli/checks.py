"""What the tests of the `check` command share."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

from typing_extensions import override

from segment_logging.collector import Collector
from tests.builders import PROJECT

KEY = "Jx0aB3kQ9ZpLw7Tn4Rs8Vd2Hy6Mc1Gfe"
BEGINNING = """
import logging
from logging.config import dictConfig
from segment_logging import SegmentHandler
handler = SegmentHandler()
log = logging.getLogger("shop")
log.setLevel("INFO")
"""


class CheckCase(unittest.TestCase):
    @override
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.collector = Collector()
        self.addCleanup(self.collector.close)

    def check(
        self, *arguments: str, environment: Mapping[str, str | None] | None = None
    ) -> tuple[int, str, str]:
        """Run the command; return its exit code, stdout and stderr."""
        given: dict[str, str | None] = {
            **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
            "SEGMENT_HOST": self.collector.url,
            "SEGMENT_WRITE_KEY": KEY,
            "PYTHONPATH": str(PROJECT),
            **(environment or {}),
        }
        done = subprocess.run(
            [sys.executable, "-m", "segment_logging", "check", *arguments],
            cwd=self.directory, capture_output=True, text=True, timeout=60, check=False,
            env={name: value for name, value in given.items() if value is not None},
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    def problems(self, *arguments: str, **environment: str | None) -> list[str]:
        """Return the problems that are found, in their lines."""
        code, out, said = self.check(*arguments, environment=environment)
        found = [line for line in out.splitlines() if line.startswith("PROBLEM")]
        self.assertEqual(code, 1 if found else 0, out + said)
        return found

    def problems_of_app(self, program: str, **environment: str | None) -> list[str]:
        """Return the problems of an application."""
        (self.directory / "app.py").write_text(BEGINNING + dedent(program))
        return self.problems("--app", "app:log", **environment)

    def assertFinds(self, found: list[str], subject: str, text: str) -> None:
        """Assert that there is a single problem, with its text."""
        self.assertEqual(len(found), 1, found)
        self.assertIn(f"PROBLEM  {subject}: ", found[0])
        self.assertIn(text, found[0])
