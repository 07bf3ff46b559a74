"""A relay's work during one connection: it receives bundles and acknowledges them.

The thread that runs a session owns the connection. It answers heartbeats even while the sources'
threads wait for Segment, however long that takes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from .._broker.address import Address
from .._broker.bundles import KEY_HEADER, lines_of_bundle
from .._broker.connection import Connection, Received
from .._client.client import Client
from .._clock import monotonic
from .._delivery.retries import RetryPolicy
from .bundle import ReceivedBundle
from .bundle_queue import BundleQueue
from .dead_queue import DeadQueue, QueuedLetters
from .figures import Figures
from .source import Source
from .strays import Strays
from .window import Window

PREFETCH = 500
"""Bundles that may be unacknowledged: at most 32 MB, which is enough for 60 full batches."""

GRACE = 5.0
"""Seconds that a running request gets when the relay is stopped."""

_IDLE = 0.25  # how long a signal may have to wait
_BUSY = 0.02  # how long an acknowledgement may have to wait
_AT_ONCE = 0.001


class Ending(Enum):
    """Why a session ended."""

    STOPPED = auto()
    """It was asked to."""
    OUTAGE = auto()
    """Messages could not be delivered for too long, and returned to the queue."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a relay.

    Attributes:
        address: the broker's queue.
        keys: the write keys, by name.
        new_client: returns a client for one thread.
        policy: the number of attempts, and the time between them.
        prefetch: how many bundles may be unacknowledged.
        heartbeat: seconds without a sign of life until the connection is given up.
        longest_hold: seconds that a bundle may stay unacknowledged, until all of them are returned.
        outage_pause: seconds from then until bundles are taken again.
    """

    address: Address
    keys: Mapping[str, str] = field(repr=False)
    new_client: Callable[[], Client]
    policy: RetryPolicy
    prefetch: int = PREFETCH
    heartbeat: float = 60.0
    longest_hold: float = 600.0  # RabbitMQ closes a channel after 30 minutes
    outage_pause: float = 60.0


class Session:
    """One connection's life.

    Args:
        settings: the relay's settings.
        connection: the open connection, on which nothing is consumed yet.
        clock: returns the monotonic time in seconds.
    """

    def __init__(
        self,
        settings: Settings,
        connection: Connection,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._clock = clock
        self._window = Window(settings.prefetch)
        self._settled: deque[int] = deque()  # filled by the sources' threads
        self._sources: dict[str, Source] = {}
        self._letters: dict[str, DeadQueue] = {}  # of the sources' threads
        self._strays = Strays(settings.address, on_moved=self._settled.append, clock=clock)
        self.last_settled = clock()
        """When messages were settled last."""

    def run(self, *, is_stopped: Callable[[], bool], tick: Callable[[], None]) -> Ending:
        """Receive and acknowledge until there is a reason to end.

        Args:
            is_stopped: returns whether to stop.
            tick: called several times per second.

        Raises:
            Exception: the connection is lost.
        """
        self._connection.consume(self._on_received, prefetch=self._settings.prefetch)
        while not is_stopped():
            is_moving = self._strays.move_one()
            self._turn(_AT_ONCE if is_moving else _BUSY if len(self._window) else _IDLE)
            tick()
            oldest = self._window.oldest
            if oldest is not None and self._clock() - oldest > self._settings.longest_hold:
                return Ending.OUTAGE
        return Ending.STOPPED

    def end(self) -> None:
        """Stop the sources, acknowledge what they have settled, and close the connection."""
        until = self._clock() + GRACE
        for source in self._sources.values():
            source.stop(until)
        try:
            self._connection.stop_consuming()
            while self._is_any_running() and self._clock() < until + 1.0:
                self._turn(_BUSY)
            self._acknowledge()
            self._connection.close()
        except Exception:  # the connection is lost, and the broker delivers the messages again
            self._connection.drop()
        self._strays.close()
        for name, source in self._sources.items():
            source.close()
            if not source.is_running:
                self._letters[name].close()

    def _is_any_running(self) -> bool:
        return any(source.is_running for source in self._sources.values())

    def _turn(self, seconds: float) -> None:
        self._connection.pump(seconds)
        self._connection.beat()
        self._acknowledge()

    # What was received. -------------------------------------------------------------------------

    def _on_received(self, received: Received) -> None:
        self._window.add(received.tag, self._clock())
        name = self._name_of_key(received)
        lines = lines_of_bundle(received.body)
        if not lines:
            self._settled.append(received.tag)
        elif name in self._settings.keys:
            self._source_of(name).receive(received.tag, lines)
        else:
            self._strays.add(received.tag, lines, name or None)

    def _name_of_key(self, received: Received) -> str:
        """Return the key's name. Without a header, it is the relay's only key, or else empty."""
        name = received.headers.get(KEY_HEADER)
        if name is None and len(self._settings.keys) == 1:
            return next(iter(self._settings.keys))
        return name if isinstance(name, str) else ""

    def _source_of(self, name: str) -> Source:
        source = self._sources.get(name)
        if source is None:
            settings = self._settings
            letters = self._letters[name] = DeadQueue(settings.address)
            source = self._sources[name] = Source(
                settings.keys[name],
                queue=BundleQueue(
                    kept_in=settings.address.shown,
                    on_settled=self._on_settled,
                    is_window_full=lambda: self._window.is_full,
                ),
                client=settings.new_client(),
                policy=settings.policy,
                letters=QueuedLetters(letters, name),
            )
        return source

    # What is settled. ---------------------------------------------------------------------------

    def _on_settled(self, bundle: ReceivedBundle) -> None:
        self._settled.append(bundle.tag)

    def _acknowledge(self) -> None:
        tags = []
        while self._settled:
            tags.append(self._settled.popleft())
        if tags:
            self.last_settled = self._clock()
            self._connection.acknowledge(*self._window.settle(tags))

    @property
    def sources(self) -> list[Source]:
        """The sources that have received messages."""
        return list(self._sources.values())

    @property
    def figures(self) -> Figures:
        """The totals of this connection."""
        tallies = [source.tally for source in self.sources]
        delivered = sum(tally.delivered for tally in tallies)
        dead_lettered = self._strays.moved + sum(one.dead_lettered for one in self.sources)
        # Last, because each message is received before it is settled.
        received = self._strays.received + sum(source.received for source in self.sources)
        return Figures(
            received=received,
            delivered=delivered,
            dead_lettered=dead_lettered,
            waiting=received - delivered - dead_lettered,
            batches=sum(tally.batches for tally in tallies),
            retried=sum(tally.retried for tally in tallies),
            unacknowledged=len(self._window),
            is_connected=True,
        )
