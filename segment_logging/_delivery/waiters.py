"""Whoever waits for the delivering thread, with a limit: for answers, or for its end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .._process.bell import Bell
from .._process.delivering import is_delivering
from .._queues.message_queue import MessageQueue

Until = Callable[[], float]
"""Says at which moment of the clock a wait ends, as far as is known now."""

Target = tuple[int, ...]
"""How many messages of each lane are to be answered for."""


class Waiters:
    """The callers that wait. Any thread.

    Args:
        queue: what it has accepted and what was acknowledged is what they wait for.
        thread: the bell of the delivering thread, which is to look at what they want.
        is_running: whether there is such a thread.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        queue: MessageQueue,
        thread: Bell,
        *,
        is_running: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self._queue = queue
        self._thread = thread
        self._is_running = is_running
        self._clock = clock
        self._bells: list[Bell] = []
        self._targets: list[Target] = []  # what of each lane is to be answered for

    @property
    def accepted(self) -> Target:
        """How many messages were accepted in each lane so far: what one can wait for."""
        return tuple(accepted for accepted, _ in self._queue.lanes)

    def wait_until_answered(
        self, until: Until, *, target: Target | None = None, backlog: bool = False
    ) -> bool:
        """Wait until messages are answered for.

        Args:
            until: when to stop waiting.
            target: which ones; None for all that are accepted so far.
            backlog: wait for what processes that are gone have left, too.

        Returns:
            False if it was time to stop first.
        """
        with self.wanting(target, backlog=backlog) as are_answered:
            return self._wait_until(are_answered, until)

    @contextmanager
    def wanting(
        self, target: Target | None = None, *, backlog: bool = False
    ) -> Iterator[Callable[[], bool]]:
        """Have messages sent without waiting for company, and tell whether they are answered for.

        Args:
            target: as in `wait_until_answered`.
            backlog: as in `wait_until_answered`.
        """
        wanted = self.accepted if target is None else target
        found: list[Target] = []

        def are_answered() -> bool:
            if backlog and self._queue.has_backlog:
                return False
            if not found:  # only now, as what was found of others counts as accepted, too
                found.append(self.accepted if target is None else target)
            return self._are_answered(found[0])

        self._targets.append(wanted)
        self._thread.ring()
        try:
            yield are_answered
        finally:
            self._targets.remove(wanted)

    def wait_until_ended(self, until: Until, *, unless_above: float = math.inf) -> bool:
        """Wait until the thread has ended.

        Args:
            until: when to stop waiting.
            unless_above: do not wait once more messages than this were accepted: it has to go on.

        Returns:
            False if it has not ended.
        """
        self._wait_until(
            lambda: not self._is_running() or self._queue.accepted > unless_above, until
        )
        return not self._is_running()

    @property
    def want_answers(self) -> bool:
        """Whether somebody waits for a message that is not answered for."""
        return not all(map(self._are_answered, tuple(self._targets)))

    def look(self) -> None:
        """Have all of them look whether what they wait for has come. The thread's turn."""
        for bell in tuple(self._bells):
            bell.ring()

    def _wait_until(self, reached: Callable[[], bool], until: Until) -> bool:
        bell = Bell()
        self._bells.append(bell)
        self._thread.ring()
        try:
            while not reached():
                left = until() - self._clock()
                if left <= 0 or not self._is_running() or is_delivering():
                    return reached()
                bell.wait(left)
            return True
        finally:
            self._bells.remove(bell)

    def _are_answered(self, targets: Target) -> bool:
        lanes = self._queue.lanes
        return all(answered >= target for (_, answered), target in zip(lanes, targets))
