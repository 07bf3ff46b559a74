"""The current state of one pipeline in the lifecycle table."""

from __future__ import annotations

from .lifecycle import Action, Doing, Event, Stage, decide

_Now = tuple[Stage, Doing, float | None]
_OPEN = (Stage.OPEN, Stage.URGENT)


class Life:
    """A pipeline's current state in the lifecycle table.

    All methods may be called from any thread, and from a signal handler that interrupts another
    call. In addition to the table's state, this class holds the deadline. Some events set a
    deadline, and it is cleared when the pipeline is open again.

    There is no lock. A signal handler may wait for the delivery thread. If the handler had
    interrupted code that held a lock, the delivery thread could not take that lock, and the handler
    would wait forever.
    """

    def __init__(self) -> None:
        self._now: _Now = (Stage.OPEN, Doing.NOTHING, None)

    @property
    def stage(self) -> Stage:
        """The pipeline's stage."""
        return self._now[0]

    @property
    def doing(self) -> Doing:
        """What the delivery thread is doing."""
        return self._now[1]

    @property
    def deadline(self) -> float | None:
        """The time on the monotonic clock at which delivery must stop, or None for no limit."""
        return self._now[2]

    def on(self, event: Event, *, deadline: float | None = None) -> Action:
        """Move to the next state, and return the action that the caller must carry out now."""
        while True:
            before = self._now
            stage, doing, action = decide(before[0], before[1], event)
            until = before[2] if deadline is None else deadline
            if self._moves(before, (stage, doing, None if stage in _OPEN else until)):
                return action

    def is_time_up(self, now: float) -> bool:
        """Return whether the deadline has passed."""
        deadline = self.deadline
        return deadline is not None and now >= deadline

    def put_off(self, deadline: float) -> None:
        """Change the deadline. Does nothing if the pipeline is open, as it then has no deadline."""
        while (before := self._now)[0] not in _OPEN:
            if self._moves(before, (before[0], before[1], deadline)):
                return

    def _moves(self, before: _Now, after: _Now) -> bool:
        """Set the new state, or return False if another thread has already changed the old one."""
        # CPython switches threads and runs signal handlers only at calls and backward jumps. There
        # is neither between this comparison and the assignment.
        if self._now is before:
            self._now = after
            return True
        return False

    @property
    def is_ending(self) -> bool:
        """Whether the process is exiting."""
        return self.stage in (Stage.ENDING, Stage.ENDED)

    @property
    def is_open(self) -> bool:
        """Whether the thread keeps running and has no deadline."""
        return self.stage in _OPEN

    @property
    def is_patient(self) -> bool:
        """Whether a message may wait for others to fill its batch."""
        return self.stage is Stage.OPEN

    @property
    def is_paused(self) -> bool:
        """Whether the thread is waiting before another attempt."""
        return self.doing in (Doing.BACKING_OFF, Doing.ASKED_TO_WAIT, Doing.RESTING)
