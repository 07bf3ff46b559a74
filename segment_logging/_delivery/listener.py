"""The delivering half of the stdlib pair: a QueueListener, privately.

It overrides what the stock one gets wrong for us: an exception from `dequeue` or `handle` ends its
thread for good, a second `start` hangs, and `stop` joins without a limit.

What the thread does next is decided in `_process.lifecycle`; here it is carried out.
"""

from __future__ import annotations

from collections.abc import Callable
from logging.handlers import QueueListener
from queue import Empty
from typing import Any, cast

from typing_extensions import override

from .._messages.batch import Batch
from .._process.bell import Bell
from .._process.clock import monotonic
from .._process.delivering import delivering_by
from .._process.life import Life
from .._process.lifecycle import Action, Doing, Event
from .._process.threads import OneThread
from .._queues.message_queue import MessageQueue
from .._reports import Reporter, report
from .attempts import Attempts, Delivery
from .outcomes import Answered, Halved, Kept, TryAgain
from .waiters import Waiters

KEPT_PAUSE = 60.0
"""Seconds until a batch that was kept is tried again."""


class Listener(QueueListener):
    """Waits until a batch is due, has it answered, and acknowledges it.

    It has one thread, which starts with the first message. That thread wakes for the first message
    of a batch, and again when the batch is due: because it is full, because `flush_interval` has
    passed, or because somebody waits. It does not wake for each message, as every wake-up takes
    the interpreter's lock from the callers.

    Args:
        queue: where the messages wait.
        delivery: has a batch answered.
        life: decides what the thread does.
        ring: what the queue is to call when the thread may have something to do.
        flush_interval: seconds that a message waits for company.
        chores: done from time to time, also while waiting. Takes the clock's time, and returns
            when it wants to be called again, or None.
        on_acknowledged: called when messages were acknowledged, with what the table has to say.
        clock: seconds, monotonic.
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
        self._bell = Bell()
        self._one = OneThread(self._deliver, on_end=self._watch_for_the_next)
        self.waiters = Waiters(
            queue, self._bell, is_running=lambda: self._one.is_running, clock=clock
        )
        """Whoever waits for the thread."""
        self._first_seen: float | None = None  # when what waits now was found
        self._reporter = Reporter()
        self._watch_for_the_next()

    # Any thread. --------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether a thread delivers."""
        return self._one.is_running

    def wake(self) -> None:
        """Have the thread look again at what there is to do."""
        self._bell.ring()

    @override
    def start(self) -> None:
        """Start the thread unless it runs. Where none can be started, `run_here` is the way."""
        self._bell.ring()
        self._one.start()

    @override
    def stop(self) -> None:
        """Ask the thread to end once everything is answered for. Does not wait for it."""
        self._life.on(Event.CLOSE)
        self._bell.ring()

    def run_here(self, deadline: float) -> None:
        """Deliver what waits in the calling thread, for when no other can be started."""
        self._life.on(Event.DRAIN_HERE, deadline=deadline)
        self._one.run_here()

    # The listener's thread. ---------------------------------------------------------------------

    def _deliver(self) -> None:
        """Deliver until the thread is to end."""
        try:
            with delivering_by(lambda: self._life.deadline):
                while True:
                    self._life.on(Event.BEGIN)
                    if self._has_let_go(self._deliver_until_over()):
                        return
        except BaseException:  # Ctrl-C, where the thread of a caller delivers
            self._life.on(Event.TIME_UP)
            raise
        finally:
            self.waiters.look()

    def _deliver_until_over(self) -> Action:
        try:
            while True:
                self.handle(self.dequeue(True))
        except _Over as over:
            return over.action

    def _has_let_go(self, action: Action) -> bool:
        """Let go of what others could use. False if there is more to do after all."""
        self._messages.release()
        if action is Action.CLOSE_AND_END:
            self._delivery.close()
        self._one.end()
        # Whoever put in a message just now saw a running thread, and started none.
        has_more = self._life.doing is not Doing.STOPPED and not self._messages.is_empty
        return not (has_more and self._one.resume())

    @override
    def dequeue(self, block: bool) -> Any:
        """Wait until a batch is due, and return it.

        Raises:
            queue.Empty: the thread is to end.
        """
        while True:
            try:
                batch = self._next_batch()
            except _Over:
                raise
            except Exception as error:  # the stock loop would end, silently and for good
                what = f"taking a batch failed ({type(error).__name__}): trying again each second"
                self._reporter.once("taking", what)
                self._life.on(Event.KEPT)
                self._pause(1.0)
            else:
                self._reporter.over("taking")
                return batch

    def _next_batch(self) -> Batch:
        messages = self._messages
        while True:
            wake_at = self._chores(self._clock())
            self.waiters.look()  # it may have been the chores that they waited for
            messages.watch(self._ring, collecting=False)  # first, as a message may come meanwhile
            if messages.is_empty:
                action = self._life.on(Event.NOTHING_LEFT)
                if action is not Action.PAUSE:
                    raise _Over(action)
            elif self._is_time_up:
                raise _Over(self._life.on(Event.TIME_UP))
            else:
                messages.watch(self._ring, collecting=True)
                due_at = self._due_at()
                if due_at <= self._clock():
                    self._first_seen = None
                    batch = messages.take()
                    if batch is not None:
                        self._life.on(Event.TAKEN)
                        return batch
                    continue  # there was nothing in what was found
                wake_at = due_at if wake_at is None else min(wake_at, due_at)
            self._bell.wait(None if wake_at is None else wake_at - self._clock())

    def _due_at(self) -> float:
        """Return the moment at which what waits is to be sent."""
        now = self._clock()
        if self._first_seen is None:
            self._first_seen = now
        is_hurried = self.waiters.want_answers or not self._life.is_patient
        if is_hurried or self._messages.has_full_batch:
            return now
        return self._first_seen + self._flush_interval

    @override
    def handle(self, record: Any) -> None:
        """Have a batch answered, and acknowledge it. One that is kept is tried again later.

        Raises:
            queue.Empty: the thread is to end, as there is no time for another attempt.
        """
        attempts = self._delivery.attempts_at(record)
        try:
            self._make(attempts)
        except _Over:
            raise
        except Exception as error:
            report(f"delivery failed ({type(error).__name__}): trying again in {KEPT_PAUSE:.0f} s")
        finally:
            if not attempts.are_over:
                attempts.break_off()
                self._messages.put_back()
            self.waiters.look()
        if attempts.are_over:
            self._life.on(Event.DONE)
        else:
            self._life.on(Event.KEPT)
            self._pause(KEPT_PAUSE)

    def _make(self, attempts: Attempts) -> None:
        """Make attempts, with a pause between them, until they are over or the batch is kept."""
        while not attempts.are_over:
            match attempts.make():
                case Answered() as answer:
                    action = self._life.on(Event.ANSWERED)
                    self._messages.acknowledge(answer.messages, set_aside=answer.is_set_aside)
                    self._on_acknowledged(action)
                case TryAgain() as again:
                    self._life.on(Event.RATE_LIMITED if again.is_asked else Event.FAILED)
                    self._pause(again.seconds)
                case Halved():
                    continue
                case Kept():
                    return

    def _pause(self, seconds: float) -> None:
        """Sleep, doing chores, unless somebody cuts the pause short.

        Raises:
            queue.Empty: the deadline comes before its end.
        """
        end = self._clock() + seconds
        while self._life.is_paused:
            now = self._clock()
            deadline = self._life.deadline
            if deadline is not None and deadline < end:
                raise _Over(self._life.on(Event.TIME_UP))
            if now >= end:
                self._life.on(Event.PAUSE_OVER)
                return
            wake_at = self._chores(now)
            if self._life.is_paused:  # a chore may have cut the pause short
                self._bell.wait((end if wake_at is None else min(end, wake_at)) - now)

    @property
    def _is_time_up(self) -> bool:
        deadline = self._life.deadline
        return deadline is not None and self._clock() >= deadline

    def _watch_for_the_next(self) -> None:
        """Have the next message ring, as no thread looks for it."""
        self._messages.watch(self._ring, collecting=False)


class _Over(Empty):
    """The thread is to end, in the way that the action says."""

    def __init__(self, action: Action) -> None:
        super().__init__()
        self.action = action
