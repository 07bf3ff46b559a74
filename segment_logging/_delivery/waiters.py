"""Whoever waits for the delivering thread, with a limit: for answers, or for its end."""

from __future__ import annotations

import math
from collections.abc import Callable

from .._process.bell import Bell
from .._process.delivering import is_delivering
from .._queues.message_queue import MessageQueue


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
        self._targets: list[tuple[int, ...]] = []  # what of each lane is to be answered for

    def wait_until_answered(self, deadline: float, *, backlog: bool = False) -> bool:
        """Wait until every message accepted so far is answered for.

        Args:
            deadline: a moment of the clock.
            backlog: wait for what processes that are gone have left, too.

        Returns:
            False if the deadline came first.
        """
        wanted = self._accepted()
        targets: list[tuple[int, ...]] = []

        def is_answered() -> bool:
            if backlog and self._queue.has_backlog:
                return False
            if not targets:  # only now, as what was found of others counts as accepted, too
                targets.append(self._accepted())
            return self._are_answered(targets[0])

        self._targets.append(wanted)
        try:
            return self._wait_until(is_answered, deadline)
        finally:
            self._targets.remove(wanted)

    def wait_until_ended(self, deadline: float, *, unless_above: float = math.inf) -> bool:
        """Wait until the thread has ended.

        Args:
            deadline: a moment of the clock.
            unless_above: do not wait once more messages than this were accepted: it has to go on.

        Returns:
            False if it has not ended.
        """
        self._wait_until(
            lambda: not self._is_running() or self._queue.accepted > unless_above, deadline
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

    def _wait_until(self, reached: Callable[[], bool], deadline: float) -> bool:
        bell = Bell()
        self._bells.append(bell)
        self._thread.ring()
        try:
            while not reached():
                left = deadline - self._clock()
                if left <= 0 or not self._is_running() or is_delivering():
                    return reached()
                bell.wait(left)
            return True
        finally:
            self._bells.remove(bell)

    def _accepted(self) -> tuple[int, ...]:
        return tuple(accepted for accepted, _ in self._queue.lanes)

    def _are_answered(self, targets: tuple[int, ...]) -> bool:
        lanes = self._queue.lanes
        return all(answered >= target for (_, answered), target in zip(lanes, targets))
