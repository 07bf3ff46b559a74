"""How long single calls take while the delivery thread is working: p50, p99 and p99.9.

There are up to 2,000 calls per second, with pauses, as in a busy service. The elapsed time of
each call is measured. A handler that does nothing is called at the same rate, to show the effect of
the machine.
"""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from time import perf_counter_ns, sleep

from . import runs
from .clients import LABELS, open_subject
from .collector import Collector

NAMES = ("nothing", "ours", "journal", "segment")
PAUSE = 0.0005
PERCENTS = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}


def child(name: str, url: str, journal: str, count: int) -> dict[str, float]:
    """Return the percentiles of the time per call, in µs."""
    subject = open_subject(name, url, journal=journal)
    subject.calls(200)
    subject.flush()
    call, took = subject.call, []
    for _ in range(count):
        began = perf_counter_ns()
        call()
        took.append(perf_counter_ns() - began)
        sleep(PAUSE)
    subject.flush()
    took.sort()
    result = {key: took[int(count * percent / 100)] / 1000 for key, percent in PERCENTS.items()}
    return {**result, "worst": took[-1] / 1000}


def run(short: bool) -> list[runs.Row]:
    """Run all measurements and print the results."""
    rounds, count = (3, 4_000) if short else (3, 20_000)
    names = ("ours", "segment") if short else NAMES
    found = defaultdict(lambda: defaultdict(list))
    with Collector() as collector, runs.directory() as journal:
        for name in runs.in_turns(names, rounds):
            result = runs.child(
                "latency", name=name, url=collector.url, journal=journal, count=count
            )
            for key, value in result.items():
                found[name][key].append(value)
    header = ("one call, µs elapsed", *PERCENTS, "spread of p99.9", "worst")
    runs.show(
        header,
        [
            [
                LABELS[name],
                *(f"{median(found[name][key]):.0f}" for key in PERCENTS),
                runs.spread(found[name]["p99.9"]),
                f"{max(found[name]['worst']):.0f}",
            ]
            for name in names
        ],
    )
    return [
        runs.Row(
            what="p99.9 of one call while the listener is working, relative to the SDK",
            budget=1.0,
            values=runs.ratios(found["ours"]["p99.9"], found["segment"]["p99.9"]),
        )
    ]


if __name__ == "__main__":
    runs.main(run, child)
