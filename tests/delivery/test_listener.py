"""Tests for the listener: when it takes a batch, how it handles answers, and when it ends.

Most tests use a fake clock, which advances whenever the listener wakes and does its chores.
"""

from __future__ import annotations

import io
import queue
import sys
import threading
import time
import unittest
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from types import FrameType
from typing import Any

from typing_extensions import override

from segment_logging import SegmentError
from segment_logging._delivery.attempts import Delivery
from segment_logging._delivery.listener import Listener
from segment_logging._delivery.outcomes import Tally
from segment_logging._delivery.retries import RetryPolicy
from segment_logging._delivery.waiters import Until
from segment_logging._messages.batch import Batch
from segment_logging._messages.encoding import encode
from segment_logging._messages.message import Message
from segment_logging._process.delivering import is_delivering
from segment_logging._process.life import Life
from segment_logging._process.lifecycle import Event
from segment_logging._queues.memory import MemoryQueue
from segment_logging.testing import FakeClient
from tests import needs
from tests.builders import a_track


class Clock:
    """A clock that advances only when `chores` is called."""

    def __init__(self, step: float = 0.1) -> None:
        self.now = 0.0
        self.step = step
        self.events: list[tuple[float, Callable[[], object]]] = []

    def __call__(self) -> float:
        return self.now

    def at(self, moment: float, function: Callable[[], object]) -> None:
        """Schedule a function to be called at the given moment."""
        self.events.append((moment, function))

    def chores(self, now: float) -> float:
        """Advance the clock by one step, and request another call at once."""
        self.now += self.step
        for event in [one for one in self.events if one[0] <= self.now]:
            self.events.remove(event)
            event[1]()
        return now


Answer = int | tuple[int, float] | BaseException | None


class ListenerTest(unittest.TestCase):
    """Base class with a listener and a fake client.

    The client gives the answers in `answers`, and then 200. Before it answers, it calls `before`
    with the batch, in the delivery thread.
    """

    @override
    def setUp(self) -> None:
        self.clock = Clock()
        self.life = Life()
        self.before: Callable[[Message], object] = lambda message: None
        self.answers: list[Answer] = []
        self.client = FakeClient(self.answer)
        self.rings = 0
        self.queue = MemoryQueue(max_messages=100_000, max_bytes=10_000_000)

    def answer(self, message: Message) -> Answer:
        self.before(message)
        return self.answers.pop(0) if self.answers else None

    def count_ring(self) -> None:
        self.rings += 1

    def a_delivery(self, **options: Any) -> Delivery:
        options = {"policy": RetryPolicy(), "random": lambda: 0.0, **options}
        return Delivery(self.client, "key", **options)

    def a_listener(self, **options: Any) -> Listener:
        """Return a listener without a thread. The test calls what the thread would call."""
        self.delivery = self.a_delivery(kept_in=options.pop("kept_in", None))
        options = {
            "ring": self.count_ring,
            "flush_interval": 1.0,
            "chores": self.clock.chores,
            "clock": self.clock,
            **options,
        }
        listener = Listener(self.queue, self.delivery, self.life, **options)
        self.life.on(Event.BEGIN)
        return listener

    @property
    def pending(self) -> int:
        return self.queue.accepted - self.delivery.tally.delivered

    @property
    def sizes(self) -> list[int]:
        """The number of messages in each request."""
        return [len(batch) for batch in self.client.requests if isinstance(batch, Batch)]

    def exit_by(self, deadline: float) -> None:
        self.life.on(Event.EXIT, deadline=deadline)

    def put(self, count: int = 1, *, size_bytes: int = 100) -> None:
        line = encode({"type": "track", "userId": "u", "event": "x" * (size_bytes - 40)})
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
        """A batch is due when its first message has waited for `flush_interval`."""
        listener = self.a_listener()
        self.put()
        self.clock.at(0.55, self.put)
        batch = listener.dequeue(True)
        self.assertEqual(len(batch), 2)
        self.assertAlmostEqual(self.clock.now, 1.1, delta=0.15)  # seen after one step

    def test_each_batch_anew(self) -> None:
        """The interval of each batch starts with the batch's first message."""
        listener = self.a_listener()
        self.put()
        listener.handle(listener.dequeue(True))
        self.clock.now = 10.0
        self.put()
        listener.dequeue(True)
        self.assertAlmostEqual(self.clock.now, 11.1, delta=0.15)

    def test_full_by_count(self) -> None:
        """2,500 messages are due at once and form one batch."""
        listener = self.a_listener()
        self.put(2_501)
        self.assertEqual(len(listener.dequeue(True)), 2_500)
        self.assertLess(self.clock.now, 0.5)

    def test_full_by_bytes(self) -> None:
        """500,000 bytes are due at once and form one batch."""
        listener = self.a_listener()
        self.put(50, size_bytes=10_000)
        self.assertEqual(len(listener.dequeue(True)), 49)  # plus the envelope
        self.assertLess(self.clock.now, 0.5)

    def test_close(self) -> None:
        """After `stop`, the waiting messages are due at once, and then the thread ends."""
        listener = self.a_listener()
        self.put(3)
        listener.stop()
        listener.handle(listener.dequeue(True))
        with self.assertRaises(queue.Empty):
            listener.dequeue(True)
        self.assertLess(self.clock.now, 0.5)
        self.assertEqual(self.sizes, [3])

    def test_deadline(self) -> None:
        """After the deadline, the thread ends, and waiting messages stay in the queue."""
        listener = self.a_listener()
        self.put(3)
        self.exit_by(0.0)
        with self.assertRaises(queue.Empty):
            listener.dequeue(True)
        self.assertEqual(self.queue.perishable, 3)

    def test_taking_fails(self) -> None:
        """If taking a batch raises, this is reported, and it is retried a second later."""
        broken = [OSError()]

        class BrokenOnce(MemoryQueue):
            @override
            def take(self) -> Batch | None:
                if broken:
                    raise broken.pop()
                return super().take()

        self.queue = BrokenOnce(max_messages=10, max_bytes=10_000)
        listener = self.a_listener(flush_interval=0.0)
        self.put()
        said = self.stderr_of(lambda: self.assertEqual(len(listener.dequeue(True)), 1))
        self.assertIn("OSError", said)
        self.assertGreater(self.clock.now, 1.0)

    def test_taking_fails_at_the_end(self) -> None:
        """If taking keeps raising, it is reported once, and the deadline still ends the thread."""

        class Broken(MemoryQueue):
            @override
            def take(self) -> Batch | None:
                raise OSError

        self.queue = Broken(max_messages=10, max_bytes=10_000)
        listener = self.a_listener(flush_interval=0.0)
        self.put()

        def use() -> None:
            self.exit_by(self.clock.now + 5.5)
            with self.assertRaises(queue.Empty):
                listener.dequeue(True)

        self.assertEqual(self.stderr_of(use).count("\n"), 1)
        self.assertLess(self.clock.now, 6.0)


class TestAnswers(ListenerTest):
    def take_one(self, listener: Listener) -> Batch:
        batch = listener.dequeue(True)
        assert isinstance(batch, Batch)
        return batch

    def test_answered(self) -> None:
        """A batch is removed from the queue when it is answered, and not before."""
        listener = self.a_listener()
        self.put(3)
        seen: list[int] = []
        self.before = lambda message: seen.append(self.queue.perishable)
        listener.handle(self.take_one(listener))
        self.assertEqual((seen, self.queue.perishable), ([3], 0))
        self.assertEqual(self.delivery.tally, Tally(delivered=3, batches=1))

    def test_answered_in_part(self) -> None:
        """The answered part of a halved batch is removed from the queue, and the rest stays."""
        self.answers[:] = [400, None, SystemExit()]
        listener = self.a_listener()
        self.put(4)
        batch = self.take_one(listener)
        self.exit_by(0.0)
        with self.assertRaises(queue.Empty):
            listener.handle(batch)
        self.assertEqual((self.queue.perishable, self.pending), (2, 2))
        self.assertEqual(self.sizes, [4, 2, 2])

    def test_kept(self) -> None:
        """A kept batch is retried a minute later, before messages that were added since."""
        self.answers[:] = [401]
        listener = self.a_listener(kept_in="the journal")
        self.put(3)
        self.stderr_of(lambda: listener.handle(self.take_one(listener)))
        self.assertGreater(self.clock.now, 60.0)
        self.assertEqual((self.queue.accepted, self.pending), (3, 3))
        self.put(2)
        listener.handle(self.take_one(listener))
        self.assertEqual(self.sizes, [3, 3])
        self.assertEqual(self.delivery.tally.retried, 1)
        listener.stop()
        listener.handle(self.take_one(listener))
        self.assertEqual((self.queue.accepted, self.pending), (5, 0))

    def test_delivery_raises(self) -> None:
        """If delivery raises, the batch is kept, the error is reported and the thread continues."""
        listener = self.a_listener()
        self.put(3)
        broken = [MemoryError()]
        send = self.delivery.send

        def send_or_fail(batch: Batch) -> SegmentError | None:
            if broken:
                raise broken.pop()
            return send(batch)

        self.delivery.send = send_or_fail  # type: ignore[method-assign]
        said = self.stderr_of(lambda: listener.handle(self.take_one(listener)))
        self.assertIn("MemoryError", said)
        listener.handle(self.take_one(listener))
        self.assertEqual((self.queue.accepted, self.pending), (3, 0))

    def test_pauses_do_chores(self) -> None:
        """The chores are done while the listener waits for another attempt."""
        self.answers[:] = [(429, 5.0)]
        listener = self.a_listener()
        self.put()
        listener.handle(self.take_one(listener))
        self.assertEqual(self.pending, 0)
        self.assertGreater(self.clock.now, 5.0)

    def attempts_until(self, *answers: Answer, exit_at: float, deadline: float) -> int:
        """Return the number of attempts if the process begins to exit at `exit_at`."""
        self.answers[:] = answers
        listener = self.a_listener()
        self.put()
        self.clock.at(exit_at, lambda: self.exit_by(deadline))
        with suppress(queue.Empty):
            listener.handle(self.take_one(listener))
        return len(self.client.requests)

    def test_the_end_cuts_a_pause_short(self) -> None:
        """If the process exits during a backoff wait, the last attempt is made at once."""
        faults = [503] * 9  # with waits of 0, 0.5, 1, 2, 4 ... seconds in between
        self.assertEqual(self.attempts_until(*faults, exit_at=6.0, deadline=8.0), 6)
        self.assertLess(self.clock.now, 7.0)

    def test_the_end_does_not_cut_a_retry_after(self) -> None:
        """If a Retry-After wait lasts beyond the exit's deadline, no further attempt is made."""
        self.assertEqual(self.attempts_until((429, 60.0), exit_at=3.0, deadline=8.0), 1)
        self.assertLess(self.clock.now, 4.0)

    def test_retry_after_within_the_deadline(self) -> None:
        """A Retry-After wait that ends before the deadline is not shortened."""
        self.assertEqual(self.attempts_until((429, 4.0), None, exit_at=3.0, deadline=8.0), 2)
        self.assertGreater(self.clock.now, 4.0)


@needs.threads
class TestThread(ListenerTest):
    """Tests with a thread and the real clock."""

    def start(self, **options: Any) -> Listener:
        """Return a listener whose thread is started by the first message."""

        def ring() -> None:
            self.rings += 1
            self.life.on(Event.MESSAGE)
            listener.start()

        self.life = Life()
        self.queue = MemoryQueue(max_messages=100_000, max_bytes=100_000_000)
        listener = self.a_thread(**{"ring": ring, "flush_interval": 0.05, **options})
        self.addCleanup(self.end, listener)
        return listener

    def a_thread(self, **options: Any) -> Listener:
        self.delivery = self.a_delivery(on_error=options.pop("on_error", None))
        options = {"ring": self.count_ring, "chores": _no_chores, "flush_interval": 60, **options}
        return Listener(self.queue, self.delivery, self.life, **options)

    def end(self, listener: Listener) -> None:
        listener.stop()
        self.assertTrue(listener.waiters.wait_until_ended(_until(3)))

    def test_starts_with_the_first_message(self) -> None:
        """The first message starts the thread, and the first one after `stop` starts a new one."""
        listener = self.start()
        self.assertFalse(listener.is_running)
        for _ in range(3):
            self.put()
            self.assertTrue(listener.is_running)
            self.assertTrue(listener.waiters.wait_until_answered(_until()))
            self.end(listener)
            self.assertFalse(listener.is_running)

    def test_wakes_once_a_batch(self) -> None:
        """Only a batch's first message and a full batch wake the thread, not every message."""
        listener = self.start(flush_interval=0.2)
        self.put(4_000, size_bytes=1_000)
        self.assertTrue(listener.waiters.wait_until_answered(_until()))
        self.assertEqual(sum(self.sizes), 4_000)
        self.assertLessEqual(self.rings, 2 * len(self.sizes) + 1)
        self.assertLess(self.rings, 40)

    def test_start_twice(self) -> None:
        """Only one thread is started, even if many threads start the listener."""
        gate, threads = threading.Event(), set[int]()

        def note_thread(message: Message) -> None:
            threads.add(threading.get_ident())
            gate.wait(10)

        self.before = note_thread
        listener = self.start(flush_interval=0.0)

        def put_and_start() -> None:
            self.put()
            listener.start()

        wakers = [threading.Thread(target=put_and_start) for _ in range(20)]
        for waker in wakers:
            waker.start()
        for waker in wakers:
            waker.join()
        gate.set()
        self.assertTrue(listener.waiters.wait_until_answered(_until()))
        self.assertEqual(len(threads), 1)

    def test_start_in_the_middle_of_start(self) -> None:
        """A signal handler that calls `start` during `start` does not start a second thread."""

        for at in range(1, 9):  # at each call, because a signal may arrive there
            with self.subTest(at):
                self.life = Life()
                listener = self.a_thread()
                self.addCleanup(self.end, listener)
                before = set(threading.enumerate())
                _interrupt(at, listener.start, listener.start)
                self.assertEqual(len(set(threading.enumerate()) - before), 1)

    def test_nothing_ends_it(self) -> None:
        """SystemExit and KeyboardInterrupt in a hook or client do not end the thread."""
        for error in (SystemExit(1), KeyboardInterrupt(), GeneratorExit()):
            with self.subTest(type(error).__name__):
                self.client = FakeClient([400])

                def on_error(*_: object, error: BaseException = error) -> None:
                    raise error

                listener = self.start(on_error=on_error)
                line = encode(a_track(message_id="1").to_dict())

                def put(listener: Listener = listener, line: bytes = line) -> None:
                    self.queue.put(line)
                    listener.waiters.wait_until_answered(_until(0.5))
                    self.queue.put(line)
                    self.assertTrue(listener.waiters.wait_until_answered(_until(2)))

                self.stderr_of(put)
                self.assertEqual(len(self.client.messages), 1)

    def test_wait_on_its_own_thread(self) -> None:
        """A wait in the listener's own thread returns at once, to avoid a deadlock."""
        listener = self.start()
        waited: list[bool] = []
        self.before = lambda message: waited.append(
            listener.waiters.wait_until_answered(_until(60))
            or listener.waiters.wait_until_ended(_until(60))
        )
        self.put()
        self.assertTrue(listener.waiters.wait_until_answered(_until()))
        self.assertEqual(waited, [False])

    def test_run_here(self) -> None:
        """`run_here` delivers in the calling thread, for when no thread can be started."""
        self.put(3)
        seen: list[bool] = []
        self.before = lambda message: seen.append(is_delivering())
        listener = self.a_thread()
        listener.run_here(_soon())
        self.assertEqual(self.delivery.tally.delivered, 3)
        self.assertEqual((seen, is_delivering(), listener.is_running), ([True], False, False))

    def test_run_here_is_interrupted(self) -> None:
        """After Ctrl-C in `run_here`, the thread is no longer marked as delivering."""
        self.answers[:] = [KeyboardInterrupt()]
        self.put(3)
        listener = self.a_thread()
        with self.assertRaises(KeyboardInterrupt):
            listener.run_here(_soon())
        self.assertFalse(is_delivering())
        self.assertFalse(listener.is_running)
        listener.run_here(_soon())
        self.assertEqual(self.delivery.tally.delivered, 3)


def _interrupt(at: int, function: Callable[[], object], handler: Callable[[], object]) -> None:
    """Call a function, and call `handler` at the start of its call number `at` in the package."""
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


def _until(seconds: float = 10.0) -> Until:
    """Return a function that returns the deadline for a wait."""
    moment = _soon(seconds)
    return lambda: moment


def _soon(seconds: float = 10.0) -> float:
    return time.monotonic() + seconds


if __name__ == "__main__":
    unittest.main()
