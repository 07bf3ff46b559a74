"""The delivery thread: a private subclass of the standard library's QueueListener.

It overrides some behaviour of the base class. There, an exception from `dequeue` or `handle` ends
the thread for good, a second `start` hangs, and `stop` joins the thread without a timeout.

The table in `_process.lifecycle` decides what the thread does next. This module carries it out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from logging.handlers import QueueListener
from typing import Any, cast

from typing_extensions import override

from .._clock import monotonic
from .._messages.batch import Batch
from .._process.bell import Bell
from .._process.delivering import delivering_by, is_delivering
from .._process.life import Life
from .._process.lifecycle import Action, Doing, Event
from .._process.threads import OneThread, patch_detector
from .._queues.message_queue import MessageQueue
from .._reports import Reporter, report
from .attempts import Attempts, Delivery
from .isolation import outcome_of_stuck
from .outcomes import Answered, Halved, Kept, Over, SetBack, Stuck, TryAgain
from .pauses import Pauses
from .waiters import Until, Waiters

KEPT_PAUSE = 60.0
"""Seconds until a kept batch is tried again."""


class Listener(Pauses, QueueListener):
    """Waits until a batch is due, sends it, and acknowledges its messages.

    The listener has one thread, which is started by the first message. The thread wakes up for the
    first message of a batch, and again when the batch is due. A batch is due when it is full, when
    `flush_interval` has passed, or when a caller waits for it. The thread does not wake up for each
    message, because every wake-up takes the interpreter lock from the callers.

    Args:
        queue: the queue of waiting messages.
        delivery: sends batches.
        life: decides what the thread does next.
        ring: the queue calls this when the thread may have something to do.
        flush_interval: how many seconds a message waits for others to fill its batch.
        chores: called from time to time, even during waits. It is passed the current time, and
            returns the time at which to call it again, or None.
        on_acknowledged: called with the table's action when messages have been acknowledged.
        clock: returns the monotonic time in seconds.
    """

    def __init__(
        self,
        queue: MessageQueue,
        delivery: Delivery,
        life: Life,
        *,
        ring: Callable[[], None],
        flush_interval: float,
        chores: Callable[[float], float | None],
        on_acknowledged: Callable[[Action], None] = lambda action: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(cast(Any, queue))
        self._messages = queue
        self._delivery = delivery
        self._life = life
        self._ring = ring
        self._flush_interval = flush_interval
        self._chores = chores
        self._on_acknowledged = on_acknowledged
        self._clock = clock
        self._isolate = partial(outcome_of_stuck, delivery, queue, self._acknowledge)
        self._bell = Bell()
        self._one = OneThread(self._deliver, on_end=self._watch_for_the_next)
        self.waiters = Waiters(
            queue, self._bell, is_running=lambda: self._one.is_running, clock=clock
        )
        """The callers that wait for the thread."""
        self._first_seen: float | None = None  # when the waiting messages were first seen
        # The number of accepted messages when a batch was stuck and no other one was waiting.
        self._alone_at: int | None = None
        self._paused_until = -math.inf  # the end of the thread's last pause
        self._reporter = Reporter()
        self._watch_for_the_next()

    # Any thread. --------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether a thread is delivering."""
        return self._one.is_running

    @property
    def asked_to_wait_until(self) -> float:
        """When the Retry-After that the thread waits for ends; -inf if it waits for none."""
        return self._paused_until if self._life.doing is Doing.ASKED_TO_WAIT else -math.inf

    def wake(self) -> None:
        """Wake the thread, so that it checks for work."""
        self._bell.ring()

    @override
    def start(self) -> None:
        """Start the thread unless it is running. If that fails, use `run_here` instead."""
        self._bell.ring()
        self._one.start()

    @override
    def stop(self) -> None:
        """Ask the thread to end once all messages are settled. Does not wait for it."""
        self._life.on(Event.CLOSE)
        self._bell.ring()

    def run_here(self, deadline: float) -> None:
        """Deliver waiting messages in the calling thread, if no thread can be started."""
        self._life.on(Event.DRAIN_HERE, deadline=deadline)
        self._one.run_here()

    def replace_outdated(self, until: Until) -> None:
        """Wait until a thread that gevent or eventlet has outdated has ended."""
        if self._one.is_outdated and not is_delivering():
            self._bell.ring()
            self._one.replace_outdated(until() - self._clock())

    # The listener's thread. ---------------------------------------------------------------------

    def _deliver(self) -> None:
        """Deliver until the thread must end."""
        was_patched = patch_detector()
        self._bell.renew()
        try:
            with delivering_by(lambda: self._life.deadline):
                while True:
                    self._life.on(Event.BEGIN)
                    if self._has_let_go(self._deliver_until_over()):
                        return
        except BaseException:  # Ctrl-C, when a caller's thread delivers
            self._life.on(Event.TIME_UP)
            raise
        finally:
            if not was_patched():  # else another thread may be delivering already
                self.waiters.look()

    def _deliver_until_over(self) -> Action:
        try:
            while True:
                self.handle(self.dequeue(True))
        except Over as over:
            return over.action

    def _has_let_go(self, action: Action) -> bool:
        """Release the journal and connections. Return False if more messages have arrived."""
        if action is not Action.HAND_OVER:
            self._messages.release()
        if action is not Action.END:
            self._delivery.close()
        self._one.end()
        # A caller that has just put in a message may have seen a running thread and started none.
        has_more = self._life.doing is not Doing.STOPPED and not self._messages.is_empty
        return not (has_more and self._one.resume())

    @override
    def dequeue(self, block: bool) -> Any:
        """Wait until a batch is due, and return it. Raises queue.Empty if the thread must end."""
        while True:
            try:
                batch = self._next_batch()
            except Over:
                raise
            except Exception as error:  # would silently end the base class's loop
                what = f"taking a batch failed ({type(error).__name__}): trying again every second"
                self._reporter.once("taking", what)
                self._life.on(Event.KEPT)
                self._pause(1.0)
            else:
                self._reporter.over("taking")
                return batch

    def _next_batch(self) -> Batch:
        messages = self._messages
        while True:
            self._end_if_outdated()
            wake_at = self._chores(self._clock())
            self.waiters.look()  # the chores may have done what they were waiting for
            messages.watch(self._ring, collecting=False)  # before the check, or it could miss one
            if messages.is_empty:
                action = self._life.on(Event.NOTHING_LEFT)
                if action is not Action.PAUSE:
                    raise Over(action)
            elif self._life.is_time_up(self._clock()):
                raise Over(self._life.on(Event.TIME_UP))
            else:
                messages.watch(self._ring, collecting=True)
                due_at = self._due_at()
                if due_at <= self._clock():
                    self._first_seen = None
                    batch = messages.take()
                    if batch is not None:
                        self._life.on(Event.TAKEN)
                        return batch
                    continue  # the queue held no valid message
                wake_at = due_at if wake_at is None else min(wake_at, due_at)
            self._bell.wait(None if wake_at is None else wake_at - self._clock())

    def _due_at(self) -> float:
        """Return the time at which the waiting messages must be sent."""
        now = self._clock()
        if self._first_seen is None:
            self._first_seen = now
        is_hurried = self.waiters.want_answers or not self._life.is_patient
        if is_hurried or self._messages.has_full_batch:
            return now
        return self._first_seen + self._flush_interval

    @override
    def handle(self, record: Any) -> None:
        """Send a batch and acknowledge its messages. If the batch is kept, pause before returning.

        Raises:
            queue.Empty: the thread must end, because there is no time for another attempt.
        """
        attempts = self._delivery.attempts_at(record)
        is_set_back = False
        try:
            is_set_back = self._make(attempts)
        except Over:
            raise
        except Exception as error:
            report(f"delivery failed ({type(error).__name__}): trying again in {KEPT_PAUSE:.0f} s")
        finally:
            if not attempts.are_over and not is_set_back:
                attempts.break_off()
                if self._alone_at is not None and attempts.use_up():
                    self._delivery.resume_later(attempts)
                self._messages.put_back()
            if not self._one.is_outdated:
                self.waiters.look()
        if attempts.are_over or is_set_back:
            self._life.on(Event.DONE)
        else:
            self._life.on(Event.KEPT)
            self._pause(KEPT_PAUSE, unless_more_than=self._alone_at)

    def _make(self, attempts: Attempts) -> bool:
        """Make attempts until the batch is settled or kept. Return True if it was set back."""
        self._alone_at = None
        while not attempts.are_over:
            outcome = attempts.make()
            accepted = self._messages.accepted
            if isinstance(outcome, (Stuck, Kept)) and self._messages.is_empty:
                self._alone_at = accepted
            if isinstance(outcome, Stuck):
                outcome = self._isolate(attempts)
            match outcome:
                case Answered() as answer:
                    self._acknowledge(answer)
                case TryAgain() as again:
                    self._life.on(Event.RATE_LIMITED if again.is_asked else Event.FAILED)
                    self._pause(again.seconds)
                case SetBack():
                    self._delivery.resume_later(attempts)
                    self._messages.set_back()
                    return True
                case Halved():
                    continue
                case Kept():
                    return False
        return False

    def _acknowledge(self, answer: Answered) -> None:
        action = self._life.on(Event.ANSWERED)
        for messages, is_set_aside in answer.runs:
            self._messages.acknowledge(messages, set_aside=is_set_aside)
        self._on_acknowledged(action)
