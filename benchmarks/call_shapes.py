"""The cost of one call for each way in which programs log events, relative to a no-op handler.

For each shape, blocks of calls to the handler alternate with blocks of the same calls to a handler
that does nothing, in the same process. Everything is delivered between two blocks. The cost is the
calling thread's CPU time.

`--against DIR` also measures another checkout of the package, in turns with this one, and prints
the ratio of the costs. Use it to check a change to the code that runs in the caller's thread.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import defaultdict
from statistics import median
from typing import Any

from . import runs
from .clients import Nothing
from .collector import Collector
from .shapes import SHAPES, Call, Shape

CALLS = 300  # per block
CLIENTS = ("ours", "ours-plain", "segment")

Ratios = dict[str, list[float]]
"""For each shape, the cost of one call relative to a no-op handler, in each round."""


def child(client: str, url: str, blocks: int, package: str | None = None) -> dict[str, float]:
    """Return the median of the blocks for each shape.

    Args:
        client: one of `CLIENTS`.
        url: the URL of the collector.
        blocks: the number of blocks.
        package: the directory of another checkout. None means this checkout.
    """
    if package is not None:
        sys.path.insert(0, package)
    if client == "ours-plain":
        sys.modules["orjson"] = None  # type: ignore[assignment]  # importing it now fails
    return {
        name: _measure(client, shape, url, blocks)
        for name, shape in SHAPES.items()
        if client != "segment" or shape.sdk is not None
    }


def _measure(client: str, shape: Shape, url: str, blocks: int) -> float:
    floor = shape.plain_call(_logger(Nothing()))
    found = []
    if client == "segment":
        from segment.analytics.client import Client  # noqa: PLC0415

        sdk = Client("bench", host=url, max_queue_size=1_000_000, upload_interval=0.05)
        assert shape.sdk is not None
        call, flush, close = shape.sdk(sdk), sdk.flush, sdk.join
    else:
        from segment_logging import SegmentHandler  # noqa: PLC0415

        handler = SegmentHandler("bench", host=url, **shape.options)
        call, close = shape.call(_logger(handler)), handler.close
        flush = lambda: handler.drain(60)  # noqa: E731
    with shape.within():
        for block in range(-1, blocks):  # the first block is a warm-up
            ours, bare = 0.0, 0.0
            for is_ours in (True, False) if block % 2 else (False, True):
                if is_ours:
                    ours = runs.timed(_repeat(call), CALLS)[0]
                    flush()
                else:
                    bare = runs.timed(_repeat(floor), CALLS)[0]
            if block >= 0:
                found.append(ours / bare)
    close()
    return median(found)


def _logger(handler: logging.Handler) -> logging.Logger:
    logger = logging.Logger("bench", logging.INFO)
    logger.addHandler(handler)
    return logger


def _repeat(call: Call) -> Any:
    def calls(count: int) -> None:
        for _ in range(count):
            call()

    return calls


def run(short: bool) -> list[runs.Row]:
    """Measure every shape and print a table."""
    found = _in_turns({client: {"client": client} for client in CLIENTS}, short)
    lines, rows = [], []
    for name, shape in SHAPES.items():
        sides = [found[client][name] for client in CLIENTS[:2]]
        line = [name]
        for values, budget in zip(sides, shape.budgets):
            line += [f"{median(values):.2f}", f"{budget:g}"]
        line += [f"{median(runs.ratios(found['segment'][name], side)):.1f}" for side in sides]
        lines.append(line)
        for extra, budget, values in zip(("with speed", "without speed"), shape.budgets, sides):
            what = f"one call, relative to a no-op handler: {name}, {extra}"
            rows.append(runs.Row(what=what, budget=budget, values=values))
    runs.show(
        (
            "relative to a no-op handler", "with speed", "budget", "without", "budget",
            "SDK / ours, with speed", "without",
        ),
        lines,
    )  # fmt: skip
    return rows


def compare(other: str, short: bool) -> None:
    """Measure this package and another checkout in turns, and print the ratio of their costs."""
    sides = {
        f"{client}, {side}": {"client": client, "package": package}
        for client in CLIENTS[:2]
        for side, package in (("old", other), ("new", None))
    }
    found = _in_turns(sides, short)
    lines = []
    for name in SHAPES:
        line = [name]
        for client in CLIENTS[:2]:
            old, new = found[f"{client}, old"][name], found[f"{client}, new"][name]
            over = median(runs.ratios(new, old))
            line += [f"{median(old):.2f}", f"{median(new):.2f}", f"{over:.3f}"]
        lines.append(line)
    runs.show(("shape", "speed: old", "new", "new/old", "without: old", "new", "new/old"), lines)


def _in_turns(sides: dict[str, dict[str, Any]], short: bool) -> dict[str, Ratios]:
    rounds, blocks = (3, 5) if short else (5, 15)
    found: dict[str, Ratios] = defaultdict(lambda: defaultdict(list))
    with Collector() as collector:
        for side in runs.in_turns(tuple(sides), rounds):
            collector.reset()
            result = runs.child("call_shapes", url=collector.url, blocks=blocks, **sides[side])
            for name, ratio in result.items():
                found[side][name].append(ratio)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--against", metavar="DIR", help="another checkout to compare with")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        print(json.dumps(child(**json.loads(options.child))), flush=True)
    elif options.against is not None:
        print(runs.machine())
        compare(options.against, options.short)
    else:
        runs.main(run)
