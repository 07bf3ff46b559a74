"""A stress test: processes that log are killed at random, and no event may be lost.

    python -m tests.faults.storm --seconds 60 --workers 4

All workers use one journal. After each logging call, a worker writes the event's name to its pipe,
and from then on the event counts as accepted. The collector fails 30% of the requests, and accepts
10% without sending a response. At the end, the surviving workers deliver their events, and one more
process delivers the events of the killed workers. The program prints the totals. Its exit status is
1 if an event was lost, or if a process could not deliver its events in time.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from typing_extensions import override

from segment_logging import SegmentHandler
from segment_logging.collector import Answer, Collector, Request

from ..builders import PROJECT

_END_SECONDS = 120.0  # for the delivery of all remaining events
_FAILURES: list[tuple[int | None, dict[str, str]]] = [
    (500, {}),
    (503, {}),
    (429, {}),
    (429, {"Retry-After": "0.05"}),
    (None, {}),  # closes the connection without a response
]
_WORKER = """
import logging, os, sys, threading
from segment_logging import SegmentHandler

host, journal, name = sys.argv[1:]
handler = SegmentHandler("key", host=host, journal=journal, flush_interval=0.1)
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
ended = threading.Event()

def wait_for_the_end():
    sys.stdin.read()
    ended.set()

threading.Thread(target=wait_for_the_end, daemon=True).start()
number = 0
while not ended.wait(0.01):
    for number in range(number, number + 15):
        event = f"{name}-{number}"
        logger.info("Event", extra={"user_id": "u-17", "properties": {"number": event}})
        os.write(1, event.encode() + b"\\n")
    number += 1
sys.exit(0 if handler.drain(60) else 1)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The totals of a storm.

    Attributes:
        accepted: the number of events whose logging call returned.
        kills: the number of processes that were killed.
        lost: the number of accepted events that were never delivered.
        duplicated: the number of deliveries after an event's first delivery.
        left: the number of files and directories remaining in the journal.
        stuck: the number of processes that could not deliver their events in time.
    """

    accepted: int
    kills: int
    lost: int
    duplicated: int
    left: int
    stuck: int

    @override
    def __str__(self) -> str:
        return (
            f"{self.accepted} events accepted, {self.kills} kills, {self.lost} lost, "
            f"{self.duplicated} duplicated, {self.left} files remaining, "
            f"{self.stuck} processes stuck"
        )


class _Network:
    """An unreliable Segment, which records the accepted events even if the answer is lost."""

    def __init__(self, choices: random.Random) -> None:
        self._random = choices
        self._lock = threading.RLock()
        self.delivered: Counter[str] = Counter()
        self.is_calm = False

    def answer(self, request: Request) -> Answer | None:
        with self._lock:
            lot = 1.0 if self.is_calm else self._random.random()
            if lot < 0.3:
                return Answer(*self._random.choice(_FAILURES))
            for judged in request.verdict.judged:
                self.delivered[judged.message["properties"]["number"]] += 1
            return Answer(None) if lot < 0.4 else None


class _Worker:
    """A process that logs until its stdin is closed or it is killed."""

    def __init__(self, name: str, host: str, journal: Path) -> None:
        self.accepted: set[str] = set()
        self.has_begun = threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORKER, host, str(journal), name],
            cwd=PROJECT,
            env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        for line in _open(self._process.stdout):
            self.accepted.add(line.strip().decode())
            self.has_begun.set()

    def kill(self) -> None:
        self._process.kill()
        self._finish()

    def tell_to_end(self) -> None:
        with suppress(OSError):
            _open(self._process.stdin).close()

    def end(self, deadline: float) -> bool:
        """Wait for the process to end, and return whether it delivered everything in time."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.1, deadline - time.monotonic()))
        status = self._process.poll()
        if status is None:
            self._process.kill()
        self._finish()
        return status == 0

    def _finish(self) -> None:
        self._process.wait()
        self._reading.join()  # even if the process was killed, all its output is in the pipe
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                _open(stream).close()


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def run(*, seconds: float, workers: int, seed: int) -> Outcome:
    """Run a storm and return its totals.

    Args:
        seconds: how long the workers log, after all of them have started.
        workers: the number of concurrent processes.
        seed: the seed for the random failures and kills.
    """
    network = _Network(random.Random(seed))
    killer = random.Random(seed + 1)
    with TemporaryDirectory() as directory, Collector(answer=network.answer, keep=0) as collector:
        journal = Path(directory) / "journal"
        names = (f"{number}" for number in range(1_000_000))

        def a_worker() -> _Worker:
            return _Worker(next(names), collector.url, journal)

        living = [a_worker() for _ in range(workers)]
        everyone = list(living)
        kills = 0
        for worker in living:
            worker.has_begun.wait(_END_SECONDS)
        end = time.monotonic() + seconds
        quiet = threading.Event()
        while (left := end - time.monotonic()) > 0:
            quiet.wait(min(left, killer.uniform(0.05, 1.5) / workers))
            chosen = killer.randrange(workers)
            living[chosen].kill()
            kills += 1
            living[chosen] = a_worker()
            everyone.append(living[chosen])
        for worker in living:
            worker.tell_to_end()
        deadline = time.monotonic() + _END_SECONDS
        stuck = sum(not worker.end(deadline) for worker in living)
        network.is_calm = True
        stuck += not _deliver_rest(collector.url, journal)
        accepted = set[str]().union(*(worker.accepted for worker in everyone))
        return Outcome(
            accepted=len(accepted),
            kills=kills,
            lost=len(accepted - network.delivered.keys()),
            duplicated=network.delivered.total() - len(network.delivered),
            left=sum(1 for path in journal.rglob("*") if ".making-" not in str(path)),
            stuck=stuck,
        )


def _deliver_rest(host: str, journal: Path) -> bool:
    """Deliver the messages in the journal, like the next process would."""
    handler = SegmentHandler("key", host=host, journal=str(journal))
    try:
        return handler.drain(_END_SECONDS)
    finally:
        handler.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one storm, print its totals and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.storm")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}", flush=True)
    outcome = run(seconds=options.seconds, workers=options.workers, seed=options.seed)
    print(outcome, flush=True)
    return 1 if outcome.lost or outcome.stuck else 0


if __name__ == "__main__":
    sys.exit(main())
