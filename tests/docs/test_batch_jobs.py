"""Tests that the programs in docs/batch-jobs.md keep the page's promises."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import unittest
from pathlib import Path
from shutil import which
from typing import Any

from ..builders import PROJECT
from ..servers import Answer, ScriptedServer
from .batch_jobs import (
    BIG_ROWS,
    CUSTOMERS,
    FULL,
    IMPATIENT,
    JOB,
    KILLED,
    MANY,
    METHODS,
    PLAIN,
    POOL,
    PROGRESS,
    SLOWLY,
    WRONG,
    JobTest,
    end_of,
)
from .pages import PAGES
from .test_blocks import KEY

IDS = [f"invoice-sent-{number}" for number in range(3)]


class TestStatus(JobTest):
    def test_again(self) -> None:
        """All rows arrive, silently, and another run sends them with the same ids."""
        for runs in (1, 2):
            self.assertEqual(self.run_job(), (0, ""))
            self.assertEqual(self.ids(), IDS * runs)

    def test_no_write_key(self) -> None:
        """Without a write key, the job ends with 1."""
        line = "segment_logging: no write key, so nothing is sent"
        code, stderr = self.run_job(key="")
        self.assertEqual(code, 1)
        self.assertIn(line, stderr)
        self.assertIn("not in the journal: 3\n", stderr)

    def test_invalid_row(self) -> None:
        """A row without an id fails the job, and the others arrive."""
        code, stderr = self.run_job(before='ROWS[1]["customer"] = float("nan")')
        self.assertEqual(code, 1)
        self.assertIn("user_id is NaN", stderr)
        self.assertIn("not in the journal: 1\n", stderr)
        letter: Any = json.loads(self.letters.read_text(encoding="utf-8"))
        self.assertEqual(letter["message"]["messageId"], "invoice-sent-1")
        self.assertEqual(self.ids(), ["invoice-sent-0", "invoice-sent-2"])

    def test_dead_letters(self) -> None:
        """While there are dead letters, also of other processes, the job ends with 3."""
        self.run_job(program=IMPATIENT, host=self.closed)
        command = (sys.executable, "-m", "segment_logging", "journal", "journal", "--drain")
        with ScriptedServer([Answer(status=400)] * 5) as refusing:
            environment = {**self.environment(), "SEGMENT_HOST": refusing.host}
            done = subprocess.run(
                command, env=environment, cwd=self.directory, capture_output=True, timeout=60,
                check=False,
            )  # fmt: skip
        self.assertEqual((done.returncode, self.letters.exists()), (1, True))
        code, stderr = self.run_job()
        self.assertEqual(code, 3)
        self.assertIn("dead_lettered=0", stderr)
        self.assertIn(str(self.letters.relative_to(self.directory)), stderr)
        self.run_python("-m", "segment_logging", "replay", str(self.letters))
        self.assertEqual(self.run_job(), (0, ""))
        self.assertEqual(self.ids(), IDS * 3)

    def test_quarantine(self) -> None:
        """While something is in the quarantine, the command and the job do not end with 0."""
        self.run_job(program=IMPATIENT, host=self.closed)
        (waiting,) = self.directory.glob("journal/*/live/*/*.jsonl")
        first, *others = waiting.read_text(encoding="utf-8").splitlines(keepends=True)
        waiting.write_text(first[20:] + "".join(others), encoding="utf-8")
        command = (sys.executable, "-m", "segment_logging", "journal", "journal", "--drain")
        done = subprocess.run(
            command, env=self.environment(), cwd=self.directory, capture_output=True, timeout=60,
            encoding="utf-8", check=False,
        )  # fmt: skip
        self.assertEqual(done.returncode, 1)
        self.assertIn("1 line was damaged: see", done.stdout)
        self.assertEqual(self.ids(), IDS[1:])
        code, stderr = self.run_job()
        self.assertEqual(code, 3)
        self.assertIn("quarantine/damaged-lines", stderr)

    def test_dead_letters_in_a_shared_directory(self) -> None:
        """It also finds them if others may write in the directory."""
        journal = self.directory / "journal"
        journal.mkdir()
        journal.chmod(0o777)
        self.assertEqual(self.letters.parent.parent, journal)
        self.test_dead_letters()

    @unittest.skipUnless(os.path.isdir("/proc/self"), "needs /proc")
    def test_unwritable_journal(self) -> None:
        """A job that cannot write to its journal ends with 1."""
        program = JOB.replace("drain(60)", "drain(0.5)").replace(
            "deliver=False", "deliver=False, shutdown_timeout=0.0"
        )
        code, stderr = self.run_job('main(ROWS, "/proc/self/journal")', program=program)
        self.assertEqual(code, 1)
        self.assertIn("OSError: the journal is full, or cannot be written to", stderr)

    def test_options(self) -> None:
        """Options about messages belong in the first handler, and others in the second one."""
        right = JOB.replace("deliver=False", "deliver=False, redact=['total']").replace(
            "SegmentHandler(journal=journal)", "SegmentHandler(journal=journal, gzip=True)"
        )
        self.assertEqual(self.run_job(program=right), (0, ""))
        wrong = JOB.replace("deliver=False", "deliver=False, gzip=True").replace(
            "SegmentHandler(journal=journal)", "SegmentHandler(journal=journal, redact=['total'])"
        )
        code, stderr = self.run_job(program=wrong)
        self.assertEqual(code, 0)
        self.assertIn("gzip has no effect with deliver=False", stderr)
        sent = ["total" in one["properties"] for one in self.collector.messages]
        self.assertEqual(sent, [False] * 3 + [True] * 3)

    def test_outage(self) -> None:
        """In an outage, the job ends with 3, and the command sends its rows."""
        code, stderr = self.run_job(program=IMPATIENT, host=self.closed)
        self.assertEqual(code, 3)
        self.assertIn("pending=3", stderr)
        self.drain()
        self.assertEqual(self.ids(), IDS)

    def test_after_an_outage(self) -> None:
        """What an earlier run left is sent, too, and the job ends with 0."""
        self.run_job(program=IMPATIENT, host=self.closed)
        self.assertEqual(self.run_job(), (0, ""))
        self.assertEqual(sorted(self.ids()), sorted(IDS * 2))

    def test_surplus(self) -> None:
        """Messages that an earlier run left do not hide that rows of this run are missing."""
        for before in (
            "logger.disabled = True",
            'logger.setLevel("ERROR")',
            'ROWS[1]["customer"] = float("nan")',
        ):
            with self.subTest(before):
                self.run_job(program=IMPATIENT, host=self.closed)
                code, stderr = self.run_job(before=before)
                self.assertEqual(code, 1)
                self.assertRegex(stderr, "not in the journal: [13]\n")

    def test_full_journal(self) -> None:
        """If the journal is full, the job waits for room, and then ends with 1."""
        before = f"{BIG_ROWS}\ndel ROWS[1000:]"
        code, stderr = self.run_job(program=FULL, before=before)
        self.assertEqual(code, 1)
        self.assertIn("OSError: the journal is full, or cannot be written to", stderr)

    def test_room_in_time(self) -> None:
        """If another command makes room in the meantime, all rows arrive."""
        program = FULL.replace("drain(0.5)", "drain(60)")
        before = f"""{BIG_ROWS}
del ROWS[999:]
import subprocess
fill = fill_journal
def fill_journal(handler):
    assert handler.counts().handed_over < 999
    command = [sys.executable, "-m", "segment_logging", "deliver", "journal"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as deliver:
        fill(handler)
        deliver.terminate()
"""
        code, stderr = self.run_job(program=program, before=before)
        self.assertEqual(code, 0, stderr)
        self.assertEqual(len(set(self.ids())), 999)

    def test_sigterm(self) -> None:
        """After SIGTERM, the status is 143, and every logged row is in the journal."""
        with self.start(PLAIN, program=JOB, host=None, key=KEY, before=f"{MANY}\n{SLOWLY}") as job:
            assert job.stdout is not None
            logged = [int(job.stdout.readline()) for _ in range(10)]
            job.terminate()
            end_of(job)
        self.assertEqual(job.returncode, 143)
        self.drain()
        self.assertLessEqual({f"invoice-sent-{number}" for number in logged}, set(self.ids()))
        self.assertLess(len(self.ids()), 2500)


def ids_of(night: int) -> list[str]:
    """Return the message ids of the messages that `CUSTOMERS` makes in one night."""
    identified = [f"identify-u-{number}-night-{night}" for number in range(3)]
    return [*identified, f"plan-renewed-u-1-night-{night}"]


class TestSeveralMessages(JobTest):
    def test_night(self) -> None:
        """Each night's identify calls have their own ids, and a rerun uses the same ones."""
        calls = (PLAIN, PLAIN, POOL.format("fork"), PROGRESS, 'main_to_file(ROWS, "events.jsonl")')
        for call, night in zip(calls, (1, 2, 2, 2, 2), strict=True):
            with self.subTest(call, night=night):
                before = CUSTOMERS.format(night)
                self.assertEqual(self.run_job(call, before=before), (0, ""))
        file = (self.directory / "events.jsonl").read_text(encoding="utf-8")
        found = [self.ids()[first : first + 4] for first in range(0, 16, 4)]
        found.append([json.loads(line)["messageId"] for line in file.splitlines()])
        self.assertEqual([sorted(ids) for ids in found], [ids_of(n) for n in (1, 2, 2, 2, 2)])

    def test_order(self) -> None:
        """What several runs left is sent in the order in which they began."""
        for command in (False, True):
            with self.subTest(command=command):
                before = len(self.ids())
                for night in (1, 2, 3):
                    code, _ = self.run_job(
                        program=IMPATIENT, host=self.closed, before=CUSTOMERS.format(night)
                    )
                    self.assertEqual(code, 3)
                if command:
                    self.drain()
                else:
                    self.assertEqual(self.run_job(before=CUSTOMERS.format(4)), (0, ""))
                nights = [one[-1] for one in self.ids()[before:]]
                self.assertEqual(nights, sorted(nights))
                self.assertEqual(len(nights), 12 if command else 16)

    def test_wrong_number(self) -> None:
        """A `log_row` that returns a wrong number fails the job."""
        code, stderr = self.run_job(before=CUSTOMERS.format(1) + WRONG)
        self.assertEqual(code, 1)
        self.assertIn("not in the journal: -1\n", stderr)


class TestPool(JobTest):
    def test_all_arrive(self) -> None:
        """All rows of a pool's workers arrive, and the job ends with 0."""
        for method in METHODS:
            with self.subTest(method):
                before = len(self.collector.messages)
                self.assertEqual(self.run_job(POOL.format(method), before=MANY), (0, ""))
                self.assertEqual(
                    sorted(self.ids()[before:]), sorted(f"invoice-sent-{n}" for n in range(2500))
                )

    def test_invalid_row(self) -> None:
        """A row that a worker could not log fails the job, and the others arrive."""
        before = f'{MANY}\nROWS[1700]["customer"] = float("nan")'
        code, stderr = self.run_job(POOL.format("fork"), before=before)
        self.assertEqual(code, 1)
        self.assertIn("not in the journal: 1\n", stderr)
        self.assertEqual(len(self.ids()), 2499)

    def test_outage(self) -> None:
        """In an outage, the job ends with 3, and the command sends its rows."""
        for method in METHODS:
            with self.subTest(method):
                before = len(self.collector.messages)
                code, _ = self.run_job(
                    POOL.format(method), program=IMPATIENT, host=self.closed, before=MANY
                )
                self.assertEqual(code, 3)
                self.drain()
                self.assertEqual(len(self.ids()) - before, 2500)

    def test_sigterm(self) -> None:
        """After SIGTERM, every row that a worker logged is in the journal."""
        for method, kill in (("fork", os.killpg), ("fork", os.kill), ("spawn", os.kill)):
            with self.subTest(method, kill=kill.__name__):
                before = len(self.collector.messages)
                job = self.start(
                    POOL.format(method), program=JOB, host=None, key=KEY, before=f"{MANY}\n{SLOWLY}"
                )
                with job:
                    assert job.stdout is not None
                    logged = {int(job.stdout.readline()) for _ in range(10)}
                    kill(job.pid, signal.SIGTERM)
                    end_of(job)
                self.assertEqual(job.returncode, 143)
                self.drain()
                self.assertLessEqual(
                    {f"invoice-sent-{number}" for number in logged}, set(self.ids()[before:])
                )

    def test_wrong_directory(self) -> None:
        """If the journal cannot be opened, the job ends before it starts workers."""
        (self.directory / "journal").touch()
        for method in METHODS:
            with self.subTest(method):
                code, stderr = self.run_job(POOL.format(method))
                self.assertEqual(code, 1)
                self.assertEqual(len(re.findall(r"^\S*ConfigurationError: ", stderr, re.M)), 1)

    def test_full_journal(self) -> None:
        """If the journal is full, the job stops after the first chunks."""
        code, stderr = self.run_job(POOL.format("fork"), program=FULL, before=BIG_ROWS)
        self.assertEqual(code, 1)
        self.assertIn("OSError: the journal is full, or cannot be written to", stderr)

    @unittest.skipUnless(which("timeout"), "needs the command `timeout`")
    def test_killed_worker(self) -> None:
        """If a worker is killed, the job hangs until `timeout` ends it. No logged row is lost."""
        job = self.start(
            POOL.format("fork"), program=JOB, host=None, key=KEY,
            before=f"{MANY}\n{KILLED}", prefix=("timeout", "-k", "2", "6"),
        )  # fmt: skip
        with job:
            end_of(job)
        self.assertIn(job.returncode, (124, 137, -signal.SIGKILL))
        self.drain()
        self.assertLessEqual({f"invoice-sent-{n}" for n in range(1000, 1701)}, set(self.ids()))
        self.assertNotIn("invoice-sent-1701", self.ids())

    def test_no_initializer(self) -> None:
        """A spawned worker without an initializer sends nothing and reports nothing."""
        program = JOB.replace("initializer=start_worker, initargs=(journal,)", "")
        program = program.replace("(handler,) = logger.handlers", "")
        program = program.replace("before = handler.counts().handed_over", "")
        program = program.replace("    fill_journal(handler)\n    return", "    return")
        program = program.replace(" - (handler.counts().handed_over - before)", "")
        code, stderr = self.run_job(POOL.format("spawn"), program=program)
        self.assertEqual((code, stderr), (1, "messages that are not in the journal: 3\n"))
        self.assertEqual(self.ids(), [])


class TestProgress(JobTest):
    @property
    def progress(self) -> Path:
        return self.directory / "progress"

    def test_whole_job(self) -> None:
        """A job that succeeds leaves no progress file."""
        self.assertEqual(self.run_job(PROGRESS, before=MANY), (0, ""))
        self.assertEqual(len(self.ids()), 2500)
        self.assertFalse(self.progress.exists())

    def test_kill(self) -> None:
        """After a kill, the next run continues, and at most 1,000 rows are logged twice."""
        code, _ = self.run_job(PROGRESS, before=f"{MANY}\n{KILLED}")
        self.assertEqual(code, -signal.SIGKILL)
        self.assertEqual(self.progress.read_text(), "999")
        self.drain()
        self.assertEqual(len(self.ids()), 1701)
        self.assertEqual(self.run_job(PROGRESS, before=MANY), (0, ""))
        self.assertEqual(len(set(self.ids())), 2500)
        self.assertEqual(len(self.ids()), 2500 + 701)
        self.assertFalse(self.progress.exists())

    def test_rows_that_disappear(self) -> None:
        """If rows disappear before the next run, it still logs all that were not logged."""
        self.run_job(PROGRESS, before=f"{MANY}\n{KILLED}")
        self.drain()
        self.assertEqual(self.run_job(PROGRESS, before=f"{MANY}\ndel ROWS[:500]"), (0, ""))
        self.assertEqual(len(set(self.ids())), 2500)

    def test_refused_row(self) -> None:
        """The key in the file stays before that of a row that is not in the journal."""
        before = f'{MANY}\nROWS[1200]["customer"] = float("nan")'
        code, _ = self.run_job(PROGRESS, before=before)
        self.assertEqual((code, self.progress.read_text()), (1, "999"))
        self.letters.unlink()
        self.assertEqual(self.run_job(PROGRESS, before=MANY), (0, ""))
        self.assertEqual(len(set(self.ids())), 2500)

    def test_full_journal(self) -> None:
        """If the journal is full, the job stops, and does not wait for each 1,000 rows."""
        code, stderr = self.run_job(PROGRESS, program=FULL, before=BIG_ROWS)
        self.assertEqual((code, self.progress.exists()), (1, False))
        self.assertIn("OSError: the journal is full, or cannot be written to", stderr)
        self.assertIn("accepted=1000,", stderr)

    def test_outage(self) -> None:
        """In an outage, the journal has all rows, so the file is removed."""
        code, _ = self.run_job(PROGRESS, program=IMPATIENT, host=self.closed, before=MANY)
        self.assertEqual((code, self.progress.exists()), (3, False))


class TestCron(JobTest):
    def test_drain(self) -> None:
        """The line for cron sends what the job left. It prints something only if it cannot."""
        page = PAGES["docs/batch-jobs.md"]
        (line,) = re.findall(r"^15 4 \* \* \*  (.*--drain.*)$", page, re.MULTILINE)
        command = (
            line.replace("/srv/shop/bin/segment-logging", f"{sys.executable} -m segment_logging")
            .replace("/var/lib/shop/segment", "journal")
            .replace("--drain", "--drain --timeout 0.5")
        )
        closed = self.closed
        self.run_job(program=IMPATIENT, host=closed)
        for host, found in ((closed, "3 messages could not be sent yet"), (self.collector.url, "")):
            done = subprocess.run(
                ["sh", "-c", command],
                env={
                    **os.environ, "SEGMENT_HOST": host, "SEGMENT_WRITE_KEY": KEY,
                    "PYTHONPATH": str(PROJECT),
                },
                cwd=self.directory, capture_output=True, encoding="utf-8", timeout=60, check=False,
            )  # fmt: skip
            self.assertEqual(done.stderr, "")
            self.assertRegex(done.stdout, found or r"\A\Z")
        self.assertEqual(self.ids(), IDS)


class TestFile(JobTest):
    def test_file(self) -> None:
        """The formatter writes the events to a file, and the import sends them."""
        call = 'main_to_file(ROWS, "invoices.jsonl")'
        self.assertEqual(self.run_job(call, before='logger.info("an ordinary record")'), (0, ""))
        command = ["-m", "segment_logging", "import", "invoices.jsonl", "--rate", "500", "--json"]
        self.run_python(*command)
        self.assertEqual(self.ids(), IDS)

    def test_incomplete(self) -> None:
        """If a row is missing in the file, the job ends with 1."""
        call = 'main_to_file(ROWS, "invoices.jsonl")'
        code, stderr = self.run_job(call, before='ROWS[1]["customer"] = float("nan")')
        self.assertEqual(code, 1)
        self.assertIn("3 messages, 2 in the file", stderr)


if __name__ == "__main__":
    unittest.main()
