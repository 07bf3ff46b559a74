"""Tests for the outbox: messages are written, sealed, and handed over to another process."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from typing_extensions import override

from segment_logging._queues.journal.directory import is_locked
from segment_logging._queues.journal.outbox import Outbox
from segment_logging._queues.journal.place import Place
from segment_logging._queues.journal.writer import Writer
from tests.builders import run_python, syncs_counted
from tests.queues.cases import KEY, JournalCase, a_line


class OutboxCase(JournalCase):
    @override
    def setUp(self) -> None:
        super().setUp()
        self.now = 0.0
        self.wakes = 0
        self.restore: Callable[[], None] = lambda: None

    def wake(self) -> None:
        self.wakes += 1

    def an_outbox(self, **options: Any) -> Outbox:
        given: dict[str, Any] = {
            "max_bytes": 1 << 30,
            "max_waiting_messages": 100,
            "max_waiting_bytes": 1 << 20,
            "sync": "off",
            "seal_after": 1.0,
            **options,
        }
        return Outbox(Place(str(self.root), KEY), wake=self.wake, clock=lambda: self.now, **given)

    def contents(self) -> list[list[bytes]]:
        return [path.read_bytes().splitlines() for path in self.files()]

    def locked(self) -> list[bool]:
        """Return which files are locked, and so not sealed."""
        with Place(str(self.root), KEY).live() as live:
            found = []
            for path in self.files():
                with live.folder(path.parent.name) as folder:
                    found.append(is_locked(folder, path.name))
        return found


class TestFull(OutboxCase):
    def test_few_looks(self) -> None:
        """While the journal is full, its files are not measured for each message, and the more
        rarely, the longer that takes."""
        outbox = self.an_outbox(max_bytes=20_000, max_waiting_messages=1_000)
        looks = 0

        def look(writer: Writer) -> int:
            nonlocal looks
            looks += 1
            self.now += 0.5
            return writer.size_bytes

        with patch.object(type(outbox._writer), "_measured", look):
            for number in range(300):
                outbox.put(a_line(number, size_bytes=999))
                self.now += 0.01
        self.assertGreater(outbox.waiting, 200)
        self.assertEqual(looks, 2)  # at the first share and at the limit


class TestSealing(OutboxCase):
    def test_hand_over(self) -> None:
        """Sealing unlocks the file, and counts its messages as handed over."""
        outbox = self.an_outbox()
        outbox.put(a_line(1))
        self.assertEqual((self.locked(), outbox.handed_over), ([True], 0))
        self.assertTrue(outbox.hand_over())
        self.assertEqual((self.locked(), outbox.handed_over), ([False], 1))

    def test_the_thread_seals_what_is_due(self) -> None:
        """A file is sealed when it is as old as flush_interval, and nothing is due after that."""
        outbox = self.an_outbox()
        outbox.put(a_line(1))
        self.assertEqual(self.wakes, 1)
        self.assertEqual(outbox.tend(0.5), 1.0)
        self.assertEqual(self.locked(), [True])
        self.assertIsNone(outbox.tend(1.0))
        self.assertEqual(self.locked(), [False])

    def test_without_a_thread(self) -> None:
        """`put` itself seals a file that is due."""
        outbox = self.an_outbox()
        outbox.put(a_line(1))
        self.now = 1.5
        outbox.put(a_line(2))
        self.assertEqual((self.locked(), self.contents()), ([False], [[a_line(1), a_line(2)]]))

    def test_the_thread_is_woken_for_each_file(self) -> None:
        """A new file wakes the thread. Further messages in it do not."""
        outbox = self.an_outbox()
        for _ in range(2):
            outbox.put(a_line(1))
            outbox.put(a_line(2))
            outbox.hand_over()
        self.assertEqual(self.wakes, 2)

    def test_release(self) -> None:
        """After a release nobody owns the directory, and the next message makes another one."""
        outbox = self.an_outbox()
        outbox.put(a_line(1))
        outbox.hand_over()
        outbox.release()
        outbox.put(a_line(2))
        self.assertEqual(len({path.parent for path in self.files()}), 2)
        self.assertEqual(outbox.written, 2)

    def test_an_exit_syncs_one_file(self) -> None:
        """At exit, at most one file is synced, whatever was written."""
        outbox = self.an_outbox(sync="interval")
        for _ in range(3):
            outbox.put(a_line(1))
            outbox._writer.seal()
        outbox.put(a_line(2))
        with syncs_counted() as syncs:
            outbox.hand_over(is_exit=True)
        self.assertLessEqual(syncs.count, 1)

    def test_a_lock_that_somebody_holds(self) -> None:
        """An exit does not wait for a thread that is stopped in the middle of a write."""
        program = """
import json, threading
from tests.queues.journal.test_outbox import TestSealing
case = TestSealing()
case.setUp()
outbox = case.an_outbox()
outbox.put(b"{}")
held, done = threading.Event(), threading.Event()
def hold():
    with outbox._lock:
        held.set()
        done.wait()
threading.Thread(target=hold, daemon=True).start()
held.wait()
print(json.dumps(outbox.hand_over(is_exit=True)))
done.set()
case.doCleanups()
"""
        self.assertFalse(run_python(program))


class TestTrouble(OutboxCase):
    def full(self) -> None:
        """Make every write fail, as if the disk were full."""
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        self.addCleanup(signal.signal, signal.SIGXFSZ, ignored)
        self.restore = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)
        self.addCleanup(self.restore)

    def test_full_memory(self) -> None:
        """Once the disk accepts messages again, there is room, even if no thread looks."""
        outbox = self.an_outbox(max_waiting_messages=2)
        self.full()
        self.assertEqual([outbox.put(a_line(number)) for number in (1, 2, 3)], [True, True, False])
        self.restore()
        self.now += 2.0  # a disk that has failed is left alone for a moment
        self.assertTrue(outbox.put(a_line(4)))
        self.assertEqual(outbox.waiting, 0)
        outbox.hand_over()
        self.assertEqual(self.contents(), [[a_line(1), a_line(2), a_line(4)]])

    def test_what_the_disk_refuses_waits(self) -> None:
        """Messages wait in memory while the disk is full, and keep their order after that."""
        outbox = self.an_outbox()
        outbox.put(a_line(0))
        self.full()
        self.assertTrue(outbox.put(a_line(1)))
        self.assertTrue(outbox.put(a_line(2)))
        self.assertEqual((outbox.written, outbox.waiting), (1, 2))
        self.assertFalse(outbox.hand_over())
        self.restore()
        self.now += 2.0
        outbox.put(a_line(3))
        self.assertTrue(outbox.hand_over())
        lines = [line for content in self.contents() for line in content]
        self.assertEqual(lines, [a_line(number) for number in range(4)])

    def test_the_thread_writes_what_waits(self) -> None:
        """Without further messages, the thread writes what waits."""
        outbox = self.an_outbox()
        self.full()
        outbox.put(a_line(1))
        self.assertIsNotNone(outbox.tend(self.now))
        self.restore()
        self.now += 2.0
        outbox.tend(self.now)
        self.assertEqual((outbox.written, outbox.waiting), (1, 0))

    def test_memory_is_bounded(self) -> None:
        """If the memory is full as well, a message is refused."""
        outbox = self.an_outbox(max_waiting_messages=2)
        self.full()
        self.assertEqual([outbox.put(a_line(one)) for one in range(3)], [True, True, False])

    def test_what_others_remove_makes_room(self) -> None:
        """The limit counts the files that are there, not those that were delivered."""
        outbox = self.an_outbox(max_bytes=300_000)
        line = a_line(size_bytes=29_999)
        accepted = 0
        for _ in range(40):
            accepted += outbox.put(line) and not outbox.waiting
            outbox.hand_over()
            for path in self.files():
                path.unlink()
            self.now += 2.0
        self.assertEqual(accepted, 40)

    def test_the_limit(self) -> None:
        """Beyond the limit of all processes, messages wait in memory."""
        outbox = self.an_outbox(max_bytes=100_000)
        for _ in range(4):
            outbox.put(a_line(size_bytes=29_999))
        self.assertEqual((outbox.written, outbox.waiting), (3, 1))

    def test_the_limit_counts_blocks(self) -> None:
        """A file with one small message counts as a whole block of the disk, and frees it."""
        outbox = self.an_outbox(max_bytes=20 * 4_096)
        for number in range(30):
            outbox.put(a_line(number))
            outbox.hand_over()
        self.assertEqual(outbox.written, 19)  # the file `room` is the other block
        self.now += 2.0
        self.files()[0].unlink()
        outbox.hand_over()
        self.assertEqual((outbox.written, outbox.waiting), (30, 0))
        self.assertEqual(len(self.files()), 19)

    def test_the_limit_counts_directories(self) -> None:
        """What a dead process left counts with its directory and the file with its room."""
        for name in range(20):
            self.leave_behind(a_line(1) + b"\n", name=f"{name}-1-a-handed-over")
        outbox = self.an_outbox(max_bytes=20 * 3 * 4_096)
        self.assertTrue(outbox.put(a_line(2)))
        self.assertEqual((outbox.written, outbox.waiting), (0, 1))
        self.now += 2.0
        for path in self.files()[:1]:
            path.unlink()
        outbox.hand_over()
        self.assertEqual((outbox.written, outbox.waiting), (1, 0))

    def test_a_directory_that_was_removed(self) -> None:
        """If somebody removes the directory, the next file is in a new one."""
        outbox = self.an_outbox()
        outbox.put(a_line(1))
        outbox.hand_over()
        (path,) = self.files()
        path.unlink()
        os.unlink(path.parent / "owner.lock")
        outbox.put(a_line(2))
        (found,) = self.files()
        self.assertNotEqual(found.parent, path.parent)
