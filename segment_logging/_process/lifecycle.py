"""The life of a pipeline, its thread and its process, in one table. Pure: no thread, no clock.

Whoever wants to know what happens in some situation reads `RULES`. For example: what happens when
the process ends while a batch waits for another attempt? The rules of EXIT say: a wait that we
chose ourselves is cut short, for a try at once; one that the server asked for goes on, and the
thread stops if it would end after the deadline.

The code that carries this out is in `_delivery`: the listener says what its thread does, the
pipeline what callers ask for, and both do what the table answers.
"""

from __future__ import annotations

from enum import Enum, auto
from functools import cache
from typing import NamedTuple


class Stage(Enum):
    """What is asked of a pipeline."""

    OPEN = auto()
    """Deliver in full batches, for as long as it takes. What is closed is OPEN with no thread."""
    URGENT = auto()
    """The process was told to end, by whom we do not know: deliver each message at once."""
    DRAINING = auto()
    """Deliver what waits at once, in the thread of a caller, as no other can be started."""
    CLOSING = auto()
    """Deliver what waits at once, then let go of connections and journal."""
    ENDING = auto()
    """The process ends: deliver what can be delivered before the deadline."""
    ENDED = auto()
    """The end of the process is not held up any longer, and what is lost has been said."""
    LEFT = auto()
    """This is a forked child, and the pipeline is its parent's."""


class Doing(Enum):
    """What the delivering thread does."""

    NOTHING = auto()
    """There is no such thread."""
    COLLECTING = auto()
    """It waits for messages, and for company for those that wait."""
    SENDING = auto()
    """It makes an attempt at a batch, or is about to."""
    BACKING_OFF = auto()
    """It waits before another attempt, for as long as we chose."""
    ASKED_TO_WAIT = auto()
    """It waits before another attempt, for as long as the server asked: a Retry-After."""
    RESTING = auto()
    """It has put back a batch that is kept, and waits before that is tried again."""
    STOPPED = auto()
    """There is no thread any more: no time was left for what still waits."""


class Event(Enum):
    """What happens to a pipeline."""

    # What callers ask for:
    MESSAGE = auto()
    """A message came in, and the queue rang."""
    LAST_WORDS = auto()
    """The same, while the process ends, from an exit function or a thread that is waited for."""
    FLUSH = auto()
    """Somebody waits until everything accepted so far is answered for."""
    DRAIN_HERE = auto()
    """Somebody waits, no thread can be started, and so the waiting thread delivers itself."""
    CLOSE = auto()
    TERMINATE = auto()
    """SIGTERM came, and somebody else has the signal."""
    EXIT = auto()
    """The process ends, and its exit functions run."""
    EXIT_OVER = auto()
    """The time for that is over, or nothing is left to wait for, or somebody pressed Ctrl-C."""
    FORK = auto()
    """This process is a child that was forked just now."""

    # What the delivering thread says:
    BEGIN = auto()
    """It begins."""
    TAKEN = auto()
    """It took a batch that is due."""
    ANSWERED = auto()
    """Messages of the batch are acknowledged: delivered, or dead letters."""
    DONE = auto()
    """All messages of the batch are."""
    FAILED = auto()
    """An attempt failed, and another one is worth a wait."""
    RATE_LIMITED = auto()
    """An attempt failed, and the server said how long to wait."""
    KEPT = auto()
    """The batch cannot be delivered now, and is kept for later."""
    PAUSE_OVER = auto()
    """The wait is over."""
    NOTHING_LEFT = auto()
    """Nothing waits, and the thread is about to end."""
    TIME_UP = auto()
    """Something waits, but the deadline comes before it can be tried."""


class Action(Enum):
    """What is to be done now, by whoever told of the event."""

    NOTHING = auto()
    START = auto()
    """See that a thread delivers: start one."""
    WAKE = auto()
    """Wake the thread: what it waits for may have come."""
    DELIVER_AND_WAIT = auto()
    """See that it is delivered, and wait for that: nobody else will."""
    TELL_LOSSES = auto()
    """Say what is lost, as there will be no later chance."""
    GO_ON = auto()
    """Make the next attempt, or take the next batch."""
    PUT_OFF_AND_GO_ON = auto()
    """The same, and the deadline moves: a server that keeps taking batches gets all of them."""
    PAUSE = auto()
    """Wait. The wait ends early if somebody else changes what the thread is doing."""
    END = auto()
    """Let go of the journal, and end the thread."""
    CLOSE_AND_END = auto()
    """Let go of the journal and of connections, and end the thread."""
    LET_GO = auto()
    """Close what is the parent's, and touch nothing of it."""


_S, _D, _E, _A = Stage, Doing, Event, Action

_LIVE = frozenset({_S.OPEN, _S.URGENT, _S.DRAINING, _S.CLOSING})
_END = frozenset({_S.ENDING, _S.ENDED})
_HERE = _LIVE | _END

_ANYTHING = frozenset(Doing)
_NO_THREAD = frozenset({_D.NOTHING, _D.STOPPED})
_THREAD = _ANYTHING - _NO_THREAD
_WAITS = frozenset({_D.BACKING_OFF, _D.RESTING, _D.ASKED_TO_WAIT})


class Rule(NamedTuple):
    """One row of the table. None means that it stays as it is."""

    events: frozenset[Event]
    stages: frozenset[Stage]
    doings: frozenset[Doing]
    stage: Stage | None
    doing: Doing | None
    action: Action


def _rule(
    events: frozenset[Event] | Event,
    stages: frozenset[Stage] | Stage,
    doings: frozenset[Doing] | Doing,
    action: Action,
    stage: Stage | None = None,
    doing: Doing | None = None,
) -> Rule:
    return Rule(
        frozenset({events}) if isinstance(events, Event) else events,
        frozenset({stages}) if isinstance(stages, Stage) else stages,
        frozenset({doings}) if isinstance(doings, Doing) else doings,
        stage,
        doing,
        action,
    )


# fmt: off
RULES = (
    # A message opens again what is being closed. While the process ends, what an exit function
    # logs is waited for; what daemon threads go on logging is delivered as long as there is time.
    _rule(_E.MESSAGE, _S.URGENT, _NO_THREAD, _A.START),
    _rule(_E.MESSAGE, _S.URGENT, _THREAD, _A.WAKE),
    _rule(_E.MESSAGE, _LIVE, _NO_THREAD, _A.START, stage=_S.OPEN),
    _rule(_E.MESSAGE, _LIVE, _THREAD, _A.WAKE, stage=_S.OPEN),
    _rule(_E.MESSAGE, _END, _NO_THREAD, _A.START, doing=_D.NOTHING),
    _rule(_E.MESSAGE, _END, _THREAD, _A.WAKE),
    _rule(_E.LAST_WORDS, _END, _NO_THREAD, _A.DELIVER_AND_WAIT, stage=_S.ENDING, doing=_D.NOTHING),
    _rule(_E.LAST_WORDS, _END, _THREAD, _A.DELIVER_AND_WAIT, stage=_S.ENDING),

    # A flush sends what waits for company. It does not hurry a batch between two attempts, as
    # there is only a limited number of them.
    _rule(_E.FLUSH, _HERE, _THREAD, _A.WAKE),
    _rule(_E.FLUSH, _LIVE, _NO_THREAD, _A.START),
    _rule(_E.FLUSH, _END, _D.NOTHING, _A.START),
    _rule(_E.FLUSH, _END, _D.STOPPED, _A.NOTHING),
    _rule(_E.DRAIN_HERE, frozenset({_S.OPEN, _S.URGENT}), _NO_THREAD, _A.GO_ON, stage=_S.DRAINING),
    _rule(_E.DRAIN_HERE, _HERE, _ANYTHING, _A.GO_ON),

    # Closing cuts short a wait of our own choice: somebody waits for the last try.
    _rule(_E.CLOSE, _LIVE, _D.BACKING_OFF, _A.WAKE, stage=_S.CLOSING, doing=_D.SENDING),
    _rule(_E.CLOSE, _LIVE, _D.RESTING, _A.WAKE, stage=_S.CLOSING, doing=_D.COLLECTING),
    _rule(_E.CLOSE, _LIVE, _THREAD, _A.WAKE, stage=_S.CLOSING),
    _rule(_E.CLOSE, _LIVE, _NO_THREAD, _A.START, stage=_S.CLOSING),
    _rule(_E.CLOSE, _END, _ANYTHING, _A.TELL_LOSSES),

    # A SIGTERM that is somebody else's leaves no time to wait for company, or for another attempt.
    _rule(_E.TERMINATE, _LIVE, _D.BACKING_OFF, _A.WAKE, stage=_S.URGENT, doing=_D.SENDING),
    _rule(_E.TERMINATE, _LIVE, _D.RESTING, _A.WAKE, stage=_S.URGENT, doing=_D.COLLECTING),
    _rule(_E.TERMINATE, _LIVE, _ANYTHING, _A.WAKE, stage=_S.URGENT),
    _rule(_E.TERMINATE, _END, _ANYTHING, _A.NOTHING),

    # So does the end of the process. What the server asked for is kept to, within the deadline.
    _rule(_E.EXIT, _HERE, _D.BACKING_OFF, _A.WAKE, stage=_S.ENDING, doing=_D.SENDING),
    _rule(_E.EXIT, _HERE, _D.RESTING, _A.WAKE, stage=_S.ENDING, doing=_D.COLLECTING),
    _rule(_E.EXIT, _HERE, _THREAD, _A.WAKE, stage=_S.ENDING),
    _rule(_E.EXIT, _HERE, _NO_THREAD, _A.START, stage=_S.ENDING, doing=_D.NOTHING),
    _rule(_E.EXIT_OVER, _HERE, _ANYTHING, _A.TELL_LOSSES, stage=_S.ENDED),

    # A forked child leaves all of it to its parent.
    _rule(_E.FORK, _HERE, _ANYTHING, _A.LET_GO, stage=_S.LEFT, doing=_D.NOTHING),
    _rule(frozenset(Event), _S.LEFT, _ANYTHING, _A.NOTHING),

    # The delivering thread, from batch to batch.
    _rule(_E.BEGIN, _HERE, _NO_THREAD, _A.GO_ON, doing=_D.COLLECTING),
    _rule(_E.TAKEN, _HERE, _D.COLLECTING, _A.GO_ON, doing=_D.SENDING),
    _rule(_E.ANSWERED, _S.ENDING, _D.SENDING, _A.PUT_OFF_AND_GO_ON),
    _rule(_E.ANSWERED, _HERE, _D.SENDING, _A.GO_ON),
    _rule(_E.DONE, _HERE, _D.SENDING, _A.GO_ON, doing=_D.COLLECTING),
    _rule(_E.FAILED, _HERE, _D.SENDING, _A.PAUSE, doing=_D.BACKING_OFF),
    _rule(_E.RATE_LIMITED, _HERE, _D.SENDING, _A.PAUSE, doing=_D.ASKED_TO_WAIT),
    _rule(_E.KEPT, _HERE, _THREAD, _A.PAUSE, doing=_D.RESTING),
    _rule(_E.PAUSE_OVER, _HERE, _D.RESTING, _A.GO_ON, doing=_D.COLLECTING),
    _rule(_E.PAUSE_OVER, _HERE, _WAITS, _A.GO_ON, doing=_D.SENDING),
    _rule(_E.PAUSE_OVER, _HERE, _THREAD, _A.GO_ON),  # somebody has cut it short just now

    # It ends when nothing is left, unless the pipeline is open, or when no time is left.
    _rule(_E.NOTHING_LEFT, frozenset({_S.OPEN, _S.URGENT}), _THREAD, _A.PAUSE),
    _rule(_E.NOTHING_LEFT, _S.DRAINING, _THREAD, _A.END, stage=_S.OPEN, doing=_D.NOTHING),
    _rule(_E.NOTHING_LEFT, _S.CLOSING, _THREAD, _A.CLOSE_AND_END, stage=_S.OPEN, doing=_D.NOTHING),
    _rule(_E.NOTHING_LEFT, _END, _THREAD, _A.END, doing=_D.NOTHING),
    _rule(_E.TIME_UP, _S.CLOSING, _THREAD, _A.CLOSE_AND_END, stage=_S.OPEN, doing=_D.STOPPED),
    _rule(_E.TIME_UP, _LIVE, _THREAD, _A.END, stage=_S.OPEN, doing=_D.STOPPED),
    _rule(_E.TIME_UP, _END, _THREAD, _A.END, doing=_D.STOPPED),
    _rule(_E.TIME_UP, _HERE, _NO_THREAD, _A.NOTHING),
)
# fmt: on
"""The table. The first rule that fits decides."""


@cache
def decide(stage: Stage, doing: Doing, event: Event) -> tuple[Stage, Doing, Action]:
    """Return what an event leads to: the next stage, what the thread does next, and the action.

    Raises:
        LookupError: nobody tells of such an event in such a situation.
    """
    for rule in RULES:
        if event in rule.events and stage in rule.stages and doing in rule.doings:
            return rule.stage or stage, rule.doing or doing, rule.action
    raise LookupError(f"no rule for {event.name} while {stage.name} and {doing.name}")
