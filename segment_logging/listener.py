"""The delivering half of the stdlib pair: a QueueListener, privately.

What the stock one gets wrong for us is overridden here and nowhere else: an exception from
`dequeue` or `handle` ends its thread for good, `start` twice hangs, and `stop` joins without bound.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from logging.handlers import QueueListener
from queue import Empty
from threading import get_ident
from typing import Any, cast

from typing_extensions import override

from .batch import Batch
from .delivery import Delivery, End, Tally
from .queues import MessageQueue
from .queues.bell import Bell
from .reports import Reporter, report
from .threads import OneThread, own_threads

KEPT_PAUSE = 60.0
"""Seconds until a batch that was kept is tried again."""


class MessageQueueListener(QueueListener):
    """The delivering half: waits until a batch is due, has it answered, acknowledges it.

    One thread, started with the first message. It wakes for the first message of a batch and when
    the batch is due, which is when it is full, `flush_interval` has passed or somebody flushes;
    not for each message, as every wake-up takes the interpreter's lock from the callers.

    Args:
        queue: where the messages wait.
        delivery: has a batch answered.
        flush_interval: seconds a message waits for company.
        chores: done now and then, also while waiting: takes the clock's time and returns the one
            at which it wants to be called again, or None.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        queue: MessageQueue,
        delivery: Delivery,
        *,
        flush_interval: float,
        chores: Callable[[float], float | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(cast(Any, queue))
        self._messages = queue
        self._delivery = delivery
        self._flush_interval = flush_interval
        self._chores = chores
        self._clock = clock
        self._bell = Bell()
        self._waiters: list[Bell] = []
        # What other threads ask for:
        self._stopping = self._closing = False
        self.deadline: float | None = None
        """A moment of the clock after which nothing may go on; None for never."""
        self._trying_now = False
        self._flushes: list[tuple[int, ...]] = []  # what of each lane is not to wait for company
        # What the thread has done:
        self._one = OneThread(
            self._loop,
            on_begin=self._forget_requests,
            on_end=lambda: queue.watch(collecting=False),  # the next message rings
        )
        self._cut_short = False
        self._first_seen: float | None = None
        self._tally = Tally()  # replaced whole, so that any thread may read it
        self._reporter = Reporter()

    # Any thread. --------------------------------------------------------------------------------

    def wake(self) -> None:
        """Wake the thread; with the first message, and the first after `stop`, start it."""
        self._bell.ring()
        if not self.running:
            self.start()

    @property
    def running(self) -> bool:
        """Whether a thread delivers."""
        return self._one.is_running

    @override
    def start(self) -> None:
        """Start the thread unless it runs. Where none can be, messages wait for `run_here`."""
        self._one.start()

    @override
    def stop(self, *, close: bool = False) -> None:
        """Ask the thread to end, and `close` the client, when everything is answered for."""
        self._stopping, self._closing = True, close
        self._bell.ring()

    def run_here(self, deadline: float) -> None:
        """Deliver what waits in the calling thread, for when no other can be started."""

        def prepare() -> None:
            self._stopping, self.deadline = True, deadline

        self._one.run_here(prepare)

    def try_now(self) -> None:
        """Cut the wait for another attempt short: somebody closes, and waits."""
        self._trying_now = True
        self._bell.ring()

    def hurry(self, deadline: float) -> None:
        """Cut the wait for another attempt short, and begin none that would end after `deadline`,
        a moment of the clock."""
        self.deadline = deadline
        self._bell.ring()

    def wait_until_answered(self, deadline: float, *, backlog: bool = False) -> bool:
        """Wait until every message accepted so far is answered for, and with `backlog` what
        processes that are gone have left, too. False: `deadline` of the clock came first."""
        flush = self._accepted()
        targets: list[tuple[int, ...]] = []

        def is_answered() -> bool:
            if backlog and self._messages.has_backlog:
                return False
            if not targets:  # only now: what was found of others counts as accepted, too
                targets.append(self._accepted())
            return self._are_answered(targets[0])

        self._flushes.append(flush)
        try:
            return self._wait_until(is_answered, deadline)
        finally:
            self._flushes.remove(flush)

    def _accepted(self) -> tuple[int, ...]:
        return tuple(accepted for accepted, _ in self._messages.lanes)

    def _are_answered(self, targets: tuple[int, ...]) -> bool:
        lanes = self._messages.lanes
        return all(answered >= target for (_, answered), target in zip(lanes, targets))

    def wait_until_ended(self, deadline: float, *, unless_above: float = math.inf) -> bool:
        """Wait until the thread has ended, or has more messages to go on for than `unless_above`
        accepted ones. False: it has not ended, as when `deadline` came first."""

        def is_over() -> bool:
            self._stopping = True  # again: a message may have begun another thread meanwhile
            return not self.running or self._messages.accepted > unless_above

        self._wait_until(is_over, deadline)
        return not self.running

    def look(self) -> tuple[Tally, int]:
        """Return what became of messages, and how many were accepted: never fewer."""
        return self._tally, self._messages.accepted

    def _wait_until(self, reached: Callable[[], bool], deadline: float) -> bool:
        waiter = Bell()
        self._waiters.append(waiter)
        self._bell.ring()
        try:
            while not reached():
                left = deadline - self._clock()
                if left <= 0 or not self.running or get_ident() in own_threads:
                    return reached()
                waiter.wait(left)
            return True
        finally:
            self._waiters.remove(waiter)

    # The listener's thread. ---------------------------------------------------------------------

    def _forget_requests(self) -> None:
        self._stopping, self.deadline, self._cut_short = False, None, False
        self._trying_now = False

    def _loop(self) -> None:
        try:
            while True:
                self.handle(self.dequeue(True))
        except Empty:
            pass
        finally:
            self._tell_waiters()

    @override
    def dequeue(self, block: bool) -> Any:
        """Wait until a batch is due and return it. Raises queue.Empty when the thread is to end."""
        while True:
            try:
                batch = self._next_batch()
            except Exception as error:  # else the stock loop would end, silently and for good
                what = f"taking a batch failed ({type(error).__name__}): trying again each second"
                self._reporter.once("taking", what)
                if not self._wait(1.0):
                    self._cut_short = True
                continue
            self._reporter.over("taking")
            if batch is not None:
                return batch
            if self._ends():
                raise Empty

    @override
    def handle(self, record: Any) -> None:
        """Have a batch answered and acknowledge it; one that is kept is tried again later."""
        end, tally = End.KEPT, Tally()
        try:
            end, tally = self._delivery.deliver(record, self._wait)
        except Exception as error:
            report(f"delivery failed ({type(error).__name__}): trying again in {KEPT_PAUSE:.0f} s")
        finally:
            self._tally = self._tally.plus(tally)
            if end is End.KEPT:
                self._messages.put_back()
            else:
                self._messages.acknowledge(set_aside=end is End.SET_ASIDE)
        self._tell_waiters()
        if end is End.KEPT and not self._wait(KEPT_PAUSE):
            self._cut_short = True

    def _next_batch(self) -> Batch | None:
        """Wait for the next batch that is due; None when the thread is to end."""
        messages = self._messages
        while not self._is_over:
            wake_at = self._chores(self._clock())
            self._tell_waiters()  # perhaps it was the chores that they waited for
            messages.watch(collecting=False)  # before the look: a message in between rings
            if not messages.is_empty:
                messages.watch(collecting=True)
                due_at = self._due_at()
                if due_at <= self._clock():
                    self._first_seen = None
                    batch = messages.take()
                    if batch is not None:
                        return batch
                    continue  # what was found was empty
                wake_at = due_at if wake_at is None else min(wake_at, due_at)
            elif self._stopping:
                return None
            self._bell.wait(None if wake_at is None else wake_at - self._clock())
        return None

    def _due_at(self) -> float:
        """Return the moment at which what waits is to be sent."""
        now = self._clock()
        if self._first_seen is None:
            self._first_seen = now
        flushing = self._stopping or not all(map(self._are_answered, tuple(self._flushes)))
        if flushing or self._messages.has_full_batch:
            return now
        return self._first_seen + self._flush_interval

    def _wait(self, seconds: float, *, exactly: bool = False) -> bool:
        """Sleep, doing chores, and return True; False, at once, when a deadline comes first.

        A deadline that is set while it sleeps ends the sleep, for one last try; not so when the
        server asked for `exactly` this wait.
        """
        end = self._clock() + seconds
        before = self.deadline
        while self.deadline is None or end <= self.deadline:
            now = self._clock()
            if now >= end or (self._trying_now and not exactly):
                self._trying_now = False
                return True
            wake_at = self._chores(now)
            self._bell.wait((end if wake_at is None else min(end, wake_at)) - now)
        return before is None and not exactly and not self._is_over

    def _ends(self) -> bool:
        """End, unless a message came in just now and its sender saw a running thread."""
        self._messages.watch(collecting=False)
        if not self._has_nothing_to_do:
            return False
        self._messages.release()
        if self._closing:
            self._delivery.close()
        self._one.end()
        return self._has_nothing_to_do or not self._one.resume()

    @property
    def _has_nothing_to_do(self) -> bool:
        return self._is_over or self._messages.is_empty

    @property
    def _is_over(self) -> bool:
        """Whether there is no time left, whatever still waits."""
        return self._cut_short or (self.deadline is not None and self._clock() >= self.deadline)

    def _tell_waiters(self) -> None:
        for waiter in tuple(self._waiters):
            waiter.ring()
