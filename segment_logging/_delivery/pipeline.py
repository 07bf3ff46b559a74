"""One process's way from the caller to Segment: queue, pair, delivery, and who waits for them.

A pipeline is made with the first event of a process, and of a handler that is opened again. `close`
throws it away, and so does a fork: the first event of a child makes one of its own, and the
parent's stays the parent's.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable

from .._options.delivery import DeliveryOptions
from .._process import shutdown
from .._process.clock import monotonic
from .._process.exits import warn_without_threads
from .._process.life import Life
from .._process.lifecycle import Action, Event
from .._process.shutdown import exit_clock
from .._process.threads import is_daemon
from .._queues.choice import queue_for
from .._queues.intake import Intake
from .._reports import Reporter, counted, report, say, were
from ..errors import InvalidMessage
from .attempts import Delivery, cannot_write_dead_letters
from .counts import Counts
from .dead_letters import DeadLetters
from .draining import Draining
from .listener import Listener
from .losses import Losses
from .patience import Patience
from .retries import RetryPolicy
from .waiters import Until


class Pipeline:
    """Queue, pair and delivery of one handler in one process.

    Args:
        options: the handler's options.
        write_key: of the Segment source.
    """

    def __init__(self, options: DeliveryOptions, write_key: str) -> None:
        self.pid = os.getpid()
        self._life = Life()
        path = options.dead_letters_path
        self._dead_letters = None if path is None else DeadLetters(path)
        self._queue = queue_for(write_key, options)
        # What is left in a journal is safe, so nobody needs to wait for all of it.
        self._patience = Patience(options.shutdown_timeout, renews=not self._queue.keeps)
        self._intake = Intake(
            self._queue, overflow=options.overflow, block_timeout=options.block_timeout
        )
        self._delivery = Delivery(
            options.new_client(),
            write_key,
            policy=RetryPolicy(max_attempts=options.max_attempts),
            keeps=self._queue.keeps,
            dead_letters=self._dead_letters,
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
        self._waiters = self._listener.waiters
        self.draining = Draining(
            self._queue,
            self._listener,
            self._life,
            patience=self._patience,
            max_shutdown=options.max_shutdown,
            count=self.count,
        )
        """For those who wait for it."""
        self._awaited = self._waiters.accepted  # at the end of the process
        self._ends_at: Until = lambda: math.inf
        self._losses = Losses(self._queue, self._intake, options)
        self._reporter = Reporter()
        self.enqueue: Callable[[bytes], None] = self._intake.enqueue
        """Take in an encoded message. Any thread."""
        shutdown.add(self)
        warn_without_threads()

    def _on_message(self) -> None:
        """See that somebody delivers what was just put into the queue."""
        is_last = self._life.is_ending and not is_daemon()
        match self._life.on(Event.LAST_WORDS if is_last else Event.MESSAGE):
            case Action.START:
                self._listener.start()
            case Action.WAKE:
                self._listener.wake()
            case Action.DELIVER_AND_WAIT if sys.is_finalizing():
                # The modules that could send it are being taken down.
                if self._queue.perishable:
                    say("1 message is lost, as the interpreter is being taken down")
                    self._queue.watch(self._on_message, collecting=False)
            case Action.DELIVER_AND_WAIT:
                self._await_all()
                self.end_exit()

    def _on_acknowledged(self, action: Action) -> None:
        """A batch was acknowledged, and whoever waits goes on waiting. Listener's thread."""
        self._patience.acknowledged(monotonic(), waited=exit_clock.waited)
        if action is Action.PUT_OFF_AND_GO_ON:
            self._life.put_off(self._ends_at())

    def _do_chores(self, now: float) -> float | None:
        """Do what the listener is to do from time to time; return when it is to come back."""
        if exit_clock.is_terminated and self._life.is_patient:
            self._life.on(Event.TERMINATE)
        moments = (self._losses.tell_of_drops(now), self._queue.tend(now))
        return min((moment for moment in moments if moment is not None), default=None)

    def hurry(self) -> None:
        """Deliver at once: SIGTERM came. Takes no lock: a signal handler calls."""
        self._listener.wake()

    def refuse(self, error: InvalidMessage) -> None:
        """Write a message that was refused before the queue to the dead letters, unsynced."""
        if self._dead_letters is None:
            return
        try:
            self._dead_letters.write([error.refused], error, sync=False)
        except OSError as fault:
            self._reporter.once("dead letters", cannot_write_dead_letters(fault))

    def abandon(self) -> None:
        """In a forked child: close what is the parent's, and touch nothing of it."""
        self._life.on(Event.FORK)
        self._queue.abandon()

    # Closing, and the end of the process. -------------------------------------------------------

    def close(self, *, wait: bool = True) -> None:
        """Deliver what waits and end the thread; the next message starts it again.

        It waits as long as `flush` does. What takes longer goes on in the background for as long as
        the process lives, and is reported.

        Args:
            wait: False to return at once, as when the caller holds a lock that others need.
        """
        action = self._life.on(Event.CLOSE)
        self._listener.wake()
        if wait:
            with exit_clock.running():
                self._wait_until_closed(self.draining.begin())
        if action is Action.TELL_LOSSES:
            self._losses.tell(self._pending, self._delivery.trouble, at_last=True)

    def _wait_until_closed(self, until: Until) -> None:
        accepted = self._queue.accepted
        # What is in memory goes on being delivered in the background; what is on disk is safe.
        if not self._queue.perishable:
            self._life.put_off(until())
        self.draining.see_to_it(until)
        is_answered = self._waiters.wait_until_answered(until)
        self._waiters.wait_until_ended(until, unless_above=accepted if is_answered else math.inf)
        if self._life.is_ending or not self._listener.is_running:
            return
        if is_answered:  # others log on, and theirs is not ours to cut short
            self._life.on(Event.MESSAGE)
            return
        pending = self._pending
        report(
            f"{counted(pending, 'message')} {were(pending)} not delivered within shutdown_timeout "
            f"({self._patience.timeout:g} s); delivery goes on until the process ends"
        )
        self.draining.give_up()

    def begin_exit(self) -> None:
        """The process ends: from now on, there is a deadline."""
        self._await_all()
        action = self._life.on(Event.EXIT, deadline=self._ends_at())
        if action is Action.START and self._pending:
            self._listener.start()
        self._listener.wake()

    def _await_all(self) -> None:
        """The end of the process waits for what is accepted so far, and not for what follows."""
        self._awaited = self._waiters.accepted
        self._ends_at = self.draining.begin()

    def wait_for_exit(self, at_most: float) -> int:
        """Wait for what `begin_exit` began; return how many messages are still on their way.

        Args:
            at_most: seconds.
        """
        limit = monotonic() + at_most
        with exit_clock.running():
            if self._waiters.wait_until_answered(
                lambda: min(limit, self._ends_at()), target=self._awaited
            ):
                return 0
        return self._pending if monotonic() < self._ends_at() else 0

    def end_exit(self) -> None:
        """Wait for what `begin_exit` began, and say what is lost."""
        with exit_clock.running():
            self._life.put_off(self._ends_at())
            if self._ends_at() > monotonic():
                self.draining.see_to_it(self._ends_at)
            self._listener.wake()
            if self._waiters.wait_until_answered(self._ends_at, target=self._awaited):
                self._waiters.wait_until_ended(self._ends_at, unless_above=sum(self._awaited))
        self.draining.give_up()  # `logging.shutdown` comes after us, and has nothing to wait for
        self._intake.block_timeout = 0.0
        if self._life.on(Event.EXIT_OVER) is Action.TELL_LOSSES:
            self._delivery.sum_up()
            self._losses.tell(self._pending, self._delivery.trouble)

    # Counting. ----------------------------------------------------------------------------------

    def count(self) -> Counts:
        """Return what became of this pipeline's messages."""
        tally = self._delivery.tally  # before `accepted`, which then is never too small
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
