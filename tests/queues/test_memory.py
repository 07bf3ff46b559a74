"""Tests for the memory queue."""

from __future__ import annotations

from collections.abc import Callable

from typing_extensions import override

from segment_logging._queues.message_queue import MessageQueue
from tests.queues.cases import (
    JournalCase,
    Rings,
    a_line,
    a_memory_queue,
    acknowledge,
)
from tests.queues.contract import Contract


class MemoryQueueTest(Contract, JournalCase):
    """The memory queue."""

    @override
    def a_queue(self, wake: Callable[[], None]) -> MessageQueue:
        return a_memory_queue(wake)

    def test_refuses_above_max_messages(self) -> None:
        """A message beyond `max_messages` is refused and not counted as accepted."""
        queue = a_memory_queue(max_messages=3)
        self.assertEqual([queue.put(a_line(number)) for number in range(4)], [True] * 3 + [False])
        self.assertEqual(queue.accepted, 3)

    def test_refuses_above_max_bytes(self) -> None:
        """A message that would exceed `max_bytes` is refused, but a smaller one may still fit."""
        queue = a_memory_queue(max_bytes=250)
        self.assertTrue(queue.put(a_line(size_bytes=100)))
        self.assertFalse(queue.put(a_line(size_bytes=151)))
        self.assertTrue(queue.put(a_line(size_bytes=150)))

    def test_room_comes_back(self) -> None:
        """Acknowledged messages make room. Messages that are being sent do not."""
        for queue in (a_memory_queue(max_messages=1), a_memory_queue(max_bytes=100)):
            queue.put(a_line(1))
            queue.take()
            self.assertFalse(queue.put(a_line(2) * 5))
            acknowledge(queue)
            self.assertTrue(queue.put(a_line(2)))

    def test_a_refusal_wakes_the_listener(self) -> None:
        """A full queue wakes the listener, because it has to make room."""
        rings = Rings()
        queue = a_memory_queue(rings, max_messages=1)
        queue.put(a_line(1))
        queue.watch(rings, collecting=True)
        before = rings.count
        queue.put(a_line(2))
        self.assertEqual(rings.count, before + 1)

    def test_all_of_it_is_perishable(self) -> None:
        """Unacknowledged messages, including those being sent, would be lost with the process."""
        self.put(a_line(1))
        self.queue.take()
        self.put(a_line(2))
        self.assertEqual(self.queue.perishable, 2)
        acknowledge(self.queue)
        self.assertEqual(self.queue.perishable, 1)
