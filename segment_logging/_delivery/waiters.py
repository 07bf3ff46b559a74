"""Callers that wait, with a time limit, until messages are settled or the thread has ended."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from .._process.bell import Bell
from .._process.delivering import is_delivering
from .._queues.message_queue import MessageQueue

Until = Callable[[], float]
"""A function that returns the time at which a wait ends. The result may change during the wait."""

LOOK_ELSEWHERE_EVERY = 0.1
"""Seconds between two looks at what another process is sending."""

Target = tuple[int, ...]
"""How many messages of each lane must be settled. See `MessageQueue.lanes`."""


class Rings(Protocol):
    """A bell. Coroutines wait for another kind than threads."""

    def ring(self) -> None:
        """Wake whoever waits for this bell. Thread-safe, also in a signal handler."""


class Waiters:
    """The callers that are waiting. All methods are thread-safe.

    Args:
        queue: the queue whose messages the callers wait for.
        thread: the delivery thread's bell, which tells it that a caller is waiting.
        is_running: returns whether there is a delivery thread.
        clock: returns the monotonic time in seconds.
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
        self._bells: list[Rings] = []
        self._targets: list[Target] = []  # what each caller waits for

    @property
    def accepted(self) -> Target:
        """How many messages each lane has accepted so far."""
        return tuple(accepted for accepted, _ in self._queue.lanes)

    def wait_until_answered(
        self, until: Until, *, target: Target | None = None, backlog: bool = False
    ) -> bool:
        """Wait until messages are settled: delivered or abandoned.

        Args:
            until: when to stop waiting.
            target: which messages to wait for. None means all that have been accepted so far.
            backlog: whether to wait for messages left by earlier processes, too.

        Returns:
            False if the time ran out first.
        """
        with self.wanting(target, backlog=backlog) as are_answered:
            return self._wait_until(are_answered, until)

    @contextmanager
    def wanting(
        self, target: Target | None = None, *, backlog: bool = False, bell: Rings | None = None
    ) -> Iterator[Callable[[], bool]]:
        """Have messages sent without waiting for full batches.

        Yields a function that returns whether the messages are settled.

        Args:
            target: see `wait_until_answered`.
            backlog: see `wait_until_answered`.
            bell: rung when that function may return something else, or the thread has ended.
        """
        wanted = self.accepted if target is None else target
        found: list[Target] = []

        def are_answered() -> bool:
            if backlog and self._queue.has_backlog:
                return False
            if not found:  # only now, because adopted messages also count as accepted
                found.append(self.accepted if target is None else target)
            return self._are_answered(found[0])

        self._targets.append(wanted)
        if bell is not None:
            self._bells.append(bell)
        self._thread.ring()
        try:
            yield are_answered
        finally:
            self._targets.remove(wanted)
            if bell is not None:
                self._bells.remove(bell)

    def wait_until_ended(self, until: Until, *, unless_above: float = math.inf) -> bool:
        """Wait until the thread has ended.

        Args:
            until: when to stop waiting.
            unless_above: stop waiting once more messages than this were accepted, because the
                thread then keeps running.

        Returns:
            False if the thread has not ended.
        """
        self._wait_until(
            lambda: not self._is_running() or self._queue.accepted > unless_above, until
        )
        return not self._is_running()

    @property
    def want_answers(self) -> bool:
        """Whether a caller waits for a message that is not settled."""
        return not all(map(self._are_answered, tuple(self._targets)))

    def look(self) -> None:
        """Make all callers check whether they can stop waiting. The thread calls this."""
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
