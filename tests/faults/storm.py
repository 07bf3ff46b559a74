"""A stress test: whatever happens to processes and to the network, no event may be lost.

    python -m tests.faults.storm --seconds 60 --workers 4

All workers use one journal. After each logging call, a worker writes the event's name to its pipe,
and from then on the event counts as accepted. Workers are killed, terminated, interrupted, stopped
and continued; they fork, and they configure logging again. The server answers in all the ways of
`weather`. At the end, the surviving workers deliver their events, and one more process delivers the
events of the others. The program prints the totals. Its exit status is 1 if an event was lost, or
if a process could not deliver its events in time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from typing_extensions import override

from segment_logging import SegmentHandler

from .storm_workers import Worker
from .weather import Weather

_END_SECONDS = 120.0  # for the delivery of all remaining events

_HAPPENINGS = {
    "kill -9": 6,
    "SIGTERM": 3,
    "Ctrl-C": 1,
    "stop": 3,
    "fork": 4,
    "reload": 4,
}
"""What happens to workers, and how often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The totals of a storm.

    Attributes:
        accepted: the number of events whose logging call returned.
        happened: how often each thing happened to a worker.
        answers: how often each kind of answer was given.
        lost: the number of accepted events that were neither delivered nor dead-lettered, by the
            kind of the last answer to a request with them.
        duplicated: the number of deliveries after an event's first delivery.
        dead_lettered: the number of events in the dead letters.
        left: the names of files and directories remaining in the journal.
        stuck: the number of processes that could not deliver their events in time.
        worst_exit: the longest time from SIGTERM to the end of a process, in seconds.
        peak_mebibytes: the largest resident size of a worker.
        most_descriptors: the largest number of open files of a worker.
        most_stderr: the most bytes that a worker wrote to stderr.
    """

    accepted: int
    happened: Counter[str]
    answers: Counter[str]
    lost: Counter[str]
    duplicated: int
    dead_lettered: int
    left: list[str] = field(default_factory=list)
    stuck: int
    worst_exit: float
    peak_mebibytes: float
    most_descriptors: int
    most_stderr: int

    @override
    def __str__(self) -> str:
        return (
            f"{self.accepted} events accepted, {self.lost.total()} lost"
            f"{f' after {dict(self.lost)}' if self.lost else ''}, {self.duplicated} duplicated, "
            f"{self.dead_lettered} dead letters, {len(self.left)} files remaining, {self.stuck} "
            f"processes stuck; {dict(self.happened)}; {self.answers.total()} answers of "
            f"{len(self.answers)} kinds; worst exit {self.worst_exit:.1f} s, peak memory "
            f"{self.peak_mebibytes:.0f} MiB, {self.most_descriptors} descriptors, "
            f"{self.most_stderr} bytes of stderr"
        )


class _Storm:
    def __init__(self, weather: Weather, folder: Path, workers: int, choices: random.Random):
        self._weather = weather
        self._folder = folder
        self._random = choices
        self.everyone: list[Worker] = []
        self.living = [self._new_worker() for _ in range(workers)]
        self._stopped: list[tuple[float, Worker]] = []
        self.happened: Counter[str] = Counter()
        self.stuck = 0

    def _new_worker(self) -> Worker:
        number = len(self.everyone)
        worker = Worker(str(number), self._weather.url, self._folder)
        self.everyone.append(worker)
        return worker

    def rage(self, seconds: float) -> None:
        for worker in self.living:
            worker.has_begun.wait(_END_SECONDS)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, self._random.uniform(0.05, 1.0) / len(self.living)))
            self._continue_stopped()
            for worker in self.living:
                worker.look()
            self._happen(self._random.randrange(len(self.living)))
        self._continue_stopped(all_of_them=True)

    def _happen(self, place: int) -> None:
        worker = self.living[place]
        if not worker.has_begun.is_set() or any(worker is one for _, one in self._stopped):
            return
        (what,) = self._random.choices(list(_HAPPENINGS), list(_HAPPENINGS.values()))
        self.happened[what] += 1
        match what:
            case "kill -9":
                worker.kill()
            case "SIGTERM" | "Ctrl-C":
                worker.signal(signal.SIGTERM if what == "SIGTERM" else signal.SIGINT)
            case "stop":
                worker.signal(signal.SIGSTOP)
                self._stopped.append((time.monotonic() + self._random.uniform(0.1, 2), worker))
            case "fork":
                worker.signal(signal.SIGUSR1)
            case "reload":
                worker.signal(signal.SIGHUP)
        if what in ("kill -9", "SIGTERM", "Ctrl-C"):
            self.living[place] = self._new_worker()

    def _continue_stopped(self, *, all_of_them: bool = False) -> None:
        now = time.monotonic()
        for moment, worker in tuple(self._stopped):
            if all_of_them or moment <= now:
                worker.signal(signal.SIGCONT)
                self._stopped.remove((moment, worker))

    def end(self) -> None:
        for worker in self.living:
            worker.tell_to_end()
        deadline = time.monotonic() + _END_SECONDS
        for worker in self.everyone:
            worker.look()
            has_ended = worker.end(deadline)
            self.stuck += not has_ended


def run(*, seconds: float, workers: int, seed: int) -> Outcome:
    """Run a storm and return its totals.

    Args:
        seconds: how long the workers log, after all of them have started.
        workers: the number of concurrent processes.
        seed: the seed for everything random.
    """
    weather = Weather(random.Random(seed))
    with TemporaryDirectory() as directory, weather:
        folder = Path(directory)
        storm = _Storm(weather, folder, workers, random.Random(seed + 1))
        storm.rage(seconds)
        storm.end()
        weather.is_calm = True
        stuck = storm.stuck + (not _deliver_rest(weather.url, folder))
        everyone = storm.everyone
        accepted = set[str]().union(*(worker.accepted for worker in everyone))
        dead = _dead_letters(folder)
        return Outcome(
            accepted=len(accepted),
            happened=storm.happened,
            answers=weather.kinds,
            lost=Counter(
                weather.last_kind.get(one, "none")
                for one in accepted - weather.delivered.keys() - dead
            ),
            duplicated=weather.delivered.total() - len(weather.delivered),
            dead_lettered=len(dead),
            left=[str(path) for path in _left_in(folder / "journal")],
            stuck=stuck,
            worst_exit=max(worker.exit_seconds for worker in everyone),
            peak_mebibytes=max(worker.peak_mebibytes for worker in everyone),
            most_descriptors=max(worker.most_descriptors for worker in everyone),
            most_stderr=max(worker.stderr_bytes for worker in everyone),
        )


def _deliver_rest(host: str, folder: Path) -> bool:
    """Deliver the messages in the journal, like the next process would."""
    handler = SegmentHandler("key", host=host, journal=str(folder / "journal"))
    try:
        return handler.drain(_END_SECONDS)
    finally:
        handler.close()


def _left_in(journal: Path) -> list[Path]:
    """Return what waits in a journal or was set aside; its empty folders and locks may stay."""
    return [path for path in journal.rglob("*.jsonl") if path.name != "dead-letters.jsonl"]


def _dead_letters(folder: Path) -> set[str]:
    path = folder / "journal" / "dead-letters.jsonl"
    if not path.exists():
        return set()
    letters = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {letter["message"]["properties"]["number"] for letter in letters}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one storm, print its totals and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.storm")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options = parser.parse_args(arguments)
    print(f"Python {sys.version.split()[0]}, seed {options.seed}", flush=True)
    outcome = run(seconds=options.seconds, workers=options.workers, seed=options.seed)
    print(outcome, flush=True)
    return 1 if outcome.lost or outcome.stuck else 0


if __name__ == "__main__":
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    sys.exit(main())
