"""When the listener takes a batch, what it does with the answer, and when it ends.

The clock is passed in, and moved by the chores that the listener does whenever it wakes.
"""

from __future__ import annotations

import io
import queue
import sys
import threading
import time
import unittest
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr, suppress
from types import FrameType
from typing import Any

from typing_extensions import override

from segment_logging.batch import Batch
from segment_logging.delivery import Delivery, End, Tally, Wait
from segment_logging.encoding import encode
from segment_logging.enqueuing import MessageQueueHandler
from segment_logging.listener import MessageQueueListener
from segment_logging.outcomes import RetryPolicy
from segment_logging.queues.memory import MemoryQueue
from segment_logging.testing import FakeClient
from segment_logging.threads import own_threads

from .builders import a_track


class Clock:
    """A clock that stands still but for `advance`, which chores can be."""

    def __init__(self, step: float = 0.1) -> None:
        self.now = 0.0
        self.step = step
        self.events: list[tuple[float, Callable[[], object]]] = []

    def __call__(self) -> float:
        return self.now

    def at(self, moment: float, function: Callable[[], object]) -> None:
        """Have a function called when that moment has come."""
        self.events.append((moment, function))

    def chores(self, now: float) -> float:
        """Let a moment pass, and ask to be called again at once."""
        self.now += self.step
        for event in [one for one in self.events if one[0] <= self.now]:
            self.events.remove(event)
            event[1]()
        return now


class ScriptedDelivery(Delivery):
    """Answers batches as told: with an end, or an exception to raise. ANSWERED when used up."""

    def __init__(self, script: Iterable[End | BaseException] = ()) -> None:
        super().__init__(FakeClient(), "key", policy=RetryPolicy())
        self._script = iter(script)
        self.batches: list[Batch] = []
        self.before: Callable[[Wait], object] = lambda wait: None

    @override
    def deliver(self, batch: Batch, wait: Wait) -> tuple[End, Tally]:
        self.batches.append(batch)
        self.before(wait)
        end = next(self._script, End.ANSWERED)
        if isinstance(end, BaseException):
            raise end
        return end, Tally(delivered=len(batch) if end is End.ANSWERED else 0)


class ListenerTest(unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.clock = Clock()
        self.delivery = ScriptedDelivery()
        self.rings = 0
        self.queue = MemoryQueue(self.count_ring, max_messages=100_000, max_bytes=10_000_000)

    def count_ring(self) -> None:
        self.rings += 1

    def a_listener(self, **options: Any) -> MessageQueueListener:
        options = {
            "flush_interval": 1.0,
            "chores": self.clock.chores,
            "clock": self.clock,
            **options,
        }
        return MessageQueueListener(self.queue, self.delivery, **options)

    def put(self, count: int = 1, *, size_bytes: int = 100) -> None:
        line = encode({"type": "track", "event": "x" * (size_bytes - 27)})
        assert len(line) == size_bytes
        for _ in range(count):
            assert self.queue.put(line)

    def stderr_of(self, function: Callable[[], object]) -> str:
        stderr = io.StringIO()
        with redirect_stderr(stderr):
            function()
        return stderr.getvalue()


class TestDue(ListenerTest):
    def test_flush_interval(self) -> None:
        """A batch is due when its first message has waited for flush_interval."""
        listener = self.a_listener()
        self.put()
        self.clock.at(0.55, self.put)
        batch = listener.dequeue(True)
        self.assertEqual(len(batch), 2)
        self.assertAlmostEqual(self.clock.now, 1.1, delta=0.15)  # seen at 0.1

    def test_each_batch_anew(self) -> None:
        """The next batch's interval begins with its own first message."""
        listener = self.a_listener()
        self.put()
        listener.handle(listener.dequeue(True))
        self.clock.now = 10.0
        self.put()
        listener.dequeue(True)
        self.assertAlmostEqual(self.clock.now, 11.1, delta=0.15)

    def test_full_by_count(self) -> None:
        """2,500 messages are due at once, and are one batch."""
        listener = self.a_listener()
        self.put(2_501)
        self.assertEqual(len(listener.dequeue(True)), 2_500)
        self.assertLess(self.clock.now, 0.5)

    def test_full_by_bytes(self) -> None:
        """So are 500,000 bytes."""
        listener = self.a_listener()
        self.put(50, size_bytes=10_000)
        self.assertEqual(len(listener.dequeue(True)), 49)  # and the envelope
        self.assertLess(self.clock.now, 0.5)

    def test_stop(self) -> None:
        """After `stop` what waits is due at once, and then the thread is to end."""
        listener = self.a_listener()
        self.put(3)
        listener.stop()
        listener.handle(listener.dequeue(True))
        with self.assertRaises(queue.Empty):
            listener.dequeue(True)
        self.assertLess(self.clock.now, 0.5)
        self.assertEqual([len(batch) for batch in self.delivery.batches], [3])

    def test_deadline(self) -> None:
        """After the deadline the thread is to end, whatever still waits; nothing is forgotten."""
        listener = self.a_listener()
        self.put(3)
        listener.hurry(0.25)
        with self.assertRaises(queue.Empty):
            listener.dequeue(True)
        self.assertEqual(self.queue.perishable, 3)

    def test_taking_fails(self) -> None:
        """When taking a batch raises, that is reported and tried again a second later."""
        broken = [OSError()]

        class BrokenOnce(MemoryQueue):
            @override
            def take(self) -> Batch | None:
                if broken:
                    raise broken.pop()
                return super().take()

        self.queue = BrokenOnce(self.count_ring, max_messages=10, max_bytes=10_000)
        listener = self.a_listener(flush_interval=0.0)
        self.put()
        said = self.stderr_of(lambda: self.assertEqual(len(listener.dequeue(True)), 1))
        self.assertIn("OSError", said)
        self.assertGreater(self.clock.now, 1.0)

    def test_taking_fails_at_the_end(self) -> None:
        """While it goes on raising there is one report, and the deadline ends it all the same."""

        class Broken(MemoryQueue):
            @override
            def take(self) -> Batch | None:
                raise OSError

        self.queue = Broken(self.count_ring, max_messages=10, max_bytes=10_000)
        listener = self.a_listener(flush_interval=0.0)
        self.put()

        def use() -> None:
            listener.hurry(self.clock.now + 5.5)
            with self.assertRaises(queue.Empty):
                listener.dequeue(True)

        self.assertEqual(self.stderr_of(use).count("\n"), 1)
        self.assertLess(self.clock.now, 6.0)


class TestAnswers(ListenerTest):
    def pending(self, listener: MessageQueueListener) -> int:
        tally, accepted = listener.look()
        return accepted - tally.delivered

    def take_one(self, listener: MessageQueueListener) -> Batch:
        batch = listener.dequeue(True)
        assert isinstance(batch, Batch)
        return batch

    def test_answered(self) -> None:
        """A batch is forgotten when it is answered for, and not before."""
        listener = self.a_listener()
        self.put(3)
        seen: list[int] = []
        self.delivery.before = lambda wait: seen.append(self.pending(listener))
        listener.handle(self.take_one(listener))
        self.assertEqual(seen, [3])
        self.assertEqual(listener.look(), (Tally(delivered=3), 3))

    def test_kept(self) -> None:
        """A batch that is kept is tried again a minute later, before what came meanwhile."""
        self.delivery = ScriptedDelivery([End.KEPT])
        listener = self.a_listener()
        self.put(3)
        listener.handle(self.take_one(listener))
        self.assertGreater(self.clock.now, 60.0)
        self.assertEqual((listener.look()[1], self.pending(listener)), (3, 3))
        self.put(2)
        listener.handle(self.take_one(listener))
        self.assertEqual([len(batch) for batch in self.delivery.batches], [3, 3])
        listener.stop()
        listener.handle(self.take_one(listener))
        self.assertEqual((listener.look()[1], self.pending(listener)), (5, 0))

    def test_delivery_raises(self) -> None:
        """Whatever delivery raises keeps the batch and is reported; the thread goes on."""
        self.delivery = ScriptedDelivery([MemoryError()])
        listener = self.a_listener()
        self.put(3)
        said = self.stderr_of(lambda: listener.handle(self.take_one(listener)))
        self.assertIn("MemoryError", said)
        listener.handle(self.take_one(listener))
        self.assertEqual((listener.look()[1], self.pending(listener)), (3, 0))

    def test_waits_do_chores(self) -> None:
        """While delivery waits for another attempt, the chores are done."""
        listener = self.a_listener()
        waited: list[bool] = []
        self.delivery.before = lambda wait: waited.append(wait(5.0))
        self.put()
        listener.handle(self.take_one(listener))
        self.assertEqual(waited, [True])
        self.assertGreater(self.clock.now, 5.0)

    def waits(self, seconds: float, *, exactly: bool, hurry_at: float, deadline: float) -> bool:
        listener = self.a_listener()
        waited: list[bool] = []
        self.delivery.before = lambda wait: waited.append(wait(seconds, exactly=exactly))
        self.put()
        self.clock.at(hurry_at, lambda: listener.hurry(deadline))
        listener.handle(self.take_one(listener))
        return waited[0]

    def test_hurry_cuts_a_wait_short(self) -> None:
        """A deadline set while it waits for another attempt ends the wait, for a last one."""
        self.assertTrue(self.waits(60.0, exactly=False, hurry_at=3.0, deadline=8.0))
        self.assertLess(self.clock.now, 4.0)

    def test_hurry_does_not_cut_a_retry_after(self) -> None:
        """But not when the server asked for exactly this wait: then there is no attempt."""
        self.assertFalse(self.waits(60.0, exactly=True, hurry_at=3.0, deadline=8.0))
        self.assertLess(self.clock.now, 4.0)

    def test_wait_within_the_deadline(self) -> None:
        """A wait that ends before the deadline is waited for."""
        self.assertTrue(self.waits(4.0, exactly=True, hurry_at=3.0, deadline=8.0))
        self.assertGreater(self.clock.now, 4.0)

    def test_no_attempt_after_the_deadline(self) -> None:
        """A wait that would end after the deadline is not begun."""
        listener = self.a_listener()
        waited: list[bool] = []
        self.delivery = ScriptedDelivery()
        self.put()
        batch = self.take_one(listener)
        listener.hurry(self.clock.now + 5.0)
        waited.append(listener._wait(6.0))
        self.assertEqual(waited, [False])
        self.assertEqual(len(batch), 1)
        self.assertLess(self.clock.now, 2.0)


class TestThread(ListenerTest):
    """With a thread, and the real clock."""

    def start(self, **options: Any) -> MessageQueueListener:
        listener: MessageQueueListener

        def wake() -> None:
            self.rings += 1
            listener.wake()

        self.queue = MemoryQueue(wake, max_messages=100_000, max_bytes=100_000_000)
        listener = MessageQueueListener(
            self.queue, self.delivery, **{"flush_interval": 0.05, "chores": _no_chores, **options}
        )
        self.addCleanup(self.end, listener)
        return listener

    def end(self, listener: MessageQueueListener) -> None:
        listener.stop()
        self.assertTrue(listener.wait_until_ended(_soon(3)))

    def test_starts_with_the_first_message(self) -> None:
        """No thread before the first message, one after it, and a new one after `stop`."""
        listener = self.start()
        self.assertFalse(listener.running)
        for _ in range(3):
            self.put()
            self.assertTrue(listener.running)
            self.assertTrue(listener.wait_until_answered(_soon()))
            self.end(listener)
            self.assertFalse(listener.running)

    def test_wakes_once_a_batch(self) -> None:
        """It is woken for a batch's first message and when it is full, not for each message."""
        listener = self.start(flush_interval=0.2)
        self.put(4_000, size_bytes=1_000)
        self.assertTrue(listener.wait_until_answered(_soon()))
        self.assertEqual(sum(len(batch) for batch in self.delivery.batches), 4_000)
        self.assertLessEqual(self.rings, 2 * len(self.delivery.batches) + 1)
        self.assertLess(self.rings, 40)

    def test_start_twice(self) -> None:
        """There is one thread, however often and from how many threads it is woken."""
        gate, threads = threading.Event(), set[int]()

        def note_thread(wait: Wait) -> None:
            threads.add(threading.get_ident())
            gate.wait(10)

        self.delivery.before = note_thread
        listener = self.start(flush_interval=0.0)

        def put_and_start() -> None:
            self.put()
            listener.wake()
            listener.start()

        wakers = [threading.Thread(target=put_and_start) for _ in range(20)]
        for waker in wakers:
            waker.start()
        for waker in wakers:
            waker.join()
        gate.set()
        self.assertTrue(listener.wait_until_answered(_soon()))
        self.assertEqual(len(threads), 1)

    def test_start_in_the_middle_of_start(self) -> None:
        """A signal handler that starts it in the middle of a start does not make it two."""

        for at in range(1, 12):  # at each call on the way, as a signal may come there
            with self.subTest(at):
                self.queue = MemoryQueue(self.count_ring, max_messages=10, max_bytes=10_000)
                listener = MessageQueueListener(
                    self.queue, self.delivery, flush_interval=0.05, chores=_no_chores
                )
                self.addCleanup(self.end, listener)
                before = set(threading.enumerate())
                _interrupt(at, listener.start, listener.start)
                self.assertEqual(len(set(threading.enumerate()) - before), 1)

    def test_nothing_ends_it(self) -> None:
        """Not even SystemExit or KeyboardInterrupt, from a hook or a client, ends delivery."""
        for error in (SystemExit(1), KeyboardInterrupt(), GeneratorExit()):
            with self.subTest(type(error).__name__):
                client = FakeClient([400])

                def on_error(*_: object, error: BaseException = error) -> None:
                    raise error

                self.delivery = Delivery(  # type: ignore[assignment]
                    client, "key", policy=RetryPolicy(), on_error=on_error
                )
                listener = self.start()
                line = encode(a_track(message_id="1").to_dict())

                def put(listener: MessageQueueListener = listener, line: bytes = line) -> None:
                    self.queue.put(line)
                    listener.wait_until_answered(_soon(0.5))
                    self.queue.put(line)
                    self.assertTrue(listener.wait_until_answered(_soon(2)))

                self.stderr_of(put)
                self.assertEqual(len(client.messages), 1)

    def test_wait_on_its_own_thread(self) -> None:
        """Who waits on the listener's own thread does not wait, as it would be for itself."""
        listener = self.start()
        waited: list[bool] = []
        self.delivery.before = lambda wait: waited.append(
            listener.wait_until_answered(_soon(60)) or listener.wait_until_ended(_soon(60))
        )
        self.put()
        self.assertTrue(listener.wait_until_answered(_soon()))
        self.assertEqual(waited, [False])

    def test_run_here(self) -> None:
        """Where no thread can be started, the calling one delivers, and is then itself again."""
        self.put(3)
        listener = MessageQueueListener(
            self.queue, self.delivery, flush_interval=60, chores=_no_chores
        )
        listener.run_here(_soon())
        self.assertEqual(listener.look(), (Tally(delivered=3), 3))
        self.assertFalse(listener.running)

    def test_run_here_is_interrupted(self) -> None:
        """Ctrl-C in it leaves nothing behind: the thread's later events are no own records."""
        self.delivery = ScriptedDelivery([KeyboardInterrupt()])
        self.put(3)
        listener = MessageQueueListener(
            self.queue, self.delivery, flush_interval=60, chores=_no_chores
        )
        self.addCleanup(own_threads.discard, threading.get_ident())
        with suppress(KeyboardInterrupt):
            listener.run_here(_soon(1))
        self.assertNotIn(threading.get_ident(), own_threads)
        self.assertFalse(listener.running)


class TestEnqueue(unittest.TestCase):
    def a_handler(self, accepts: Sequence[bool], **options: Any) -> MessageQueueHandler:
        answers = iter(accepts)

        class Choosy(MemoryQueue):
            @override
            def put(self, line: bytes) -> bool:
                return next(answers, False)

        queue = Choosy(lambda: None, max_messages=1, max_bytes=1)
        return MessageQueueHandler(queue, **{"overflow": "drop", "block_timeout": 10.0, **options})

    def test_drop(self) -> None:
        """With "drop" there is one try."""
        handler = self.a_handler([True, False, True])
        for _ in range(3):
            handler.enqueue(b"{}")
        self.assertEqual(handler.dropped, 1)

    def test_block(self) -> None:
        """With "block" there are several."""
        handler = self.a_handler([False, False, True], overflow="block")
        handler.enqueue(b"{}")
        self.assertEqual(handler.dropped, 0)

    def test_block_timeout(self) -> None:
        """And when block_timeout has passed, it is dropped and counted."""
        handler = self.a_handler([], overflow="block", block_timeout=0.0)
        handler.enqueue(b"{}")
        self.assertEqual(handler.dropped, 1)

    def test_prepare(self) -> None:
        """The stock handler's copying and formatting is not for encoded messages."""
        line = b"{}"
        self.assertIs(self.a_handler([]).prepare(line), line)


def _interrupt(at: int, function: Callable[[], object], handler: Callable[[], object]) -> None:
    """Call a function, and `handler` as its call number `at` into the package begins."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        if event == "call" and "segment_logging" in frame.f_code.co_filename:
            calls += 1
            if calls == at:
                sys.setprofile(None)
                handler()

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)


def _no_chores(now: float) -> float | None:
    return None


def _soon(seconds: float = 10.0) -> float:
    return time.monotonic() + seconds


if __name__ == "__main__":
    unittest.main()
