"""The contract that every queue keeps with the listener and with callers."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from typing_extensions import override

from segment_logging import HttpClient
from segment_logging._messages.batch import Batch
from segment_logging._queues.message_queue import MessageQueue
from tests.builders import RecordingSession
from tests.queues.cases import (
    KEY,
    JournalCase,
    Rings,
    a_line,
    acknowledge,
    acknowledged,
    taken_from,
)

if TYPE_CHECKING:
    _Mixin = JournalCase
else:
    _Mixin = object


class Contract(_Mixin):
    """The contract that every queue keeps with the listener and with callers."""

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
        """Messages are taken in the order in which they were put."""
        lines = [a_line(number) for number in range(50)]
        self.put(*lines)
        self.assertEqual(taken_from(self.queue), lines)

    def test_gives_none_when_nothing_waits(self) -> None:
        """An empty queue returns None, before the first message and after the last."""
        self.assertIsNone(self.queue.take())
        self.put(a_line())
        taken_from(self.queue)
        self.assertIsNone(self.queue.take())

    def test_acknowledged_is_forgotten(self) -> None:
        """An acknowledged batch never comes back."""
        self.put(a_line(1))
        self.queue.take()
        acknowledge(self.queue)
        self.put(a_line(2))
        self.assertEqual(taken_from(self.queue), [a_line(2)])

    def test_put_back_is_next_and_the_same(self) -> None:
        """A batch that was put back is taken next, as the same object, so that delivery knows that
        it has already tried this batch."""
        self.put(a_line(1))
        batch = self.queue.take()
        self.queue.put_back()
        self.put(a_line(2))
        self.assertIs(self.queue.take(), batch)
        acknowledge(self.queue)
        self.assertEqual(taken_from(self.queue), [a_line(2)])

    def test_put_back_twice(self) -> None:
        """A batch can be put back any number of times."""
        self.put(a_line())
        batch = self.queue.take()
        for _ in range(3):
            self.queue.put_back()
            self.assertIs(self.queue.take(), batch)
        acknowledge(self.queue)
        self.assertEqual(acknowledged(self.queue), 1)

    def test_a_taken_batch_does_not_grow(self) -> None:
        """A message that arrives while a batch is being sent is in the next batch."""
        self.put(a_line(1))
        batch = self.queue.take()
        self.put(a_line(2))
        assert batch is not None
        self.assertEqual(list(batch.lines), [a_line(1)])
        acknowledge(self.queue)
        self.assertEqual(taken_from(self.queue), [a_line(2)])

    def test_held_is_next_again(self) -> None:
        """A batch that is held and put back is the next one, before the one that was tried."""
        self.put(a_line(1))
        held = self.queue.take()
        self.queue.hold()
        self.put(a_line(2))
        other = self.queue.take()
        self.queue.put_back()
        self.assertIs(self.queue.take(), held)
        acknowledge(self.queue)
        self.assertIs(self.queue.take(), other)
        acknowledge(self.queue)
        self.assertEqual(acknowledged(self.queue), 2)

    def test_set_back(self) -> None:
        """A batch that is held and set back comes after everything that was waiting."""
        self.put(a_line(1), a_line(2))
        self.queue.take()
        self.queue.hold()
        self.put(a_line(3))
        self.queue.take()
        self.queue.acknowledge(1)
        self.put(a_line(4))
        self.queue.set_back()
        self.assertEqual(taken_from(self.queue), [a_line(4), a_line(1), a_line(2)])
        self.assertEqual(acknowledged(self.queue), 4)

    def test_set_back_with_a_part_of_another(self) -> None:
        """What is left of the batch that was tried meanwhile is not lost."""
        self.put(a_line(1))
        self.queue.take()
        self.queue.hold()
        self.put(a_line(2), a_line(3))
        self.queue.take()
        self.queue.acknowledge(1)
        self.queue.set_back()
        self.assertEqual(taken_from(self.queue), [a_line(3), a_line(1)])
        self.assertEqual(acknowledged(self.queue), 3)
        self.assertTrue(self.queue.is_empty)

    def test_is_empty(self) -> None:
        """A queue is empty before the first put and after the last batch is taken, but not after
        that batch is put back."""
        self.assertTrue(self.queue.is_empty)
        self.put(a_line())
        self.assertFalse(self.queue.is_empty)
        self.queue.take()
        self.queue.put_back()
        self.assertFalse(self.queue.is_empty)
        self.queue.take()
        acknowledge(self.queue)
        self.assertTrue(self.queue.is_empty)

    def test_counts_what_was_accepted_and_acknowledged(self) -> None:
        """Messages count as accepted when they are put, and as acknowledged after `acknowledge`."""
        self.put(a_line(1), a_line(2), a_line(3))
        self.assertEqual((self.queue.accepted, acknowledged(self.queue)), (3, 0))
        self.queue.take()
        self.put(a_line(4))
        self.assertEqual((self.queue.accepted, acknowledged(self.queue)), (4, 0))
        acknowledge(self.queue)
        self.assertEqual((self.queue.accepted, acknowledged(self.queue)), (4, 3))
        taken_from(self.queue)
        self.assertEqual((self.queue.accepted, acknowledged(self.queue)), (4, 4))

    def test_watch_wakes_at_the_next_message(self) -> None:
        """A watched queue wakes the listener at the next message, and only at that one."""
        self.queue.watch(self.rings, collecting=False)
        self.assertEqual(self.rings.count, 0)
        self.put(a_line(1))
        self.assertEqual(self.rings.count, 1)
        self.put(a_line(2))
        self.assertEqual(self.rings.count, 1)

    def test_collecting_wakes_at_a_full_batch(self) -> None:
        """While the listener is collecting, it is not woken until a batch is full."""
        self.put(a_line())
        self.queue.watch(self.rings, collecting=True)
        before = self.rings.count
        self.put(*(a_line(number, size_bytes=10_000) for number in range(20)))
        self.assertEqual(self.rings.count, before)
        self.put(*(a_line(number, size_bytes=10_000) for number in range(40)))
        self.assertEqual(self.rings.count, before + 1)

    def test_says_when_a_batch_is_full(self) -> None:
        """`has_full_batch` is true as soon as a batch is full."""
        self.put(a_line())
        self.assertFalse(self.queue.has_full_batch)
        self.put(*(a_line(number, size_bytes=30_000) for number in range(17)))
        self.assertTrue(self.queue.has_full_batch)

    def test_no_batch_above_2500_messages(self) -> None:
        """No batch has more messages than one request may have."""
        lines = [a_line(number) for number in range(6_000)]
        self.put(*lines)
        sizes = []
        taken: list[bytes] = []
        while (batch := self.queue.take()) is not None:
            sizes.append(len(batch))
            taken.extend(batch.lines)
            acknowledge(self.queue)
        self.assertEqual(sizes, [2_500, 2_500, 1_000])
        self.assertEqual(taken, lines)

    def test_no_body_above_500_000_bytes(self) -> None:
        """No request body exceeds the limit, and no batch had room for the next message."""
        sizes = random.Random(7)
        lines = [a_line(n, size_bytes=sizes.randint(100, 32_000)) for n in range(200)]
        self.put(*lines)
        session = RecordingSession()
        client = HttpClient(session=session)
        taken: list[bytes] = []
        while (batch := self.queue.take()) is not None:
            client.send(KEY, batch)
            taken.extend(batch.lines)
            acknowledge(self.queue)
        self.assertEqual(taken, lines)
        lengths = [len(body) for body in session.bodies]
        self.assertLessEqual(max(lengths), 500_000)
        self.assertGreater(min(lengths[:-1]), 500_000 - 32_001)

    def test_body_of_499_999_bytes(self) -> None:
        """A body may use the whole limit, except for the byte of a journal file's last newline."""
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
        """Any number of threads may put. Nothing is lost or duplicated, and each thread's messages
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
        """After the listener has ended, the queue still accepts messages."""
        self.put(a_line(1))
        taken_from(self.queue)
        self.queue.release()
        self.put(a_line(2))
        self.assertEqual(taken_from(self.queue), [a_line(2)])
        self.assertEqual((self.queue.accepted, acknowledged(self.queue)), (2, 2))
