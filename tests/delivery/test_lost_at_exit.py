"""Tests for messages that are still waiting when the process ends during an outage."""

from __future__ import annotations

import json
import subprocess
import sys
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from segment_logging._broker.bundles import key_name_of
from tests.builders import PROJECT
from tests.servers import dead_host, mute_server

PROGRAM = """
import atexit, logging, os, sys, time
path = sys.argv[2]
began = time.monotonic()
def last():  # registered first, so it runs last
    counts = segment_logging.counts()
    print(json.dumps({
        "waited": time.monotonic() - began, "letters": os.path.exists(path), "failed": failed,
        "pending": counts.pending, "dropped": counts.dropped,
        "dead_lettered": counts.dead_lettered,
    }))
import json
atexit.register(last)
import segment_logging
failed = []
handler = segment_logging.SegmentHandler(
    "key", host=sys.argv[1], dead_letters=path, shutdown_timeout=1.0, **json.loads(sys.argv[3]),
    on_error=lambda error, messages: failed.append(len(messages)),
)
log = logging.getLogger("shop")
log.setLevel("INFO")
log.addHandler(handler)
log.info("Signup", extra={"user_id": "u-17"})
if sys.argv[4] != "no flush":
    handler.flush()
    time.sleep(float(sys.argv[4]))
began = time.monotonic()
"""

TWO_HANDLERS = """
import atexit, json, logging, sys
log, other = logging.getLogger("shop"), logging.getLogger("blog")
flushes, in_exit_function = json.loads(sys.argv[2])
def last():  # registered first, so it runs last
    if in_exit_function:
        other.info("Read", extra={"user_id": "u-17"})
atexit.register(last)
import segment_logging
for one in (log, other):
    one.setLevel("INFO")
    one.addHandler(segment_logging.SegmentHandler("key", host=sys.argv[1], shutdown_timeout=1.0))
log.info("Signup", extra={"user_id": "u-17"})
if not in_exit_function:
    other.info("Read", extra={"user_id": "u-17"})
if flushes:
    log.handlers[0].flush()
"""


class TestLostAtExit(unittest.TestCase):
    def exit(self, host: str, then: str = "no flush", **options: Any) -> dict[str, Any]:
        with TemporaryDirectory() as directory:
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM, host, str(Path(directory, "letters.jsonl")),
                 json.dumps(options), then],
                cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True,
            )  # fmt: skip
        self.said = done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def test_waiting(self) -> None:
        """Messages that wait for another attempt are pending and lost, and not dead letters."""
        result = self.exit(dead_host())
        waited = result.pop("waited")
        self.assertLess(waited, 3.0)
        self.assertEqual(
            result,
            {"letters": False, "pending": 1, "dead_lettered": 0, "dropped": 0, "failed": []},
        )
        self.assertIn("1 message was not delivered before the process ended", self.said)

    def test_beside_a_journal(self) -> None:
        """If the journal could not be written to, the last report says why, and what helps."""
        cases: Any = (
            ({"max_journal_bytes": 10}, ": max_journal_bytes is reached): raise max_journal_bytes"),
            ({}, ": Not a directory): check the journal's directory and its file system"),
        )
        for options, said in cases:
            with self.subTest(said), TemporaryDirectory() as journal:
                if not options:
                    Path(journal, key_name_of("key")).touch()  # where a directory has to be
                self.assertEqual(self.exit(dead_host(), journal=journal, **options)["pending"], 1)
                last = self.said.splitlines()[-1]
                self.assertIn("1 message was not delivered before the process ended", last)
                self.assertTrue(last.endswith(f"{said}, or raise shutdown_timeout (1 s)"), last)

    def test_after_the_attempts(self) -> None:
        """After all attempts, they are dead letters."""
        result = self.exit(dead_host(), max_attempts=2)
        self.assertEqual((result["letters"], result["failed"]), (True, [1]))
        self.assertEqual((result["pending"], result["dead_lettered"]), (0, 1))

    def test_after_a_flush(self) -> None:
        """After a flush that gave up, an exit does not wait, unless more than a second passed."""
        with mute_server() as host:
            self.assertLess(self.exit(host, "0")["waited"], 0.5)
            self.assertGreater(self.exit(host, "1.2")["waited"], 0.9)


class TestReason(unittest.TestCase):
    """The reason in the report, if there are several handlers."""

    def reasons(self, host: str, *, flush: bool = False, late: bool = False) -> list[str]:
        """Return what the reports of lost messages say about two handlers.

        Args:
            host: where both handlers send a message.
            flush: whether the program flushes the first handler before it ends.
            late: whether the second message is logged after the wait at exit.
        """
        done = subprocess.run(
            [sys.executable, "-c", TWO_HANDLERS, host, json.dumps([flush, late])],
            cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        lost = [line for line in done.stderr.splitlines() if "is lost" in line]
        return [line.partition("is lost (")[2].partition("): raise")[0] for line in lost]

    def test_refused(self) -> None:
        """If a flush has used up the time, the reason is still that of the last attempt."""
        host = dead_host()
        for flush in (False, True):
            with self.subTest(flush=flush):
                first, second = self.reasons(host, flush=flush)
                self.assertIn(f"no answer from {host} (ConnectionError)", first)
                self.assertEqual(first, second)

    def test_not_tried(self) -> None:
        """If the other handler has used up the time, the report says that there was no attempt."""
        with mute_server() as host:
            first, second = self.reasons(host, late=True)
        self.assertIn("no answer", first)
        self.assertEqual(second, "no time was left for a request")


if __name__ == "__main__":
    unittest.main()
