"""Tests that the durations in the documentation are the relay's, with clocks that take no time."""

from __future__ import annotations

import math
import re
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from threading import Event
from typing import Any, cast
from unittest import mock

import yaml
from typing_extensions import override

from segment_logging import Batch, DeliveryError
from segment_logging._broker.address import address_of
from segment_logging._broker.bundles import KEY_HEADER, key_name_of
from segment_logging._broker.connection import MAX_QUEUE_BYTES, Connection, Received
from segment_logging._delivery.retries import RetryPolicy
from segment_logging._relay import dead_queue, relay
from segment_logging._relay.relay import LONGEST_PAUSE, Relay
from segment_logging._relay.session import GRACE, PREFETCH, Ending, Session, Settings
from segment_logging.cli import relaying
from segment_logging.testing import FakeClient
from tests import needs
from tests.builders import a_track
from tests.docs.pages import PAGES, blocks_of, rows_under

PAGE = "docs/many-hosts.md"
LINE = Batch([a_track("Signup")]).lines[0]


class Clock:
    """A clock that only waits move."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


class FakeConnection:
    """A connection that delivers some messages, and then nothing more.

    Args:
        clock: moved by each wait for events.
        received: the messages.
    """

    def __init__(self, clock: Clock, *received: Received) -> None:
        self._clock = clock
        self._received = received
        self.calls: list[str] = []

    def consume(self, on_message: Callable[[Received], None], *, prefetch: int) -> None:
        for one in self._received:
            on_message(one)

    def pump(self, seconds: float) -> None:
        self.calls.append("pump")
        self._clock.sleep(seconds)

    def beat(self) -> None:
        self.calls.append("beat")

    def acknowledge(self, first: list[int], others: list[int]) -> None:
        self.calls.append("acknowledge")

    def publish(self, *given: Any, **options: Any) -> None:
        self.calls.append("publish")

    def declare(self) -> None: ...

    def stop_consuming(self) -> None: ...

    def close(self) -> None: ...

    def drop(self) -> None: ...


def a_message(tag: int = 1, key: str = "key") -> Received:
    return Received(tag, LINE, {KEY_HEADER: key_name_of(key)})


def the_settings(client: FakeClient | None = None) -> Settings:
    """Return settings with the default durations."""
    return Settings(
        address=address_of("amqp://shop"),
        keys={key_name_of("key"): "key"},
        new_client=lambda: client or FakeClient(),
        policy=RetryPolicy(),
    )


class Case(unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.clock = Clock()

    def a_session(self, *received: Received, client: FakeClient | None = None) -> Session:
        self.connection = FakeConnection(self.clock, *received)
        connection = cast("Connection", self.connection)
        return Session(the_settings(client), connection, clock=self.clock)


@needs.threads
class TestHold(Case):
    def test_longest(self) -> None:
        """A session ends when a message was not settled within `longest_hold`, and not before."""
        session = self.a_session(a_message(), client=FakeClient(lambda message: 503))
        began = self.clock()
        self.assertIs(session.run(is_stopped=lambda: False, tick=lambda: None), Ending.OUTAGE)
        held = self.clock() - began
        self.assertGreater(held, the_settings().longest_hold)
        self.assertLess(held, the_settings().longest_hold + 1.0)
        session.end()

    def test_grace(self) -> None:
        """At the end of a session, a running request gets `GRACE`, and is waited for a second
        longer."""
        has_begun, may_end = Event(), Event()

        def answer(message: object) -> DeliveryError:
            has_begun.set()
            may_end.wait(60)
            return DeliveryError("broken off")

        session = self.a_session(a_message(), client=FakeClient(answer))
        self.addCleanup(may_end.set)
        session.run(is_stopped=lambda: has_begun.wait(0.01), tick=lambda: None)
        began = self.clock()
        (source,) = session.sources
        with mock.patch.object(source, "stop", wraps=source.stop) as stop:
            session.end()
        stop.assert_called_once_with(began + GRACE)
        self.assertGreaterEqual(self.clock() - began, GRACE + 1.0)
        self.assertLess(self.clock() - began, GRACE + 1.1)

    def test_heartbeats(self) -> None:
        """A heartbeat can be sent after each message that is moved to the dead-letter queue."""
        session = self.a_session(*(a_message(tag, "other") for tag in range(5)))
        self.enterContext(
            mock.patch.object(dead_queue, "Connection", lambda address: self.connection)
        )
        is_stopped = lambda: self.connection.calls.count("publish") == 5  # noqa: E731
        with self.assertLogs("segment_logging"):
            session.run(is_stopped=is_stopped, tick=lambda: None)
            session.end()
        between = "".join(f" {call} " for call in self.connection.calls).split(" publish ")[1:]
        for calls in between:
            self.assertIn(" beat ", calls)


class TestPauses(Case):
    @contextmanager
    def relaying(self, connection: Callable[..., Any], *, ticks: int) -> Iterator[Relay]:
        """Yield a relay that stops after a number of ticks, with fake waits."""
        left = iter(range(ticks))

        def tick(one: Relay) -> None:
            if next(left, None) is None:
                one.stop()

        with (
            mock.patch.object(relay, "Connection", connection),
            mock.patch.object(relay, "sleep", self.clock.sleep),
        ):
            yield Relay(the_settings(), tick=tick, clock=self.clock)

    def test_broker_is_down(self) -> None:
        """The pauses between two attempts to connect double up to the longest one."""
        attempts: list[float] = []

        def connect(*given: Any, **options: Any) -> None:
            attempts.append(self.clock())
            raise ConnectionRefusedError

        with (
            self.assertLogs("segment_logging"),
            self.relaying(connect, ticks=1_000) as one,
        ):
            one.run()
        pauses = [after - before for before, after in pairwise(attempts)]
        self.assertEqual(pauses[:7], [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0])
        self.assertEqual(set(pauses[6:]), {LONGEST_PAUSE})

    def test_after_an_outage(self) -> None:
        """After an outage, no connection is made for `outage_pause`, or longer if Segment asked
        for that. If messages were settled a short time ago, there is no pause."""
        pause = the_settings().outage_pause
        for settled_ago, asked, waited in (
            (math.inf, 0.0, pause), (pause, 0.0, pause), (pause - 1, 0.0, 0.0),
            (math.inf, 300.0, 300.0),
        ):  # fmt: skip
            with self.subTest(settled_ago=settled_ago, asked=asked):
                self.assertAlmostEqual(self.pause_after(settled_ago, asked), waited)

    def pause_after(self, settled_ago: float, asked: float) -> float:
        """Return the seconds between two sessions, the first of which ends with an outage."""
        moments: list[float] = []

        def serve(one: Any) -> Ending:
            moments.append(self.clock())
            one._last_settled, one._asked_until = moments[0] - settled_ago, moments[0] + asked
            one._is_stopped = len(moments) > 1
            return Ending.OUTAGE

        with (
            mock.patch.object(Relay, "_serve", serve),
            mock.patch.object(relay, "report"),
            self.relaying(mock.Mock(), ticks=10_000) as one,
        ):
            one.run()
        return moments[1] - moments[0]


class TestDocumented(unittest.TestCase):
    """The figures in docs/many-hosts.md."""

    def row(self, beginning: str) -> str:
        """Return the row of the table that begins with some words."""
        rows = [" ".join((one.first, *one.others)) for one in rows_under(PAGE, "Relay")]
        (found,) = (one for one in rows if one.startswith(beginning))
        return found

    def test_outage(self) -> None:
        """The row on a long outage has the longest time and the pause."""
        row, settings = self.row("that takes longer"), the_settings()
        self.assertIn(f"longer than {settings.longest_hold / 60:.0f} minutes", row)
        self.assertIn("after a minute", row)
        self.assertEqual(settings.outage_pause, 60)

    def test_grace(self) -> None:
        """The row on SIGTERM has the time that a request may take."""
        self.assertIn(f"another {GRACE:.0f} s", self.row("SIGTERM"))

    def test_broker_is_down(self) -> None:
        """The row on a broker that is down has the longest pause."""
        self.assertIn(f"every {LONGEST_PAUSE:.0f} s", self.row("the broker is down"))

    def test_sizes(self) -> None:
        """The page has the window and the size of the queue."""
        text = " ".join(PAGES[PAGE].split())
        self.assertEqual(text.count(f"window of {PREFETCH} bundles"), 2)
        self.assertIn(f"at most {MAX_QUEUE_BYTES >> 30} GiB", text)

    def test_liveness(self) -> None:
        """The page has the interval in which the liveness file is rewritten."""
        self.assertIn(f"rewritten every {relaying.LIVENESS_INTERVAL:.0f} s", PAGES[PAGE])

    def test_enough_time(self) -> None:
        """systemd and Kubernetes leave a relay the time to end."""
        longest = GRACE + 1.0 + 3.0  # to close the connections and the process
        units = [one.text for one in blocks_of(PAGE) if one.language == "ini"]
        pods = [yaml.safe_load(one.text) for one in blocks_of(PAGE) if "apiVersion" in one.text]
        self.assertTrue(units and pods)
        for unit in units:
            for seconds in re.findall(r"TimeoutStopSec=(\d+)", unit):
                self.assertGreater(int(seconds), longest)
        for pod in pods:
            spec = pod["spec"]["template"]["spec"]
            self.assertGreater(spec["terminationGracePeriodSeconds"], longest)
