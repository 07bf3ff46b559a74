"""Tests for the command, and for messages as lines of text."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import unittest
from threading import Event
from urllib.request import Request, urlopen

from segment_logging import HttpClient, Track, User
from segment_logging.collector import Collector
from segment_logging.collector.__main__ import main
from segment_logging.collector.lines import columns_of, printable, table


class Lines(unittest.TestCase):
    """Tests for messages as lines of text."""

    def test_columns(self) -> None:
        """The columns of a call are its type, user, name and fields."""
        self.assertEqual(
            columns_of({"type": "track", "anonymousId": "a", "event": "E", "properties": {"n": 1}}),
            ("track", "a", "E", '{"n": 1}'),
        )

    def test_no_call(self) -> None:
        """A value that is not a call can be shown as well."""
        self.assertEqual(columns_of([1]), ("?", "", "", "[1]"))

    def test_printable(self) -> None:
        """Control characters are escaped before they reach the terminal."""
        self.assertEqual(printable("a\x1b[2Jb\n\x9b\u202ec"), r"a\x1b[2Jb\n\x9b\u202ec")

    def test_table(self) -> None:
        """A column is as wide as its widest cell."""
        self.assertEqual(table([("aaa", "b"), ("a", "")], ("x", "y")), "x    y\naaa  b\na")


class CommandLine(unittest.TestCase):
    """Tests for `python -m segment_logging.collector`."""

    def test_runs_until_ended(self) -> None:
        """The command prints its address and ends when its event is set."""
        ended = Event()
        ended.set()
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertEqual(main(["--port", "0"], ended=ended), 0)
        self.assertIn("SEGMENT_HOST=http://127.0.0.1:", said.getvalue())

    def test_port_taken(self) -> None:
        """If the port is in use, the command reports it and exits with 2."""
        with (
            Collector() as collector,
            contextlib.redirect_stderr(io.StringIO()) as said,
        ):
            port = collector.url.rpartition(":")[2]
            self.assertEqual(main(["--port", port]), 2)
        self.assertIn(port, said.getvalue())

    def test_line_for_each_message(self) -> None:
        """The command prints a line for each message, in any encoding."""
        process = subprocess.Popen(
            [sys.executable, "-m", "segment_logging.collector", "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            encoding="ascii",
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
        )
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        self.addCleanup(process.stdout.close)
        url = process.stdout.readline().partition("http")[2].partition(": ")[0]
        process.stdout.readline()
        client = HttpClient("http" + url)
        self.addCleanup(client.close)
        client.send("key", Track(user=User(user_id="Zoë"), event="Signup", message_id="m"))
        line = process.stdout.readline()
        self.assertRegex(line, r"^track +Zo\\xeb +Signup +\[accepted; context.library")

    def test_package_does_not_import_it(self) -> None:
        """A program that only logs does not load the collector."""
        subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys, segment_logging; assert 'http.server' not in sys.modules; "
                "assert 'segment_logging.collector' not in sys.modules",
            ],
            timeout=30,
            check=True,
        )

    def start(self, *options: str) -> tuple[subprocess.Popen[str], str]:
        """Start the command, and return the process and the collector's address."""
        process = subprocess.Popen(
            [sys.executable, "-m", "segment_logging", "collector", "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        assert process.stderr is not None
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        found = re.search(r"http://[^:]+:\d+", process.stdout.readline())
        assert found is not None
        process.stdout.readline()
        return process, found[0]

    def post(self, url: str, event: str) -> int:
        """Send a track call and return the status of the answer."""
        body = json.dumps({"userId": "u", "event": event}).encode()
        with urlopen(Request(f"{url}/v1/track", body), timeout=10) as answer:
            status: int = answer.status
            return status

    def test_closed_stdout(self) -> None:
        """If nobody reads its output any more, the command keeps answering."""
        process, url = self.start()
        assert process.stdout is not None
        process.stdout.close()
        self.assertEqual([self.post(url, "E") for _ in range(3)], [200] * 3)
        process.terminate()
        self.assertEqual(process.wait(10), 0)
        assert process.stderr is not None
        self.assertEqual(process.stderr.read(), "")

    def test_output_that_is_not_read(self) -> None:
        """Nobody waits for a terminal that does not take any output."""
        _, url = self.start()
        calls = [{"type": "track", "userId": "u", "event": "E" * 200} for _ in range(1_000)]
        body = json.dumps({"batch": calls}).encode()
        for _ in range(5):
            with urlopen(Request(f"{url}/v1/batch", body), timeout=10) as answer:
                self.assertEqual(answer.status, 200)

    def test_quiet(self) -> None:
        """With --quiet, the command prints no messages."""
        process, url = self.start("--quiet")
        self.post(url, "E")
        process.terminate()
        assert process.stdout is not None
        self.assertEqual(process.stdout.read(), "")

    def test_answers(self) -> None:
        """With --answer, the command answers as it is told."""
        _, url = self.start("--answer", "503,ok")
        with self.assertRaisesRegex(OSError, "503"):
            self.post(url, "E")
        self.assertEqual(self.post(url, "E"), 200)

    def test_wrong_answers(self) -> None:
        """An answer that does not exist is an error that says what to use."""
        with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit):
            main(["--answer", "sometimes"])
        self.assertIn("hang or drop", said.getvalue())
