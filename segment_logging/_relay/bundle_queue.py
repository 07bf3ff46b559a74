"""The queue of received bundles, from which batches are taken.

The bundles remain in the broker's queue until they are acknowledged, so nothing is lost with this
process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .._messages.batch import Batch
from .._messages.batcher import Batcher
from .._messages.limits import MAX_BATCH_BYTES, MAX_BATCH_MESSAGES
from .._queues.outgoing import Outgoing, Piece, Portion
from .bundle import ReceivedBundle

_ASIDE_PAUSE = 60.0
"""Seconds until messages that were set aside are tried again."""


class BundleQueue:
    """Received bundles of one write key, oldest first. See `MessageQueue`.

    A batch consists of whole bundles, because a bundle that is split between two batches would be
    sent twice if the process died between them. Only a bundle that is too large for a batch is
    split. A bundle with a line that is not a message is sent line by line, so that this line spoils
    no batch.

    Args:
        kept_in: where the messages are kept, for reports.
        on_settled: called in the delivery thread with each bundle that may be acknowledged.
        is_window_full: returns whether the broker delivers no more bundles until some are
            acknowledged. There is no point in waiting for more then.
    """

    has_backlog = False
    lost = 0
    damaged = 0
    perishable = 0
    refusal = None

    def __init__(
        self,
        *,
        kept_in: str,
        on_settled: Callable[[ReceivedBundle], None],
        is_window_full: Callable[[], bool],
    ) -> None:
        self.kept_in: str | None = kept_in
        self._report_settled = on_settled
        self._is_window_full = is_window_full
        self._bundles: deque[ReceivedBundle] = deque()
        self._aside: deque[ReceivedBundle] = deque()
        self._aside_until: float | None = None
        self._bytes_in = self._bytes_out = self._messages_out = 0
        self.accepted = 0  # messages that are tried again count again
        self.received = 0
        """How many messages the broker has delivered."""
        self._ring: Callable[[], None] | None = None
        self._is_collecting = False
        self._is_closed = False
        self._batcher = Batcher(auto_timestamp=False)
        self._outgoing = Outgoing()

    # The thread that receives. ------------------------------------------------------------------

    def add(self, bundle: ReceivedBundle) -> None:
        """Add a bundle."""
        self.received += len(bundle)
        self._queue(bundle)
        if self._ring is not None and (not self._is_collecting or self.has_full_batch):
            ring, self._ring = self._ring, None
            ring()

    def _queue(self, bundle: ReceivedBundle) -> None:
        # There is no call between a read and its write, so no other thread comes between them.
        messages, size_bytes = len(bundle), bundle.size_bytes
        self.accepted += messages
        self._bytes_in += size_bytes
        self._bundles.append(bundle)

    def close(self) -> None:
        """Let no more batches be taken. Bundles that wait return to the broker."""
        self._is_closed = True

    def look_again(self) -> None:
        pass

    def is_left_elsewhere(self) -> bool:
        return False

    def put(self, line: bytes) -> bool:
        """Refuse a message, because only the broker adds messages."""
        return False

    # The delivery thread. -----------------------------------------------------------------------

    def watch(self, ring: Callable[[], None], *, collecting: bool) -> None:
        self._is_collecting = collecting
        self._ring = ring

    def take(self) -> Batch | None:
        self._ring = None
        return None if self._is_closed else self._outgoing.take(self._collect)

    def _collect(self) -> Portion | None:
        pieces: list[tuple[Piece, int]] = []
        batcher = self._batcher
        while self._bundles and self._fits(self._bundles[0]):
            bundle = self._bundles[0]
            before = len(batcher)
            if not bundle.is_sound:
                line = bundle.waiting[0]
                self._count_out(bundle, 1)
                return Portion(Batch.of_lines([line]), [(bundle, 1)])
            batcher.fill(iter(bundle.waiting))
            count = len(batcher) - before
            self._count_out(bundle, count)
            pieces.append((bundle, count))
        if not pieces:
            return None
        return Portion(batcher.take(), pieces)

    def _fits(self, bundle: ReceivedBundle) -> bool:
        """Return whether to add a bundle to the batch. Part of it is enough if it is the first."""
        batcher = self._batcher
        return batcher.is_empty or (
            bundle.is_sound
            and batcher.size_bytes + bundle.size_bytes <= MAX_BATCH_BYTES
            and len(batcher) + len(bundle) <= MAX_BATCH_MESSAGES
        )

    def _count_out(self, bundle: ReceivedBundle, messages: int) -> None:
        size_bytes = sum(map(len, bundle.waiting[:messages])) + messages
        self._bytes_out += size_bytes
        self._messages_out += messages
        if bundle.take(messages):
            self._bundles.popleft()

    def on_settled(self, bundle: ReceivedBundle) -> None:
        """Handle a bundle whose messages are settled. Called by the bundle."""
        if bundle.set_aside:
            self._aside.append(bundle)
        else:
            self._report_settled(bundle)

    def acknowledge(self, messages: int, *, set_aside: bool = False) -> None:
        self._outgoing.acknowledge(messages, set_aside=set_aside)

    def put_back(self) -> None:
        self._outgoing.put_back()

    def hold(self) -> None:
        self._outgoing.hold()

    def set_back(self) -> None:
        self._outgoing.set_back(self.accepted)

    def tend(self, now: float) -> float | None:
        """Try messages again that were set aside a minute ago."""
        if not self._aside:
            return None
        if self._aside_until is None:
            self._aside_until = now + _ASIDE_PAUSE
        if now < self._aside_until:
            return self._aside_until
        self._aside_until = None
        while self._aside:
            bundle = self._aside.popleft()
            bundle.begin_again()
            self._queue(bundle)
        return None

    def release(self) -> None:
        """Do nothing. The broker delivers what is not acknowledged when the connection ends."""

    def abandon(self) -> None:
        """Do nothing, because a relay does not fork."""

    @property
    def is_empty(self) -> bool:
        return self._is_closed or (not self._bundles and self._outgoing.is_empty)

    @property
    def has_full_batch(self) -> bool:
        return (
            self._outgoing.is_due
            or self._bytes_in - self._bytes_out >= MAX_BATCH_BYTES
            or self.accepted - self._messages_out >= MAX_BATCH_MESSAGES
            or self._is_window_full()
        )

    @property
    def lanes(self) -> tuple[tuple[int, int], ...]:
        return ((self.accepted, self._outgoing.settled[0]),)
