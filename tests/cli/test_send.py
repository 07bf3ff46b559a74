"""Tests for the `send` command."""

from __future__ import annotations

import json
import subprocess
import unittest
from typing import Any

from segment_logging.collector import Request
from tests.cli.cases import CliCase, start_command, without_progress


class TestSend(CliCase):
    def send(
        self, stdin: str, *arguments: str, answer: int | None = None
    ) -> tuple[int, str, str, list[dict[str, Any]]]:
        """Return the exit code, stdout, stderr and what arrived."""

        def answered(request: Request) -> int | None:
            return answer

        collector = self.collected(answered)
        process = start_command("send", *arguments, url=collector.url, stdin=subprocess.PIPE)
        out, said = process.communicate(stdin.encode(), timeout=60)
        told = without_progress(said.decode())
        return process.returncode, out.decode(), told, collector.messages

    def test_one_message(self) -> None:
        """One message, on one line or on several, is sent with an id and a timestamp."""
        form = {"type": "track", "userId": "u", "event": "E"}
        for stdin in (json.dumps(form), json.dumps(form, indent=2) + "\n"):
            code, out, said, (message,) = self.send(stdin)
            self.assertEqual((code, out, said), (0, "1 message was delivered\n", ""))
            self.assertEqual((message["event"], message["userId"]), ("E", "u"))
            self.assertTrue(message["messageId"] and message["timestamp"])

    def test_lines(self) -> None:
        """JSON lines are sent in order; the command's type is that of messages without one."""
        lines = '{"userId": "a", "traits": {}}\n\n{"type": "identify", "userId": "b"}\n'
        code, out, _, messages = self.send(lines, "identify", "--json")
        self.assertEqual((code, json.loads(out)), (0, {"delivered": 2, "failed": 0}))
        self.assertEqual([one["userId"] for one in messages], ["a", "b"])
        self.assertEqual({one["type"] for one in messages}, {"identify"})

    def test_nothing_half_done(self) -> None:
        """If a line is not a message, nothing is sent, and one line says why."""
        good = '{"type": "track", "userId": "u", "event": "E"}\n'
        for stdin, arguments, expected in (
            (good + '{"type": ', (), "stdin, line 2: not JSON"),
            (good + "[1]", (), "line 2: an array, not an object"),
            ("", (), "no message on stdin"),
            (good, ("page",), "line 1: a track and not a page"),
            (good, ("--no-such",), "there is no argument --no-such"),
            (good, ("pag",), "invalid choice"),
        ):
            with self.subTest(expected):
                code, out, said, messages = self.send(stdin, *arguments)
                self.assertEqual((code, out, messages), (2, "", []))
                self.assertIn(expected, said)
                self.assertEqual(len(said.splitlines()), 1, said)

    def test_refused(self) -> None:
        """Messages that are not delivered make the exit code 1."""
        form = '{"type": "track", "userId": "u", "event": "E"}'
        code, out, said, _ = self.send(form, answer=400)
        self.assertEqual((code, out), (1, "0 messages were delivered\n1 message was not\n"))
        self.assertIn("answered 400", said)


if __name__ == "__main__":
    unittest.main()
