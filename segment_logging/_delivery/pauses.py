"""How the delivery thread sleeps: doing chores, and ready to be woken."""

from __future__ import annotations

import math
from collections.abc import Callable

from .._process.bell import Bell
from .._process.life import Life
from .._process.lifecycle import Event
from .._process.threads import OneThread
from .._queues.message_queue import MessageQueue
from .outcomes import Over
from .waiters import Waiters


class Pauses:
    """The part of a `Listener` that sleeps. Its attributes are described there."""

    waiters: Waiters
    _messages: MessageQueue
    _life: Life
    _ring: Callable[[], None]
    _chores: Callable[[float], float | None]
    _clock: Callable[[], float]
    _bell: Bell
    _one: OneThread
    _paused_until: float

    def _pause(self, seconds: float, *, unless_more_than: int | None = None) -> None:
        """Sleep while doing chores. Return early if another thread cuts the pause short.

        Args:
            seconds: how long to sleep.
            unless_more_than: return early if more messages than this have been accepted.

        Raises:
            Over: the deadline comes before the end of the pause.
        """
        self._paused_until = end = self._clock() + seconds
        while self._life.is_paused:
            if unless_more_than is not None:
                self._watch_for_the_next()  # before the check, or it could miss one
                if self._messages.accepted > unless_more_than:
                    end = -math.inf
            self._end_if_outdated()
            self.waiters.look()  # the pause may be too long for them
            now = self._clock()
            deadline = self._life.deadline
            if deadline is not None and deadline < end:
                raise Over(self._life.on(Event.TIME_UP))
            if now >= end:
                self._life.on(Event.PAUSE_OVER)
                return
            wake_at = self._chores(now)
            if self._life.is_paused:  # a chore may have cut the pause short
                self._bell.wait((end if wake_at is None else min(end, wake_at)) - now)

    def _end_if_outdated(self) -> None:
        if self._one.is_outdated:
            raise Over(self._life.on(Event.OUTDATED))

    def _watch_for_the_next(self) -> None:
        """Make the next message ring, because no thread checks for messages now."""
        self._messages.watch(self._ring, collecting=False)
