"""The pipeline of a handler with `deliver=False`: it writes messages to files, and seals them.

Another process, `segment-logging deliver`, sends them. There is no client, no connection, and
nothing to wait for at exit, because the end of a process also seals its files. This module imports
neither requests nor sockets.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .._clock import monotonic
from .._options.delivery import DeliveryOptions
from .._process import shutdown
from .._process.bell import Bell
from .._process.shutdown import exit_clock
from .._process.threads import OneThread, sleep
from .._queues.admission import Admission
from .._queues.journal.left_behind import LeftBehind
from .._queues.journal.outbox import Outbox
from .._queues.journal.place import LIMIT_REACHED, Place, trust_in
from .._reports import CountReports, Reporter, counted, report, say, were
from ..errors import InvalidMessage
from .abandoned import Abandoned
from .counts import Counts
from .dead_letters import letters_of
from .overflowed import Overflowed, advice_on_room

_IDLE_SECONDS = 10.0
"""How long the thread waits for another file before it ends."""


class HandOver:
    """Takes messages from one handler in one process, and hands them over to another process.

    It has the methods of `Pipeline` that handlers and the exit of the process use.

    Args:
        options: the handler's options.
        write_key: the Segment source's write key.
    """

    def __init__(self, options: DeliveryOptions, write_key: str) -> None:
        assert options.journal is not None
        self.pid = os.getpid()
        self._bell = Bell()
        self._one = OneThread(self._run, on_end=lambda: None)
        self._outbox = Outbox(
            Place(options.journal, write_key, trust_in(options.journal_group)),
            max_bytes=options.max_journal_bytes,
            max_waiting_messages=options.max_queue_messages,
            max_waiting_bytes=options.max_queue_bytes,
            sync=options.journal_sync,
            seal_after=options.flush_interval,
            wake=self._wake,
        )
        self._reporter = Reporter()
        self._left_behind = LeftBehind(self._outbox.place, self._reporter)
        self._abandoned = Abandoned(letters_of(options), options.on_error, self._reporter)
        self._options = options
        self._overflowed = Overflowed(
            self._abandoned, ring=self._wake, advice=lambda: self._why_and_advice[1]
        )
        self._admission = Admission(
            self._outbox.put,
            overflow=options.overflow,
            block_timeout=options.block_timeout,
            on_drop=self._overflowed.add,
        )
        self._drops = CountReports(self._text_of_drops)
        self._said_lost = 0
        self.draining = Sealing(self._outbox, self.count)
        """Used by callers that wait."""
        self.enqueue: Callable[[bytes], bool] = self._admission.enqueue
        """Accept an encoded message, or return False if it was dropped. Thread-safe."""
        shutdown.add(self)

    # The thread, which seals files. -------------------------------------------------------------

    def _wake(self) -> None:
        """Make sure that a thread will seal the file that was just made."""
        self._bell.ring()
        self._one.start()

    def _run(self) -> None:
        self._bell.renew()
        while True:
            self._tend_until_idle()
            is_outdated = self._one.is_outdated  # the next file starts another thread
            self._one.end()
            # A caller that has just made a file may have seen a running thread and started none.
            if is_outdated or self._tend(monotonic()) is None or not self._one.resume():
                return

    def _tend_until_idle(self) -> None:
        busy_at = monotonic()
        while not self._one.is_outdated:
            now = monotonic()
            wake_at = self._tend(now)
            if wake_at is not None:
                busy_at = now
            elif now - busy_at >= _IDLE_SECONDS:
                return
            else:
                wake_at = busy_at + _IDLE_SECONDS
            self._bell.wait(wake_at - now)

    def _tend(self, now: float) -> float | None:
        """Do everything that is due. Return when to call this again, or None."""
        self._left_behind.look()
        moments = [self._outbox.tend(now), self._reporter.catch_up()]
        self._overflowed.write_out()
        moments.append(self._drops.report(self._admission.dropped, now=now))
        trouble = self._outbox.trouble
        if self._outbox.waiting and trouble is not None:
            self._reporter.once("journal", self._outbox.place.text_of(trouble))
        else:
            self._reporter.over("journal")
        return min((moment for moment in moments if moment is not None), default=None)

    @property
    def _why_and_advice(self) -> tuple[str, str]:
        """Why messages are dropped, and what to do about it, for reports."""
        trouble = self._outbox.trouble
        if trouble is None or trouble.strerror == LIMIT_REACHED:
            return "are full", advice_on_room(self._options)
        why = f"take no more messages ({trouble.strerror})"
        return why, self._outbox.place.way_out_of(trouble)

    def _text_of_drops(self, number: int) -> str:
        why, advice = self._why_and_advice
        return (
            f"the journal and the memory queue {why}: {counted(number, 'message')} {were(number)} "
            f"dropped; {advice}"
        )

    # Callers, and the exit of the process. ------------------------------------------------------

    def refuse(self, error: InvalidMessage) -> None:
        """Write a message that was refused as invalid to the dead letters, without syncing."""
        self._abandoned.store([error.refused], error, sync=False)

    def hurry(self) -> None:
        """Do nothing after SIGTERM, because the end of the process seals its files."""

    def close(self, *, wait: bool = True) -> None:
        """Seal everything, and release the directory. The next message makes another one."""
        if self.pid != os.getpid():
            return  # a forked child that has not left its parent yet must not unlock its file
        is_exit = exit_clock.has_begun
        self._outbox.hand_over(is_exit=is_exit or not wait)
        if is_exit:
            self._tell_losses(at_last=True)
        elif not self._outbox.waiting:
            self._outbox.release()

    def begin_exit(self) -> None:
        """Seal the current file, because the process is exiting."""
        self._outbox.hand_over(is_exit=True)

    def wait_for_exit(self, until: Callable[[], float]) -> int:
        """Return 0, because there is nothing to wait for."""
        return 0

    def end_exit(self) -> None:
        """Report messages that could not be written."""
        self._admission.block_timeout = 0.0
        self._tell_losses(at_last=False)

    def tell_unfinished(self) -> None:
        """Report messages that could not be written, because the process may end by a signal."""
        self._tell_losses(at_last=False, through=report)

    def _tell_losses(self, *, at_last: bool, through: Callable[[str], None] = say) -> None:
        self._overflowed.write_out()
        self._reporter.catch_up(at_last=True)
        self._drops.report_at_end(self._admission.dropped, at_last=at_last)
        lost, trouble = self._outbox.waiting, self._outbox.trouble
        if lost > self._said_lost:
            self._said_lost = lost
            place = self._outbox.place
            why = "another thread is writing" if trouble is None else trouble.strerror
            way_out = "end threads that log before the process ends"
            if trouble is not None:
                way_out = place.way_out_of(trouble)
            through(
                f"{counted(lost, 'message')} could not be written to the journal in "
                f"{place.live_path} before the process ended, and "
                f"{'is' if lost == 1 else 'are'} lost ({why}): {way_out}"
            )

    def abandon(self) -> None:
        """In a forked child, close the inherited descriptors and leave the parent's files alone."""
        self._outbox.abandon()

    def count(self) -> Counts:
        """Return the counts of this handler's messages."""
        handed_over = self._outbox.handed_over  # first, so that `pending` is never negative
        written, waiting = self._outbox.written, self._outbox.waiting
        dropped = self._admission.dropped
        return Counts(
            accepted=written + waiting + dropped,
            handed_over=handed_over,
            dropped=dropped,
            pending=written - handed_over + waiting,
        )


class Sealing:
    """Lets callers hand over everything that was accepted. It has the methods of `Draining`.

    Nothing here takes longer than a moment, unless the disk takes no messages.

    Args:
        outbox: the messages.
        count: returns their counts.
    """

    def __init__(self, outbox: Outbox, count: Callable[[], Counts]) -> None:
        self._outbox = outbox
        self._count = count

    def drain(self, timeout: float, *, backlog: bool = False, elsewhere: bool = False) -> bool:
        """Seal everything, and sync it if that was asked for.

        Args:
            timeout: the maximum number of seconds to wait for a disk that takes no messages.
            backlog: has no meaning here, because another process delivers.
            elsewhere: has no meaning here, either.

        Returns:
            False if some messages are still in memory only.
        """
        until = monotonic() + timeout
        while not self._outbox.hand_over(is_exit=exit_clock.has_begun):
            if monotonic() >= until:
                return False
            sleep(_PAUSE)
        return True

    is_left_elsewhere = False

    def look_again(self) -> None:
        """Do nothing, because another process delivers."""

    def flush(self, until: Callable[[], float] | None = None) -> bool:
        """Seal everything, without waiting for a disk that takes no messages."""
        return self.drain(0.0)

    @contextmanager
    def watching(
        self, until: Callable[[], float], bell: object = None
    ) -> Iterator[Callable[[], bool]]:
        """Seal everything, and yield a function that returns whether it is sealed.

        Args:
            until: has no meaning here.
            bell: has no meaning here, because no thread rings it.
        """
        is_sealed = self._outbox.hand_over()
        yield lambda: is_sealed or self._outbox.hand_over()

    def keep_going(self, until: Callable[[], float]) -> bool:
        """Return False, because no thread tells when the disk takes messages again."""
        return False

    def begin(self) -> Callable[[], float]:
        """Return a function that returns the time at which to stop waiting, which is now."""
        began = monotonic()
        return lambda: began

    def give_up(self, began: float) -> None:
        """Do nothing, because the next caller does not wait either."""


_PAUSE = 0.01  # seconds between two tries
