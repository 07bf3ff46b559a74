"""The possible outcomes of an attempt at a batch, and the totals. This module is pure."""

from __future__ import annotations

from dataclasses import dataclass
from queue import Empty
from typing import TypeAlias

from .._process.lifecycle import Action


@dataclass(frozen=True, slots=True)
class Answered:
    """The batch's next messages were delivered or became dead letters.

    Attributes:
        runs: the numbers of messages, starting with the first one that is not yet settled, each
            with whether they are set aside: abandoned, but not written to the dead letters. Their
            file on disk is kept for manual inspection, and a relay tries them again.
    """

    runs: tuple[tuple[int, bool], ...]

    @property
    def messages(self) -> int:
        """How many messages there are."""
        return sum(messages for messages, _ in self.runs)

    @property
    def is_set_aside(self) -> bool:
        """Whether some of them are set aside."""
        return any(is_set_aside for _, is_set_aside in self.runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAgain:
    """The attempt failed, or no time was left for it, and another one may help.

    Attributes:
        seconds: how long to wait before the next attempt.
        is_asked: whether the server asked for this wait. If so, it must not be cut short.
    """

    seconds: float
    is_asked: bool = False


@dataclass(frozen=True, slots=True)
class Halved:
    """Segment could not read the batch, so its halves are sent separately, without a pause."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The rest of the batch cannot be delivered now, and its queue keeps it for later."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """All attempts have failed, perhaps because of what the batch contains.

    If another batch can be delivered, the batch is to blame. Otherwise it is an outage.
    """


@dataclass(frozen=True, slots=True)
class SetBack:
    """The batch is to blame for its failure. Other batches are sent before the next attempt."""


Outcome: TypeAlias = Answered | TryAgain | Halved | Kept | Stuck | SetBack


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The totals of the messages handled so far. See `Counts`."""

    delivered: int = 0
    dead_lettered: int = 0
    retried: int = 0
    batches: int = 0


class Over(Empty):
    """Raised in the listener's thread when it must end, with the action to carry out."""

    def __init__(self, action: Action) -> None:
        super().__init__()
        self.action = action
