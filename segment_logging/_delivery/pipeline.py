"""The pipeline of one handler in one process: everything between the caller and Segment.

A process creates its pipeline with its first event. `close` ends the pipeline's thread, and the
next event starts it again. A forked child leaves its parent's pipeline alone, and its first event
creates a new one.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable

from .._clock import monotonic
from .._options.delivery import DeliveryOptions
from .._process import shutdown
from .._process.exits import warn_without_threads
from .._process.life import Life
from .._process.lifecycle import Action, Event
from .._process.shutdown import exit_clock
from .._process.threads import is_daemon
from .._queues.choice import queue_for
from .._queues.intake import Intake
from .._queues.message_queue import MessageQueue
from .._reports import counted, report, say, were
from ..errors import InvalidMessage, SegmentError
from .attempts import Delivery
from .counts import Counts
from .dead_letters import letters_of
from .draining import Draining
from .listener import Listener
from .losses import Losses
from .overflowed import Overflowed
from .patience import Patience
from .retries import RetryPolicy
from .waiters import Until


class Pipeline:
    """The queue, intake, listener and delivery of one handler in one process.

    Args:
        options: the handler's options.
        write_key: the Segment source's write key.
        queue: the queue to deliver from. None means a new one for these options.
    """

    def __init__(
        self, options: DeliveryOptions, write_key: str, queue: MessageQueue | None = None
    ) -> None:
        self.pid = os.getpid()
        self._life = Life()
        self._queue = queue_for(write_key, options) if queue is None else queue
        # Messages in a journal are safe, so callers need not wait for all of them.
        self._patience = Patience(options.shutdown_timeout, renews=self._queue.kept_in is None)
        self._intake = Intake(
            self._queue,
            overflow=options.overflow,
            block_timeout=options.block_timeout,
            make_room=self._make_room,
            on_drop=lambda line: self._overflowed.add(line),
        )
        self._delivery = Delivery(
            options.new_client(),
            write_key,
            policy=RetryPolicy(max_attempts=options.max_attempts),
            kept_in=self._queue.kept_in,
            set_aside_in=self._queue.kept_in and f"the quarantine of {self._queue.kept_in}",
            dead_letters=letters_of(options),
            on_error=options.on_error,
        )
        self._listener = Listener(
            self._queue,
            self._delivery,
            self._life,
            ring=self._on_message,
            flush_interval=options.flush_interval,
            chores=self._do_chores,
            on_acknowledged=self._on_acknowledged,
        )
        self._overflowed: Overflowed = Overflowed(
            self._delivery.abandoned, ring=self._listener.wake, advice=lambda: self._losses.advice
        )
        self._waiters = self._listener.waiters
        self.draining = Draining(
            self._queue,
            self._listener,
            self._life,
            patience=self._patience,
            max_shutdown=options.max_shutdown,
            count=self.count,
        )
        """Used by callers that wait for delivery."""
        self._awaited = self._waiters.accepted  # what to wait for at exit
        self._ends_at: Until = lambda: math.inf
        self._losses = Losses(
            self._queue,
            self._intake,
            options,
            is_accepting=lambda: self._patience.is_renewed(monotonic()),
        )
        self.enqueue: Callable[[bytes], bool] = self._intake.enqueue
        """Accept an encoded message, or return False if it was dropped. Thread-safe."""
        shutdown.add(self)
        warn_without_threads()

    def start(self) -> None:
        """Start the thread, to deliver from a queue that others fill."""
        self._on_message()

    @property
    def trouble(self) -> SegmentError | None:
        """Why the messages that are left are not delivered. See `Sending.trouble`."""
        return self._delivery.trouble

    @property
    def is_running(self) -> bool:
        """Whether a thread is delivering."""
        return self._listener.is_running

    def _on_message(self) -> None:
        """Make sure that a thread delivers the message that was just put into the queue."""
        is_last = self._life.is_ending and not is_daemon()
        match self._life.on(Event.LAST_WORDS if is_last else Event.MESSAGE):
            case Action.START:
                self._listener.start()
            case Action.WAKE:
                self._listener.wake()
            case Action.DELIVER_AND_WAIT if sys.is_finalizing():
                # The modules needed to send it are being torn down.
                if self._queue.perishable:
                    say("1 message is lost, because the interpreter is shutting down")
                    self._queue.watch(self._on_message, collecting=False)
            case Action.DELIVER_AND_WAIT:
                with shutdown.until_ctrl_c([self]):
                    self._await_all()
                    self.end_exit()

    def _make_room(self, end: float) -> None:
        """Make sure that a thread delivers, if necessary the calling thread, until `end`."""
        self._listener.wake()
        self.draining.see_to_it(lambda: end)

    def _on_acknowledged(self, action: Action) -> None:
        """Extend the time that callers wait. Called in the listener's thread."""
        self._patience.acknowledged(monotonic(), waited=exit_clock.waited)
        if action is Action.PUT_OFF_AND_GO_ON:
            self._life.put_off(self._ends_at())

    def _do_chores(self, now: float) -> float | None:
        """Do the listener's periodic tasks. Return the time at which to call this again."""
        if exit_clock.is_terminated and self._life.is_patient:
            self._life.on(Event.TERMINATE)
        self._overflowed.write_out()
        times = (self._losses.tell_of_drops(now), self._queue.tend(now), self._delivery.catch_up())
        return min((time for time in times if time is not None), default=None)

    def hurry(self) -> None:
        """Deliver at once after SIGTERM. Lock-free, because a signal handler calls this."""
        self._listener.wake()
        self._waiters.look()  # the time that they wait is shorter now

    def refuse(self, error: InvalidMessage) -> None:
        """Write a message that was refused as invalid to the dead letters, without syncing."""
        self._delivery.abandoned.store([error.refused], error, sync=False)

    def abandon(self) -> None:
        """In a forked child, close the inherited descriptors and leave the parent's files alone."""
        self._life.on(Event.FORK)
        self._queue.abandon()

    # Closing, and process exit. -----------------------------------------------------------------

    def close(self, *, wait: bool = True) -> None:
        """Deliver waiting messages and end the thread. The next message starts it again.

        This waits as long as `flush` does. If delivery takes longer, that is reported, and delivery
        continues in the background until the process ends.

        Args:
            wait: whether to wait. Pass False if the caller holds a lock that other threads need.
        """
        action = self._life.on(Event.CLOSE)
        self._listener.wake()
        if wait:
            with exit_clock.running():
                self._wait_until_closed()
        self._overflowed.write_out()
        if action is Action.TELL_LOSSES:
            self._losses.tell(self._pending, self.trouble, at_last=True)

    def end_by(self, moment: float) -> None:
        """End the thread by a moment, even in the middle of a request. Does not wait for it.

        Args:
            moment: the monotonic time in seconds.
        """
        self.close(wait=False)
        self._life.put_off(moment)
        self._listener.wake()

    def wait_until_ended(self, until: float) -> bool:
        """Wait until the thread has ended. Return False if the time ran out first."""
        return self._waiters.wait_until_ended(lambda: until)

    def _wait_until_closed(self) -> None:
        began, until = monotonic(), self.draining.begin()
        accepted = self._queue.accepted
        # Messages in memory are still delivered in the background. Those on disk are safe, so
        # their delivery may stop.
        if not self._queue.perishable:
            self._life.put_off(until())
        self.draining.see_to_it(until)
        is_answered = self._waiters.wait_until_answered(until)
        self._waiters.wait_until_ended(until, unless_above=accepted if is_answered else math.inf)
        if self._life.is_ending or not self._listener.is_running:
            return
        if is_answered:  # other threads keep logging, so the pipeline stays open
            self._life.on(Event.MESSAGE)
            return
        pending = self._pending
        report(
            f"{counted(pending, 'message')} {were(pending)} not delivered within shutdown_timeout "
            f"({self._patience.timeout:g} s); delivery continues until the process ends"
        )
        self.draining.give_up(began)

    def begin_exit(self) -> None:
        """Start delivering with a deadline, because the process is exiting."""
        self._await_all()
        self._listener.replace_outdated(self._ends_at)
        action = self._life.on(Event.EXIT, deadline=self._ends_at())
        if action is Action.START and self._pending:
            self._listener.start()
        self._listener.wake()

    def _await_all(self) -> None:
        """Wait at exit for the messages accepted so far, but not for later ones."""
        self._awaited = self._waiters.accepted
        self._ends_at = self.draining.begin()

    def wait_for_exit(self, until: Until) -> int:
        """Wait for the delivery that `begin_exit` started. Return how many messages it still has.

        Args:
            until: when to stop waiting.
        """
        with exit_clock.running():
            if self._waiters.wait_until_answered(
                lambda: min(until(), self._ends_at()), target=self._awaited
            ):
                return 0
        has_time = self._listener.is_running and monotonic() < self._ends_at()
        return self._pending if has_time else 0

    def end_exit(self) -> None:
        """Wait until the delivery that `begin_exit` started is over, and report lost messages."""
        began = monotonic()
        with exit_clock.running():
            self._life.put_off(self._ends_at())
            if self._ends_at() > began:
                self.draining.see_to_it(self._ends_at)
            self._listener.wake()
            if self._waiters.wait_until_answered(self._ends_at, target=self._awaited):
                self._waiters.wait_until_ended(self._ends_at, unless_above=sum(self._awaited))
        self.draining.give_up(began)  # `logging.shutdown` runs next, and should not wait again
        self._intake.block_timeout = 0.0
        if self._life.on(Event.EXIT_OVER) is Action.TELL_LOSSES:
            self._overflowed.write_out()
            self._delivery.sum_up()
            self._losses.tell(self._pending, self.trouble)

    def tell_unfinished(self) -> None:
        """Report what is not delivered, because the server may end the process by a signal."""
        self._losses.foretell(self._pending, self.trouble)

    # Counting. ----------------------------------------------------------------------------------

    def count(self) -> Counts:
        """Return the counts of this pipeline's messages."""
        tally = self._delivery.tally  # read before `accepted`, so that `pending` is never negative
        accepted, lost, dropped = self._queue.accepted, self._queue.lost, self._intake.dropped
        return Counts(
            accepted=accepted + dropped,
            delivered=tally.delivered,
            dead_lettered=tally.dead_lettered,
            dropped=dropped + lost,
            pending=accepted - lost - tally.delivered - tally.dead_lettered,
            invalid=self._queue.damaged,
            retried=tally.retried,
            batches=tally.batches,
        )

    @property
    def _pending(self) -> int:
        return self.count().pending
