"""The queues: one contract over memory, journal and both; then what only the journal promises."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import random
import shutil
import stat
import threading
import unittest
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from segment_logging import HttpClient, SegmentHandler
from segment_logging.batch import Batch
from segment_logging.queues import MessageQueue
from segment_logging.queues.journal import Journal
from segment_logging.queues.memory import MemoryQueue
from segment_logging.queues.quarantine import MAX_QUARANTINE_BYTES
from segment_logging.queues.spill import SpillingQueue
from segment_logging.testing import FakeClient

from .builders import RecordingSession, a_record, run_python, syncs_counted

KEY = "key"


def a_line(number: int = 0, *, size_bytes: int = 0) -> bytes:
    """Return a line of at least the least size, or of exactly `size_bytes`."""
    head = b'{"number":%d,"pad":"' % number
    return head + b"x" * (size_bytes - len(head) - 2) + b'"}'


WHOLE = frozenset(map(a_line, range(10)))


def taken_from(queue: MessageQueue) -> list[bytes]:
    """Return all that a queue gives, acknowledged."""
    lines: list[bytes] = []
    while (batch := queue.take()) is not None:
        lines.extend(batch.lines)
        queue.acknowledge()
    return lines


class Rings:
    """Counts how often the listener was woken."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


class JournalCase(unittest.TestCase):
    """A directory for the journal, and shorthands."""

    @override
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name) / "journal"

    @property
    def live(self) -> Path:
        return self.root / hashlib.sha256(KEY.encode()).hexdigest()[:12] / "live"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine" / "damaged-lines"

    def files(self) -> list[Path]:
        """The journal's files, in the order of directories and names."""
        return sorted(self.live.glob("*/*.jsonl"))

    def leave_behind(self, *contents: bytes, name: str = "00000000000000000001-1-dead") -> Path:
        """Make the directory of a process that died: a lock that nobody holds, and files."""
        directory = self.live / name
        directory.mkdir(mode=0o700, parents=True)
        (directory / "owner.lock").touch(0o600)
        for number, content in enumerate(contents, start=1):
            (directory / f"{number:08d}.jsonl").write_bytes(content)
        return directory

    def adopted_by(self, journal: Journal) -> list[bytes]:
        journal.look_around()
        return taken_from(journal)


if TYPE_CHECKING:
    _Mixin = JournalCase
else:
    _Mixin = object


class Contract(_Mixin):
    """What listener and callers rely on, whichever queue it is."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.rings = Rings()
        self.queue = self.a_queue(self.rings)

    def a_queue(self, wake: Callable[[], None]) -> MessageQueue:
        raise NotImplementedError

    def put(self, *lines: bytes) -> None:
        for line in lines:
            self.assertTrue(self.queue.put(line))

    def test_gives_in_order_what_was_put(self) -> None:
        """What was put is taken, in the same order."""
        lines = [a_line(number) for number in range(50)]
        self.put(*lines)
        self.assertEqual(taken_from(self.queue), lines)

    def test_gives_none_when_nothing_waits(self) -> None:
        """An empty queue gives None, before the first message and after the last."""
        self.assertIsNone(self.queue.take())
        self.put(a_line())
        taken_from(self.queue)
        self.assertIsNone(self.queue.take())

    def test_acknowledged_is_forgotten(self) -> None:
        """An acknowledged batch never comes back."""
        self.put(a_line(1))
        self.queue.take()
        self.queue.acknowledge()
        self.put(a_line(2))
        self.assertEqual(taken_from(self.queue), [a_line(2)])

    def test_put_back_is_next_and_the_same(self) -> None:
        """A batch that was put back is the next one taken: the same object, so that the client
        knows it again."""
        self.put(a_line(1))
        batch = self.queue.take()
        self.queue.put_back()
        self.put(a_line(2))
        self.assertIs(self.queue.take(), batch)
        self.queue.acknowledge()
        self.assertEqual(taken_from(self.queue), [a_line(2)])

    def test_put_back_twice(self) -> None:
        """A batch can be put back any number of times."""
        self.put(a_line())
        batch = self.queue.take()
        for _ in range(3):
            self.queue.put_back()
            self.assertIs(self.queue.take(), batch)
        self.queue.acknowledge()
        self.assertEqual(self.queue.acknowledged, 1)

    def test_a_taken_batch_does_not_grow(self) -> None:
        """A message that comes while a batch is under way is in the next one."""
        self.put(a_line(1))
        batch = self.queue.take()
        self.put(a_line(2))
        assert batch is not None
        self.assertEqual(list(batch.lines), [a_line(1)])
        self.queue.acknowledge()
        self.assertEqual(taken_from(self.queue), [a_line(2)])

    def test_is_empty(self) -> None:
        """A queue is empty until something is put, and when the last batch is taken; not so when
        it was put back."""
        self.assertTrue(self.queue.is_empty)
        self.put(a_line())
        self.assertFalse(self.queue.is_empty)
        self.queue.take()
        self.queue.put_back()
        self.assertFalse(self.queue.is_empty)
        self.queue.take()
        self.queue.acknowledge()
        self.assertTrue(self.queue.is_empty)

    def test_counts_what_was_accepted_and_acknowledged(self) -> None:
        """`accepted` counts from the put on, `acknowledged` only with the acknowledgement."""
        self.put(a_line(1), a_line(2), a_line(3))
        self.assertEqual((self.queue.accepted, self.queue.acknowledged), (3, 0))
        self.queue.take()
        self.put(a_line(4))
        self.assertEqual((self.queue.accepted, self.queue.acknowledged), (4, 0))
        self.queue.acknowledge()
        self.assertEqual((self.queue.accepted, self.queue.acknowledged), (4, 3))
        taken_from(self.queue)
        self.assertEqual((self.queue.accepted, self.queue.acknowledged), (4, 4))

    def test_watch_wakes_at_the_next_message(self) -> None:
        """A watched queue wakes the listener at the next message, and only at that one."""
        self.queue.watch(collecting=False)
        self.assertEqual(self.rings.count, 0)
        self.put(a_line(1))
        self.assertEqual(self.rings.count, 1)
        self.put(a_line(2))
        self.assertEqual(self.rings.count, 1)

    def test_collecting_wakes_at_a_full_batch(self) -> None:
        """While it collects, the listener is not woken before a batch is full."""
        self.put(a_line())
        self.queue.watch(collecting=True)
        before = self.rings.count
        self.put(*(a_line(number, size_bytes=10_000) for number in range(20)))
        self.assertEqual(self.rings.count, before)
        self.put(*(a_line(number, size_bytes=10_000) for number in range(40)))
        self.assertEqual(self.rings.count, before + 1)

    def test_says_when_a_batch_is_full(self) -> None:
        """A full batch need not wait for company."""
        self.put(a_line())
        self.assertFalse(self.queue.has_full_batch)
        self.put(*(a_line(number, size_bytes=30_000) for number in range(17)))
        self.assertTrue(self.queue.has_full_batch)

    def test_no_batch_above_2500_messages(self) -> None:
        """No batch holds more messages than one request may."""
        lines = [a_line(number) for number in range(6_000)]
        self.put(*lines)
        sizes = []
        taken: list[bytes] = []
        while (batch := self.queue.take()) is not None:
            sizes.append(len(batch))
            taken.extend(batch.lines)
            self.queue.acknowledge()
        self.assertEqual(sizes, [2_500, 2_500, 1_000])
        self.assertEqual(taken, lines)

    def test_no_body_above_500_000_bytes(self) -> None:
        """No batch is larger than a request's body may be, as the HTTP client sends it; and the
        next message would not have fitted."""
        sizes = random.Random(7)
        lines = [a_line(n, size_bytes=sizes.randint(100, 32_000)) for n in range(200)]
        self.put(*lines)
        session = RecordingSession()
        client = HttpClient(session=session)
        taken: list[bytes] = []
        while (batch := self.queue.take()) is not None:
            client.send(KEY, batch)
            taken.extend(batch.lines)
            self.queue.acknowledge()
        self.assertEqual(taken, lines)
        lengths = [len(body) for body in session.bodies]
        self.assertLessEqual(max(lengths), 500_000)
        self.assertGreater(min(lengths[:-1]), 500_000 - 32_001)

    def test_body_of_499_999_bytes(self) -> None:
        """The limit is used, but for the newline that ends a journal's file."""
        session = RecordingSession()
        client = HttpClient(session=session)
        client.send(KEY, Batch.of_lines([a_line(size_bytes=100)]))
        room = 499_999 - (len(session.bodies.pop()) - 100)
        sizes = [32_000] * 15
        sizes.append(room - sum(sizes) - len(sizes))  # a comma after each of the 15
        self.put(*(a_line(number, size_bytes=size) for number, size in enumerate(sizes)))
        batch = self.queue.take()
        assert batch is not None
        client.send(KEY, batch)
        self.assertEqual(len(session.bodies[0]), 499_999)

    def test_many_threads_put_while_one_takes(self) -> None:
        """Any number of threads may put: nothing is lost or doubled, and each thread's messages
        keep their order."""

        def put(thread: int) -> None:
            for number in range(500):
                self.queue.put(a_line(thread * 1_000 + number))

        threads = [threading.Thread(target=put, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        taken: list[bytes] = []
        while any(thread.is_alive() for thread in threads):
            taken += taken_from(self.queue)
        taken += taken_from(self.queue)
        self.assertEqual(len(taken), 2_000)
        for owner in range(4):
            own = [a_line(owner * 1_000 + number) for number in range(500)]
            self.assertEqual([line for line in taken if line in set(own)], own)

    def test_release_leaves_it_usable(self) -> None:
        """After the listener's end the queue takes messages in as before."""
        self.put(a_line(1))
        taken_from(self.queue)
        self.queue.release()
        self.put(a_line(2))
        self.assertEqual(taken_from(self.queue), [a_line(2)])
        self.assertEqual((self.queue.accepted, self.queue.acknowledged), (2, 2))


def a_memory_queue(wake: Callable[[], None] = Rings(), **options: int) -> MemoryQueue:  # noqa: B008
    return MemoryQueue(wake, **{"max_messages": 100_000, "max_bytes": 1 << 30, **options})


def a_journal(root: Path, wake: Callable[[], None] = Rings(), **options: Any) -> Journal:  # noqa: B008
    write_key = options.pop("write_key", KEY)
    return Journal(str(root), write_key, wake, **{"max_bytes": 1 << 30, "sync": "off", **options})


class MemoryQueueTest(Contract, JournalCase):
    """The queue in memory."""

    @override
    def a_queue(self, wake: Callable[[], None]) -> MessageQueue:
        return a_memory_queue(wake)

    def test_refuses_above_max_messages(self) -> None:
        """One message more than allowed is refused, and not counted as accepted."""
        queue = a_memory_queue(max_messages=3)
        self.assertEqual([queue.put(a_line(number)) for number in range(4)], [True] * 3 + [False])
        self.assertEqual(queue.accepted, 3)

    def test_refuses_above_max_bytes(self) -> None:
        """Bytes beyond the bound are refused; a smaller message may still fit."""
        queue = a_memory_queue(max_bytes=250)
        self.assertTrue(queue.put(a_line(size_bytes=100)))
        self.assertFalse(queue.put(a_line(size_bytes=151)))
        self.assertTrue(queue.put(a_line(size_bytes=150)))

    def test_room_comes_back(self) -> None:
        """What is acknowledged makes room; what is being sent is still there."""
        for queue in (a_memory_queue(max_messages=1), a_memory_queue(max_bytes=100)):
            queue.put(a_line(1))
            queue.take()
            self.assertFalse(queue.put(a_line(2) * 5))
            queue.acknowledge()
            self.assertTrue(queue.put(a_line(2)))

    def test_a_refusal_wakes_the_listener(self) -> None:
        """A full queue wakes the listener, as somebody must make room."""
        rings = Rings()
        queue = a_memory_queue(rings, max_messages=1)
        queue.put(a_line(1))
        queue.watch(collecting=True)
        before = rings.count
        queue.put(a_line(2))
        self.assertEqual(rings.count, before + 1)

    def test_all_of_it_is_perishable(self) -> None:
        """Everything unanswered would die with the process, the batch under way too."""
        self.put(a_line(1))
        self.queue.take()
        self.put(a_line(2))
        self.assertEqual(self.queue.perishable, 2)
        self.queue.acknowledge()
        self.assertEqual(self.queue.perishable, 1)


class SpillingQueueTest(Contract, JournalCase):
    """The journal with the memory queue behind it."""

    @override
    def a_queue(self, wake: Callable[[], None]) -> MessageQueue:
        return SpillingQueue(a_journal(self.root, wake), a_memory_queue(wake))

    def test_memory_takes_over_from_a_full_journal(self) -> None:
        """What the journal refuses waits in memory; all of it arrives and is counted once."""
        journal, memory = a_journal(self.root, max_bytes=100), a_memory_queue()
        queue = SpillingQueue(journal, memory)
        lines = [a_line(number, size_bytes=40) for number in range(5)]
        for line in lines:
            self.assertTrue(queue.put(line))
        self.assertEqual((queue.accepted, queue.perishable), (5, 3))
        self.assertEqual(sorted(taken_from(queue)), sorted(lines))
        self.assertEqual((queue.acknowledged, queue.perishable), (5, 0))

    def test_memory_takes_over_in_the_middle_of_a_put(self) -> None:
        """What a signal handler logs while the journal is being written waits in memory."""
        queue = SpillingQueue(a_journal(self.root), a_memory_queue())

        class Interrupted(bytes):
            @override
            def __add__(self, other: Any) -> bytes:  # what the journal does first
                queue.put(a_line(2))
                return bytes(self) + bytes(other)

        self.assertTrue(queue.put(Interrupted(a_line(1))))
        self.assertEqual((queue.accepted, queue.perishable), (2, 1))
        self.assertEqual(sorted(taken_from(queue)), [a_line(1), a_line(2)])

    def test_refuses_when_both_are_full(self) -> None:
        """Only when neither has room a message is refused."""
        queue = SpillingQueue(a_journal(self.root, max_bytes=100), a_memory_queue(max_messages=1))
        answers = [queue.put(a_line(number, size_bytes=40)) for number in range(4)]
        self.assertEqual(answers, [True, True, True, False])

    def test_spilled_traffic_does_not_starve_the_journal(self) -> None:
        """While every new message spills, what is in the journal is delivered all the same:
        else it would stay full for as long as the traffic lasts."""
        journal = a_journal(self.root, max_bytes=100)
        queue = SpillingQueue(journal, a_memory_queue())
        for number in range(5):
            queue.put(a_line(number, size_bytes=40))
        for number in range(20):
            queue.take()
            queue.acknowledge()
            queue.put(a_line(number, size_bytes=101))  # never fits the journal
        self.assertGreaterEqual(journal.acknowledged, 2)

    def test_each_keeps_its_own_batch(self) -> None:
        """A batch of the journal that was put back is neither lost nor doubled when messages spill
        meanwhile."""
        journal = a_journal(self.root, max_bytes=100)
        queue = SpillingQueue(journal, a_memory_queue())
        lines = [a_line(number, size_bytes=40) for number in range(5)]
        queue.put(lines[0])
        queue.take()
        queue.put_back()
        for line in lines[1:]:
            queue.put(line)
        self.assertEqual(sorted(taken_from(queue)), lines)
        self.assertEqual((queue.accepted, queue.acknowledged), (5, 5))


class JournalTest(Contract, JournalCase):
    """The queue on disk, alone."""

    @override
    def a_queue(self, wake: Callable[[], None]) -> MessageQueue:
        return a_journal(self.root, wake)


class JournalLayoutTest(JournalCase):
    """What lies where, and who may read it."""

    def test_path_is_of_the_write_keys_hash(self) -> None:
        """A file is below <12 digits of sha256(write key)>/live/<directory of the process>/."""
        a_journal(self.root).put(a_line())
        (file,) = self.files()
        self.assertEqual(file.parent.name.split("-")[1], str(os.getpid()))
        self.assertEqual(
            {path.name for path in file.parent.iterdir()}, {"owner.lock", "00000001.jsonl"}
        )

    def test_the_line_is_in_the_file_when_put_returns(self) -> None:
        """A message is a line of the file, as it was put, from the moment `put` returns."""
        journal = a_journal(self.root)
        journal.put(a_line(1))
        journal.put(a_line(2))
        self.assertEqual(self.files()[0].read_bytes(), a_line(1) + b"\n" + a_line(2) + b"\n")

    def test_nobody_else_can_read(self) -> None:
        """Every directory is 0700 and every file 0600, whatever the process's umask allows."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        journal = a_journal(self.root)
        journal.put(a_line())
        self.leave_behind(b"garbage\n")
        taken_from(journal)
        self.adopted_by(journal)
        journal.put(a_line())
        modes = {
            (path.is_dir(), stat.S_IMODE(path.stat().st_mode))
            for path in [self.root, *self.root.rglob("*")]
        }
        self.assertEqual(modes, {(True, 0o700), (False, 0o600)})

    def test_a_file_is_a_batch(self) -> None:
        """A file is sealed at the limits of a batch, and files are taken in order."""
        journal = a_journal(self.root)
        for number in range(5_001):
            journal.put(a_line(number))
        self.assertEqual(
            [len(file.read_bytes().splitlines()) for file in self.files()], [2_500, 2_500, 1]
        )

    def test_acknowledging_is_unlinking(self) -> None:
        """A file is there until its batch is acknowledged, and gone then."""
        journal = a_journal(self.root)
        journal.put(a_line())
        journal.take()
        self.assertEqual(len(self.files()), 1)
        journal.acknowledge()
        self.assertEqual(self.files(), [])

    def test_nothing_is_left_after_the_last_message(self) -> None:
        """When all is answered and the listener ends, the root is empty."""
        journal = a_journal(self.root)
        journal.put(a_line())
        taken_from(journal)
        journal.release()
        self.assertEqual(list(self.root.rglob("*")), [])

    def test_nothing_is_made_before_the_first_message(self) -> None:
        """Looking around alone makes no directory."""
        journal = a_journal(self.root)
        journal.look_around()
        self.assertIsNone(journal.take())
        self.assertFalse(self.root.exists())

    def test_different_write_keys_never_share(self) -> None:
        """What was accepted for one write key is never taken for another."""
        journal = a_journal(self.root, write_key="one")
        journal.put(a_line())
        journal.release()
        self.assertEqual(self.adopted_by(a_journal(self.root, write_key="two")), [])
        self.assertEqual(self.adopted_by(a_journal(self.root, write_key="one")), [a_line()])

    def test_a_relative_root_stays_where_it_was(self) -> None:
        """A program that changes its working directory goes on with the same journal."""
        before = Path.cwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.root.parent)
        journal = a_journal(Path("journal"))
        os.chdir(before)
        journal.put(a_line())
        self.assertEqual(len(self.files()), 1)


class AdoptionTest(JournalCase):
    """What dead processes left."""

    def test_a_dead_owners_messages_are_taken(self) -> None:
        """A directory whose lock is free is taken over, its files in order, and removed."""
        self.leave_behind(a_line(1) + b"\n" + a_line(2) + b"\n", a_line(3) + b"\n")
        journal = a_journal(self.root)
        self.assertEqual(self.adopted_by(journal), [a_line(1), a_line(2), a_line(3)])
        self.assertEqual((journal.accepted, journal.acknowledged), (3, 3))
        journal.release()
        self.assertEqual(list(self.root.rglob("*")), [])

    def test_the_oldest_process_comes_first(self) -> None:
        """Directories are sent in the order in which they were made."""
        self.leave_behind(a_line(2) + b"\n", name="00000000000000000002-1-dead")
        self.leave_behind(a_line(1) + b"\n", name="00000000000000000001-1-dead")
        self.assertEqual(self.adopted_by(a_journal(self.root)), [a_line(1), a_line(2)])

    def test_a_live_owner_is_left_alone(self) -> None:
        """A directory whose lock is held is not touched."""
        directory = self.leave_behind(a_line() + b"\n")
        lock = os.open(directory / "owner.lock", os.O_RDWR)
        self.addCleanup(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self.assertEqual(self.adopted_by(a_journal(self.root)), [])
        self.assertEqual(len(self.files()), 1)

    def test_a_second_journal_of_this_process_is_a_live_owner(self) -> None:
        """Two journals of one process are two owners: neither takes the other's messages."""
        first, second = a_journal(self.root), a_journal(self.root)
        first.put(a_line(1))
        second.put(a_line(2))
        first.look_around()
        second.look_around()
        self.assertEqual(taken_from(first), [a_line(1)])
        self.assertEqual(taken_from(second), [a_line(2)])

    def test_released_in_an_outage(self) -> None:
        """What this process let go of still counts, until it is taken back or by somebody else."""
        journal = a_journal(self.root)
        for number in range(5):
            journal.put(a_line(number))
        journal.take()
        journal.put_back()
        journal.release()
        self.assertEqual((journal.accepted, journal.acknowledged), (5, 0))
        journal.put(a_line(5))
        journal.look_around()
        self.assertEqual((journal.accepted, journal.acknowledged), (6, 0))
        journal.take()
        journal.put_back()
        journal.release()  # in the middle of what it adopted
        self.assertEqual((journal.accepted, journal.acknowledged), (6, 0))
        another = a_journal(self.root)
        self.assertEqual(len(self.adopted_by(another)), 6)
        another.release()
        journal.look_around()
        self.assertEqual((journal.accepted, journal.acknowledged), (0, 0))

    def test_what_cannot_be_read(self) -> None:
        """Directories with what cannot be read are left, once they hold nothing else, and hold up
        no others."""
        for number in range(10):
            name = f"{number:020d}-1-dead"
            directory = self.leave_behind(a_line(number) + b"\n", name=name)
            (directory / "00000002.jsonl").mkdir()
        journal = a_journal(self.root)
        taken = []
        with self.assertLogs("segment_logging"):
            for _ in range(3):
                taken += self.adopted_by(journal)
        self.assertEqual(taken, [a_line(number) for number in range(10)])
        self.assertFalse(journal.has_backlog)
        self.assertFalse(journal.adoption.wants_to_look)

    def test_foreign_lock(self) -> None:
        """A directory that is nobody's journal is no backlog."""
        (self.live / "foreign" / "owner.lock").mkdir(parents=True)
        journal = a_journal(self.root)
        with self.assertRaises(OSError):
            journal.look_around()
        self.assertFalse(journal.has_backlog)

    def test_an_empty_directory_is_removed(self) -> None:
        """A process that died before its first line leaves nothing behind."""
        self.leave_behind()
        self.leave_behind(b"", name="00000000000000000002-1-dead")
        journal = a_journal(self.root)
        self.assertEqual(self.adopted_by(journal), [])
        self.assertEqual(list(self.root.rglob("*")), [])

    def test_adopted_counts_as_backlog_until_it_is_answered(self) -> None:
        """There is a backlog until somebody has looked and everything found is acknowledged."""
        self.leave_behind(a_line() + b"\n")
        journal = a_journal(self.root)
        self.assertTrue(journal.has_backlog)
        journal.look_around()
        self.assertTrue(journal.has_backlog)
        taken_from(journal)
        self.assertFalse(journal.has_backlog)

    def test_adopted_files_above_the_limits_are_split(self) -> None:
        """A file larger than a batch becomes several, each within the limits."""
        lines = [a_line(number, size_bytes=1_000) for number in range(1_200)]
        self.leave_behind(b"".join(line + b"\n" for line in lines))
        journal = a_journal(self.root)
        journal.look_around()
        session = RecordingSession()
        taken: list[bytes] = []
        while (batch := journal.take()) is not None:
            HttpClient(session=session).send(KEY, batch)
            taken.extend(batch.lines)
            journal.acknowledge()
        self.assertEqual(taken, lines)
        self.assertLessEqual(max(len(body) for body in session.bodies), 500_000)

    def test_an_adopted_file_stays_until_all_of_it_is_acknowledged(self) -> None:
        """A file that makes two batches is there until the second one is answered."""
        lines = [a_line(number) for number in range(2_501)]
        self.leave_behind(b"".join(line + b"\n" for line in lines))
        journal = a_journal(self.root)
        journal.look_around()
        journal.take()
        journal.acknowledge()
        self.assertEqual(len(self.files()), 1)
        journal.take()
        journal.acknowledge()
        self.assertEqual(self.files(), [])

    def test_an_adopted_batch_put_back_is_the_same(self) -> None:
        """An adopted batch that was put back is the next one again, also when own ones wait."""
        self.leave_behind(a_line(1) + b"\n")
        journal = a_journal(self.root)
        journal.put(a_line(2))
        journal.look_around()
        batch = journal.take()
        journal.put_back()
        journal.look_around()
        self.assertIs(journal.take(), batch)
        journal.acknowledge()
        self.assertEqual(taken_from(journal), [a_line(2)])

    def test_left_overs_of_a_release_come_back_once(self) -> None:
        """What was not answered for when the listener ended is found again by the same process,
        and counted once."""
        journal = a_journal(self.root)
        journal.put(a_line(1))
        journal.put(a_line(2))
        journal.take()
        journal.put_back()
        journal.release()
        journal.put(a_line(3))
        self.assertEqual(self.adopted_by(journal), [a_line(1), a_line(2), a_line(3)])
        self.assertEqual((journal.accepted, journal.acknowledged), (3, 3))

    def test_released_adoptions_come_back_once(self) -> None:
        """What was adopted, not answered for, and let go of is counted once when the same
        process adopts it again."""
        self.leave_behind(a_line(1) + b"\n" + a_line(2) + b"\n")
        journal = a_journal(self.root)
        journal.look_around()
        journal.take()
        journal.put_back()
        journal.release()
        self.assertEqual(self.adopted_by(journal), [a_line(1), a_line(2)])
        self.assertEqual((journal.accepted, journal.acknowledged), (2, 2))

    def test_released_and_sent_by_another_is_not_waited_for(self) -> None:
        """What another process adopted and sent after our listener had ended is not pending here
        for ever."""
        journal = a_journal(self.root)
        journal.put(a_line())
        journal.release()
        another = a_journal(self.root)
        self.adopted_by(another)
        another.release()
        journal.look_around()
        self.assertIsNone(journal.take())
        self.assertEqual(journal.accepted, journal.acknowledged)

    def test_lanes(self) -> None:
        """What was adopted is acknowledged apart from what is this process's own."""
        self.leave_behind(a_line(1) + b"\n" + a_line(2) + b"\n")
        journal = a_journal(self.root)
        journal.put(a_line(3))
        self.assertEqual(journal.lanes, ((1, 0), (0, 0)))
        journal.look_around()
        journal.take()
        journal.acknowledge()
        self.assertEqual(journal.lanes, ((1, 0), (2, 2)))
        journal.take()
        journal.acknowledge()
        self.assertEqual(journal.lanes, ((1, 1), (2, 2)))
        journal.release()

    def test_an_unreadable_file_holds_up_no_other(self) -> None:
        """A file that cannot be read is reported once and passed over."""
        directory = self.leave_behind(a_line(1) + b"\n", a_line(2) + b"\n")
        first = sorted(directory.glob("*.jsonl"))[0]
        first.unlink()
        first.mkdir()  # which not even root can read as a file
        with self.assertLogs("segment_logging") as logs:
            self.assertEqual(self.adopted_by(a_journal(self.root)), [a_line(2)])
        self.assertEqual(len(logs.output), 1)
        self.assertIn("cannot be read", logs.output[0])
        self.assertTrue(first.exists())

    def test_a_directory_that_vanishes_blocks_nothing(self) -> None:
        """An adopted directory that somebody removes does not keep what follows from delivery."""
        directory = self.leave_behind(a_line(1) + b"\n")
        journal = a_journal(self.root)
        journal.put(a_line(2))
        journal.look_around()
        shutil.rmtree(directory)
        self.assertEqual(taken_from(journal), [a_line(2)])


class DamageTest(JournalCase):
    """What a broken disk, a kill or an editor made of a file."""

    def damaged(self, content: bytes) -> tuple[list[bytes], Journal]:
        """Return what is delivered of a file with that content and whole lines around it."""
        self.leave_behind(a_line(1) + b"\n" + content, a_line(2) + b"\n")
        journal = a_journal(self.root)
        with self.assertLogs("segment_logging"):
            return self.adopted_by(journal), journal

    def test_torn_tail(self) -> None:
        """A line without its newline was never accepted: everything else arrives."""
        taken, journal = self.damaged(a_line(9)[:-5])
        self.assertEqual(taken, [a_line(1), a_line(2)])
        self.assertEqual((journal.adoption.damaged, journal.accepted), (1, 2))

    def test_garbage_line(self) -> None:
        """A line that is no JSON costs itself only."""
        taken, journal = self.damaged(b"\xff\xfe no json\n" + a_line(3) + b"\n")
        self.assertEqual(taken, [a_line(1), a_line(3), a_line(2)])
        self.assertEqual(journal.adoption.damaged, 1)

    def test_json_that_is_no_object(self) -> None:
        """A line that is JSON, but no message, costs itself only."""
        taken, journal = self.damaged(b"[1]\n7\nnull\n\n" + a_line(3) + b"\n")
        self.assertEqual(taken, [a_line(1), a_line(3), a_line(2)])
        self.assertEqual(journal.adoption.damaged, 4)

    def test_nul_block(self) -> None:
        """A block of zeros, as a power cut leaves, costs the line that it is in."""
        taken, journal = self.damaged(bytes(4096) + b"\n" + a_line(3) + b"\n" + bytes(4096))
        self.assertEqual(taken, [a_line(1), a_line(3), a_line(2)])
        self.assertEqual(journal.adoption.damaged, 2)

    def test_deep_nesting(self) -> None:
        """A line that is nested beyond what a decoder takes costs itself only."""
        taken, _ = self.damaged(b"[" * 15_000 + b"\n" + b'{"a":' * 5_000 + b"\n")
        self.assertEqual(taken, [a_line(1), a_line(2)])

    def test_oversize_line(self) -> None:
        """A line above the limit of a message would sink its whole batch: it stays here."""
        taken, journal = self.damaged(a_line(9, size_bytes=32_001) + b"\n" + a_line(3) + b"\n")
        self.assertEqual(taken, [a_line(1), a_line(3), a_line(2)])
        self.assertEqual(journal.adoption.damaged, 1)

    def test_line_of_exactly_the_limit(self) -> None:
        """A line of exactly the limit is a message."""
        line = a_line(9, size_bytes=32_000)
        self.leave_behind(line + b"\n")
        self.assertEqual(self.adopted_by(a_journal(self.root)), [line])

    def test_damaged_lines_are_kept(self) -> None:
        """Damaged lines are in the quarantine, as they were."""
        self.damaged(b"\xff garbage\n" + b"torn")
        self.assertEqual(self.quarantine.read_bytes(), b"\xff garbage\ntorn\n")

    def test_quarantine_is_bounded(self) -> None:
        """A full quarantine takes nothing more, and what follows arrives all the same."""
        self.quarantine.parent.mkdir(parents=True)
        with self.quarantine.open("wb") as file:
            file.truncate(MAX_QUARANTINE_BYTES)
        taken, journal = self.damaged(b"garbage\n")
        self.assertEqual(taken, [a_line(1), a_line(2)])
        self.assertEqual(journal.adoption.damaged, 1)
        self.assertEqual(self.quarantine.stat().st_size, MAX_QUARANTINE_BYTES)

    def test_own_file(self) -> None:
        """What became of a file of this process's own costs as much, and is counted as lost."""
        for damage, whole in (
            (lambda text: text.replace(b"}\n{", b"}x{", 1), [3]),
            (lambda text: a_line(9, size_bytes=40_000) + b"\n" + text, [1, 2, 3]),
            (lambda text: text[: len(a_line(1)) + 5], [1]),
            (lambda text: b"", []),
        ):
            journal = a_journal(self.root)
            for number in (1, 2, 3):
                journal.put(a_line(number))
            (file,) = self.files()
            file.write_bytes(damage(file.read_bytes()))
            taken = taken_from(journal)
            self.assertEqual([json.loads(line)["number"] for line in taken if line in WHOLE], whole)
            self.assertEqual((journal.accepted, journal.acknowledged), (3, 3))
            self.assertEqual(journal.lost, 3 - len(taken))
            self.assertEqual(self.files(), [])
            journal.release()

    def test_quarantine_that_cannot_be_written(self) -> None:
        """Where no quarantine can be made, what follows arrives all the same."""
        self.root.mkdir()
        self.quarantine.parent.touch()
        taken, _ = self.damaged(b"garbage\n")
        self.assertEqual(taken, [a_line(1), a_line(2)])


class DiskTroubleTest(JournalCase):
    """What a disk refuses."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.now = 0.0

    def a_journal(self, **options: Any) -> Journal:
        return a_journal(self.root, clock=lambda: self.now, **options)

    def test_max_bytes_bounds_the_files(self) -> None:
        """Beyond `max_bytes` messages are refused; acknowledging makes room."""
        journal = self.a_journal(max_bytes=100)
        answers = [journal.put(a_line(size_bytes=49)) for _ in range(3)]
        self.assertEqual(answers, [True, True, False])
        self.assertEqual(self.files()[0].stat().st_size, 100)
        journal.take()
        self.assertFalse(journal.put(a_line(size_bytes=49)))
        journal.acknowledge()
        self.assertTrue(journal.put(a_line(size_bytes=49)))

    def test_max_bytes_counts_what_others_left(self) -> None:
        """What dead processes left counts for the bound, until it is answered for."""
        self.leave_behind(a_line(size_bytes=99) + b"\n")
        journal = self.a_journal(max_bytes=120)
        journal.look_around()
        self.assertFalse(journal.put(a_line(size_bytes=49)))
        taken_from(journal)
        journal.look_around()
        self.assertTrue(journal.put(a_line(size_bytes=49)))

    def test_a_root_that_cannot_be_made(self) -> None:
        """Where no directory can be made `put` says False and why, and raises nothing."""
        self.root.touch()
        journal = self.a_journal()
        self.assertFalse(journal.put(a_line()))
        self.assertIsInstance(journal.trouble, OSError)

    def test_memory_takes_over_and_the_journal_recovers(self) -> None:
        """While the directory cannot be written memory serves; a second after it can be, the
        journal does."""
        self.root.touch()
        journal = self.a_journal()
        queue = SpillingQueue(journal, a_memory_queue())
        self.assertTrue(queue.put(a_line(1)))
        self.root.unlink()
        self.assertTrue(queue.put(a_line(2)))  # no try for each message
        self.assertEqual(queue.perishable, 2)
        self.now = 1.0
        self.assertTrue(queue.put(a_line(3)))
        self.assertEqual(queue.perishable, 2)
        self.assertIsNone(journal.trouble)
        self.assertEqual(sorted(taken_from(queue)), [a_line(1), a_line(2), a_line(3)])

    def test_a_removed_root_is_made_again(self) -> None:
        """After somebody removed the journal's directories, new ones are made for what comes."""
        journal = self.a_journal()
        journal.put(a_line(1))
        shutil.rmtree(self.root)
        self.assertEqual(taken_from(journal), [])
        self.assertEqual(journal.lost, 1)
        self.assertTrue(journal.put(a_line(2)))
        self.assertEqual(taken_from(journal), [a_line(2)])

    def test_making_a_directory_while_others_remove_theirs(self) -> None:
        """Processes that come and go on one root do not take each other's parent directories away:
        every first message is on disk when `put` returns."""
        program = f"""
import json, os
from tests.test_queues import a_journal, a_line, taken_from
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
        """A signal handler that raises in the middle of a `put`, as soft time limits do, leaves
        nothing that cannot be taken: no batch above the limits, and every message counted."""
        program = f"""
import json, signal
from tests.test_queues import a_journal, a_line
class TimeLimit(Exception):
    pass
is_armed = False
def on_alarm(*signal):
    global is_armed
    if is_armed:
        is_armed = False  # so that none is raised while the one before is being caught
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
    journal.acknowledge()
print(json.dumps([largest <= 2_500, taken == journal.accepted == journal.acknowledged]))
"""
        self.assertEqual(run_python(program), [True, True])

    def test_tries_to_make_a_directory_leave_nothing(self) -> None:
        """A try that fails half-way removes what it made."""
        program = f"""
import json, os, resource, sys
from tests.test_queues import a_journal, a_line
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
        """A process out of file descriptors loses nothing: what cannot be read now is read later,
        its own and what it adopted."""
        program = f"""
import json, os, resource
from tests.test_queues import a_journal, a_line, taken_from
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
    journal.acknowledge()
print(json.dumps(taken))
"""
        self.assertEqual(run_python(program), 12_000)

    def test_many_dead_processes_do_not_use_up_the_descriptors(self) -> None:
        """However many directories wait, they take few of the application's file descriptors."""
        for number in range(300):
            self.leave_behind(a_line(number) + b"\n", name=f"{number:020d}-1-dead")
        program = f"""
import json, resource
from tests.test_queues import a_journal, taken_from
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
        """On a disk that is full a half-written line is undone: exactly the messages for which
        `put` said True are there, and whole."""
        program = f"""
import json, resource
from tests.test_queues import a_journal, a_line
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
        """After a line that did not fit, one that does is written at the right place."""
        program = f"""
import json, resource
from tests.test_queues import a_journal, a_line
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


class SyncTest(JournalCase):
    """When messages survive a power cut."""

    def test_off_never_syncs(self) -> None:
        """With "off" the operating system decides."""
        with syncs_counted() as syncs:
            self.write(100, sync="off")
        self.assertEqual(syncs.count, 0)

    def test_emit_syncs_each_message_before_put_returns(self) -> None:
        """With "emit" every message is synced when `put` returns, and the new file's name."""
        journal = a_journal(self.root, sync="emit")
        with syncs_counted() as syncs:
            for number in range(1, 4):
                journal.put(a_line(number))
                self.assertEqual(syncs.of_data, number)
        self.assertGreaterEqual(syncs.of_all, 1)
        journal.release()

    def test_interval_syncs_soon_and_not_each_message(self) -> None:
        """With "interval" some later sync takes care of all messages so far."""
        with syncs_counted() as syncs:
            journal = self.write(100, sync="interval")
            self.assertTrue(syncs.came.wait(10))
            self.assertLess(syncs.of_data, 10)
        journal.release()

    def test_interval_syncs_what_waits_at_the_end(self) -> None:
        """The listener's end does not leave the last messages to chance."""
        with syncs_counted() as syncs:
            journal = self.write(1, sync="interval")
            journal.release()
            self.assertGreaterEqual(syncs.of_data, 1)

    def test_descriptors_are_closed(self) -> None:
        """No mode leaves descriptors open once the files are sealed and the journal released."""
        for sync in ("off", "interval", "emit"):
            with self.subTest(sync=sync):
                before = len(os.listdir("/dev/fd"))
                self.write(5_001, sync=sync).release()
                self.assertEqual(len(os.listdir("/dev/fd")), before)

    def write(self, count: int, *, sync: str) -> Journal:
        journal = a_journal(self.root, sync=sync)
        for number in range(count):
            journal.put(a_line(number))
        return journal


class ForkTest(JournalCase):
    """What a forked child must leave alone."""

    def test_the_childs_end_does_not_end_the_parents_ownership(self) -> None:
        """A child that abandons the queue takes nothing of the parent's, and its end frees no
        lock of the parent's."""
        program = f"""
import json, os
from tests.test_queues import a_journal, a_line, taken_from
journal = a_journal({str(self.root)!r})
journal.put(a_line(1))
child = os.fork()
if child == 0:
    journal.abandon()
    own = a_journal({str(self.root)!r})
    own.put(a_line(2))
    own.look_around()
    os._exit(len(taken_from(own)))
_, status = os.waitpid(child, 0)
another = a_journal({str(self.root)!r})
another.look_around()
adopted = len(taken_from(another))
journal.put(a_line(3))
print(json.dumps([os.waitstatus_to_exitcode(status), adopted, len(taken_from(journal))]))
"""
        self.assertEqual(run_python(program), [1, 0, 2])

    def adopted_beside_a_child(self, own: str, let_go: str) -> Any:
        """Return how many messages are adopted of a process that did `own` and died, while a child
        of it lives that did `let_go`."""
        program = f"""
import json, os
from segment_logging.queues.directory import JournalDirectory
from tests.test_queues import a_journal, a_line, taken_from
told, tell = os.pipe()
middle = os.fork()
if middle == 0:
    {own}
    ready, done = os.pipe()
    if os.fork() == 0:
        os.close(ready)
        {let_go}
        os.write(done, b"!")
        os.close(tell)
        os.read(told, 1)
        os._exit(0)
    os.read(ready, 1)
    os._exit(0)
os.close(told)
os.waitpid(middle, 0)
another = a_journal({str(self.root)!r})
another.look_around()
print(json.dumps(len(taken_from(another))))
os.close(tell)
"""
        return run_python(program)

    def test_a_child_does_not_outlive_the_parents_ownership(self) -> None:
        """Once the parent is dead its directory can be adopted, even while a child lives that
        abandoned the queue."""
        own = f"journal = a_journal({str(self.root)!r}); journal.put(a_line(1))"
        self.assertEqual(self.adopted_beside_a_child(own, "journal.abandon()"), 1)

    def test_a_lock_on_its_way(self) -> None:
        """A child closes the lock, too, of a directory that another thread was just making."""
        own = (
            f"directory = JournalDirectory.make({str(self.live)!r}); "
            "os.write(directory.new_file().descriptor, a_line(1) + bytes([10]))"
        )
        self.assertEqual(self.adopted_beside_a_child(own, "pass"), 1)  # at the fork itself


class TwoHandlersTest(JournalCase):
    """Several handlers in one process on one directory."""

    def test_each_message_is_delivered_once(self) -> None:
        """Two handlers of one process share a directory: each delivers its own, once."""
        clients = [FakeClient(), FakeClient()]
        handlers = [
            SegmentHandler(KEY, client=client, journal=str(self.root), flush_interval=0.01)
            for client in clients
        ]
        for number in range(20):
            handlers[number % 2].handle(a_record(f"Event {number}", extra={"user_id": "u"}))
        for handler in handlers:
            self.assertTrue(handler.drain(10))
            handler.close()
        events = [[message.to_dict()["event"] for message in client.messages] for client in clients]
        self.assertEqual(events[0], [f"Event {number}" for number in range(0, 20, 2)])
        self.assertEqual(events[1], [f"Event {number}" for number in range(1, 20, 2)])
        self.assertEqual(list(self.root.rglob("*")), [])

    def test_one_delivers_what_the_other_had_to_leave(self) -> None:
        """What one handler could not deliver before it closed, the next one of the process
        delivers, once."""
        down = SegmentHandler(
            KEY, client=FakeClient([401] * 9), journal=str(self.root), shutdown_timeout=0.1
        )
        with self.assertLogs("segment_logging"):
            down.handle(a_record("Event", extra={"user_id": "u"}))
            down.close()
        client = FakeClient()
        up = SegmentHandler(KEY, client=client, journal=str(self.root))
        self.assertTrue(up.drain(10))
        up.close()
        self.assertEqual(len(client.messages), 1)
        self.assertEqual(up.counts().delivered, 1)

    def test_drain_of_an_empty_directory(self) -> None:
        """What an idle process left when it was killed, an empty directory, is drained at once."""
        self.leave_behind()
        handler = SegmentHandler("key", client=FakeClient(), journal=str(self.root))
        self.assertTrue(handler.drain(10))
        handler.close()

    def test_drain_waits_for_the_old_and_the_new(self) -> None:
        """A `drain` that finds what dead processes left waits for that and for this process's
        own, however often one tries."""
        for number in range(20):
            left = a_journal(self.root)
            left.put(b'{"type":"track","event":"Left","userId":"u"}')
            left.release()
            client = FakeClient()
            handler = SegmentHandler(KEY, client=client, journal=str(self.root))
            if number % 2:
                handler.handle(a_record("Own", extra={"user_id": "u"}))
            self.assertTrue(handler.drain(10))
            self.assertEqual(len(client.messages), 1 + number % 2)
            handler.close()

    def test_a_full_journal_is_reported(self) -> None:
        """When the journal is full and messages wait in memory only, somebody is told."""
        handler = SegmentHandler(
            KEY, client=FakeClient(), journal=str(self.root), max_journal_bytes=1
        )
        with self.assertLogs("segment_logging") as reports:
            handler.handle(a_record("Event", extra={"user_id": "u"}))
            handler.drain(10)
        self.assertIn("max_journal_bytes", " ".join(reports.output))
        handler.close()

    def test_a_closed_handler_has_nothing_to_wait_for(self) -> None:
        """Draining a handler that delivered everything and was closed returns True at once."""
        handler = SegmentHandler(KEY, client=FakeClient(), journal=str(self.root))
        handler.handle(a_record("Event", extra={"user_id": "u"}))
        handler.close()
        self.assertTrue(handler.drain(1))
        handler.close()
