"""Where one pipeline stands in the table of the lifecycle."""

from __future__ import annotations

from .lifecycle import Action, Doing, Event, Stage, decide

_Now = tuple[Stage, Doing, float | None]
_OPEN = (Stage.OPEN, Stage.URGENT)


class Life:
    """Where a pipeline stands in the table.

    Any thread, also from a signal handler in the middle of a call. Besides the table it only knows
    the deadline, which comes with some events and ends when the pipeline is open again.

    There is no lock. A signal handler that waits for the delivering thread would wait for ever, if
    it had interrupted somebody who holds what that thread needs.
    """

    def __init__(self) -> None:
        self._now: _Now = (Stage.OPEN, Doing.NOTHING, None)

    @property
    def stage(self) -> Stage:
        """What is asked of the pipeline."""
        return self._now[0]

    @property
    def doing(self) -> Doing:
        """What its thread does."""
        return self._now[1]

    @property
    def deadline(self) -> float | None:
        """A moment of the monotonic clock after which nothing may go on; None for never."""
        return self._now[2]

    def on(self, event: Event, *, deadline: float | None = None) -> Action:
        """Move on, and return what is to be done now by whoever told of the event."""
        while True:
            before = self._now
            stage, doing, action = decide(before[0], before[1], event)
            until = before[2] if deadline is None else deadline
            if self._moves(before, (stage, doing, None if stage in _OPEN else until)):
                return action

    def put_off(self, deadline: float) -> None:
        """Move the deadline, which those who wait have set; nothing that is open has one."""
        while (before := self._now)[0] not in _OPEN:
            if self._moves(before, (before[0], before[1], deadline)):
                return

    def _moves(self, before: _Now, after: _Now) -> bool:
        """Take a step, unless somebody else was faster."""
        # CPython switches threads and runs signal handlers at calls and loops only, and there is
        # none between this look and the step.
        if self._now is before:
            self._now = after
            return True
        return False

    @property
    def is_ending(self) -> bool:
        """Whether the process ends."""
        return self.stage in (Stage.ENDING, Stage.ENDED)

    @property
    def is_open(self) -> bool:
        """Whether the thread stays, and has no deadline."""
        return self.stage in _OPEN

    @property
    def is_patient(self) -> bool:
        """Whether messages may wait for company."""
        return self.stage is Stage.OPEN

    @property
    def is_paused(self) -> bool:
        """Whether the thread waits before another attempt."""
        return self.doing in (Doing.BACKING_OFF, Doing.ASKED_TO_WAIT, Doing.RESTING)
