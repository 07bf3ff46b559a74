"""Tests for the queue of received bundles."""

from __future__ import annotations

from collections.abc import Callable

from typing_extensions import override

from segment_logging._queues.message_queue import MessageQueue
from segment_logging._relay.bundle import ReceivedBundle
from segment_logging._relay.bundle_queue import BundleQueue
from tests.queues.cases import JournalCase, Rings, a_line, acknowledge, taken_from
from tests.queues.contract import Contract


class Received:
    """A queue of bundles, and the tags of those that were settled.

    Args:
        is_window_full: whether no more bundles can arrive.
    """

    def __init__(self, *, is_window_full: bool = False) -> None:
        self.settled: list[int] = []
        self.queue = BundleQueue(
            kept_in="a queue",
            on_settled=lambda bundle: self.settled.append(bundle.tag),
            is_window_full=lambda: is_window_full,
        )

    def add(self, tag: int, *lines: bytes) -> None:
        self.queue.add(ReceivedBundle(tag, lines, self.queue.on_settled))


class Putting(BundleQueue):
    """A queue that takes single messages, each as a bundle."""

    @override
    def put(self, line: bytes) -> bool:
        self.add(ReceivedBundle(0, [line], self.on_settled))
        return True


class BundleQueueTest(Contract, JournalCase):
    """A queue of received bundles."""

    @override
    def a_queue(self, wake: Callable[[], None]) -> MessageQueue:
        queue = Putting(
            kept_in="a queue", on_settled=lambda bundle: None, is_window_full=lambda: False
        )
        queue.watch(wake, collecting=False)
        return queue

    def test_bundles_are_joined(self) -> None:
        """A batch has the messages of several bundles, which are settled with it, in order."""
        received = Received()
        received.add(1, a_line(1), a_line(2))
        received.add(2, a_line(3))
        batch = received.queue.take()
        assert batch is not None
        self.assertEqual(list(batch.lines), [a_line(1), a_line(2), a_line(3)])
        received.queue.acknowledge(1)
        self.assertEqual(received.settled, [])
        received.queue.acknowledge(2)
        self.assertEqual(received.settled, [1, 2])

    def test_bundles_are_not_split(self) -> None:
        """A bundle that does not fit in a batch is in the next one, as a whole."""
        received = Received()
        lines = [a_line(number, size_bytes=30_000) for number in range(20)]
        for tag in range(10):
            received.add(tag, *lines[2 * tag : 2 * tag + 2])
        sizes = []
        while (batch := received.queue.take()) is not None:
            sizes.append(len(batch))
            received.queue.acknowledge(len(batch))
        self.assertEqual(sizes, [16, 4])
        self.assertEqual(received.settled, list(range(10)))

    def test_bundle_above_a_batch(self) -> None:
        """A bundle that is too large for a batch is split, and settled with its last message."""
        received = Received()
        received.add(7, *(a_line(number) for number in range(2_501)))
        received.add(8, a_line(1))
        batch = received.queue.take()
        assert batch is not None
        self.assertEqual(len(batch), 2_500)
        received.queue.acknowledge(2_500)
        self.assertEqual(received.settled, [])
        batch = received.queue.take()
        assert batch is not None
        self.assertEqual(len(batch), 2)
        received.queue.acknowledge(2)
        self.assertEqual(received.settled, [7, 8])

    def test_line_that_is_not_a_message(self) -> None:
        """The lines of a bundle with one that is not a message are sent one by one."""
        for bad in (b"]}, evil", b"x" * 32_001, b"null"):
            received = Received()
            received.add(1, a_line(1))
            received.add(2, a_line(2), bad)
            received.add(3, a_line(3))
            batches = []
            while (batch := received.queue.take()) is not None:
                batches.append(list(batch.lines))
                received.queue.acknowledge(len(batch))
            self.assertEqual(batches, [[a_line(1)], [a_line(2)], [bad], [a_line(3)]])
            self.assertEqual(received.settled, [1, 2, 3])

    def test_set_aside(self) -> None:
        """A message whose dead letter cannot be stored is tried again after a minute. Until then,
        its bundle is not settled."""
        received = Received()
        received.add(1, a_line(1), a_line(2))
        received.queue.take()
        received.queue.acknowledge(1)
        received.queue.acknowledge(1, set_aside=True)
        self.assertEqual(received.settled, [])
        self.assertEqual(received.queue.tend(100.0), 160.0)
        self.assertEqual(received.queue.tend(159.0), 160.0)
        self.assertTrue(received.queue.is_empty)
        self.assertIsNone(received.queue.tend(160.0))
        self.assertEqual(taken_from(received.queue), [a_line(2)])
        self.assertEqual(received.settled, [1])

    def test_full_window(self) -> None:
        """If no more bundles can arrive, a batch is not kept waiting for them."""
        for is_full in (False, True):
            received = Received(is_window_full=is_full)
            rings = Rings()
            received.queue.watch(rings, collecting=True)
            received.add(1, a_line(1))
            self.assertEqual(received.queue.has_full_batch, is_full)
            self.assertEqual(rings.count, int(is_full))

    def test_closed(self) -> None:
        """Nothing can be taken from a closed queue, but a batch that was taken is settled."""
        received = Received()
        received.add(1, a_line(1))
        received.queue.take()
        received.add(2, a_line(2))
        received.queue.close()
        self.assertTrue(received.queue.is_empty)
        received.queue.acknowledge(1)
        self.assertEqual(received.settled, [1])
        self.assertIsNone(received.queue.take())

    def test_acknowledged_one_by_one(self) -> None:
        """A batch that was put back is settled like any other."""
        received = Received()
        received.add(1, a_line(1), a_line(2))
        received.queue.take()
        acknowledge(received.queue)
        self.assertEqual(received.settled, [1])
