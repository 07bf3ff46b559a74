"""What one attempt at a batch leads to, and the tally of many. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The next messages of the batch were delivered or became dead letters.

    Attributes:
        messages: how many, in the order of the batch.
        is_set_aside: they were given up and could not be written to the dead letters, so what is
            on disk of the batch is to be kept for people.
    """

    messages: int
    is_set_aside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAgain:
    """The attempt failed, and another one may help.

    Attributes:
        seconds: to wait before it.
        is_asked: whether the server asked for this wait, so that it must not be cut short.
    """

    seconds: float
    is_asked: bool = False


@dataclass(frozen=True, slots=True)
class Halved:
    """Segment cannot read the batch, so its halves are sent one by one. Go on at once."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of the batch cannot be delivered now, and its queue keeps it for later."""


Outcome: TypeAlias = Answered | TryAgain | Halved | Kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What became of messages so far. See `Counts`."""

    delivered: int = 0
    dead_lettered: int = 0
    retried: int = 0
    batches: int = 0
