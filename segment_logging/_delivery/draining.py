"""Having everything sent that a pipeline accepted so far, while somebody waits for the answers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .._process.clock import monotonic
from .._process.delivering import is_delivering
from .._process.life import Life
from .._process.lifecycle import Action, Event
from .._process.shutdown import exit_clock
from .._queues.message_queue import MessageQueue
from .counts import Counts
from .listener import Listener
from .patience import Patience
from .waiters import Until


class Draining:
    """How callers wait for a pipeline, and for how long. Any thread.

    Args:
        queue: of the pipeline.
        listener: of the pipeline.
        life: of the pipeline.
        patience: how long they wait without an acknowledged batch.
        max_shutdown: seconds that they wait in all; None for no limit.
        count: returns what became of the pipeline's messages.
    """

    def __init__(
        self,
        queue: MessageQueue,
        listener: Listener,
        life: Life,
        *,
        patience: Patience,
        max_shutdown: float | None,
        count: Callable[[], Counts],
    ) -> None:
        self._queue = queue
        self._listener = listener
        self._life = life
        self._patience = patience
        self._max_shutdown = max_shutdown
        self._count = count

    def drain(self, timeout: float, *, backlog: bool = False) -> bool:
        """Wait until everything accepted so far is answered for.

        Args:
            timeout: seconds to wait at most.
            backlog: wait for what processes that are gone have left, too.
        """
        deadline = monotonic() + timeout
        return self.until_answered(lambda: deadline, backlog=backlog)

    def flush(self) -> bool:
        """Wait until everything accepted so far is answered for.

        It waits `shutdown_timeout` without an acknowledged batch, and `max_shutdown` in all.

        Returns:
            False if something is not answered for.
        """
        with exit_clock.running():
            is_answered = self.until_answered(self.begin())
        if not is_answered:
            self.give_up()
        return is_answered

    @contextmanager
    def watching(self, until: Until) -> Iterator[Callable[[], bool]]:
        """Have everything accepted so far sent, and tell whether it is answered for.

        For those who wait in a way of their own, as coroutines do.

        Args:
            until: when the calling thread is to stop delivering, if no other can be started.
        """
        with self._listener.waiters.wanting(backlog=self._queue.keeps) as is_answered:
            self.see_to_it(until, backlog=self._queue.keeps)
            yield is_answered

    def until_answered(self, until: Until, *, backlog: bool = False) -> bool:
        """Wait until everything accepted so far is answered for; see `drain`."""
        while True:
            if self.see_to_it(until, backlog=backlog) and monotonic() < until():
                backlog = False  # it has looked for that; to look again would begin it anew
            if self._listener.waiters.wait_until_answered(until, backlog=backlog):
                return True
            # Somebody else may have closed in the middle of it, and so ended the thread.
            has_ended = backlog and not self._listener.is_running and not is_delivering()
            if not has_ended or monotonic() >= until():
                return False
            time.sleep(0.001)

    def see_to_it(self, until: Until, *, backlog: bool = False) -> bool:
        """See that somebody delivers what waits, be it the calling thread.

        Returns:
            Whether it was the calling thread, as no other can be started.
        """
        something_waits = (backlog and self._queue.has_backlog) or self._count().pending > 0
        if not something_waits or self._life.on(Event.FLUSH) is not Action.START:
            return False
        self._listener.start()
        if self._listener.is_running:
            return False
        self._listener.run_here(until())
        return True

    def begin(self) -> Until:
        """Begin to wait, and return what says until when."""
        began, waited, counts = monotonic(), exit_clock.waited, self._count()
        if self._patience.is_exhausted(began, accepted=counts.accepted, pending=counts.pending):
            return lambda: began
        if exit_clock.has_begun:
            return lambda: self._patience.until(
                began, exit_clock.limit(self._max_shutdown), waited=waited
            )
        limit = began + (math.inf if self._max_shutdown is None else self._max_shutdown)
        return lambda: self._patience.until(began, limit)

    def give_up(self) -> None:
        """Somebody has waited in vain: the next one need not, unless something changes."""
        counts = self._count()
        self._patience.give_up(monotonic(), accepted=counts.accepted, pending=counts.pending)
