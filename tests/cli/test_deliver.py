"""Tests for the options of `segment-logging deliver`, without starting it."""

from __future__ import annotations

import io
import os
import stat
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

from typing_extensions import override

from segment_logging import ConfigurationError
from segment_logging.cli import main
from segment_logging.cli.connection import write_keys_of
from segment_logging.cli.deliverer import Figures
from segment_logging.cli.metrics import DELIVERER
from segment_logging.cli.service import text_of
from tests.docs.pages import rows_under


def figures(
    *, is_delivering: bool = True, is_standing_by: bool = False, **values: float
) -> Figures:
    given = dict.fromkeys(
        (
            "delivered",
            "dead_lettered",
            "damaged",
            "requests",
            "retried",
            "pending",
            "unreadable",
            "other_keys",
        ),
        0,
    )
    return Figures(
        key="0123456789ab",
        is_delivering=is_delivering,
        is_standing_by=is_standing_by,
        lag_seconds=0.0,
        **{**given, **values},  # type: ignore[arg-type]
    )


class DeliverCase(unittest.TestCase):
    @override
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.journal = self.directory / "journal"
        self.keys = self.directory / "keys"
        self.keys.write_text("key\n")

    def run_it(self, *arguments: str) -> tuple[int, str]:
        """Run the command, and return its exit code and what it says."""
        said = io.StringIO()
        given = ("deliver", str(self.journal), "--write-key-file", str(self.keys), *arguments)
        with redirect_stderr(said), redirect_stdout(said):
            try:
                code = main(given)
            except SystemExit as error:
                code = int(error.code or 0)
        return code, said.getvalue()


class TestWriteKeys(DeliverCase):
    def test_files(self) -> None:
        """A file has one write key on each line; empty lines and comments are skipped."""
        self.keys.write_text("\n# the shop's\nkey\n  other-key  \nkey\n")
        self.assertEqual(write_keys_of([str(self.keys)]), ["key", "other-key"])

    def test_refused(self) -> None:
        """A file without a write key, or with something else in it, is refused and not shown."""
        for content in ("", "# none\n", "two words\n", "x" * 100_000):
            self.keys.write_text(content)
            with self.assertRaises(ConfigurationError) as caught:
                write_keys_of([str(self.keys)])
            self.assertNotIn("two words", str(caught.exception))

    def test_line(self) -> None:
        """The error about a line names the file and the line, and does not show the line."""
        self.keys.write_text("# the shop's\nkey\n\nsecret # of the shop\n")
        with self.assertRaises(ConfigurationError) as caught:
            write_keys_of([str(self.keys)])
        self.assertIn(f"{self.keys}, line 4: ", str(caught.exception))
        self.assertNotIn("secret", str(caught.exception))

    def test_none(self) -> None:
        """Without a write key, the command does not start."""
        before = os.environ.pop("SEGMENT_WRITE_KEY", None)
        if before is not None:
            self.addCleanup(os.environ.__setitem__, "SEGMENT_WRITE_KEY", before)
        with self.assertRaisesRegex(ConfigurationError, "SEGMENT_WRITE_KEY"):
            write_keys_of([])


class TestOptions(DeliverCase):
    def test_refused(self) -> None:
        """What cannot work is refused with exit code 2 and one line, before anything is done."""
        for arguments in (
            ("--rate", "0"), ("--linger", "-1"), ("--header", "nonsense"), ("--max-attempts", "0"),
            ("--metrics-port", "70000"), ("--group", "no-such-group"), ("--owner", "no-such-user"),
            ("--host", "nonsense"), ("--oauth-client-id", "only"),
        ):  # fmt: skip
            with self.subTest(arguments):
                code, said = self.run_it(*arguments)
                self.assertEqual(code, 2)
                self.assertNotIn("Traceback", said)
        self.assertFalse(self.journal.exists())

    def test_with_a_broker(self) -> None:
        """Headers and OAuth are refused with --broker, and the error names the relay."""
        for option in ("--oauth-client-id", "--oauth-server", "--header"):
            code, said = self.run_it("--broker", "amqp://127.0.0.1:1", option, "X: 1")
            self.assertEqual(code, 2)
            self.assertIn("to `segment-logging relay` and omit them here", said)

    def test_a_file_in_place_of_the_directory(self) -> None:
        """A file in place of the directory is reported, and the command ends with 2."""
        self.journal.touch()
        code, said = self.run_it("--prepare")
        self.assertEqual(code, 2, said)

    def test_prepare(self) -> None:
        """`--prepare` makes the directories for each write key, for this user alone."""
        self.keys.write_text("key\nother-key\n")
        self.assertEqual(self.run_it("--prepare")[0], 0)
        made = sorted(path for path in self.journal.rglob("live"))
        self.assertEqual(len(made), 2)
        for path in (self.journal, *made):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o700)


class TestFigures(unittest.TestCase):
    def test_since_the_last_line(self) -> None:
        """A line has what was delivered since the previous one."""
        line = text_of(figures(delivered=30, requests=3), figures(delivered=20, requests=2))
        self.assertIn("10 messages delivered in 1 request", line)
        self.assertNotIn("unreadable", line)

    def test_unreadable(self) -> None:
        """A line has the number of directories that cannot be read, also the second time."""
        line = text_of(figures(unreadable=2), figures(unreadable=2))
        self.assertTrue(line.endswith(", 2 unreadable"), line)

    def test_not_delivering(self) -> None:
        """A line says that another process delivers only if that is known, and gives no reason if
        it is not."""
        line = text_of(figures(is_delivering=False, is_standing_by=True), None)
        self.assertIn("standing by, because another process delivers", line)
        line = text_of(figures(is_delivering=False), None)
        self.assertIn("not delivering, and perhaps nobody is", line)
        self.assertNotIn("because", line)

    def test_metrics(self) -> None:
        """Every metric has a help text, a type and a value, and is on the page."""
        lines = DELIVERER.text([("0123456789ab", figures(delivered=12_345_678))]).splitlines()
        self.assertIn('segment_logging_delivered_total{key="0123456789ab"} 12345678', lines)
        names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
        told = [row.first.strip("`") for row in rows_under("docs/one-host.md", "Watch it")]
        self.assertEqual(names, told)
