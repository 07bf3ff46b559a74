"""Tests for a directory that several users or processes share."""

from __future__ import annotations

import os
import signal
import stat
import unittest
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from typing_extensions import override

from segment_logging import SegmentHandler
from segment_logging._clock import monotonic
from segment_logging.testing import FakeClient
from tests import needs
from tests.builders import a_record, run_python
from tests.queues.cases import JournalCase, a_journal, a_line, taken_from

USERS = (40_001, 40_002)


def as_user(uid: int, function: Callable[[], bool]) -> int:
    """Run a function as another user in a forked child. Return 0 if it returned True."""
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.chdir("/")
            code = 0 if function() else 1
        finally:
            os._exit(code)
    signal.alarm(30)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        signal.alarm(0)


@unittest.skipUnless(hasattr(os, "geteuid") and os.geteuid() == 0, "needs root")
class UsersTest(unittest.TestCase):
    """Two users with one directory, in which anybody may write."""

    @override
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        self.root.chmod(0o1777)

    def delivers(self, expected: int) -> bool:
        """Log an event and one that is refused. Return whether exactly `expected` arrive."""
        client = FakeClient()
        handler = SegmentHandler("key", journal=self.root, client=client, flush_interval=0)
        handler.handle(a_record("Event", extra={"user_id": "u"}))
        handler.handle(a_record("Refused", extra={"user_id": ""}))
        handler.drain(10 if expected > 1 else 0)  # the search for more may fail, as it should
        handler.flush()
        handler.close()
        return len(client.messages) == expected

    def dies(self) -> bool:
        """Log an event and die, so that it stays in the journal."""
        handler = SegmentHandler("key", journal=self.root, client=FakeClient(), flush_interval=3600)
        handler.handle(a_record("Event", extra={"user_id": "u"}))
        os._exit(0)

    def test_each_has_a_directory_of_its_own(self) -> None:
        """Both deliver what they logged, and neither reads or sends what the other left."""
        for uid in USERS:
            self.assertEqual(as_user(uid, self.dies), 0)
        self.assertEqual([as_user(uid, lambda: self.delivers(2)) for uid in USERS], [0, 0])
        self.assertEqual(
            sorted(os.listdir(self.root)), [f"u{uid}" for uid in USERS], "one directory for each"
        )
        for uid in USERS:
            own = self.root / f"u{uid}"
            self.assertEqual((own.stat().st_uid, stat.S_IMODE(own.stat().st_mode)), (uid, 0o700))
            letters = own / "dead-letters.jsonl"
            self.assertEqual(stat.S_IMODE(letters.stat().st_mode), 0o600)

    def test_a_directory_that_another_user_made(self) -> None:
        """A link, or a directory of another user, in the place of ours is not used."""
        elsewhere = self.root / "elsewhere"
        elsewhere.mkdir(0o777)
        elsewhere.chmod(0o777)
        own = self.root / f"u{USERS[0]}"
        own.symlink_to(elsewhere)
        self.assertEqual(as_user(USERS[0], lambda: self.delivers(1)), 0)
        own.unlink()
        own.mkdir(0o777)
        own.chmod(0o777)
        os.chown(own, USERS[1], USERS[1])
        self.assertEqual(as_user(USERS[0], lambda: self.delivers(1)), 0)
        self.assertEqual([*elsewhere.iterdir(), *own.iterdir()], [])


class BoundsTest(JournalCase):
    """What several processes leave, and how much work it is to send that."""

    @needs.file_locks
    def test_processes_share_one_limit(self) -> None:
        """Six processes that log at the same time leave about as much as one process may leave."""
        limit = 2_000_000
        program = f"""
import os
from tests.queues.cases import a_journal, a_line
children = []
for _ in range(6):
    if (pid := os.fork()) == 0:
        journal = a_journal({str(self.root)!r}, max_bytes={limit})
        for number in range(1_000):
            journal.put(a_line(number, size_bytes=1_000))
        os._exit(0)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
print(0)
"""
        run_python(program)
        left = sum(path.stat().st_size for path in self.files())
        self.assertGreater(left, 0.7 * limit)
        self.assertLessEqual(left, limit)

    def test_small_files_fill_batches(self) -> None:
        """What many dead processes left is sent in full batches, in turns with new messages."""
        for number in range(2_600):
            self.leave_behind(a_line(number) + b"\n", name=f"{number:020d}-1-dead")
        journal = a_journal(self.root)
        journal.put(a_line(1))
        journal.look_around()
        sizes = []
        while (batch := journal.take()) is not None:
            sizes.append(len(batch))
            journal.acknowledge(len(batch))
        self.assertEqual(sizes, [2_500, 1, 100])

    def test_work_grows_with_the_number_of_files(self) -> None:
        """Four times as many dead processes cost about four times as many calls, not sixteen."""
        calls = [self.calls_to_adopt(number) for number in (100, 400)]
        self.assertLess(calls[1], 6 * calls[0])

    def calls_to_adopt(self, number: int) -> int:
        """Return how many Python functions are called to send what `number` processes left."""
        for one in range(number):
            self.leave_behind(a_line(one) + b"\n", name=f"{one:020d}-1-dead")
        program = f"""
import sys
from tests.queues.cases import a_journal, taken_from
journal = a_journal({str(self.root)!r})
calls = 0
def count(frame, event, argument):
    global calls
    calls += 1
sys.setprofile(count)
journal.look_around()
taken = len(taken_from(journal))
sys.setprofile(None)
assert taken == {number}
print(calls)
"""
        calls: int = run_python(program)
        return calls

    def test_an_empty_place_takes_up_little(self) -> None:
        """After everything was delivered, less than 4 KiB is left."""
        client = FakeClient()
        handler = SegmentHandler("key", journal=self.root, client=client, flush_interval=0)
        for _ in range(10):
            handler.handle(a_record("Event", extra={"user_id": "u"}))
            handler.flush()
        sizes = [path.stat().st_size for path in self.root.rglob("*") if path.is_file()]
        self.assertLess(sum(sizes), 4_096)
        handler.close()
        self.assertEqual(list(self.root.rglob("*")), [])

    def test_a_sparse_giant_takes_no_room(self) -> None:
        """A file that is much too large to be ours leaves room for messages."""
        directory = self.leave_behind(b"")
        os.truncate(directory / "00000001.jsonl", 100 * 1024**3)
        self.assertTrue(a_journal(self.root, max_bytes=1_000_000).put(a_line()))

    def test_room_is_there_at_once(self) -> None:
        """After a delivery, the next message is in the journal, even if the last was refused."""
        journal = a_journal(self.root, max_bytes=70_000)
        self.leave_behind(b"".join(a_line(n, size_bytes=999) + b"\n" for n in range(70)))
        began = monotonic()
        self.assertFalse(journal.put(a_line(size_bytes=999)))
        journal.look_around()
        taken_from(journal)
        self.assertTrue(journal.put(a_line(size_bytes=999)), monotonic() - began)
