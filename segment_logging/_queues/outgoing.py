"""Batches that were taken from a queue and are not settled yet.

Usually that is one batch: it is taken, sent and acknowledged. If it fails, it is put back and taken
again. If it may be the batch itself that fails, it is held while the next one is tried, and if that
one arrives, it is set back behind everything that was waiting at that time.

The delivery thread only, except for `settled`, which any thread may read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from .._messages.batch import Batch


class Piece(Protocol):
    """Messages of a batch that are stored in one place."""

    def settle(self, messages: int, *, set_aside: bool) -> None:
        """Forget the first `messages` that are left. See `MessageQueue.acknowledge`."""


class Portion:
    """A batch, and where its messages are stored.

    Args:
        batch: the messages.
        pieces: the places, in the batch's order, each with the number of its messages.
        lane: the order that the messages belong to. See `MessageQueue.lanes`.
    """

    __slots__ = ("batch", "first", "lane", "pieces")

    def __init__(self, batch: Batch, pieces: list[tuple[Piece, int]], lane: int = 0) -> None:
        self.batch: Batch | None = batch
        self.pieces = deque(pieces)
        self.lane = lane
        self.first = 0  # how many messages of its lane came before it

    def settle(self, messages: int, *, set_aside: bool) -> None:
        """Forget the first messages, also where they are stored."""
        assert self.batch is not None
        self.batch = self.batch.without(messages)
        self.first += messages
        while messages:
            piece, count = self.pieces.popleft()
            if count > messages:
                self.pieces.appendleft((piece, count - messages))
                count = messages
            messages -= count
            piece.settle(count, set_aside=set_aside)


class Outgoing:
    """The batches of one queue that were taken and are not settled yet.

    Args:
        lanes: the number of lanes.
    """

    def __init__(self, lanes: int = 1) -> None:
        self._taken: Portion | None = None
        self._held: Portion | None = None
        self._next: deque[Portion] = deque()  # put back
        self._later: deque[tuple[int, Portion]] = deque()  # set back, each until a total of `out`
        self._out = [0] * lanes
        self.acknowledged = [0] * lanes
        """How many messages of each lane were settled."""
        self.settled = [0] * lanes
        """How many messages of each lane were settled without an earlier one that is not."""

    def take(self, collect: Callable[[], Portion | None]) -> Batch | None:
        """Return the next batch, or None if nothing is waiting.

        Args:
            collect: returns messages that were not taken before, or None.
        """
        portion = (
            self._next.popleft() if self._next else self._turn_of_later() or self._new(collect)
        )
        if portion is None and self._later:
            portion = self._later.popleft()[1]
        self._taken = portion
        return None if portion is None else portion.batch

    def add(self, portion: Portion) -> None:
        """Add messages that were not taken before, behind all that were put back."""
        self._count(portion)
        self._next.append(portion)

    def _turn_of_later(self) -> Portion | None:
        if self._later and sum(self._out) >= self._later[0][0]:
            return self._later.popleft()[1]
        return None

    def _new(self, collect: Callable[[], Portion | None]) -> Portion | None:
        portion = collect()
        if portion is not None:
            self._count(portion)
        return portion

    def _count(self, portion: Portion) -> None:
        assert portion.batch is not None
        portion.first = self._out[portion.lane]
        self._out[portion.lane] += len(portion.batch)

    def acknowledge(self, messages: int, *, set_aside: bool) -> None:
        """Forget the first messages of the batch taken last."""
        portion = self._taken
        assert portion is not None
        portion.settle(messages, set_aside=set_aside)
        self.acknowledged[portion.lane] += messages
        if portion.batch is None:
            self._taken = None
        self._update()

    def skip(self, messages: int, lane: int = 0) -> None:
        """Count messages as settled that are gone."""
        self._out[lane] += messages
        self.acknowledged[lane] += messages
        self._update()

    def put_back(self) -> None:
        """Make the batch taken last the next one again, after one that is held."""
        for portion in (self._taken, self._held):
            if portion is not None:
                self._next.appendleft(portion)
        self._taken = self._held = None

    def hold(self) -> None:
        """Keep the batch taken last until it is put back or set back, so that others come first."""
        self._held, self._taken = self._taken, None

    def set_back(self, accepted: int) -> None:
        """Move a batch behind everything that is waiting: the one that is held, else the last one.

        If one is held, what is left of the last one is put back.

        Args:
            accepted: how many messages were accepted in all lanes.
        """
        portion = self._held
        if portion is None:
            portion, self._taken = self._taken, None
        assert portion is not None
        self._held = None
        self.put_back()
        self._later.append((accepted, portion))

    def forget(self) -> int:
        """Forget all of them, and return how many messages of lane 0 were in them."""
        left = self._out[0] - self.acknowledged[0]
        self._taken = self._held = None
        self._next.clear()
        self._later.clear()
        self._out = list(self.acknowledged)
        self._update()
        return left

    def drop(self, portion: Portion) -> None:
        """Forget a batch that was put back or set back, as if it had never been added."""
        assert portion.batch is not None
        messages = len(portion.batch)
        self._next = deque(one for one in self._next if one is not portion)
        self._later = deque(
            (total - messages, one) for total, one in self._later if one is not portion
        )
        self._out[portion.lane] -= messages
        for one in self.unsettled():
            if one.lane == portion.lane and one.first > portion.first:
                one.first -= messages
        self._update()

    @property
    def is_empty(self) -> bool:
        """Whether none of them is waiting."""
        return not self._next and not self._later

    @property
    def is_due(self) -> bool:
        """Whether one of them is the next batch."""
        return bool(self._next) or bool(self._later and sum(self._out) >= self._later[0][0])

    def _update(self) -> None:
        settled = list(self._out)
        for portion in self.unsettled():
            settled[portion.lane] = min(settled[portion.lane], portion.first)
        self.settled = settled

    def unsettled(self) -> Iterator[Portion]:
        """Yield all of them. The delivery thread only."""
        yield from (one for one in (self._taken, self._held) if one is not None)
        yield from self._next
        yield from (portion for _, portion in self._later)
