"""One process's way from the caller to Segment: queue, pair, delivery.

Built with the first event of a process and of a re-opened handler, thrown away by `close` and
after a fork: a child's first event builds its own, and the parent's stays the parent's.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from threading import get_ident

from . import pipelines, reports
from .client import HttpClient
from .counts import Counts
from .deadletters import DeadLetters
from .delivery import Delivery
from .ends import warn_without_threads
from .enqueuing import MessageQueueHandler
from .errors import InvalidMessage
from .listener import MessageQueueListener
from .outcomes import RetryPolicy
from .pipelines import exit_time_left, holding_up_exit
from .queues import MessageQueue
from .queues.journal import Journal
from .queues.memory import MemoryQueue
from .queues.spill import SpillingQueue
from .reports import DropReports, Reporter
from .settings import Settings
from .threads import own_threads
from .upkeep import Upkeep


class Pipeline:
    """Queue, pair and delivery of one handler in one process.

    Args:
        settings: the handler's options.
        write_key: of the Segment source.
    """

    def __init__(self, settings: Settings, write_key: str) -> None:
        self._shutdown_timeout = settings.shutdown_timeout
        self._client = settings.new_client()
        if isinstance(self._client, HttpClient) and settings.client is None:
            self._client.end_by(lambda: self._listener.deadline)
        path = settings.dead_letters_path
        self._dead_letters = None if path is None else DeadLetters(path)
        self._journal: Journal | None = None
        self._upkeep: Upkeep | None = None
        self._queue = self._new_queue(settings, write_key)
        self._handler = MessageQueueHandler(
            self._queue, overflow=settings.overflow, block_timeout=settings.block_timeout
        )
        self._delivery = Delivery(
            self._client,
            write_key,
            policy=RetryPolicy(max_attempts=settings.max_attempts),
            keeps=self._journal is not None,
            dead_letters=self._dead_letters,
            on_error=settings.on_error,
        )
        self._listener = MessageQueueListener(
            self._queue,
            self._delivery,
            flush_interval=settings.flush_interval,
            chores=self._do_chores,
        )
        self._drops = DropReports()
        self._reporter = Reporter()
        self._gave_up = (-math.inf, 0, 0)  # when, and what was accepted and pending then
        self._is_exiting = False
        self._tended = -1  # how many were accepted when a thread was seen to at the end
        self._said_lost = 0
        self.pid = os.getpid()
        self.enqueue: Callable[[bytes], None] = self._handler.enqueue
        """Take in an encoded message. Any thread."""
        pipelines.add(self)
        warn_without_threads()

    def _new_queue(self, settings: Settings, write_key: str) -> MessageQueue:
        memory = MemoryQueue(
            self._wake, max_messages=settings.max_queue_messages, max_bytes=settings.max_queue_bytes
        )
        if settings.journal is None:
            return memory
        self._journal = Journal(
            settings.journal,
            write_key,
            self._wake,
            max_bytes=settings.max_journal_bytes,
            sync=settings.journal_sync,
        )
        self._upkeep = Upkeep(self._journal)
        return SpillingQueue(self._journal, memory)

    def _wake(self) -> None:
        """See that somebody delivers what was just put into the queue."""
        if not self._is_exiting:
            self._listener.wake()
        elif sys.is_finalizing():  # the modules that could send are being taken down
            if self._queue.perishable:
                reports.say("1 messages are lost, as the interpreter is being taken down")
                self._queue.watch(collecting=False)  # the next one is to be told of, too
        else:  # another exit function logs, after ours: nobody else would wait for the answer
            self.end_exit()

    def _do_chores(self, now: float) -> float | None:
        """What the listener does now and then; returns when it is to come back at the latest."""
        back_at = self._drops.report(self._handler.dropped, now=now)
        if self._upkeep is None:
            return back_at
        look_at = self._upkeep.see_to_it(now)
        return look_at if back_at is None else min(back_at, look_at)

    def refuse(self, error: InvalidMessage) -> None:
        """Write a message that was refused before the queue to the dead letters, if there are any.
        Caller's thread; not synced, as nothing was accepted."""
        if self._dead_letters is None:
            return
        try:
            self._dead_letters.write([error.refused], error, sync=False)
        except OSError as fault:
            self._reporter.once(
                "dead letters",
                f"dead letters cannot be written ({fault.strerror}): mend their place",
            )

    def abandon(self) -> None:
        """In a forked child: close what is the parent's, and touch nothing of it."""
        self._queue.abandon()

    def drain(self, timeout: float, *, backlog: bool = False) -> bool:
        """Wait until everything accepted so far is answered for, and with `backlog` what processes
        that are gone have left, too; `timeout` seconds at most."""
        return self._wait_until_answered(time.monotonic() + timeout, backlog=backlog)

    def flush(self) -> None:
        """Wait until everything accepted so far is answered for, within `shutdown_timeout`."""
        with self._waiting() as deadline:
            if not self._wait_until_answered(deadline, backlog=False):
                self._give_up()

    def _wait_until_answered(self, deadline: float, *, backlog: bool) -> bool:
        while True:
            if self._see_to_it(deadline, backlog=backlog) and time.monotonic() < deadline:
                backlog = False  # it has looked for that, and another time would begin with a look
            if self._listener.wait_until_answered(deadline, backlog=backlog):
                return True
            # Somebody else may have closed, and so ended the thread, in the middle of it.
            ended = backlog and not self._listener.running and get_ident() not in own_threads
            if not ended or time.monotonic() >= deadline:
                return False
            time.sleep(0.001)

    def _see_to_it(self, deadline: float, *, backlog: bool) -> bool:
        """See that somebody delivers what waits: the calling thread, where none can be started.
        Returns whether it was that."""
        waits = (backlog and self._queue.has_backlog) or self._pending > 0
        if waits and not self._listener.running:
            self._listener.start()
            if not self._listener.running:
                self._listener.run_here(deadline)
                return True
        return False

    def close(self, *, wait: bool = True) -> None:
        """Deliver what waits and end the thread; the next message starts it again.

        Returns within `shutdown_timeout`. What takes longer goes on behind, for as long as the
        process lives, and is reported.

        Args:
            wait: False to return at once, as when the caller holds a lock that others need.
        """
        self._listener.stop(close=True)
        if wait:
            with self._waiting() as deadline:
                self._wait_until_closed(deadline)
        if self._is_exiting:
            self._tell_of_losses(at_last=True)

    def _wait_until_closed(self, deadline: float) -> None:
        accepted = self._queue.accepted
        self._see_to_it(deadline, backlog=False)
        self._listener.stop(close=True)  # again, for a thread that has begun only now
        self._listener.try_now()
        # What is in memory goes on being delivered behind; what is in the journal is safe.
        if self._journal is not None and not self._queue.perishable:
            self._listener.hurry(deadline)
        if self._listener.wait_until_answered(deadline):
            has_ended = self._listener.wait_until_ended(deadline, unless_above=accepted)
            if not has_ended and not self._is_exiting:
                self._listener.deadline = None  # others log on: that is not ours to cut short
        elif not self._listener.wait_until_ended(deadline) and not self._is_exiting:
            reports.report(
                f"{self._pending} messages are not delivered yet, after shutdown_timeout "
                f"({self._shutdown_timeout:g} s); delivery goes on until the process ends"
            )
            self._give_up()

    def begin_exit(self) -> None:
        """The process ends: from now on, all waiting together may take `shutdown_timeout`."""
        self._is_exiting = True
        if isinstance(self._client, HttpClient):  # one of the user's, too: it may run right here
            self._client.end_by(lambda: self._listener.deadline)
        if self._pending:
            self._listener.start()
        self._tended = self._queue.accepted if self._listener.running else -1
        self._hurry_to(time.monotonic() + self._patience)

    def _hurry_to(self, deadline: float) -> None:
        self._listener.stop()
        self._listener.hurry(deadline)

    def end_exit(self) -> None:
        """Wait for what `begin_exit` began, and say what is lost."""
        with self._waiting() as deadline:
            accepted = self._queue.accepted
            if accepted != self._tended and deadline > time.monotonic():
                self._tended = accepted
                self._see_to_it(deadline, backlog=False)
            self._hurry_to(deadline)  # again: a message just before may have begun a new thread
            self._listener.wait_until_ended(deadline)
        self._give_up()  # `logging.shutdown` comes after us: there is nothing to wait for
        self._handler.block_timeout = 0.0
        self._delivery.sum_up()
        self._tell_of_losses()

    def _tell_of_losses(self, *, at_last: bool = False) -> None:
        """Say what is lost: again when it has become twice as much, which is no flood when exit
        functions log on, and at last, as when `logging.shutdown` closes the handler."""
        self._drops.report_at_end(self._handler.dropped, at_last=at_last)
        lost = self._queue.perishable
        if self._journal is None:
            lost -= self._delivery.answered_of_unfinished
        if lost >= (self._said_lost + 1 if at_last else max(1, 2 * self._said_lost)):
            self._said_lost = lost
            reports.say(
                f"{lost} messages were not delivered before the process ended, "
                f"and are lost ({self._delivery.trouble or 'no answer came in time'}): raise "
                f"shutdown_timeout ({self._shutdown_timeout:g} s), or set a journal to keep them "
                "for the next start"
            )

    def count(self) -> Counts:
        """Return what became of this pipeline's messages."""
        journal = self._journal
        dropped = self._handler.dropped
        lost = 0 if journal is None else journal.lost
        tally, accepted = self._listener.look()
        return Counts(
            accepted=accepted + dropped,
            delivered=tally.delivered,
            dead_lettered=tally.dead_lettered,
            dropped=dropped + lost,
            pending=accepted - lost - tally.delivered - tally.dead_lettered,
            invalid=0 if journal is None else journal.adoption.damaged,
            retried=tally.retried,
            batches=tally.batches,
        )

    @property
    def _pending(self) -> int:
        return self.count().pending

    def _give_up(self) -> None:
        counts = self.count()
        self._gave_up = (time.monotonic(), counts.accepted, counts.pending)

    @contextmanager
    def _waiting(self) -> Iterator[float]:
        """Say until when to wait, and count the time when the process ends."""
        with holding_up_exit() if self._is_exiting else nullcontext():
            yield time.monotonic() + self._patience

    @property
    def _patience(self) -> float:
        """Seconds to wait, when `shutdown_timeout` is what this wait alone may take.

        Who gave up within the second, with nothing changed since, does not wait again:
        `logging.shutdown` flushes and then closes, and the end of the process may follow.
        """
        gave_up_at, accepted, pending = self._gave_up
        counts = self.count()
        is_same = (accepted, pending) == (counts.accepted, counts.pending)
        if is_same and time.monotonic() - gave_up_at < 1.0:
            return 0.0
        timeout = self._shutdown_timeout
        return exit_time_left(timeout) if self._is_exiting else timeout
