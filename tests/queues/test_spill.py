"""Tests for the journal with the memory queue behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typing_extensions import override

from segment_logging._queues.message_queue import MessageQueue
from segment_logging._queues.spill import SpillingQueue
from tests.queues.cases import (
    JournalCase,
    a_journal,
    a_line,
    a_memory_queue,
    acknowledged,
    taken_from,
)
from tests.queues.contract import Contract


class SpillingQueueTest(Contract, JournalCase):
    """The journal with the memory queue behind it."""

    @override
    def a_queue(self, wake: Callable[[], None]) -> MessageQueue:
        return SpillingQueue(a_journal(self.root, wake), a_memory_queue(wake))

    def test_memory_takes_over_from_a_full_journal(self) -> None:
        """Messages that the journal refuses wait in memory. All arrive and are counted once."""
        journal, memory = a_journal(self.root, max_bytes=100), a_memory_queue()
        queue = SpillingQueue(journal, memory)
        lines = [a_line(number, size_bytes=40) for number in range(5)]
        for line in lines:
            self.assertTrue(queue.put(line))
        self.assertEqual((queue.accepted, queue.perishable), (5, 3))
        self.assertEqual(sorted(taken_from(queue)), sorted(lines))
        self.assertEqual((acknowledged(queue), queue.perishable), (5, 0))

    def test_memory_takes_over_in_the_middle_of_a_put(self) -> None:
        """Messages that a signal handler logs during a write to the journal wait in memory."""
        queue = SpillingQueue(a_journal(self.root), a_memory_queue())

        class Interrupted(bytes):
            @override
            def __add__(self, other: Any) -> bytes:  # the journal's first step
                queue.put(a_line(2))
                return bytes(self) + bytes(other)

        self.assertTrue(queue.put(Interrupted(a_line(1))))
        self.assertEqual((queue.accepted, queue.perishable), (2, 1))
        self.assertEqual(sorted(taken_from(queue)), [a_line(1), a_line(2)])

    def test_a_part_in_the_other_queue(self) -> None:
        """What is left of a batch in memory is not lost when a batch in the journal is set back."""
        queue = SpillingQueue(a_journal(self.root, max_bytes=100), a_memory_queue())
        queue.put(a_line(1, size_bytes=40))
        queue.take()
        queue.hold()
        rest = [a_line(number, size_bytes=101) for number in (2, 3)]  # never fit into the journal
        for line in rest:
            queue.put(line)
        queue.take()
        queue.acknowledge(1)
        queue.set_back()
        self.assertEqual(sorted(taken_from(queue)), sorted([a_line(1, size_bytes=40), rest[1]]))
        self.assertEqual((acknowledged(queue), queue.perishable), (3, 0))

    def test_refuses_when_both_are_full(self) -> None:
        """A message is refused only if neither queue has room."""
        queue = SpillingQueue(a_journal(self.root, max_bytes=100), a_memory_queue(max_messages=1))
        answers = [queue.put(a_line(number, size_bytes=40)) for number in range(4)]
        self.assertEqual(answers, [True, True, True, False])

    def test_spilled_traffic_does_not_starve_the_journal(self) -> None:
        """The journal's messages are delivered even while every new message spills to memory.
        Otherwise, the journal would stay full as long as the traffic lasts."""
        journal = a_journal(self.root, max_bytes=100)
        queue = SpillingQueue(journal, a_memory_queue())
        for number in range(5):
            queue.put(a_line(number, size_bytes=40))
        for number in range(20):
            batch = queue.take()
            assert batch is not None
            queue.acknowledge(len(batch))
            queue.put(a_line(number, size_bytes=101))  # never fits into the journal
        self.assertGreaterEqual(acknowledged(journal), 2)

    def test_each_keeps_its_own_batch(self) -> None:
        """A journal batch that was put back is neither lost nor duplicated when messages spill."""
        journal = a_journal(self.root, max_bytes=100)
        queue = SpillingQueue(journal, a_memory_queue())
        lines = [a_line(number, size_bytes=40) for number in range(5)]
        queue.put(lines[0])
        queue.take()
        queue.put_back()
        for line in lines[1:]:
            queue.put(line)
        self.assertEqual(sorted(taken_from(queue)), lines)
        self.assertEqual((queue.accepted, acknowledged(queue)), (5, 5))
