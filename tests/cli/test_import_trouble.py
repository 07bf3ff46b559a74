"""Tests for imports of damaged, foreign and changing files, and for imports that are stopped."""

from __future__ import annotations

import errno
import gzip
import json
import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path
from unittest.mock import patch

from segment_logging.cli.bookmark import Bookmark, Place
from segment_logging.collector import Request
from tests.builders import PROJECT
from tests.cli.cases import CliCase, a_line, run_command, start_command, without_progress
from tests.servers import Answer, ScriptedServer, dead_host


class TestBookmark(CliCase):
    def test_full_disk(self) -> None:
        """A bookmark that cannot be written leaves no file, and the previous one is unchanged."""
        bookmark = Bookmark(str(self.file), b"head")
        bookmark.put(Place(4))
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with patch("os.replace", side_effect=full), self.assertRaises(OSError):
            bookmark.put(Place(8))
        self.assertEqual(bookmark.find(), Place(4))
        self.assertEqual([one.name for one in self.file.parent.glob("*.new")], [])


class TestFiles(CliCase):
    def test_gzip_is_resumed(self) -> None:
        """A compressed file is resumed where the last run stopped."""
        self.file.write_bytes(gzip.compress("".join(map(a_line, range(6_000))).encode()))
        requests: list[Request] = []

        def answer(request: Request) -> int | None:
            requests.append(request)
            return 503 if len(requests) > 2 else None

        self.assertEqual(self.run_it(self.collected(answer).url, "--max-attempts", "1")[0], 1)
        before = [one.message["event"] for one in requests[0].verdict.judged]
        before += [one.message["event"] for one in requests[1].verdict.judged]
        collector = self.collected()
        self.assertEqual(self.run_it(collector.url)[0], 0)
        self.assertEqual(before + self.events(collector), [f"E{n}" for n in range(6_000)])

    def test_cut_short_gzip(self) -> None:
        """What can be read of a file that ends too early is imported, and the rest is reported."""
        packed = gzip.compress("".join(map(a_line, range(6_000))).encode())
        self.file.write_bytes(packed[:-200])
        collector = self.collected()
        code, out, _ = self.run_it(collector.url)
        self.assertEqual(code, 1)
        self.assertIn("ends too early: everything before was imported", out)
        self.file.write_bytes(packed)
        self.assertEqual(self.run_it(collector.url)[0], 0)
        self.assertEqual(self.events(collector), [f"E{n}" for n in range(6_000)])

    def test_two_messages_in_the_last_line(self) -> None:
        """A last line with more than one object is refused, and not taken for an unfinished one."""
        self.file.write_text(a_line(0) + a_line(1).rstrip() + a_line(2).rstrip())
        collector = self.collected()
        code, out, said = self.run_it(collector.url)
        self.assertEqual((code, self.events(collector)), (1, ["E0"]))
        self.assertIn("1 line can never be delivered", out)
        self.assertNotIn("not complete", out + said)

    def test_too_long_line(self) -> None:
        """A line that is too long is reported with its number, and the others arrive."""
        self.file.write_text(a_line(1) + "x" * 3_000_000 + "\n" + a_line(2) + "y" * 2_000_000)
        collector = self.collected()
        code, out, said = self.run_it(collector.url)
        self.assertEqual((code, self.events(collector)), (1, ["E1", "E2"]))
        self.assertIn("line 2: longer than 1,048,576 bytes (3,000,000 bytes)", said)
        self.assertIn("line 4: longer", said)
        self.assertIn("2 lines: longer than", out)
        letters = [json.loads(line) for line in self.letters.read_text().splitlines()]
        self.assertEqual([one["message"] for one in letters], [None, None])

    def test_reasons(self) -> None:
        """Bad lines are counted by reason; a few are shown, with numbers and without contents."""
        self.file.write_text("ada@example.org\n" * 10 + "[1]\n" + a_line(1))
        code, out, said = self.run_it(self.collected().url)
        self.assertEqual(code, 1)
        self.assertIn("  10 lines: not JSON\n  1 line: an array, not an object\n", out)
        self.assertIn("line 1: not JSON (column 1: Expecting value)", said)
        self.assertEqual(len(said.splitlines()), 6)
        self.assertNotIn("ada", out + said)

    def test_stdin(self) -> None:
        """`-` reads from a pipe, compressed or not."""
        lines = "".join(map(a_line, range(3_000))).encode()
        for content in (lines, gzip.compress(lines)):
            collector = self.collected()
            process = start_command("import", "-", url=collector.url, stdin=subprocess.PIPE)
            out, said = process.communicate(content, timeout=60)
            self.assertEqual((process.returncode, without_progress(said.decode())), (0, ""))
            self.assertEqual(out, b"3000 messages were delivered\n")
            self.assertEqual(self.events(collector), [f"E{n}" for n in range(3_000)])

    def test_several_files(self) -> None:
        """Of several files, none is sent twice if one of them was interrupted."""
        other = self.file.with_name("other.jsonl")
        self.file.write_text(a_line(1))
        other.write_text(a_line(2))
        answers = [None, 503, 503]
        collector = self.collected(lambda _: answers.pop(0) if answers else None)
        code, _, _ = self.run_it(collector.url, "--max-attempts", "1", files=[other])
        self.assertEqual(code, 1)
        self.assertEqual(self.run_it(collector.url, files=[other])[0], 0)
        self.assertEqual(self.events(collector), ["E1", "E2"])
        self.assertEqual(sorted(self.file.parent.iterdir()), [self.file, other])

    def test_nothing_half_done(self) -> None:
        """If one of the files does not exist or is given twice, none is sent."""
        self.file.write_text(a_line(1))
        collector = self.collected()
        for more in (Path(f"{self.file}.missing"), self.file, self.file.parent):
            code, out, said = self.run_it(collector.url, files=[more])
            self.assertEqual((code, out, len(said.splitlines())), (2, "", 1))
        self.assertEqual(collector.messages, [])


class TestOptions(CliCase):
    def test_dry_run(self) -> None:
        """A dry run counts messages and reasons, sends nothing and writes nothing."""
        self.file.write_text(a_line(1) + "no json\n" + a_line(2, timestamp=None))
        code, out, _ = run_command("import", str(self.file), "--dry-run")
        self.assertEqual(code, 1)
        self.assertIn("2 messages can be sent (2 track)\n1 line cannot be sent:\n", out)
        self.assertIn("1 line: not JSON\n1 message has no timestamp\nnothing was sent\n", out)
        told = json.loads(run_command("import", str(self.file), "--dry-run", "--json")[1])
        self.assertEqual((told["messages"], told["reasons"]), (2, {"not JSON": 1}))
        self.assertEqual(list(self.file.parent.iterdir()), [self.file])

    def test_new_ids(self) -> None:
        """With --new-ids, each import has other ids, but an interrupted one keeps them."""
        self.file.write_text(a_line(1, messageId="old") + a_line(1, messageId="old"))
        seen = []
        for answer in (503, None, None):
            requests: list[Request] = []

            def answered(request: Request, answer: int | None = answer) -> int | None:
                requests.append(request)  # noqa: B023
                return answer

            self.run_it(self.collected(answered).url, "--new-ids", "--max-attempts", "1")
            seen.append([one.message["messageId"] for one in requests[0].verdict.judged])
        self.assertEqual(seen[0], seen[1])
        self.assertEqual(len({"old", *seen[1], *seen[2]}), 5)

    def test_new_ids_cannot_be_mixed(self) -> None:
        """An import that has begun with new ids is not continued without them."""
        self.file.write_text(a_line(1))
        self.run_it(dead_host(), "--new-ids", "--max-attempts", "1")
        code, _, said = self.run_it(dead_host())
        self.assertEqual(code, 2)
        self.assertIn("continue it with that option", said)

    def test_key_file(self) -> None:
        """The write key may be in a file."""
        self.file.write_text(a_line(1))
        key = self.file.with_name("key")
        key.write_text("from-a-file\n")
        collector = self.collected()
        command = ["import", str(self.file), "--host", collector.url, "--write-key-file", str(key)]
        self.assertEqual(run_command(*command)[0], 0)
        self.assertEqual(collector.requests[0].write_key, "from-a-file")
        key.write_text("")
        self.assertEqual(run_command(*command)[0], 2)


class TestBookmarks(CliCase):
    def test_not_ours(self) -> None:
        """A bookmark that is a link or a pipe, or that others may write, is refused."""
        self.file.write_text(a_line(1))
        secret = self.file.with_name("secret")
        secret.write_text("{}")

        def link(path: Path) -> None:
            path.symlink_to(secret)

        def wide(path: Path) -> None:
            path.write_text('{"offset": 0, "head": ""}')
            path.chmod(0o666)

        for name in (self.bookmark, Path(f"{self.bookmark}.new")):
            for plant in (link, os.mkfifo, *([wide] if name == self.bookmark else [])):
                plant(name)
                code, _, said = self.run_it(dead_host(), "--max-attempts", "1")
                self.assertEqual((code, len(said.splitlines())), (2, 1), said)
                name.unlink()
        self.assertEqual(secret.read_text(), "{}")

    def test_no_place_for_it(self) -> None:
        """Where no bookmark can be written, the import says so once and goes on."""
        self.file.write_text("".join(map(a_line, range(6_000))))
        self.bookmark.with_name(f"{self.bookmark.name}.new").mkdir()
        collector = self.collected()
        code, out, said = self.run_it(collector.url)
        self.assertEqual((code, out), (0, "6000 messages were delivered\n"))
        self.assertEqual(said.count("cannot be resumed"), 1)

    def test_no_place_for_dead_letters(self) -> None:
        """Where no dead letters can be written, bad lines are counted, and the others arrive."""
        self.file.write_text("no json\n" + a_line(1))
        self.letters.mkdir()
        collector = self.collected()
        code, out, said = self.run_it(collector.url)
        self.assertEqual((code, self.events(collector)), (1, ["E1"]))
        self.assertEqual(said.count("dead letters cannot be written"), 1)
        self.assertIn("1 line can never be delivered: they are only counted", out)


class TestProcesses(CliCase):
    def test_one_at_a_time(self) -> None:
        """A second import of a file ends at once, with one line and exit code 2."""
        self.file.write_text(a_line(1))
        codes: list[tuple[int, bytes, int]] = []

        def answer(request: Request) -> None:
            other = start_command("import", str(self.file), url=request_url)
            out, said = other.communicate(timeout=60)
            codes.append((other.returncode, out, len(said.splitlines())))

        collector = self.collected(answer)
        request_url = collector.url
        self.assertEqual(self.run_it(collector.url)[0], 0)
        self.assertEqual(codes, [(2, b"", 1)])
        self.assertEqual(self.events(collector), ["E1"])

    def test_stopped(self) -> None:
        """Ctrl-C and SIGTERM end an import with 130 and 143, and the next one continues."""
        for number, expected in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            self.file.write_text("".join(map(a_line, range(6_000))))
            requests: list[Request] = []

            def answer(request: Request, number: int = number) -> int | None:
                requests.append(request)  # noqa: B023
                if len(requests) < 3:  # noqa: B023
                    return None
                process.send_signal(number)  # noqa: B023
                process.wait(60)  # noqa: B023
                return 503

            collector = self.collected(answer)
            process = start_command("import", str(self.file), url=collector.url)
            out, _ = process.communicate(timeout=60)
            self.assertEqual(process.returncode, expected)
            self.assertIn(b"stopped: run the command again to continue", out)
            other = self.collected()
            self.assertEqual(self.run_it(other.url)[0], 0)
            every = self.events(collector) + self.events(other)
            self.assertEqual(every, [f"E{n}" for n in range(6_000)])

    def test_memory(self) -> None:
        """A line of 300 MB is imported in a fixed amount of memory."""
        with open(self.file, "wb") as file:
            for _ in range(300):
                file.write(b"y" * (1 << 20))
        status = Path("/proc/self/status")  # unlike getrusage, it forgets what ran before
        if not status.exists():
            self.skipTest("needs /proc")
        program = (
            "import re, sys; from segment_logging.cli import main; main(sys.argv[1:]); "
            f"print(re.search(r'VmHWM:\\s*(\\d+)', open({str(status)!r}).read())[1])"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, "import", str(self.file), "--write-key", "key",
             "--host", dead_host()],
            cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        self.assertLess(int(done.stdout.split()[-1]), 150_000)

    def test_rate(self) -> None:
        """With --rate, each request has at most as many messages as may be sent in a second."""
        self.file.write_text("".join(map(a_line, range(8))))
        collector = self.collected()
        code, _, said = self.run_it(collector.url, "--rate", "4")
        self.assertEqual(code, 0)
        self.assertEqual([len(one.verdict.judged) for one in collector.requests], [4, 4])
        for bad in ("0", "-1", "nan", "x"):
            code, _, said = self.run_it(collector.url, "--rate", bad)
            self.assertEqual(code, 2)
            self.assertIn("--rate: invalid number value", said)

    def test_waiting_is_shown(self) -> None:
        """While the server makes the import wait, a line says so, with the rate."""
        self.file.write_text(a_line(1))
        script = [Answer(status=429, headers={"Retry-After": "1"})]
        with ScriptedServer(script) as server:
            code, _, said = self.run_it(server.host)
        self.assertEqual(code, 0)
        self.assertRegex(said, r"0 messages, 0/s, waiting 0:01 .asked by the server.")


if __name__ == "__main__":
    unittest.main()
