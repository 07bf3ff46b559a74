"""The programs of docs/batch-jobs.md, changed for tests, and the base class that runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from segment_logging.collector import Collector

from ..builders import PROJECT
from .pages import program_of
from .test_blocks import KEY, ProgramTest

JOB = program_of("docs/batch-jobs.md")

IMPATIENT = JOB.replace("drain(600)", "drain(0.5)").replace(
    "SegmentHandler(journal=journal)", "SegmentHandler(journal=journal, shutdown_timeout=0.0)"
)
"""The same job, which waits only half a second to deliver, and not at all at its exit."""

PLAIN = 'main(ROWS, "journal")'
POOL = 'main_with_pool(ROWS, "journal", "{}")'
PROGRESS = 'main_with_progress(rows_after, "progress", "journal")'
METHODS = ("fork", "spawn")

FULL = JOB.replace("drain(60)", "drain(0.5)").replace(
    "deliver=False", "deliver=False, max_journal_bytes=1_100_000, shutdown_timeout=0.0"
)
"""The same job, with a journal that has room for a few hundred of `BIG_ROWS`."""

BIG_ROWS = """
ROWS = list(rows_from(0, 5000))
for row in ROWS:
    row["total"] = "x" * 2000
"""

SETUP = """
def rows_from(first, last):
    for number in range(first, last):
        yield {"customer": f"u-{number}", "invoice": number, "sent_at": "2026-11-23T08:00:00Z",
            "total": 29.0}
ROWS = list(rows_from(0, 3))
def rows_after(last):
    return (row for row in ROWS if last is None or row["invoice"] > last)
"""

CUSTOMERS = """
for row in ROWS:
    row |= {{"plan": "pro", "has_renewed": row["invoice"] == 1}}
ROWS = list(with_night(ROWS, "night-{}"))
log_row = log_customer
"""
"""Rows that make two messages or one."""

WRONG = """
right = log_row
def log_row(row):
    right(row)
    return 1
"""

MANY = "ROWS = list(rows_from(0, 2500))"

SLOWLY = """
import time
quickly = log_row
def log_row(row):
    messages = quickly(row)
    time.sleep(0.005)
    os.write(1, b"%d\\n" % row["invoice"])  # one write, since several processes share the pipe
    return messages
"""
"""Prints each row after its logging call."""

KILLED = """
quickly = log_row
def log_row(row):
    messages = quickly(row)
    if row["invoice"] == 1700:
        os.kill(os.getpid(), 9)
    return messages
"""


def end_of(job: subprocess.Popen[str]) -> str:
    """Wait for a job, and return its stderr. If it hangs, end it and its workers."""
    try:
        return job.communicate(timeout=60)[1]
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGKILL)
        raise


class JobTest(ProgramTest):
    def start(
        self,
        call: str,
        *,
        program: str,
        host: str | None,
        key: str,
        before: str,
        prefix: tuple[str, ...] = (),
    ) -> subprocess.Popen[str]:
        main = f'if __name__ == "__main__":\n    sys.exit({call})\n'
        text = "\n".join([program, SETUP, before, main])
        (self.directory / "nightly.py").write_text(text, encoding="utf-8")
        return subprocess.Popen(
            [*prefix, sys.executable, "-W", "error", "nightly.py"],
            env={
                **os.environ,
                "SEGMENT_HOST": host or self.collector.url,
                "SEGMENT_WRITE_KEY": key,
                "PYTHONPATH": str(PROJECT),
            },
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )

    def run_job(
        self,
        call: str = PLAIN,
        *,
        program: str = JOB,
        host: str | None = None,
        key: str = KEY,
        before: str = "",
    ) -> tuple[int, str]:
        """Run the page's program and a call, and return the exit status and stderr."""
        with self.start(call, program=program, host=host, key=key, before=before) as job:
            stderr = end_of(job)
        return job.returncode, stderr

    @property
    def letters(self) -> Path:
        journal = self.directory / "journal"
        if journal.is_dir() and journal.stat().st_mode & 0o002:
            journal /= f"u{os.geteuid()}"
        return journal / "dead-letters.jsonl"

    def drain(self) -> None:
        self.run_python("-m", "segment_logging", "journal", "journal", "--drain", "--json")

    def ids(self) -> list[str]:
        return [message["messageId"] for message in self.collector.messages]

    @property
    def closed(self) -> str:
        """The URL of a server that accepts no connections."""
        with Collector() as closed:
            return closed.url
