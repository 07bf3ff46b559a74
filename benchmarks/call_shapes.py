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
from .shapes import GROUPS, ORDINARY, SHAPES, Call, Shape

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
    _measure(client, SHAPES["usual"], url, 3)  # the first shape would pay for cold caches
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


HEADER = (
    "one call, relative to a no-op handler", "with speed", "budget", "without", "budget",
    "SDK / ours, with speed", "without",
)  # fmt: skip


def run(short: bool) -> list[runs.Row]:
    """Measure every shape, and print the matrix and its summary."""
    found = _in_turns({client: {"client": client} for client in CLIENTS}, short)
    matrix = {name: _figures(name, found) for name in SHAPES}
    markdown = not sys.stdout.isatty()
    runs.show(HEADER, [_line(name, [name], matrix) for name in SHAPES], markdown=markdown)
    print()
    groups = {
        group: [name for name, shape in SHAPES.items() if shape.group == group] for group in GROUPS
    }
    lines = [_line(group, names, matrix) for group, names in groups.items()]
    runs.show(HEADER, lines, markdown=markdown)
    rows = []
    for side, extra in enumerate(("with speed", "without speed")):
        for name, shape in SHAPES.items():
            rows.append(
                runs.Row(
                    what=f"one call, relative to a no-op handler: {name}, {extra}",
                    budget=shape.budgets[side],
                    values=found[CLIENTS[side]][name],
                    tolerance=1.25,
                )
            )
        above = [matrix[name][side] - 1 for name in groups[ORDINARY]]
        rows.append(
            runs.Row(
                what=f"the most expensive ordinary call, relative to the usual one, {extra}",
                budget=1.4,
                values=[max(above) / above[0]],
            )
        )
        rows.append(
            runs.Row(
                what=f"times faster than the SDK: lowest of the ordinary calls, {extra}",
                budget=(2.5, 1.9)[side],
                values=[min(matrix[name][2 + side] for name in groups[ORDINARY])],
                at_least=True,
            )
        )
    return rows


def _figures(name: str, found: dict[str, Ratios]) -> list[float]:
    """Return the cost with and without the extra, and the same for the SDK's cost over ours."""
    sides = [found[client][name] for client in CLIENTS[:2]]
    sdk = found["segment"][name]
    return [*map(median, sides), *(median(runs.ratios(sdk, side)) for side in sides)]


def _line(title: str, names: list[str], matrix: dict[str, list[float]]) -> list[str]:
    """Return the line of a shape, or of a group with its lowest and highest figures."""
    columns = list(zip(*(matrix[name] for name in names)))
    budgets = GROUPS.get(title) or SHAPES[title].budgets
    with_speed, without = (_range(column, 2) for column in columns[:2])
    over = [_range(column, 1) for column in columns[2:]]
    return [title, with_speed, f"{budgets[0]:g}", without, f"{budgets[1]:g}", *over]


def _range(values: tuple[float, ...], digits: int) -> str:
    ends = dict.fromkeys(f"{value:.{digits}f}" for value in (min(values), max(values)))
    return "-".join(ends)


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
