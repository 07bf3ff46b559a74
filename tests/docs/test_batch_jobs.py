"""Tests that the programs in docs/batch-jobs.md keep the page's promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unittest
from typing import Any

from segment_logging.collector import Collector

from ..builders import PROJECT
from .pages import program_of
from .test_blocks import KEY, ProgramTest

JOB = program_of("docs/batch-jobs.md")

IMPATIENT = JOB.replace("drain(600)", "drain(0.5)")
"""The same job, which waits half a second."""

ROWS = [
    {"customer": f"u-{number}", "invoice": number, "sent_at": "2026-11-23T08:00:00Z", "total": 29.0}
    for number in range(3)
]


class TestBatchJobs(ProgramTest):
    def run_job(
        self, call: str, *, program: str = JOB, host: str | None = None, key: str = KEY
    ) -> tuple[int, str]:
        """Run the page's program and a call, and return the exit code and stderr."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", f"{program}\nROWS = {ROWS!r}\n{call}"],
            env={
                **os.environ,
                "SEGMENT_HOST": host or self.collector.url,
                "SEGMENT_WRITE_KEY": key,
                "PYTHONPATH": str(PROJECT),
            },
            cwd=self.directory,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        return done.returncode, done.stderr

    def ids(self) -> list[str]:
        return [message["messageId"] for message in self.collector.messages]

    def test_again(self) -> None:
        """All rows arrive, silently, and another run sends them with the same ids."""
        for runs in (1, 2):
            self.assertEqual(self.run_job('sys.exit(main(ROWS, "journal"))'), (0, ""))
            self.assertEqual(self.ids(), [f"invoice-sent-{number}" for number in range(3)] * runs)

    def test_no_write_key(self) -> None:
        """Without a write key, the check fails the job, which would otherwise end with 0."""
        line = "segment_logging: no write key, so nothing is sent"
        code, stderr = self.run_job('sys.exit(main(ROWS, "journal"))', key="")
        self.assertEqual((code, stderr.count(line), stderr.count("\n")), (1, 1, 2))
        self.assertIn("3 rows, 0 accepted, 0 lost: Counts(accepted=0", stderr)
        self.assertIn("ignored=3", stderr)
        code, stderr = self.run_job('main(ROWS, "journal")', key="")
        self.assertEqual((code, self.collector.messages), (0, []))

    def test_invalid_row(self) -> None:
        """A row without an id fails the job, and the others arrive."""
        call = 'ROWS[1]["customer"] = float("nan"); sys.exit(main(ROWS, "journal"))'
        code, stderr = self.run_job(call)
        self.assertEqual(code, 1)
        self.assertIn("user_id is NaN", stderr)
        self.assertIn("3 rows, 2 accepted, 0 lost", stderr)
        (letters,) = self.directory.glob("journal/**/dead-letters.jsonl")
        letter: Any = json.loads(letters.read_text(encoding="utf-8"))
        self.assertIn("user_id is NaN", letter["reason"])
        self.assertEqual(letter["message"]["messageId"], "invoice-sent-1")
        self.assertEqual(self.ids(), ["invoice-sent-0", "invoice-sent-2"])

    def test_level(self) -> None:
        """Records that the logger's level holds back fail the job."""
        call = 'logger.setLevel("ERROR"); sys.exit(main(ROWS, "journal"))'
        code, stderr = self.run_job(call)
        self.assertEqual(code, 1)
        self.assertIn("3 rows, 0 accepted, 0 lost: Counts(accepted=0", stderr)

    def test_outage(self) -> None:
        """In an outage, the job fails, and the command of the next cron line sends its events."""
        with Collector() as closed:
            url = closed.url
        call = 'sys.exit(main(ROWS, "journal"))'
        code, stderr = self.run_job(call, program=IMPATIENT, host=url)
        self.assertEqual(code, 1)
        self.assertIn("pending=3", stderr)
        self.run_python("-m", "segment_logging", "journal", "journal", "--drain", "--json")
        self.assertEqual(self.ids(), [f"invoice-sent-{number}" for number in range(3)])

    def test_left_by_an_earlier_run(self) -> None:
        """Messages that an earlier run left do not hide that rows are missing."""
        with Collector() as closed:
            url = closed.url
        call = 'sys.exit(main(ROWS, "journal"))'
        self.run_job(call, program=IMPATIENT, host=url)
        code, stderr = self.run_job('logger.disabled = True; sys.exit(main(ROWS, "journal"))')
        self.assertEqual(code, 1)
        self.assertIn("3 rows, 0 accepted, 0 lost: Counts(accepted=3, delivered=3", stderr)
        self.assertEqual(self.run_job(call), (0, ""))

    def test_still_waiting(self) -> None:
        """A job whose predecessor's messages cannot be sent first still counts its own rows."""
        with Collector() as closed:
            url = closed.url
        call = 'sys.exit(main(ROWS, "journal"))'
        for _ in range(2):
            code, stderr = self.run_job(call, program=IMPATIENT, host=url)
            self.assertEqual(code, 1)
            self.assertIn("3 rows, 3 accepted, 0 lost", stderr)

    def test_file(self) -> None:
        """The formatter writes the events to a file, and the import sends them."""
        call = """
logger.addHandler(file_handler("invoices.jsonl"))
logger.info("an ordinary record")
for row in ROWS:
    logger.info("Invoice Sent", extra={"user_id": row["customer"]})
"""
        self.assertEqual(self.run_job(call), (0, ""))
        lines = (self.directory / "invoices.jsonl").read_text(encoding="utf-8").splitlines()
        events: list[Any] = [json.loads(line)["userId"] for line in lines]
        self.assertEqual(events, ["u-0", "u-1", "u-2"])
        command = ["-m", "segment_logging", "import", "invoices.jsonl", "--rate", "500", "--json"]
        self.run_python(*command)
        self.assertEqual([message["userId"] for message in self.collector.messages], events)


if __name__ == "__main__":
    unittest.main()
