"""One process's way from the caller to Segment: queue, pair, delivery, and who waits for them.

A pipeline is made with the first event of a process, and of a handler that is opened again. `close`
throws it away, and so does a fork: the first event of a child makes one of its own, and the
parent's stays the parent's.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from .._options.delivery import DeliveryOptions
from .._process import shutdown
from .._process.delivering import is_delivering
from .._process.exits import warn_without_threads
from .._process.lifecycle import Action, Event, Lifecycle
from .._process.shutdown import exit_clock
from .._queues.choice import queue_for
from .._queues.intake import Intake
from .._reports import DropReports, Reporter, counted, report, say, were
from ..errors import InvalidMessage
from .attempts import Delivery, cannot_write_dead_letters
from .counts import Counts
from .dead_letters import DeadLetters
from .listener import Listener
from .patience import Patience
from .retries import RetryPolicy


class Pipeline:
    """Queue, pair and delivery of one handler in one process.

    Args:
        options: the handler's options.
        write_key: of the Segment source.
    """

    def __init__(self, options: DeliveryOptions, write_key: str) -> None:
        self.pid = os.getpid()
        self._life = Lifecycle()
        self._patience = Patience(options.shutdown_timeout)
        path = options.dead_letters_path
        self._dead_letters = None if path is None else DeadLetters(path)
        self._queue = queue_for(write_key, options)
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
        )
        self._drops = DropReports()
        self._reporter = Reporter()
        self._said_lost = 0
        self.enqueue: Callable[[bytes], None] = self._intake.enqueue
        """Take in an encoded message. Any thread."""
        shutdown.add(self)
        warn_without_threads()

    def _on_message(self) -> None:
        """See that somebody delivers what was just put into the queue."""
        match self._life.on(Event.MESSAGE):
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
                self.end_exit()

    def _do_chores(self, now: float) -> float | None:
        """Do what the listener is to do from time to time; return when it is to come back."""
        moments = (self._drops.report(self._intake.dropped, now=now), self._queue.tend(now))
        return min((moment for moment in moments if moment is not None), default=None)

    def refuse(self, error: InvalidMessage) -> None:
        """Write a message that was refused before the queue to the dead letters, if there are any.

        Caller's thread. It is not synced, as nothing was accepted.
        """
        if self._dead_letters is None:
            return
        try:
            self._dead_letters.write([error.refused], error, sync=False)
        except OSError as fault:
            self._reporter.once("dead letters", cannot_write_dead_letters(fault))

    def abandon(self) -> None:
        """In a forked child: close what is the parent's, and touch nothing of it."""
        self._life.leave()
        self._queue.abandon()

    # Waiting for answers. -----------------------------------------------------------------------

    def drain(self, timeout: float, *, backlog: bool = False) -> bool:
        """Wait until everything accepted so far is answered for.

        Args:
            timeout: seconds to wait at most.
            backlog: wait for what processes that are gone have left, too.
        """
        return self._wait_until_answered(time.monotonic() + timeout, backlog=backlog)

    def flush(self) -> None:
        """Wait until everything accepted so far is answered for, within `shutdown_timeout`."""
        with self._waiting() as deadline:
            if not self._wait_until_answered(deadline):
                self._give_up()

    def _wait_until_answered(self, deadline: float, *, backlog: bool = False) -> bool:
        while True:
            if self._see_to_it(deadline, backlog=backlog) and time.monotonic() < deadline:
                backlog = False  # it has looked for that; to look again would begin it anew
            if self._listener.waiters.wait_until_answered(deadline, backlog=backlog):
                return True
            # Somebody else may have closed in the middle of it, and so ended the thread.
            has_ended = backlog and not self._listener.is_running and not is_delivering()
            if not has_ended or time.monotonic() >= deadline:
                return False
            time.sleep(0.001)

    def _see_to_it(self, deadline: float, *, backlog: bool = False) -> bool:
        """See that somebody delivers what waits, be it the calling thread.

        Returns:
            Whether it was the calling thread, as no other can be started.
        """
        something_waits = (backlog and self._queue.has_backlog) or self._pending > 0
        if not something_waits or self._life.on(Event.FLUSH) is not Action.START:
            return False
        self._listener.start()
        if self._listener.is_running:
            return False
        self._listener.run_here(deadline)
        return True

    # Closing, and the end of the process. -------------------------------------------------------

    def close(self, *, wait: bool = True) -> None:
        """Deliver what waits and end the thread; the next message starts it again.

        It returns within `shutdown_timeout`. What takes longer goes on in the background for as
        long as the process lives, and is reported.

        Args:
            wait: False to return at once, as when the caller holds a lock that others need.
        """
        action = self._life.on(Event.CLOSE)
        self._listener.wake()
        if wait:
            with self._waiting() as deadline:
                self._wait_until_closed(deadline)
        if action is Action.TELL_LOSSES:
            self._tell_of_losses(at_last=True)

    def _wait_until_closed(self, deadline: float) -> None:
        accepted = self._queue.accepted
        # What is in memory goes on being delivered in the background; what is on disk is safe.
        if not self._queue.perishable:
            self._life.put_off(deadline)
        self._see_to_it(deadline)
        is_answered = self._listener.waiters.wait_until_answered(deadline)
        self._listener.waiters.wait_until_ended(
            deadline, unless_above=accepted if is_answered else math.inf
        )
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
        self._give_up()

    def begin_exit(self) -> None:
        """The process ends: from now on, everybody who waits may wait `shutdown_timeout` in all."""
        deadline = time.monotonic() + self._seconds_to_wait(at_exit=True)
        if self._life.on(Event.EXIT, deadline=deadline) is Action.START and self._pending:
            self._listener.start()
        self._listener.wake()

    def end_exit(self) -> None:
        """Wait for what `begin_exit` began, and say what is lost."""
        with self._waiting() as deadline:
            self._life.put_off(deadline)
            if deadline > time.monotonic():
                self._see_to_it(deadline)
            self._listener.wake()
            self._listener.waiters.wait_until_ended(deadline)
        self._give_up()  # `logging.shutdown` comes after us, and has nothing to wait for
        self._intake.block_timeout = 0.0
        if self._life.on(Event.EXIT_OVER) is Action.TELL_LOSSES:
            self._delivery.sum_up()
            self._tell_of_losses()

    def _tell_of_losses(self, *, at_last: bool = False) -> None:
        """Say what is lost.

        Say it again when it has become twice as much, which does not flood anybody if other exit
        functions go on logging; and `at_last`, when `logging.shutdown` closes the handler.
        """
        self._drops.report_at_end(self._intake.dropped, at_last=at_last)
        lost = self._queue.perishable
        if lost >= (self._said_lost + 1 if at_last else max(1, 2 * self._said_lost)):
            self._said_lost = lost
            reason = self._delivery.trouble or "no answer came in time"
            say(
                f"{counted(lost, 'message')} {were(lost)} not delivered before the process ended, "
                f"and {'is' if lost == 1 else 'are'} lost ({reason}): raise shutdown_timeout "
                f"({self._patience.timeout:g} s), or set a journal to keep them for the next start"
            )

    def _give_up(self) -> None:
        counts = self.count()
        now = time.monotonic()
        self._patience.give_up(now, accepted=counts.accepted, pending=counts.pending)

    @contextmanager
    def _waiting(self) -> Iterator[float]:
        """Say until when to wait, and count the time if the process ends."""
        at_exit = self._life.is_ending
        with exit_clock.running() if at_exit else nullcontext():
            yield time.monotonic() + self._seconds_to_wait(at_exit=at_exit)

    def _seconds_to_wait(self, *, at_exit: bool) -> float:
        counts = self.count()
        now = time.monotonic()
        seconds = self._patience.left(now, accepted=counts.accepted, pending=counts.pending)
        return exit_clock.left(seconds) if at_exit else seconds

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
