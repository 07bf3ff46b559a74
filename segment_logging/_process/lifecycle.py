"""The lifecycle of a pipeline, its thread and its process, as one table.

This module is pure: it uses no threads and no clock.

`RULES` defines what happens in each situation. For example, suppose that the process exits while a
batch is waiting for another attempt. The rules for EXIT cut a backoff short and make the attempt at
once. A wait that the server asked for continues, but if it would end after the deadline, the thread
stops.

The code that acts on this table is in `_delivery`. The listener reports the events of its thread,
the pipeline reports the events of callers, and both carry out the actions that the table returns.
"""

from __future__ import annotations

from enum import Enum, auto
from functools import cache
from typing import NamedTuple


class Stage(Enum):
    """What a pipeline is expected to do."""

    OPEN = auto()
    """Deliver full batches, without a deadline. A closed pipeline is OPEN too, without a thread."""
    URGENT = auto()
    """SIGTERM was received, but the exit has not begun. Deliver each message at once."""
    DRAINING = auto()
    """Deliver waiting messages in a caller's thread, because no thread can be started."""
    CLOSING = auto()
    """Deliver waiting messages at once, then close the connections and release the journal."""
    ENDING = auto()
    """The process is exiting. Deliver as many messages as possible before the deadline."""
    ENDED = auto()
    """The process no longer waits for delivery, and lost messages have been reported."""
    LEFT = auto()
    """This process is a forked child, and the pipeline belongs to its parent."""


class Doing(Enum):
    """What the delivery thread is doing."""

    NOTHING = auto()
    """There is no delivery thread."""
    COLLECTING = auto()
    """It is waiting for messages, or for others to fill a batch."""
    SENDING = auto()
    """It is sending a batch, or is about to."""
    BACKING_OFF = auto()
    """It is waiting before another attempt, for a time that the retry policy chose."""
    ASKED_TO_WAIT = auto()
    """It is waiting before another attempt, for as long as the server's Retry-After asked."""
    RESTING = auto()
    """It has put a batch back into the queue, and is waiting before it tries the batch again."""
    STOPPED = auto()
    """The thread has ended. Messages may still be waiting if time ran out or a patch ended it."""


class Event(Enum):
    """Something that happens to a pipeline."""

    # Reported by callers:
    MESSAGE = auto()
    """A message was put into the queue."""
    LAST_WORDS = auto()
    """An exit function or a non-daemon thread logged a message while the process is exiting."""
    FLUSH = auto()
    """A caller waits until all accepted messages are settled."""
    DRAIN_HERE = auto()
    """A caller waits and no thread can be started, so the caller's own thread delivers."""
    CLOSE = auto()
    TERMINATE = auto()
    """SIGTERM was received, and another handler decides when the process exits."""
    EXIT = auto()
    """The process is exiting, and its exit functions are running."""
    EXIT_OVER = auto()
    """The wait at exit is over: everything is settled, time is up, or the user pressed Ctrl-C."""
    FORK = auto()
    """This process is a newly forked child."""

    # Reported by the delivery thread:
    BEGIN = auto()
    """The thread has started."""
    TAKEN = auto()
    """The thread took a batch that is due."""
    ANSWERED = auto()
    """Some messages of the batch were delivered or became dead letters."""
    DONE = auto()
    """All messages of the batch were delivered or became dead letters."""
    FAILED = auto()
    """An attempt failed, and there will be another one."""
    RATE_LIMITED = auto()
    """An attempt failed, and the server sent a Retry-After."""
    KEPT = auto()
    """The batch cannot be delivered now and is kept for later."""
    PAUSE_OVER = auto()
    """The pause before another attempt is over."""
    NOTHING_LEFT = auto()
    """No messages are waiting."""
    TIME_UP = auto()
    """Messages are waiting, but the deadline comes before the next attempt."""
    OUTDATED = auto()
    """gevent or eventlet patched the standard library while the thread was running."""


class Action(Enum):
    """What the code that reported an event must do now."""

    NOTHING = auto()
    START = auto()
    """Start the delivery thread."""
    WAKE = auto()
    """Wake the thread, so that it checks for work."""
    DELIVER_AND_WAIT = auto()
    """Make sure that the message is delivered, and wait until it is."""
    TELL_LOSSES = auto()
    """Report lost messages, because there may be no later chance."""
    GO_ON = auto()
    """Make the next attempt, or take the next batch."""
    PUT_OFF_AND_GO_ON = auto()
    """Extend the deadline and continue, because the server is still accepting batches."""
    PAUSE = auto()
    """Wait. The wait ends early if another thread changes what this thread is doing."""
    END = auto()
    """Release the journal and end the thread."""
    CLOSE_AND_END = auto()
    """Release the journal, close the connections and end the thread."""
    HAND_OVER = auto()
    """Close the connections and end the thread. The journal is left to the next thread."""
    LET_GO = auto()
    """Close the inherited file descriptors, and leave the parent's files alone."""


_S, _D, _E, _A = Stage, Doing, Event, Action

_LIVE = frozenset({_S.OPEN, _S.URGENT, _S.DRAINING, _S.CLOSING})
_END = frozenset({_S.ENDING, _S.ENDED})
_HERE = _LIVE | _END

_ANYTHING = frozenset(Doing)
_NO_THREAD = frozenset({_D.NOTHING, _D.STOPPED})
_THREAD = _ANYTHING - _NO_THREAD
_WAITS = frozenset({_D.BACKING_OFF, _D.RESTING, _D.ASKED_TO_WAIT})


class Rule(NamedTuple):
    """One row of the table. If `stage` or `doing` is None, it does not change."""

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
    # A new message reopens a pipeline that is closing. During exit, the process waits for messages
    # that exit functions log. Messages from daemon threads are delivered if there is time.
    _rule(_E.MESSAGE, _S.URGENT, _NO_THREAD, _A.START),
    _rule(_E.MESSAGE, _S.URGENT, _THREAD, _A.WAKE),
    _rule(_E.MESSAGE, _LIVE, _NO_THREAD, _A.START, stage=_S.OPEN),
    _rule(_E.MESSAGE, _LIVE, _THREAD, _A.WAKE, stage=_S.OPEN),
    _rule(_E.MESSAGE, _END, _NO_THREAD, _A.START, doing=_D.NOTHING),
    _rule(_E.MESSAGE, _END, _THREAD, _A.WAKE),
    _rule(_E.LAST_WORDS, _END, _NO_THREAD, _A.DELIVER_AND_WAIT, stage=_S.ENDING, doing=_D.NOTHING),
    _rule(_E.LAST_WORDS, _END, _THREAD, _A.DELIVER_AND_WAIT, stage=_S.ENDING),

    # A flush sends batches that are not full yet. It does not cut short the wait between two
    # attempts, because the number of attempts is limited.
    _rule(_E.FLUSH, _HERE, _THREAD, _A.WAKE),
    _rule(_E.FLUSH, _LIVE, _NO_THREAD, _A.START),
    _rule(_E.FLUSH, _END, _D.NOTHING, _A.START),
    _rule(_E.FLUSH, _END, _D.STOPPED, _A.NOTHING),
    _rule(_E.DRAIN_HERE, frozenset({_S.OPEN, _S.URGENT}), _NO_THREAD, _A.GO_ON, stage=_S.DRAINING),
    _rule(_E.DRAIN_HERE, _HERE, _ANYTHING, _A.GO_ON),

    # Closing cuts a backoff short, because the caller is waiting for the last attempt. It does not
    # cut short a wait that the server asked for.
    _rule(_E.CLOSE, _LIVE, _D.BACKING_OFF, _A.WAKE, stage=_S.CLOSING, doing=_D.SENDING),
    _rule(_E.CLOSE, _LIVE, _D.RESTING, _A.WAKE, stage=_S.CLOSING, doing=_D.COLLECTING),
    _rule(_E.CLOSE, _LIVE, _THREAD, _A.WAKE, stage=_S.CLOSING),
    _rule(_E.CLOSE, _LIVE, _NO_THREAD, _A.START, stage=_S.CLOSING),
    _rule(_E.CLOSE, _END, _ANYTHING, _A.TELL_LOSSES),

    # After SIGTERM, there is no time to fill batches or to back off.
    _rule(_E.TERMINATE, _LIVE, _D.BACKING_OFF, _A.WAKE, stage=_S.URGENT, doing=_D.SENDING),
    _rule(_E.TERMINATE, _LIVE, _D.RESTING, _A.WAKE, stage=_S.URGENT, doing=_D.COLLECTING),
    _rule(_E.TERMINATE, _LIVE, _ANYTHING, _A.WAKE, stage=_S.URGENT),
    _rule(_E.TERMINATE, _END, _ANYTHING, _A.NOTHING),

    # The same is true at exit. A wait that the server asked for continues, within the deadline.
    _rule(_E.EXIT, _HERE, _D.BACKING_OFF, _A.WAKE, stage=_S.ENDING, doing=_D.SENDING),
    _rule(_E.EXIT, _HERE, _D.RESTING, _A.WAKE, stage=_S.ENDING, doing=_D.COLLECTING),
    _rule(_E.EXIT, _HERE, _THREAD, _A.WAKE, stage=_S.ENDING),
    _rule(_E.EXIT, _HERE, _NO_THREAD, _A.START, stage=_S.ENDING, doing=_D.NOTHING),
    _rule(_E.EXIT_OVER, _HERE, _ANYTHING, _A.TELL_LOSSES, stage=_S.ENDED),

    # A forked child leaves everything to its parent.
    _rule(_E.FORK, _HERE, _ANYTHING, _A.LET_GO, stage=_S.LEFT, doing=_D.NOTHING),
    _rule(frozenset(Event), _S.LEFT, _ANYTHING, _A.NOTHING),

    # The delivery thread, from batch to batch.
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
    _rule(_E.PAUSE_OVER, _HERE, _THREAD, _A.GO_ON),  # another thread has just cut it short

    # The thread ends when no time is left. It also ends when no messages are left, unless the
    # pipeline is open.
    _rule(_E.NOTHING_LEFT, frozenset({_S.OPEN, _S.URGENT}), _THREAD, _A.PAUSE),
    _rule(_E.NOTHING_LEFT, _S.DRAINING, _THREAD, _A.END, stage=_S.OPEN, doing=_D.NOTHING),
    _rule(_E.NOTHING_LEFT, _S.CLOSING, _THREAD, _A.CLOSE_AND_END, stage=_S.OPEN, doing=_D.NOTHING),
    _rule(_E.NOTHING_LEFT, _END, _THREAD, _A.END, doing=_D.NOTHING),
    _rule(_E.TIME_UP, _S.CLOSING, _THREAD, _A.CLOSE_AND_END, stage=_S.OPEN, doing=_D.STOPPED),
    _rule(_E.TIME_UP, _LIVE, _THREAD, _A.END, stage=_S.OPEN, doing=_D.STOPPED),
    _rule(_E.TIME_UP, _END, _THREAD, _A.END, doing=_D.STOPPED),
    _rule(_E.TIME_UP, _HERE, _NO_THREAD, _A.NOTHING),

    # A native thread cannot use patched modules. The next message, flush or exit starts a new one.
    _rule(_E.OUTDATED, _HERE, _THREAD, _A.HAND_OVER, doing=_D.STOPPED),
)
# fmt: on
"""The table. The first rule that matches applies."""


@cache
def decide(stage: Stage, doing: Doing, event: Event) -> tuple[Stage, Doing, Action]:
    """Return the next stage, what the thread does next, and the action to carry out.

    Raises:
        LookupError: the event cannot happen in this situation.
    """
    for rule in RULES:
        if event in rule.events and stage in rule.stages and doing in rule.doings:
            return rule.stage or stage, rule.doing or doing, rule.action
    raise LookupError(f"no rule for {event.name} while {stage.name} and {doing.name}")
