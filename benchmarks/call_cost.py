"""The cost of one call to the calling thread.

Each client runs in its own process, together with the baseline: the same log call to a handler that
does nothing. Blocks of calls alternate between the two. Everything is delivered between two blocks,
so the delivery thread is idle while a block is timed. The cost is the calling thread's CPU time.
The "clock" column shows the elapsed time.
"""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import Any

from . import runs
from .clients import LABELS, open_subject
from .collector import Collector

# Pairs that run in the same process: a client, and the client that it is compared with.
PAIRS = (
    ("stock", "nothing"),
    ("ours", "nothing"),
    ("ours-plain", "nothing"),
    ("journal", "ours"),
    ("journal-plain", "ours-plain"),
    ("journal-off", "ours"),
    ("segment", "nothing"),
    ("posthog", "nothing"),
    ("rudder", "nothing"),
)
CALLS = 800  # per block: almost a full batch, or eight of an SDK's requests

Figures = dict[str, list[float]]


def child(name: str, base: str, url: str, journal: str, blocks: int) -> dict[str, Any]:
    """Return the medians over the blocks (costs, ratio, difference), and the number of events.

    Each ratio and each difference is computed from two consecutive blocks.
    """
    subjects = [
        open_subject(which, url, journal=journal, upload_interval=0.05) for which in (name, base)
    ]
    found = defaultdict(list)
    for block in range(-1, blocks):  # the first block is a warm-up
        pair, bare = [(0.0, 0.0)] * 2, [(0.0, 0.0)] * 2
        for side in (0, 1) if block % 2 else (1, 0):
            subject = subjects[side]
            pair[side] = runs.timed(subject.calls, CALLS)
            subject.flush()
            if subject.bare is not None:
                bare[side] = runs.timed(subject.bare, CALLS)
        if block >= 0:
            found["cpu"].append(pair[0][0])
            found["clock"].append(pair[0][1])
            found["base"].append(pair[1][0])
            found["ratio"].append(pair[0][0] / pair[1][0])
            found["difference"].append(pair[0][0] - pair[1][0])
            found["bare"].append(bare[0][0] - bare[1][0])
    sending = sum(which not in ("nothing", "stock") for which in (name, base))
    medians = {key: median(values) for key, values in found.items()}
    return {**medians, "sent": sending * (blocks + 1) * CALLS}


def run(short: bool) -> list[runs.Row]:
    """Run all measurements and print the results."""
    rounds, blocks = (3, 7) if short else (7, 15)
    found: dict[str, Figures] = defaultdict(lambda: defaultdict(list))
    with Collector() as collector, runs.directory() as journal:
        for name, base in runs.in_turns(PAIRS, rounds):
            collector.reset()
            result = runs.child(
                "call_cost",
                name=name,
                base=base,
                url=collector.url,
                journal=journal,
                blocks=blocks,
            )
            counts = collector.counts()
            if counts["events"] != result["sent"]:
                raise SystemExit(
                    f"{name}: {result['sent']} events were sent, but {counts['events']} arrived"
                )
            for key, value in result.items():
                found[name][key].append(value)
            found[name]["bytes"].append(counts["bytes"] / max(1, counts["events"]))
    _print(found)
    return _rows(found)


def _print(found: dict[str, Figures]) -> None:
    floor = [cost for name, base in PAIRS if base == "nothing" for cost in found[name]["base"]]
    lines = [[LABELS["nothing"], f"{median(floor):.2f}", f"{median(floor):.2f}", "1", "", ""]]
    for name, base in PAIRS:
        figures = found[name]
        line = [LABELS[name], f"{median(figures['cpu']):.2f}", f"{median(figures['clock']):.2f}"]
        if base == "nothing":
            ratio = figures["ratio"]
            over = runs.ratios(ratio, found["ours"]["ratio"])
            line += [f"{median(values):.2f} ({runs.spread(values)})" for values in (ratio, over)]
        else:
            share = figures["difference"]
            line += [f"journal only: {median(share):.2f} ({runs.spread(share)})", ""]
        line.append(f"{median(figures['bytes']):.0f}" if any(figures["bytes"]) else "")
        lines.append(line)
    header = ("one call, µs", "CPU", "clock", "times baseline", "times ours", "bytes sent")
    runs.show(header, lines)


def _rows(found: dict[str, Figures]) -> list[runs.Row]:
    rows = []
    for name, extra in (("ours", "with speed"), ("ours-plain", "without speed")):
        journal = found[name.replace("ours", "journal")]
        rows += [
            runs.Row(
                # About 3 µs for a baseline of 5 µs. An absolute budget would only show how fast the
                # machine is today.
                what=f"journal overhead per call, relative to a no-op handler, {extra}",
                budget=0.6,
                values=runs.ratios(journal["difference"], found[name]["base"]),
            ),
        ]
    rows.append(
        runs.Row(
            what="overhead for a record that is not an event, compared with a no-op handler",
            budget=0.5,
            values=found["ours"]["bare"],
            unit="µs",
        )
    )
    return rows


if __name__ == "__main__":
    runs.main(run, child)
