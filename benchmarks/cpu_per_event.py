"""The CPU time of the whole process per delivered event, and the delivered events per second.

The CPU time is the user and system time of the process until everything has arrived, excluding
the imports and the setup. The collector counts the events that arrive. The SDKs get a queue that is
large enough for all events, and they are flushed. The number of events that they lose with their
default options when the program just exits is measured separately.
"""

from __future__ import annotations

import os
import resource
from collections import defaultdict
from contextlib import nullcontext
from statistics import median
from time import perf_counter
from typing import Any

from . import runs
from .clients import LABELS, Subject, open_subject
from .collector import Collector
from .shapes import request

NAMES = (
    *("ours", "ours-plain", "journal", "segment", "posthog", "rudder"),
    *("request", "request-plain", "segment-request"),
)
WARM_UP = 500
WITHOUT_FLUSH = ("no flush, stderr to a file", "no flush, no stderr")


def child(
    name: str, url: str, journal: str, count: int, stderr: str | None = None
) -> dict[str, Any]:
    """Send `count` events and return the measured costs.

    Args:
        name: the client's name, a key of `LABELS`.
        url: the collector's URL.
        journal: the directory for clients with a journal.
        count: the number of events to send.
        stderr: a file for the client's output. If it is set, the client runs with its default
            options and is not flushed. The kind of file matters: the delivery thread can catch up
            while the program writes a line for each dropped event.
    """
    subject = open_subject(name, url, journal=journal, as_shipped=stderr is not None)
    if stderr is not None:
        os.dup2(os.open(stderr, os.O_WRONLY | os.O_CREAT), 2)
        subject.calls(count)
        return {}
    with request() if name.startswith("request") else nullcontext():
        return _measured(subject, count)


def _measured(subject: Subject, count: int) -> dict[str, Any]:
    subject.calls(WARM_UP)
    subject.flush()
    began, before = perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    subject.calls(count)
    called = perf_counter() - began
    subject.flush()
    took, after = perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return {
        "cpu": (user + system) / count * 1e6,
        "system": system / count * 1e6,
        "rate": count / took,
        "calling": called / took,
    }


def run(short: bool) -> list[runs.Row]:
    """Run all measurements and print the results."""
    rounds, count = (3, 8_000) if short else (7, 20_000)
    found = defaultdict(lambda: defaultdict(list))
    with Collector() as collector, runs.directory() as journal:
        for name in runs.in_turns(NAMES, rounds):
            collector.reset()
            result = runs.child(
                "cpu_per_event", name=name, url=collector.url, journal=journal, count=count
            )
            counts = collector.counts()
            for key, value in result.items():
                found[name][key].append(value)
            found[name]["arrived"].append(counts["events"] - WARM_UP)
            found[name]["requests"].append(counts["requests"])
        kept = _kept(collector, journal, count, rounds=1 if short else 5)
    lines = []
    for name in NAMES:
        figures = found[name]
        over = runs.ratios(figures["cpu"], found["ours"]["cpu"])
        lines.append(
            [
                LABELS[name],
                f"{median(figures['cpu']):.1f}",
                f"{median(figures['system']):.1f}",
                f"{median(over):.2f} ({runs.spread(over)})",
                f"{median(figures['rate']):,.0f}",
                f"{min(figures['arrived']):,} of {count:,}",
                f"{median(figures['requests']):.0f}",
                *(f"{min(v):,}-{max(v):,}" if v else "" for v in kept.get(name, ([], []))),
            ]
        )
    header = ("a delivered event", "CPU µs", "system µs", "times ours", "events/s", "arrived",
              "requests", *WITHOUT_FLUSH)  # fmt: skip
    runs.show(header, lines)
    return [
        runs.Row(
            what=f"the SDK's CPU per delivered event, relative to ours, {what}",
            budget=budget,
            values=runs.ratios(found[sdk]["cpu"], found[name]["cpu"]),
            at_least=True,
        )
        for name, sdk, what, budget in (
            ("ours", "segment", "with speed", 4.0),
            ("ours-plain", "segment", "without speed", 3.0),
            ("request", "segment-request", "in a request, with speed", 2.8),
            ("request-plain", "segment-request", "in a request, without speed", 2.2),
        )
    ]


def _kept(
    collector: Collector, journal: str, count: int, *, rounds: int
) -> dict[str, list[list[int]]]:
    """Return how many events arrive for each stderr destination, if the program does not flush."""
    names = [name for name in NAMES if "request" not in name]
    kept: dict[str, list[list[int]]] = {name: [[], []] for name in names}
    for name in runs.in_turns(names, rounds):
        for way, stderr in enumerate((os.path.join(journal, "stderr"), os.devnull)):
            collector.reset()
            runs.child(
                "cpu_per_event",
                name=name,
                url=collector.url,
                journal=journal,
                count=count,
                stderr=stderr,
            )
            kept[name][way].append(collector.settled_counts()["events"])
    return kept


if __name__ == "__main__":
    runs.main(run, child)
