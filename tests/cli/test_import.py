"""Tests for the `import` command, which resumes where the previous run stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unittest

from segment_logging import SegmentJsonFormatter
from segment_logging.collector import Request
from tests.builders import PROJECT, a_record
from tests.cli.cases import CliCase, a_line
from tests.servers import dead_host


class TestImport(CliCase):
    def test_all(self) -> None:
        """Every line arrives once, in order and unchanged, in full batches."""
        self.file.write_text("".join(map(a_line, range(3_000))) + "\n")
        collector = self.collected()
        code, out, said = self.run_it(collector.url)
        self.assertEqual((code, out, said), (0, "3000 messages were delivered\n", ""))
        self.assertEqual(self.events(collector), [f"E{number}" for number in range(3_000)])
        self.assertLessEqual(len(collector.requests), 3)
        self.assertEqual(collector.messages[0]["timestamp"], "2020-01-02T03:04:05.000Z")
        self.assertEqual(sorted(self.file.parent.iterdir()), [self.file])

    def test_lines_of_the_formatter(self) -> None:
        """The command imports the lines that the formatter writes."""
        line = SegmentJsonFormatter().format(a_record(extra={"user_id": 17, "plan": "pro"}))
        self.file.write_text(line)
        collector = self.collected()
        self.assertEqual(self.run_it(collector.url)[0], 0)
        self.assertEqual(collector.messages[0], json.loads(line))

    def test_lines_that_are_none(self) -> None:
        """Invalid lines become dead letters with a reason; the other lines arrive."""
        bad = [
            "no json\n",
            "[1]\n",
            a_line(7, userId=""),
            a_line(8, properties={"x": "y" * 40_000}),
            a_line(9, timestamp=10**400),
        ]
        self.file.write_text(a_line(1) + "".join(bad) + "[" * 20_000 + "\n" + a_line(2))
        collector = self.collected()
        code, out, _ = self.run_it(collector.url)
        self.assertEqual(code, 1)
        self.assertIn("2 messages were delivered\n6 lines can never be delivered: see ", out)
        self.assertEqual(self.events(collector), ["E1", "E2"])
        letters = [json.loads(line) for line in self.letters.read_text().splitlines()]
        self.assertEqual(letters[2]["message"]["event"], "E7")
        self.assertIn("userId" if "userId" in letters[2]["reason"] else "user_id",
                      letters[2]["reason"])  # fmt: skip
        self.assertEqual(self.letters.stat().st_mode & 0o777, 0o600)

    def test_letters_are_written_once(self) -> None:
        """Failed runs write no dead letters; the first successful run writes each of them once."""
        self.file.write_text("no json\n" + a_line(1))
        for _ in range(2):
            self.assertEqual(self.run_it(dead_host(), "--max-attempts", "1")[0], 1)
            self.assertFalse(self.letters.exists())
        self.run_it(self.collected().url)
        self.assertEqual(len(self.letters.read_text().splitlines()), 1)

    def test_line_still_being_written(self) -> None:
        """An incomplete last line without a newline is left for the next run."""
        collector = self.collected()
        self.file.write_text(a_line(1) + a_line(2)[:-9])
        code, out, _ = self.run_it(collector.url)
        self.assertEqual((code, self.letters.exists()), (1, False))
        self.assertIn("run the command again", out)
        self.file.write_text(a_line(1) + a_line(2))
        self.assertEqual(self.run_it(collector.url)[0], 0)
        self.assertEqual(self.events(collector), ["E1", "E2"])

    def test_last_line_without_newline(self) -> None:
        """A complete or blank last line needs no newline, and earlier dead letters are kept."""
        for last, refused in ((a_line(3, userId="").strip(), 2), ("  ", 1)):
            self.letters.unlink(missing_ok=True)
            self.file.write_text("no json\n" + a_line(1) + last)
            code, out, _ = self.run_it(self.collected().url, "--json")
            told = json.loads(out)
            self.assertEqual((code, told["complete"], told["dead_lettered"]), (1, True, refused))
            self.assertEqual(len(self.letters.read_text().splitlines()), refused)
            self.assertFalse(self.bookmark.exists())

    def test_rotated(self) -> None:
        """A file that replaced a partly imported file is not mistaken for it."""
        self.file.write_text("".join(map(a_line, range(6_000))))
        requests = []

        def answer(request: Request) -> int | None:
            requests.append(request)
            if len(requests) == 1:
                self.file.unlink()
                self.file.write_text("".join(map(a_line, range(10_000, 16_000))))
            return 503 if len(requests) > 1 else None

        self.assertEqual(self.run_it(self.collected(answer).url, "--max-attempts", "1")[0], 1)
        code, _, said = self.run_it(dead_host())
        self.assertEqual(code, 2)
        self.assertIn("belongs to another file", said)

    def test_refused(self) -> None:
        """A message that Segment refuses becomes a dead letter; the others in its batch arrive."""
        self.file.write_text("".join(map(a_line, range(5))))
        collector = self.collected(
            lambda request: 400 if any(
                judged.message["event"] == "E3" for judged in request.verdict.judged
            ) else None
        )  # fmt: skip
        code, out, _ = self.run_it(collector.url, "--json")
        self.assertEqual(code, 1)
        told = {"delivered": 4, "dead_lettered": 1, "undated": 0, "complete": True}
        self.assertEqual(json.loads(out), {**told, "repeated": 0, "reasons": {}})

    def test_repeated_ids(self) -> None:
        """Messages with the id of another message are counted, unless their content is equal."""
        numbers = (1, 2, 1, 3)
        self.file.write_text("".join(a_line(number, messageId="m-1") for number in numbers))
        text = "2 messages have the message id of another message with different content: Segment"
        for options in ((), ("--dry-run",)):
            code, out, _ = self.run_it(self.collected().url, *options)
            self.assertEqual(code, 0)
            self.assertIn(f"{text} keeps only the first\n", out)
            _, out, _ = self.run_it(self.collected().url, *options, "--json")
            self.assertEqual(json.loads(out)["repeated"], 2)
        self.assertNotIn(text, self.run_it(self.collected().url, "--new-ids")[1])

    def test_refused_key(self) -> None:
        """If the server refuses the write key, the last line says that it has to be corrected."""
        self.file.write_text(a_line(1))
        code, out, _ = self.run_it(self.collected(lambda request: 401).url)
        self.assertEqual((code, self.letters.exists()), (1, False))
        self.assertIn("not complete: running the command again does not help until this is", out)
        self.assertIn("answered 401 Unauthorized: check the write key", out)
        self.assertEqual(self.run_it(self.collected().url)[0], 0)

    def test_goes_on(self) -> None:
        """The next run continues where the last one stopped, and each message arrives once."""
        self.file.write_text("".join(map(a_line, range(6_000))))
        requests: list[Request] = []

        def answer(request: Request) -> int | None:
            requests.append(request)
            return 503 if len(requests) > 2 else None

        code, out, said = self.run_it(self.collected(answer).url, "--max-attempts", "1")
        self.assertEqual(code, 1)
        before = [one.message["event"] for each in requests[:2] for one in each.verdict.judged]
        collector = self.collected()
        self.assertIn("run the command again to continue", out)
        self.assertIn("messages are waiting in the file", said)
        self.assertEqual(self.bookmark.stat().st_mode & 0o777, 0o600)
        code, out, _ = self.run_it(collector.url)
        self.assertEqual((code, self.bookmark.exists()), (0, False))
        every = [f"E{number}" for number in range(6_000)]
        self.assertEqual(before + self.events(collector), every)

    def test_ids(self) -> None:
        """A line without an id gets the same id in every run, and equal lines get different ids."""
        form = json.dumps({"type": "track", "userId": "u", "event": "E"})
        self.file.write_text(f"{form}\n{form}\n")
        ids = []
        for _ in range(2):
            collector = self.collected()
            code, out, _ = self.run_it(collector.url)
            self.assertEqual(code, 0)
            self.assertIn("2 messages had no timestamp", out)
            ids.append([message["messageId"] for message in collector.messages])
        self.assertEqual(ids[0], ids[1])
        self.assertEqual(len(set(ids[0])), 2)

    def test_killed(self) -> None:
        """If the command is killed and run again, no message is lost."""
        self.file.write_text("".join(map(a_line, range(10_000))))
        process: list[subprocess.Popen[bytes]] = []

        def answer(request: Request) -> int | None:
            if len(process) == 1 and len(collector.requests) == 3:
                process[0].kill()
            return None

        collector = self.collected(answer)
        command = [sys.executable, "-m", "segment_logging", "import", str(self.file)]
        environment = {**os.environ, "SEGMENT_HOST": collector.url, "SEGMENT_WRITE_KEY": "key"}
        for _ in range(2):
            process.append(
                subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE)
            )
            process[-1].communicate(timeout=60)
        self.assertEqual([one.returncode for one in process], [-9, 0])
        self.assertEqual(set(self.events(collector)), {f"E{number}" for number in range(10_000)})


class TestWhatGoesWrong(CliCase):
    def test_changed_file(self) -> None:
        """A bookmark that belongs to another file or is garbage is refused."""
        self.file.write_text(a_line(1))
        for told in (
            '{"offset": 10, "head": "x"}',
            "garbage",
            '{"offset": 9999999, "head": ""}',
            '{"offset": 1e999, "head": ""}',
            '{"offset": -5, "head": ""}',
            "[" * 20_000,
        ):
            self.bookmark.write_text(told)
            code, _, said = self.run_it(dead_host())
            self.assertEqual(code, 2)
            self.assertIn("remove the bookmark to import the whole file", said)

    def test_cannot_begin(self) -> None:
        """A run that cannot start reports the reason without the key, and exits with 2."""
        self.assertEqual(self.run_it(dead_host())[0], 2)
        self.file.write_text(a_line(1))
        for more, expected in (
            (("--host", "api.segment.io"), "host must be a URL"),
            (("--write-key", "s e c r e t"), "write_key must be a string without spaces"),
            (("--dead-letters", str(self.file)), "pass another"),
        ):
            code, _, said = self.run_it(dead_host(), *more)
            self.assertEqual(code, 2)
            self.assertIn(expected, said)
            self.assertNotIn("s e c", said)

    def test_wrong_key(self) -> None:
        """A 401 stops the import at once, and no message is lost."""
        self.file.write_text(a_line(1))
        code, out, said = self.run_it(self.collected(lambda request: 401).url)
        self.assertEqual(code, 1)
        self.assertIn("check the write key", said)
        self.assertIn("0 messages were delivered", out)


if __name__ == "__main__":
    unittest.main()
