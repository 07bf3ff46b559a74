"""Tests for the `journal` command."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import time
import unittest
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

from segment_logging import SegmentHandler
from segment_logging._locks import try_lock
from segment_logging.cli.progress import PlainLines
from segment_logging.collector import Collector, Request
from tests.builders import PROJECT
from tests.cli.cases import CliCase, run_command, start_command
from tests.faults.delivering import Deliverer, wait_until
from tests.servers import dead_host

PROGRAM = """
import logging, os, sys
from segment_logging import SegmentHandler
handler = SegmentHandler(
    sys.argv[3], journal=sys.argv[2], shutdown_timeout=0,
    **({"deliver": False} if len(sys.argv) > 5 else {"host": sys.argv[1]}),
)
logging.getLogger("a").addHandler(handler)
logging.getLogger("a").setLevel("INFO")
for number in range(3):
    logging.getLogger("a").info("E", extra={"user_id": "ada@example.org"})
print("ready", flush=True)
if len(sys.argv) > 4 and sys.argv[4]:
    sys.stdin.read()
os._exit(0)
"""

NOT_RUNNING = "`segment-logging deliver` is running for this write key"


def answering(status: int) -> Callable[[Request], int]:
    return lambda request: status


class TestJournal(CliCase):
    def program(self, key: str = "key", *more: str) -> subprocess.Popen[bytes]:
        """Start a program that logs three events and is killed, at once or when stdin ends."""
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, dead_host(), str(self.journal), key, *more],
            cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        self.addCleanup(process.communicate)
        return process

    @property
    def journal(self) -> Path:
        return self.file.parent / "journal"

    def test_shown(self) -> None:
        """It shows whose messages wait, since when, how many and why, and nothing of them."""
        self.program().wait(60)
        living = self.program("key", "wait")
        code, out, _ = run_command("journal", str(self.journal), "--write-key", "key")
        self.assertEqual(code, 0)
        self.assertIn("6 messages wait\n", out)
        self.assertRegex(out, r"3 messages \(\d+ bytes\) of process \d+, this write key, since 20")
        self.assertIn("its process has ended", out)
        self.assertIn(f"of process {living.pid}, this write key", out)
        self.assertIn("its process is running", out)
        self.assertNotIn("ada", out)

    def test_foreign_file(self) -> None:
        """A file that is too large to be a journal's is named and not read; the others count."""
        self.program().wait(60)
        (directory,) = self.journal.glob("*/live/*")
        with (directory / "00000000.jsonl").open("wb") as file:
            file.truncate(1 << 40)
        code, out, _ = run_command("journal", str(self.journal), "--write-key", "key")
        self.assertEqual(code, 0)
        self.assertIn(
            "3 messages wait, and there may be more: files of 1 process cannot be read\n", out
        )
        self.assertIn("00000000.jsonl cannot be read (File too large)", out)

    def test_json(self) -> None:
        """The same, as JSON, also without a write key."""
        self.program().wait(60)
        _, out, _ = run_command("journal", str(self.journal), "--json")
        told = json.loads(out)
        (waiting,) = told["waiting"]
        self.assertEqual((waiting["messages"], waiting["is_alive"]), (3, False))
        self.assertEqual((told["quarantine_bytes"], told["unread"]), (0, 0))

    def test_quarantine(self) -> None:
        """What is in the quarantine is shown, with where it is and how to send it."""
        self.program().wait(60)
        quarantine = self.journal / "quarantine"
        quarantine.mkdir(mode=0o700)
        (quarantine / "1-2-3-00000001.jsonl").write_text("{}\n")
        _, out, _ = run_command("journal", str(self.journal))
        self.assertIn(f"3 bytes are in the quarantine, {quarantine}: ", out)
        self.assertIn("segment-logging import", out)

    def test_handed_over(self) -> None:
        """Of messages that were handed over, it shows whether `segment-logging deliver` runs."""
        self.program("key", "wait", "hands over")
        self.program("key", "", "hands over").wait(60)
        self.assertEqual(
            self.told(),
            [
                (True, True, False, f"is running and hands them over, but no {NOT_RUNNING}"),
                (False, True, False, f"has ended after handing them over, and no {NOT_RUNNING}"),
            ],
        )
        _, out, _ = run_command("journal", str(self.journal))
        self.assertEqual(out.count("was a mistake, import the files with the right key"), 2)
        folder = next(self.journal.glob("*/live")).parent
        lock = os.open(folder / "deliver.lock", os.O_RDWR | os.O_CREAT, 0o600)
        self.addCleanup(os.close, lock)
        self.assertFalse(any(running for _, _, running, _ in self.told()))
        self.assertTrue(try_lock(lock))
        self.assertEqual(
            self.told(),
            [
                (True, True, True, "is running, and `segment-logging deliver` sends them"),
                (False, True, True, "has ended, and `segment-logging deliver` sends them"),
            ],
        )
        code, out, _ = run_command("journal", str(self.journal))
        self.assertEqual((code, out.count("and `segment-logging deliver` sends them")), (0, 2))

    def test_adopted(self) -> None:
        """Messages of ended processes that another process is sending need nothing to be done."""
        self.program().wait(60)
        self.program("key", "", "hands over").wait(60)
        with Collector(answer=lambda request: time.sleep(2)) as slow:
            handler = SegmentHandler("key", journal=str(self.journal), host=slow.url)
            self.addCleanup(handler.close)
            self.assertFalse(handler.drain(0.5))
            why = [why for *_, why in self.told()]
            self.assertEqual(why, ["has ended, and another process is sending them"] * 2)
            code, out, _ = run_command("journal", str(self.journal))
            self.assertNotIn("--drain", out)
            self.assertTrue(handler.drain(10))
            self.assertEqual(len(slow.messages), 6)
        self.assertEqual((code, self.told()), (0, []))

    def test_deliverer(self) -> None:
        """A `segment-logging deliver` is found, and only for its own write key."""
        self.program("other", "", "hands over").wait(60)
        living = self.program("key", "wait", "hands over")
        with Deliverer(self.journal, "--host", dead_host(), write_key="key"):
            wait_until(lambda: any(running for _, _, running, _ in self.told()))
            _, out, _ = run_command("journal", str(self.journal), "--json")
        found = {one["pid"] == living.pid: one for one in json.loads(out)["waiting"]}
        self.assertEqual(
            [found[is_own]["is_deliverer_running"] for is_own in (True, False)], [True, False]
        )

    def told(self) -> list[tuple[bool, bool, bool, str]]:
        """Return what the command says of each process, first of those that live."""
        _, out, _ = run_command("journal", str(self.journal), "--json")
        waiting = sorted(json.loads(out)["waiting"], key=lambda one: not one["is_alive"])
        return [
            (
                one["is_alive"],
                one["is_handed_over"],
                one["is_deliverer_running"],
                one["why"].partition(": start")[0].removeprefix("its process "),
            )
            for one in waiting
        ]

    def test_drain(self) -> None:
        """--drain sends what ended processes have left with this write key, and nothing else."""
        self.program().wait(60)
        self.program("other").wait(60)
        collector = self.collected()
        drain = ("journal", str(self.journal), "--drain", "--write-key", "key")
        code, out, _ = run_command(*drain, "--host", collector.url)
        self.assertEqual(code, 0)
        self.assertIn("3 messages were delivered\n3 messages of other write keys", out)
        self.assertEqual(len(collector.messages), 3)
        code, out, _ = run_command(*drain, "--host", collector.url, "--json")
        self.assertEqual((code, json.loads(out)["delivered"]), (0, 0))

    def test_drain_in_vain(self) -> None:
        """If nothing can be sent, --drain stops after its timeout, and nothing is lost."""
        self.program().wait(60)
        drain = ("journal", str(self.journal), "--drain", "--write-key", "key", "--timeout", "1")
        code, out, _ = run_command(*drain, "--host", dead_host())
        self.assertEqual(code, 1)
        self.assertIn("3 messages could not be sent yet: run the command again\n", out)

    def test_drain_refused(self) -> None:
        """If the server refuses the write key, the last line says so. No report says that the
        delivery continues, because the command has ended it."""
        self.program().wait(60)
        for status, way_on in (
            (401, "running the command again does not help until this is corrected: {host} "
             "answered 401 Unauthorized: check the write key, the region and the host"),
            (503, "run the command again"),
        ):  # fmt: skip
            with self.subTest(status):
                host = self.collected(answering(status)).url
                drain = start_command(
                    "journal", str(self.journal), "--drain", "--timeout", "1", url=host
                )
                out, said = (text.decode() for text in drain.communicate(timeout=60))
                self.assertEqual(drain.returncode, 1)
                self.assertEqual(
                    out.splitlines()[-1],
                    f"3 messages could not be sent yet: {way_on.format(host=host)}",
                )
                self.assertNotIn("shutdown_timeout", said)
                self.assertNotIn("continues", said)
                self.assertIn(f"messages remain in the journal {self.journal}: the next", said)
                self.assertEqual("once this is corrected" in said, status == 401)

    def test_late_answer(self) -> None:
        """An answer that arrives when the time is up still counts."""
        self.program().wait(60)
        drain = SegmentHandler.drain

        def late(handler: SegmentHandler, timeout: float) -> bool:
            return drain(handler, 5.0) and timeout != 1.0

        with patch.object(SegmentHandler, "drain", late):
            host = ("--write-key", "key", "--host", self.collected().url)
            options = ("--drain", "--timeout", "0.01", *host)
            code, out, _ = run_command("journal", str(self.journal), *options)
        self.assertEqual((code, out), (0, "3 messages were delivered\n"))

    def test_progress_of_a_drain(self) -> None:
        """While it waits, it shows whether a request has failed or there is no answer yet."""
        self.program().wait(60)
        drain = ("journal", str(self.journal), "--drain", "--timeout", "2.5", "--write-key", "key")
        refusing = self.collected(answering(401))
        hanging = self.collected(lambda request: time.sleep(4))
        for collector, why in ((refusing, "the last request failed"), (hanging, "no answer yet")):
            with self.subTest(why), patch.object(PlainLines, "every", 0.5):
                _, _, said = run_command(*drain, "--host", collector.url)
                self.assertEqual(re.findall(r"waiting 0:0\d \((.*)\)", said)[-1], why)

    def test_dead_letters(self) -> None:
        """It shows how many dead letters are in the directory, and only the size of large files.
        --drain is not affected by them."""
        self.journal.mkdir(mode=0o700)
        self.assertNotIn("dead letters", run_command("journal", str(self.journal))[1])
        older = self.journal / "dead-letters.jsonl.1"
        older.write_text("{}\n" * 3)
        older.chmod(0o640)
        with (self.journal / "dead-letters.jsonl").open("wb") as file:
            file.truncate(1 << 40)
        (self.journal / "dead-letters-u7.jsonl").touch()
        (self.journal / "dead-letters-u8.jsonl").symlink_to(older)
        began = time.monotonic()
        code, out, _ = run_command("journal", str(self.journal))
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(code, 0)
        self.assertIn(
            f"dead letters: 1,099,511,627,776 bytes in {self.journal}/dead-letters.jsonl, 3 in "
            f"{older}; correct what was wrong, and send them with `segment-logging replay`\n",
            out,
        )
        self.assertEqual(older.stat().st_mode & 0o777, 0o640)
        _, out, _ = run_command("journal", str(self.journal), "--json")
        self.assertEqual(
            json.loads(out)["dead_letters"],
            [
                {"file": f"{self.journal}/dead-letters.jsonl", "size_bytes": 1 << 40,
                 "letters": None},
                {"file": str(older), "size_bytes": 9, "letters": 3},
            ],
        )  # fmt: skip
        drain = ("journal", str(self.journal), "--drain", "--write-key", "key")
        self.assertEqual(run_command(*drain, "--host", dead_host())[0], 0)

    def test_many_files_of_dead_letters(self) -> None:
        """At most five files are named, and all of them are in the JSON."""
        self.journal.mkdir(mode=0o700)
        for number in range(8):
            (self.journal / f"dead-letters-u{number}.jsonl").write_text("{}\n")
        _, out, _ = run_command("journal", str(self.journal))
        self.assertIn(f"1 in {self.journal}/dead-letters-u4.jsonl, 3 more files; correct", out)
        _, out, _ = run_command("journal", str(self.journal), "--json")
        self.assertEqual([one["letters"] for one in json.loads(out)["dead_letters"]], [1] * 8)

    def test_another_write_key(self) -> None:
        """Messages that wait under a wrong write key can be imported with the right one.

        They keep their message ids. The import leaves the journal's files, so the write key's
        directory is removed by hand.
        """
        self.program("wrong").wait(60)
        self.program("wrong").wait(60)
        files = sorted(self.journal.glob("*/live/*/*.jsonl"))
        lines = "".join(file.read_text() for file in files).splitlines()
        before = sorted(self.journal.rglob("*"))
        collector = self.collected(lambda request: None if request.write_key == "right" else 401)
        key = sha256(b"wrong").hexdigest()[:12]
        _, out, _ = run_command("journal", str(self.journal), "--write-key", "right")
        self.assertIn(f"write key {key}, since", out)
        code, out, _ = run_command(
            "import", *map(str, files), "--dead-letters", str(self.letters),
            "--host", collector.url, "--write-key", "right",
        )  # fmt: skip
        self.assertEqual((code, out), (0, "6 messages were delivered\n"))
        ids = [json.loads(line)["messageId"] for line in lines]
        self.assertEqual([one["messageId"] for one in collector.messages], ids)
        self.assertEqual(sorted(self.journal.rglob("*")), before)
        shutil.rmtree(self.journal / key)
        self.assertEqual(run_command("journal", str(self.journal))[1], "0 messages wait\n")

    def test_on_a_terminal(self) -> None:
        """On a terminal, rich draws a table, without colors if NO_COLOR is set."""
        self.program().wait(60)
        seen, terminal = pty.openpty()
        self.addCleanup(os.close, seen)
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "160", "NO_COLOR": "1"}
        subprocess.run(
            [sys.executable, "-m", "segment_logging", "journal", str(self.journal)],
            cwd=PROJECT, stdout=terminal, env=environment, timeout=60, check=True,
        )  # fmt: skip
        os.close(terminal)
        shown = os.read(seen, 65_536).decode()
        self.assertNotRegex(shown, r"\x1b\[[0-9;]*3[0-7]m")
        plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
        self.assertRegex(plain, r"process +write key +since +messages")
        self.assertIn("its process has ended", plain)

    def test_not_a_journal(self) -> None:
        """A directory that does not exist or is somebody else's is refused in one line."""
        code, _, said = run_command("journal", str(self.journal))
        self.assertEqual((code, len(said.splitlines())), (2, 1))
        if os.geteuid() == 0:
            self.journal.mkdir()
            os.chown(self.journal, 40_002, 40_002)
            code, _, said = run_command("journal", str(self.journal))
            self.assertEqual((code, len(said.splitlines())), (2, 1))
            self.assertIn("belongs to another user", said)


if __name__ == "__main__":
    unittest.main()
