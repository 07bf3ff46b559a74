"""The relay: one session after the other, until it is stopped."""

from __future__ import annotations

import math
from collections.abc import Callable

from .._broker.client import failure_of
from .._broker.connection import Connection
from .._clock import monotonic
from .._process.threads import sleep
from .._reports import Reporter, report
from .figures import Figures
from .session import Ending, Session, Settings

SHORTEST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
"""The longest time in seconds between two attempts to connect."""


class Relay:
    """Takes bundles from a queue and sends their messages to Segment.

    Several relays may share a queue. A message is acknowledged after Segment has accepted it, or
    after the broker has stored it as a dead letter. If the relay dies before that, the broker
    delivers the message to another relay. So no message is lost, but some are sent twice, with the
    same message id.

    Args:
        settings: the relay's settings.
        tick: called several times per second, with the relay.
        clock: returns the monotonic time in seconds.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        tick: Callable[[Relay], None] = lambda relay: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._settings = settings
        self._on_tick = tick
        self._clock = clock
        self._is_stopped = False
        self._past = Figures()
        self._last_settled = self._asked_until = -math.inf  # in the last session
        self._session: Session | None = None
        self._reporter = Reporter(clock=clock)

    def stop(self) -> None:
        """Make `run` return soon. A signal handler may call this."""
        self._is_stopped = True

    def run(self) -> None:
        """Relay until `stop` is called. Connects again whenever the connection is lost."""
        pause = SHORTEST_PAUSE
        while not self._is_stopped:
            received = self._past.received
            try:
                ending = self._serve()
            except Exception as error:
                failure = failure_of(error, self._settings.address)
                self._reporter.once("broker", f"{failure}; trying to connect again")
                self._wait(pause)
                has_worked = self._past.received > received
                pause = SHORTEST_PAUSE if has_worked else min(2 * pause, LONGEST_PAUSE)
            else:
                pause = SHORTEST_PAUSE
                if ending is Ending.OUTAGE:
                    self._wait_out()

    def _serve(self) -> Ending:
        connection = Connection(self._settings.address, heartbeat=self._settings.heartbeat)
        try:
            connection.declare()
        except BaseException:
            connection.drop()
            raise
        self._reporter.over("broker")
        session = self._session = Session(self._settings, connection, clock=self._clock)
        try:
            return session.run(is_stopped=lambda: self._is_stopped, tick=self._tick)
        finally:
            self._asked_until = max(
                (source.asked_to_wait_until for source in session.sources), default=-math.inf
            )
            self._last_settled = session.last_settled
            session.end()
            self._past = self.figures.ended()
            self._session = None

    def _wait_out(self) -> None:
        """Wait after an outage. If some messages were delivered recently, it was not an outage."""
        now, pause = self._clock(), self._settings.outage_pause
        if now - self._last_settled < pause:
            return
        report(
            "nothing can be delivered, so the messages have returned to "
            f"{self._settings.address.shown}; trying again later"
        )
        self._wait(max(pause, self._asked_until - now))

    def _wait(self, seconds: float) -> None:
        until = self._clock() + seconds
        while not self._is_stopped and self._clock() < until:
            self._tick()
            sleep(min(0.25, max(0.0, until - self._clock())))

    def _tick(self) -> None:
        self._on_tick(self)

    @property
    def figures(self) -> Figures:
        """The totals since the start."""
        session = self._session
        if session is None:
            return self._past
        return self._past + session.figures
