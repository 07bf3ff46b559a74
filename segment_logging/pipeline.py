"""One process's way from the caller to Segment: queue, pair, delivery.

Built with the first event of a process and of a re-opened handler, thrown away by `close` and
after a fork: a child's first event builds its own, and the parent's stays the parent's.
"""

from __future__ import annotations

import math
import os
import random
import sys
import time
from collections.abc import Callable

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
from .queues import MessageQueue
from .queues.journal import Journal
from .queues.memory import MemoryQueue
from .queues.spill import SpillingQueue
from .reports import DropReports, Reporter
from .settings import Settings

LOOK_AROUND_EVERY = 10.0
"""Seconds, more or less, between two looks for the journals of processes that died."""


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
        self._next_look = -math.inf
        self._gave_up = (-math.inf, 0, 0)  # when, and what was accepted and pending then
        self._exit_by: float | None = None
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
        return SpillingQueue(self._journal, memory)

    def _wake(self) -> None:
        """See that somebody delivers what was just put into the queue."""
        if self._exit_by is None:
            self._listener.wake()
        elif sys.is_finalizing():  # the modules that could send are being taken down
            if self._queue.perishable:
                reports.say("1 messages are lost, as the interpreter is being taken down")
                self._queue.watch(collecting=False)  # the next one is to be told of, too
        else:  # another exit function logs, after ours: no thread would live long enough
            self.end_exit()

    def _do_chores(self, now: float) -> float | None:
        """What the listener does now and then; returns when it is to come back at the latest."""
        back_at = self._drops.report(self._handler.dropped, now=now)
        journal = self._journal
        if journal is None:
            return back_at
        if now >= self._next_look or (
            journal.adoption.wants_to_look and self._next_look - now > 1.0
        ):
            try:
                journal.look_around()
            except OSError as error:
                trouble = f"the journal cannot be searched ({error.strerror}): trying again"
                self._reporter.once("search", trouble)
            self._next_look = now + LOOK_AROUND_EVERY * (0.75 + random.random() / 2)
        if journal.trouble is not None:
            self._reporter.once(
                "journal",
                f"the journal takes no messages ({journal.trouble.strerror}): until it does, they "
                "wait in memory only; free disk space, raise max_journal_bytes, or mend its rights",
            )
        else:
            self._reporter.over("journal")
        if journal.lost:
            self._reporter.once(
                "lost", "files of the journal were removed; their messages are lost"
            )
        return self._next_look if back_at is None else min(back_at, self._next_look)

    def refuse(self, error: InvalidMessage) -> None:
        """Write a message that was refused before the queue to the dead letters, if there are any.

        Caller's thread; not synced, as nothing was accepted.
        """
        if self._dead_letters is None or error.refused is None:
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
        """Wait until everything accepted so far is answered for, `timeout` seconds at most.

        Args:
            timeout: in seconds.
            backlog: wait for what processes that are gone have left, too.
        """
        return self._wait_until_answered(time.monotonic() + timeout, backlog=backlog)

    def flush(self) -> None:
        """Wait until everything accepted so far is answered for, within `shutdown_timeout`."""
        deadline = self._bounded(time.monotonic() + self._shutdown_timeout)
        if not self._wait_until_answered(deadline, backlog=False):
            self._give_up()

    def _wait_until_answered(self, deadline: float, *, backlog: bool) -> bool:
        if backlog and self._queue.has_backlog:
            self._listener.start()
        if self._is_stranded:
            self._listener.run_here(deadline)
        return self._listener.wait_until_answered(deadline, backlog=backlog)

    def close(self, *, wait: bool = True) -> None:
        """Deliver what waits and end the thread; the next message starts it again.

        Returns within `shutdown_timeout`. What takes longer goes on behind, for as long as the
        process lives, and is reported.

        Args:
            wait: False to return at once, as when the caller holds a lock that others need.
        """
        self._listener.stop(close=True)
        if not wait:
            return
        # What is in memory goes on being delivered behind; what is in the journal is safe.
        deadline = self._bounded(time.monotonic() + self._shutdown_timeout)
        if self._is_stranded:
            self._listener.run_here(deadline)
        self._listener.try_now()
        if self._journal is not None and not self._queue.perishable:
            self._listener.hurry(deadline)
        has_ended = self._listener.wait_until_ended(deadline)
        if not has_ended and self._exit_by is None and self._pending:
            reports.report(
                f"{self._pending} messages are not delivered yet, after shutdown_timeout "
                f"({self._shutdown_timeout:g} s); delivery goes on until the process ends"
            )
            self._give_up()

    def begin_exit(self) -> None:
        """The process ends: from now on, nothing may take longer than `shutdown_timeout`."""
        self._exit_by = self._bounded(time.monotonic() + self._shutdown_timeout)
        self._hurry_to(self._exit_by)

    def _hurry_to(self, deadline: float) -> None:
        self._listener.stop()
        self._listener.hurry(deadline)

    def end_exit(self) -> None:
        """Wait for what `begin_exit` began, and say what is lost."""
        assert self._exit_by is not None
        self._hurry_to(self._exit_by)  # again: a message just before may have begun a new thread
        if self._is_stranded:
            self._listener.run_here(self._exit_by)
        self._listener.wait_until_ended(self._exit_by)
        self._give_up()  # `logging.shutdown` comes after us: there is nothing to wait for
        self._drops.report(self._handler.dropped, now=math.inf)
        self._delivery.sum_up()
        if self._queue.perishable:
            reports.say(
                f"{self._queue.perishable} messages were not delivered before the process ended, "
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

    @property
    def _is_stranded(self) -> bool:
        """Whether messages wait and no thread could be started for them."""
        return self._pending > 0 and not self._listener.running

    def _give_up(self) -> None:
        counts = self.count()
        self._gave_up = (time.monotonic(), counts.accepted, counts.pending)

    def _bounded(self, deadline: float) -> float:
        """Return the moment to wait until, when `deadline` is what this wait alone may take.

        `logging.shutdown` flushes and then closes, and the end of the process may follow: these
        share one `shutdown_timeout`. Who gave up within the second, with nothing changed since,
        does not wait again.
        """
        now = time.monotonic()
        gave_up_at, accepted, pending = self._gave_up
        counts = self.count()
        if (accepted, pending) == (counts.accepted, counts.pending) and now - gave_up_at < 1.0:
            return now
        if self._exit_by is not None:  # messages of other exit functions, after ours
            return min(deadline, max(self._exit_by, now + 1.0))
        return deadline
