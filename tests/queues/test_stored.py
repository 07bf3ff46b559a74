"""Tests for batches in memory that are also written to the journal once its disk takes writes."""

from __future__ import annotations

import random
import shutil
from typing import Any
from unittest import mock

from typing_extensions import override

from segment_logging._queues.journal.journal import Journal
from segment_logging._queues.memory import MemoryQueue
from segment_logging._queues.spill import SpillingQueue
from tests.builders import run_python
from tests.queues.cases import JournalCase, a_journal, a_line, a_memory_queue, taken_from


class StoredTest(JournalCase):
    @override
    def setUp(self) -> None:
        super().setUp()
        self.now = 0.0
        self.memory: MemoryQueue = a_memory_queue()

    def a_queue(self, **options: Any) -> SpillingQueue:
        """Return a queue whose disk refuses everything until `free_disk`."""
        self.fill_disk()
        return self.a_working_queue(**options)

    def a_working_queue(self, **options: Any) -> SpillingQueue:
        self.journal: Journal = a_journal(self.root, clock=lambda: self.now, **options)
        return SpillingQueue(self.journal, self.memory)

    def fill_disk(self) -> None:
        self.root.touch()

    def free_disk(self) -> None:
        self.root.unlink(missing_ok=True)
        self.now += 1.0

    def tend(self, queue: SpillingQueue) -> None:
        """Do all that is due now."""
        while (at := queue.tend(self.now)) is not None and at <= self.now:
            pass

    def on_disk(self) -> list[bytes]:
        return [line for file in self.files() for line in file.read_bytes().splitlines()]

    def test_written_when_there_is_room(self) -> None:
        """Waiting messages are written, in order, and then delivered once, in order."""
        queue = self.a_queue()
        lines = [a_line(number, size_bytes=20_000) for number in range(60)]  # three batches
        for line in lines:
            queue.put(line)
        self.tend(queue)
        self.assertEqual((queue.perishable, self.journal.trouble is None), (60, False))
        self.free_disk()
        self.tend(queue)
        self.assertEqual((queue.perishable, self.journal.trouble), (0, None))
        self.assertEqual(self.on_disk(), lines)
        self.assertEqual(taken_from(queue), lines)
        self.assertEqual((queue.accepted, self.files()), (60, []))

    def test_not_by_callers(self) -> None:
        """A caller only writes its own message."""
        queue = self.a_queue()
        queue.put(a_line(1))
        self.free_disk()
        queue.put(a_line(2))
        self.assertEqual(self.on_disk(), [a_line(2)])
        self.tend(queue)
        self.assertEqual(sorted(self.on_disk()), [a_line(1), a_line(2)])

    def test_no_small_batches(self) -> None:
        """While the disk takes nothing, messages keep waiting for others to fill their batch."""
        queue = self.a_queue()
        for number in range(5):
            queue.put(a_line(number))
            self.now += 1.0
            self.tend(queue)
        self.assertFalse(queue.has_full_batch)
        batch = queue.take()
        assert batch is not None
        self.assertEqual(list(batch.lines), list(map(a_line, range(5))))

    def test_a_message_that_did_not_fit(self) -> None:
        """The message that did not fit into a batch keeps its place if the disk takes nothing."""
        queue = self.a_queue()
        lines = [a_line(number, size_bytes=20_000) for number in range(60)]
        for line in lines[:30]:
            queue.put(line)
        first = queue.take()
        assert first is not None
        queue.acknowledge(len(first))
        self.now += 1.0
        self.tend(queue)
        for line in lines[30:]:
            queue.put(line)
        self.assertEqual([*first.lines, *taken_from(queue)], lines)

    def test_under_way(self) -> None:
        """Batches that were taken, held or set back are written, too, but not what is settled."""
        lines = [a_line(number) for number in range(9)]
        for way in ("taken", "put back", "held", "set back"):
            with self.subTest(way):
                shutil.rmtree(self.root, ignore_errors=True)
                self.memory = a_memory_queue()
                queue = self.a_queue()
                for line in lines:
                    queue.put(line)
                queue.take()
                queue.acknowledge(3)
                if way == "put back":
                    queue.put_back()
                if way in ("held", "set back"):
                    queue.hold()
                if way == "set back":
                    queue.set_back()
                self.free_disk()
                self.tend(queue)
                self.assertEqual((self.on_disk(), queue.perishable), (lines[3:], 0))
                if way in ("taken", "held"):
                    queue.put_back()
                self.assertEqual(taken_from(queue), lines[3:])
                self.assertEqual((self.files(), queue.perishable), ([], 0))
                queue.release()

    def test_set_aside(self) -> None:
        """If the dead letters of a stored batch cannot be written, its file is kept."""
        queue = self.a_queue()
        queue.put(a_line(1))
        self.free_disk()
        self.tend(queue)
        queue.take()
        queue.acknowledge(1, set_aside=True)
        kept = list((self.root / "quarantine").iterdir())
        self.assertEqual([file.read_bytes() for file in kept], [a_line(1) + b"\n"])

    def test_limit(self) -> None:
        """`max_journal_bytes` also limits what is written from memory."""
        queue = self.a_queue(max_bytes=100)
        lines = [a_line(number, size_bytes=40) for number in range(4)]
        for line in lines:
            queue.put(line)
        self.free_disk()
        self.tend(queue)
        self.assertEqual((self.on_disk(), queue.perishable), ([], 4))
        self.assertEqual(taken_from(queue), lines)

    def test_released(self) -> None:
        """When the thread ends, whoever adopts the files delivers them. They are counted once."""
        queue = self.a_queue()
        lines = [a_line(number) for number in range(4)]
        for line in lines:
            queue.put(line)
        self.free_disk()
        queue.release()
        self.assertEqual((queue.accepted, queue.perishable, queue.take()), (4, 0, None))
        other = a_journal(self.root)
        self.assertEqual(self.adopted_by(other), lines)
        self.journal.look_around()
        self.assertEqual((queue.accepted, queue.is_empty), (0, True))

    def test_released_and_adopted_again(self) -> None:
        """What was released is delivered once if the next thread of the same process adopts it."""
        queue = self.a_queue()
        for number in range(4):
            queue.put(a_line(number))
        self.free_disk()
        queue.release()
        self.journal.look_around()
        self.assertEqual(taken_from(queue), list(map(a_line, range(4))))
        self.assertEqual(queue.accepted, 4)

    def test_death(self) -> None:
        """After the death of the process, the next one delivers what was written."""
        program = f"""
import json, os, signal
from pathlib import Path
from segment_logging._queues.spill import SpillingQueue
from tests.queues.cases import a_journal, a_line, a_memory_queue
root, now = Path({str(self.root)!r}), 0.0
root.touch()
queue = SpillingQueue(a_journal(root, clock=lambda: now), a_memory_queue())
for number in range(6):
    queue.put(a_line(number))
queue.take()
queue.acknowledge(2)
root.unlink()
now = 1.0
queue.tend(now)
print(json.dumps(queue.perishable), flush=True)
os._exit(0)
"""
        self.assertEqual(run_python(program), 0)
        self.assertEqual(self.adopted_by(a_journal(self.root)), list(map(a_line, range(2, 6))))

    def test_any_order_of_events(self) -> None:
        """Whatever happens in whatever order, each message is delivered once and counted once."""
        for seed in range(150):
            with self.subTest(seed):
                self.check_random_events(random.Random(seed))

    def set_full(self, is_full: bool) -> None:
        """Have the writer fail where it looks for its directory, which is before each new file."""
        writer = self.journal._writer
        writer.seal()
        if is_full:
            mock.patch.object(writer, "_directory_in_place", side_effect=OSError).start()
        else:
            mock.patch.stopall()
            writer._not_before = 0.0

    def check_random_events(self, chance: random.Random) -> None:
        self.memory = a_memory_queue()
        queue = self.a_working_queue()
        delivered: list[bytes] = []
        written, is_full = 0, False
        taken: tuple[bytes, ...] = ()
        is_holding = False
        for _ in range(60):
            match chance.choice(("put", "put", "take", "answer", "answer", "fail", "disk", "tend")):
                case "put":
                    size_bytes = chance.choice((0, 31_000))
                    for _ in range(chance.randrange(20)):
                        queue.put(a_line(written, size_bytes=size_bytes))
                        written += 1
                case "take" if not taken and (batch := queue.take()) is not None:
                    taken = batch.lines
                case "answer" if taken:
                    count = chance.randint(1, len(taken))
                    delivered.extend(taken[:count])
                    queue.acknowledge(count)
                    taken = taken[count:]
                    if not taken and is_holding:
                        queue.set_back()
                        is_holding = False
                case "fail" if taken and not is_holding and chance.random() < 0.5:
                    queue.hold()
                    taken, is_holding = (), True
                case "fail" if taken or is_holding:
                    queue.put_back()
                    taken, is_holding = (), False
                case "disk":
                    is_full = not is_full
                    self.set_full(is_full)
                case "tend":
                    self.now += 1.0
                    queue.tend(self.now)
            self.assertEqual(queue.accepted, written)
            self.assertGreaterEqual(queue.perishable, 0)
        if taken or is_holding:
            queue.put_back()
        if chance.random() < 0.5:
            queue.release()
            self.assertEqual(queue.accepted, written)
            self.set_full(False)
            self.journal.look_around()
            queue.put(a_line(written))
            written += 1
        numbers = delivered + taken_from(queue)
        self.assertEqual(len(set(numbers)), written)
        self.assertLessEqual(len(numbers), len(set(numbers)) + 200)
        self.assertTrue(all(accepted == settled for accepted, settled in queue.lanes), queue.lanes)
        self.assertEqual((self.files(), queue.perishable), ([], 0))
        queue.release()
