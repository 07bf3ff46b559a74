"""Flushing and draining: callers wait until a pipeline has settled all accepted messages."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .._clock import monotonic
from .._process.delivering import is_delivering
from .._process.life import Life
from .._process.lifecycle import Action, Event, Stage
from .._process.shutdown import exit_clock
from .._process.threads import sleep
from .._queues.message_queue import MessageQueue
from .counts import Counts
from .listener import Listener
from .patience import Patience
from .waiters import LOOK_ELSEWHERE_EVERY, Rings, Until


class Draining:
    """Lets callers wait until a pipeline's messages are settled: delivered or abandoned.

    All methods are thread-safe.

    Args:
        queue: the pipeline's queue.
        listener: the pipeline's listener.
        life: the pipeline's lifecycle state.
        patience: how long callers wait without an acknowledged batch.
        max_shutdown: how many seconds callers wait in total. None means no limit.
        count: returns the counts of the pipeline's messages.
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

    def drain(self, timeout: float, *, backlog: bool = False, elsewhere: bool = False) -> bool:
        """Wait until all messages accepted so far are settled. Return False on a timeout.

        Args:
            timeout: the maximum number of seconds to wait. With 0, nobody looks for messages of
                processes that have just ended.
            backlog: whether to wait for messages left by earlier processes, too.
            elsewhere: whether to wait for them also while another process is sending them. If that
                one dies, this one takes over.
        """
        deadline = monotonic() + timeout
        while True:
            if backlog and timeout > 0:
                self.look_again()
            if not self.until_answered(lambda: deadline, backlog=backlog):
                return False
            if not elsewhere or timeout <= 0 or is_delivering() or not self.is_left_elsewhere:
                return True
            left = deadline - monotonic()
            if left <= 0:
                return False
            sleep(min(left, LOOK_ELSEWHERE_EVERY))

    @property
    def is_left_elsewhere(self) -> bool:
        """Whether another process is sending messages left by earlier processes."""
        return self._queue.is_left_elsewhere()

    def look_again(self) -> None:
        """Have a wait for messages of earlier processes include those that have just ended."""
        self._queue.look_again()

    def flush(self, until: Until | None = None) -> bool:
        """Wait until all messages accepted so far are settled.

        Stop waiting after `shutdown_timeout` without an acknowledged batch, or after `max_shutdown`
        in total.

        Args:
            until: the result of `begin`. None means that the wait begins now.

        Returns:
            False if some messages are not settled.
        """
        began = monotonic()
        with exit_clock.running():
            is_answered = self.until_answered(until or self.begin())
        if not is_answered:
            self.give_up(began)
        return is_answered

    @contextmanager
    def watching(self, until: Until, bell: Rings | None = None) -> Iterator[Callable[[], bool]]:
        """Send all accepted messages, and yield a function that returns whether they are settled.

        This is for callers that wait in their own way, such as coroutines.

        Args:
            until: when the calling thread must stop delivering, if no thread can be started.
            bell: rung when the function may return something else, or the thread has ended.
        """
        backlog = self._queue.kept_in is not None
        with self._listener.waiters.wanting(backlog=backlog, bell=bell) as is_answered:
            self.see_to_it(until, backlog=backlog)
            yield is_answered

    def keep_going(self, until: Until) -> bool:
        """Start the thread again if another caller has ended it. Return whether it is running.

        Args:
            until: see `watching`.
        """
        if not self._listener.is_running:
            self.see_to_it(until, backlog=self._queue.kept_in is not None)
        return self._listener.is_running

    def until_answered(self, until: Until, *, backlog: bool = False) -> bool:
        """Wait until all messages accepted so far are settled. See `drain`."""
        while True:
            if self.see_to_it(until, backlog=backlog) and monotonic() < until():
                backlog = False  # already searched for; searching again would start over
            if self._listener.waiters.wait_until_answered(until, backlog=backlog):
                return True
            # Another caller may have closed the pipeline and so ended the thread.
            has_ended = backlog and not self._listener.is_running and not is_delivering()
            if not has_ended or monotonic() >= until():
                return False
            time.sleep(0.001)

    def see_to_it(self, until: Until, *, backlog: bool = False) -> bool:
        """Make sure that a thread delivers the waiting messages, if necessary the calling thread.

        Returns:
            Whether the calling thread delivered them because no thread could be started.
        """
        self._listener.replace_outdated(until)
        something_waits = (backlog and self._queue.has_backlog) or self._count().pending > 0
        if not something_waits or self._life.on(Event.FLUSH) is not Action.START:
            return False
        self._listener.start()
        if self._listener.is_running:
            return False
        self._listener.run_here(until())
        return True

    def begin(self) -> Until:
        """Begin to wait. Return a function that returns the time at which to stop waiting."""
        began, waited, counts = monotonic(), exit_clock.waited, self._count()
        # After the exit, only daemon threads have messages that nobody has waited for.
        is_over = self._life.stage is Stage.ENDED
        if is_over or self._patience.is_exhausted(
            began, accepted=counts.accepted, pending=counts.pending
        ):
            return lambda: began

        def until() -> float:
            limit = exit_clock.limit(self._max_shutdown, since=began)
            ends_at = self._patience.until(began, limit, waited=waited)
            # There is no point in waiting if a Retry-After ends later.
            return -math.inf if self._listener.asked_to_wait_until > ends_at else ends_at

        return until

    def give_up(self, began: float) -> None:
        """Record that a caller gave up. The next one waits only if the counts have changed.

        Args:
            began: when the caller began to wait. If the process exits soon, the exit began then.
        """
        counts = self._count()
        self._patience.give_up(monotonic(), accepted=counts.accepted, pending=counts.pending)
        exit_clock.foresee(began)
