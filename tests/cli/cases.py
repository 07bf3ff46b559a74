"""What the tests of the commands share: a file, its neighbours, and a collector as Segment."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import unittest
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from typing_extensions import override

from segment_logging.cli import main
from segment_logging.collector import Collector, Request
from tests.builders import PROJECT, a_track


def a_line(number: int, **fields: Any) -> str:
    """Return a line of a file: a track call with an old timestamp."""
    form = a_track(f"E{number}", timestamp="2020-01-02T03:04:05Z").to_dict()
    return json.dumps({**form, **fields}) + "\n"


class CliCase(unittest.TestCase):
    @override
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.file = Path(directory.name, "events.jsonl")
        self.bookmark = Path(f"{self.file}.imported")
        self.letters = Path(f"{self.file}.dead-letters.jsonl")

    def run_it(self, host: str, *more: str, files: Sequence[Path] = ()) -> tuple[int, str, str]:
        """Import the file; return the exit code, stdout and stderr."""
        given = map(str, (self.file, *files))
        return run_command("import", *given, "--host", host, "--write-key", "key", *more)

    def collected(self, answer: Callable[[Request], int | None] = lambda _: None) -> Collector:
        collector = Collector(answer=answer)
        self.addCleanup(collector.close)
        return collector

    def events(self, collector: Collector) -> list[str]:
        return [message["event"] for message in collector.messages]


def run_command(*arguments: str) -> tuple[int, str, str]:
    """Run a command in this process; return the exit code, stdout and stderr."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as said:
        try:
            code = main(arguments)
        except SystemExit as ended:  # argparse
            code = ended.code if isinstance(ended.code, int) else 1
    return code, out.getvalue(), without_progress(said.getvalue())


def without_progress(said: str) -> str:
    """Return what was printed on stderr, without the lines that appear every ten seconds."""
    return re.sub(r"(?m)^segment-logging: (\d+%, )?[\d,]+ messages?, [^w\n]*\n", "", said)


def start_command(
    *arguments: str, url: str, stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Start a command in its own process, with a collector as Segment."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "segment_logging", *arguments],
        cwd=PROJECT,
        env={**os.environ, "SEGMENT_HOST": url, "SEGMENT_WRITE_KEY": "key"},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
