"""Tests for the journal with full disks, missing directories or no file descriptors."""

from __future__ import annotations

import errno
import io
import os
import shutil
from contextlib import redirect_stderr
from typing import Any
from unittest.mock import patch

from typing_extensions import override

from segment_logging._queues.journal.journal import Journal
from segment_logging._queues.journal.place import Place
from segment_logging._queues.spill import SpillingQueue
from segment_logging._trust import NotOurs
from tests.builders import run_python
from tests.queues.cases import (
    JournalCase,
    a_journal,
    a_line,
    a_memory_queue,
    acknowledge,
    taken_from,
)

_ADVICE = (
    "raise max_journal_bytes",
    "free disk space",
    "correct the journal's owner and permissions",
    "make the journal's file system writable",
    "raise the limit on open files",
    "check the journal's directory and its file system",
)


def an_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class DiskTroubleTest(JournalCase):
    """A journal whose disk or directory fails."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.now = 0.0

    def a_journal(self, **options: Any) -> Journal:
        return a_journal(self.root, clock=lambda: self.now, **options)

    def test_reports(self) -> None:
        """A report advises what helps against this trouble, and nothing else."""
        journal = self.a_journal(max_bytes=10)
        journal.put(a_line(size_bytes=49))
        assert journal.trouble is not None
        place = Place(str(self.root), "key")
        for trouble, advice in (
            (journal.trouble, "raise max_journal_bytes"),
            (an_error(errno.ENOSPC), "free disk space"),
            (an_error(errno.EDQUOT), "free disk space"),
            (an_error(errno.EACCES), "correct the journal's owner and permissions"),
            (NotOurs("it is a link", "a"), "correct the journal's owner and permissions"),
            (an_error(errno.EROFS), "make the journal's file system writable"),
            (an_error(errno.EMFILE), "raise the limit on open files"),
            (an_error(errno.EIO), "check the journal's directory and its file system"),
        ):
            with self.subTest(trouble):
                text = place.text_of(trouble)
                found = [one for one in _ADVICE if one in text]
                self.assertEqual(found, [advice])
                refusal = place.refusal_of(trouble)
                self.assertEqual(refusal.way_out, advice)
                self.assertTrue(
                    refusal.why.endswith(f"/live could not be written to: {trouble.strerror}"),
                    refusal.why,
                )

    def test_last_refusal(self) -> None:
        """The queue returns the last reason why the journal did not store a message, even if it has
        stored others since then, or if only the thread's own tries failed."""
        queue = SpillingQueue(self.a_journal(max_bytes=10), a_memory_queue())
        self.assertIsNone(queue.refusal)
        queue.put(a_line(size_bytes=49))
        self.assertEqual(self.way_out(queue), "raise max_journal_bytes")
        for number, way_out in (
            (errno.ENOSPC, "free disk space"),
            (errno.EACCES, "correct the journal's owner and permissions"),
            (errno.EAGAIN, "correct the journal's owner and permissions"),  # a write is under way
        ):
            with (
                patch.object(Journal, "store", side_effect=an_error(number)),
                redirect_stderr(io.StringIO()),
            ):
                self.now += 2
                queue.tend(self.now)
            self.assertEqual(self.way_out(queue), way_out)
        with patch.object(Journal, "store", side_effect=an_error(errno.EROFS)):
            queue.release()
        self.assertEqual(self.way_out(queue), "make the journal's file system writable")

    def test_refusal_after_recovery(self) -> None:
        """The reason why messages are in memory is still known when the journal works again."""
        self.root.touch()
        queue = SpillingQueue(self.a_journal(), a_memory_queue())
        queue.put(a_line(1))
        self.root.unlink()
        self.now = 1.0
        queue.put(a_line(2))
        self.assertEqual(queue.perishable, 1)
        self.assertEqual(self.way_out(queue), "check the journal's directory and its file system")

    def way_out(self, queue: SpillingQueue) -> str:
        refusal = queue.refusal
        assert refusal is not None
        return refusal.way_out

    def test_max_bytes_bounds_the_files(self) -> None:
        """Messages beyond `max_bytes` are refused until acknowledged ones make room."""
        journal = self.a_journal(max_bytes=100)
        answers = [journal.put(a_line(size_bytes=49)) for _ in range(3)]
        self.assertEqual(answers, [True, True, False])
        self.assertEqual(self.files()[0].stat().st_size, 100)
        journal.take()
        self.assertFalse(journal.put(a_line(size_bytes=49)))
        acknowledge(journal)
        self.assertTrue(journal.put(a_line(size_bytes=49)))

    def test_max_bytes_counts_what_others_left(self) -> None:
        """Messages of dead processes count towards the limit until they are acknowledged."""
        self.leave_behind(a_line(size_bytes=99) + b"\n")
        journal = self.a_journal(max_bytes=120)
        journal.look_around()
        self.assertFalse(journal.put(a_line(size_bytes=49)))
        taken_from(journal)
        journal.look_around()
        self.assertTrue(journal.put(a_line(size_bytes=49)))

    def test_a_root_that_cannot_be_made(self) -> None:
        """If the root cannot be created, `put` stores the error and returns False."""
        self.root.touch()
        journal = self.a_journal()
        self.assertFalse(journal.put(a_line()))
        self.assertIsInstance(journal.trouble, OSError)

    def test_memory_takes_over_and_the_journal_recovers(self) -> None:
        """While the directory cannot be written, messages wait in memory. One second later, the
        journal is tried again."""
        self.root.touch()
        journal = self.a_journal()
        queue = SpillingQueue(journal, a_memory_queue())
        self.assertTrue(queue.put(a_line(1)))
        self.root.unlink()
        self.assertTrue(queue.put(a_line(2)))  # the journal is not tried for each message
        self.assertEqual(queue.perishable, 2)
        self.now = 1.0
        self.assertTrue(queue.put(a_line(3)))
        self.assertEqual(queue.perishable, 2)
        self.assertIsNone(journal.trouble)
        self.assertEqual(sorted(taken_from(queue)), [a_line(1), a_line(2), a_line(3)])

    def test_recovers_under_load(self) -> None:
        """The journal is tried again once a second, however often messages are logged."""
        self.root.touch()
        journal = self.a_journal()
        self.assertFalse(journal.put(a_line()))
        self.root.unlink()
        answers = []
        for tenths in range(1, 11):
            self.now = tenths / 10
            answers.append(journal.put(a_line()))
        self.assertEqual(answers, [False] * 9 + [True])

    def test_a_removed_root_is_made_again(self) -> None:
        """If somebody removes the journal's directories, later messages get new ones."""
        journal = self.a_journal()
        journal.put(a_line(1))
        shutil.rmtree(self.root)
        self.assertEqual(taken_from(journal), [])
        self.assertEqual(journal.lost, 1)
        self.assertTrue(journal.put(a_line(2)))
        self.assertEqual(taken_from(journal), [a_line(2)])

    def test_making_a_directory_while_others_remove_theirs(self) -> None:
        """Processes that start and end on one root do not remove each other's parent directories:
        every first message is on disk when `put` returns."""
        program = f"""
import json, os
from tests.queues.cases import a_journal, a_line, taken_from
child = os.fork()
refused = 0
for number in range(1_000):
    journal = a_journal({str(self.root)!r})
    refused += not journal.put(a_line(number))
    taken_from(journal)
    journal.release()
if child == 0:
    os._exit(refused > 0)
_, status = os.waitpid(child, 0)
print(json.dumps([refused, status]))
"""
        self.assertEqual(run_python(program), [0, 0])

    def test_an_exception_of_a_signal_handler_makes_no_batch_too_large(self) -> None:
        """A signal handler that raises during `put`, like a soft time limit, causes no damage:
        every batch is within the limits, and every message is counted."""
        program = f"""
import json, signal
from tests.queues.cases import a_journal, a_line, acknowledged
class TimeLimit(Exception):
    pass
is_armed = False
def on_alarm(*signal):
    global is_armed
    if is_armed:
        is_armed = False  # none may be raised while the previous one is being caught
        raise TimeLimit
journal = a_journal({str(self.root)!r})
signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
number = 0
def put_all():
    global is_armed, number
    is_armed = True
    while number < 30_000:
        number += 1
        journal.put(a_line())
    is_armed = False
while number < 30_000:
    try:
        put_all()
    except TimeLimit:
        pass
signal.setitimer(signal.ITIMER_REAL, 0)
largest = taken = 0
while (batch := journal.take()) is not None:
    largest = max(largest, len(batch))
    taken += len(batch)
    journal.acknowledge(len(batch))
print(json.dumps([largest <= 2_500, taken == journal.accepted == acknowledged(journal)]))
"""
        self.assertEqual(run_python(program), [True, True])

    def test_tries_to_make_a_directory_leave_nothing(self) -> None:
        """A failed attempt to create a directory removes what it created."""
        program = f"""
import json, os, resource, sys
from tests.queues.cases import a_journal, a_line
now = 0.0
journal = a_journal({str(self.root)!r}, clock=lambda: now)
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
files = []
try:
    while True:
        files.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
for now in range(0, 10, 2):
    assert not journal.put(a_line())
for file in files:
    os.close(file)
print(json.dumps(sum(len(names) for _, names, _ in os.walk({str(self.live)!r}))))
"""
        self.assertEqual(run_python(program), 0)

    def test_a_file_that_cannot_be_opened_is_not_forgotten(self) -> None:
        """A process without free file descriptors loses nothing: it reads its files later."""
        program = f"""
import json, os, resource
from tests.queues.cases import a_journal, a_line, taken_from
left = a_journal({str(self.root)!r})
for number in range(6_000):
    left.put(a_line(number))
left.release()
journal = a_journal({str(self.root)!r})
for number in range(6_000):
    journal.put(a_line(number))
journal.look_around()
taken = 0
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
while True:
    files = []
    try:
        while True:
            files.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    try:
        batch = journal.take()
    except OSError:
        batch = None
    for file in files:
        os.close(file)
    if batch is None:
        batch = journal.take()
    if batch is None:
        break
    taken += len(batch)
    journal.acknowledge(len(batch))
print(json.dumps(taken))
"""
        self.assertEqual(run_python(program), 12_000)

    def test_many_dead_processes_do_not_use_up_the_descriptors(self) -> None:
        """Many waiting directories use only a few of the application's file descriptors."""
        for number in range(300):
            self.leave_behind(a_line(number) + b"\n", name=f"{number:020d}-1-dead")
        program = f"""
import json, resource
from tests.queues.cases import a_journal, taken_from
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
journal = a_journal({str(self.root)!r})
taken = 0
for _ in range(300):
    journal.look_around()
    open("/dev/null").close()
    taken += len(taken_from(journal))
    if taken == 300:
        break
print(json.dumps(taken))
"""
        self.assertEqual(run_python(program), 300)

    def test_a_full_disk_leaves_whole_lines_only(self) -> None:
        """On a full disk, a half-written line is undone: the file contains exactly the messages for
        which `put` returned True."""
        program = f"""
import json, resource
from tests.queues.cases import a_journal, a_line
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))
journal = a_journal({str(self.root)!r}, clock=lambda: 0.0)
print(json.dumps([journal.put(a_line(n, size_bytes=300 - n)) for n in range(6)]))
"""
        answers = run_python(program)
        self.assertEqual(answers, [True, True, True, False, False, False])
        expected = [a_line(n, size_bytes=300 - n) for n in range(3)]
        self.assertEqual(self.files()[0].read_bytes(), b"".join(line + b"\n" for line in expected))
        self.assertEqual(self.adopted_by(a_journal(self.root)), expected)

    def test_a_full_disk_takes_smaller_messages(self) -> None:
        """After a line that did not fit, a smaller line is written at the right place."""
        program = f"""
import json, resource
from tests.queues.cases import a_journal, a_line
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))
journal = a_journal({str(self.root)!r}, clock=lambda: 0.0)
sizes = (600, 600, 300, 300, 50)
print(json.dumps([journal.put(a_line(n, size_bytes=size)) for n, size in enumerate(sizes)]))
"""
        self.assertEqual(run_python(program), [True, False, True, False, True])
        self.assertEqual(
            self.adopted_by(a_journal(self.root)),
            [a_line(0, size_bytes=600), a_line(2, size_bytes=300), a_line(4, size_bytes=50)],
        )
