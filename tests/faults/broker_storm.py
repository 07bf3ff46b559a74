"""A stress test: relays and the broker are killed under load, and no event may be lost.

    python -m tests.faults.broker_storm --relay-kills 10 --broker-kills 3

One process logs to a journal and publishes to RabbitMQ. Two relays send to a local server that
counts message ids. The relays are killed in turn and started again, and so is the broker. At the
end, every event whose logging call returned must have arrived. The program prints the totals. Its
exit status is 1 if an event was lost.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

from typing_extensions import override

from segment_logging import SegmentHandler
from tests.builders import PROJECT
from tests.rabbitmq import RabbitMQ
from tests.servers import Answer, ScriptedServer

KEY = "Jx0aB3kQ9ZpLw7Tn4Rs8Vd2Hy6Mc1Gfe"
_END_SECONDS = 180.0
_NUMBER = re.compile(rb'"number":(\d+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The totals of a storm.

    Attributes:
        accepted: events whose logging call returned.
        lost: accepted events that did not arrive.
        duplicated: deliveries after an event's first one.
        relay_kills: how many relays were killed.
        broker_kills: how many times the broker was killed.
        slowest_call: the longest time that a logging call took, in seconds.
        requests: how many requests arrived.
    """

    accepted: int
    lost: int
    duplicated: int
    relay_kills: int
    broker_kills: int
    slowest_call: float
    requests: int

    @override
    def __str__(self) -> str:
        return (
            f"{self.accepted} events accepted, {self.lost} lost, {self.duplicated} duplicated in "
            f"{self.requests} requests; {self.relay_kills} relays and {self.broker_kills} brokers "
            f"killed; slowest call {1000 * self.slowest_call:.0f} ms"
        )


class _Writer:
    """Logs events at a steady rate in a thread."""

    def __init__(self, handler: SegmentHandler, rate: int) -> None:
        self._logger = logging.Logger("storm")
        self._logger.addHandler(handler)
        self._rate = rate
        self._must_end = Event()
        self.accepted = 0
        self.slowest_call = 0.0
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._must_end.wait(0.02):
            for _ in range(self._rate // 50):
                extra = {"user_id": "u-17", "properties": {"number": self.accepted}}
                began = time.monotonic()
                self._logger.info("Counted", extra=extra)
                self.slowest_call = max(self.slowest_call, time.monotonic() - began)
                self.accepted += 1

    def end(self) -> None:
        self._must_end.set()
        self._thread.join()


class _Counted:
    """Counts the numbers of the events that arrived at a server."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self._seen = 0
        self.numbers: Counter[int] = Counter()

    def look(self) -> int:
        """Return how many different events have arrived."""
        requests = self._server.requests
        while self._seen < len(requests):
            self.numbers.update(map(int, _NUMBER.findall(requests[self._seen].body)))
            self._seen += 1
        return len(self.numbers)


def _start_relay(broker: RabbitMQ, server: ScriptedServer, output: Path) -> subprocess.Popen[bytes]:
    with output.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "segment_logging", "relay", "--broker", broker.url],
            cwd=PROJECT,
            env={**os.environ, "SEGMENT_WRITE_KEY": KEY, "SEGMENT_HOST": server.host},
            stdout=file,
            stderr=file,
        )


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
        process.wait()


def run(*, relay_kills: int, broker_kills: int, rate: int = 2_000, pause: float = 3.0) -> Outcome:
    """Run a storm, and return its totals.

    Args:
        relay_kills: how many times a relay is killed with SIGKILL.
        broker_kills: how many times the broker is.
        rate: events per second.
        pause: seconds between two kills.
    """
    answers = (Answer(status=503 if number % 50 == 7 else 200) for number in range(1_000_000))
    with ExitStack() as stack:
        broker = stack.enter_context(RabbitMQ())
        server = stack.enter_context(ScriptedServer(answers))
        folder = Path(stack.enter_context(TemporaryDirectory()))
        counted = _Counted(server)
        relays: list[subprocess.Popen[bytes]] = []
        stack.callback(_end, relays)
        relays.extend(_start_relay(broker, server, folder / "output") for _ in range(2))
        handler = SegmentHandler(KEY, journal=str(folder / "journal"), broker=broker.url)
        writer = _Writer(handler, rate)
        end = time.monotonic() + _END_SECONDS
        while not counted.look() and time.monotonic() < end:
            time.sleep(0.1)
        broker.wait_for_queues()
        kills = _order_of(relay_kills, broker_kills)
        for number, what in enumerate(kills):
            time.sleep(pause)
            if what == "broker":
                broker.kill()
                broker.start()
            else:
                place = number % 2
                relays[place].kill()
                relays[place].wait()
                relays[place] = _start_relay(broker, server, folder / "output")
        time.sleep(pause)
        writer.end()
        end = time.monotonic() + _END_SECONDS
        while counted.look() < writer.accepted and time.monotonic() < end:
            time.sleep(0.1)
        handler.close()
        numbers = counted.numbers
        return Outcome(
            accepted=writer.accepted,
            lost=sum(number not in numbers for number in range(writer.accepted)),
            duplicated=numbers.total() - len(numbers),
            relay_kills=kills.count("relay"),
            broker_kills=kills.count("broker"),
            slowest_call=writer.slowest_call,
            requests=len(server.requests),
        )


def _order_of(relay_kills: int, broker_kills: int) -> list[str]:
    """Return what is killed, one after the other, with the broker in between the relays."""
    order = ["relay"] * relay_kills
    for number in range(broker_kills):
        order.insert((number + 1) * (len(order) + 1) // (broker_kills + 1), "broker")
    return order


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one storm, print its totals and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.broker_storm")
    parser.add_argument("--relay-kills", type=int, default=10)
    parser.add_argument("--broker-kills", type=int, default=3)
    parser.add_argument("--rate", type=int, default=2_000)
    options = parser.parse_args(arguments)
    outcome = run(
        relay_kills=options.relay_kills, broker_kills=options.broker_kills, rate=options.rate
    )
    print(outcome, flush=True)
    return 1 if outcome.lost else 0


if __name__ == "__main__":
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    sys.exit(main())
