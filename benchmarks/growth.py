"""The cost of a call with more threads, larger events, and more processes on one journal directory.

The cost is the calling thread's CPU time for one call, so it shows contention and not the lack of
cores. It is divided by the cost of a call to a handler that does nothing. Both are timed in turns
in the same thread. "In a request" means that each thread handles a request through the WSGI
middleware, which adds the visitor and their context. The script writes `growth.svg`.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from math import log
from pathlib import Path
from statistics import median
from threading import Barrier, Thread

from . import runs
from .clients import LABELS, open_subject, properties_of
from .collector import Collector
from .shapes import request

THREADS = (1, 2, 4, 8)
SIZES = (100, 300, 1_000, 3_000, 10_000, 30_000)
PROCESSES = (1, 2, 4, 8, 16)
OURS = ("ours", "ours-plain", "request", "request-plain")
WARM_UP = 200
BLOCKS = 20  # per thread
PICTURE = Path(__file__).with_name("growth.svg")


def child(
    name: str,
    url: str,
    journal: str,
    threads: int = 1,
    size: int | None = None,
    calls: int = 8_000,
    start_at: float = 0.0,
) -> float:
    """Make `calls` calls, split between the threads, and return the cost relative to the baseline.

    One thread alternates between blocks of the client's calls and blocks of baseline calls. Several
    threads make only the client's calls, and the baseline is measured before they start: among
    threads, the handler that does nothing would at times cost more than ours, because threads queue
    for the lock of `logging.Handler`.
    """
    properties = None if size is None else properties_of(size)
    floor, subject = (
        open_subject(which, url, journal=journal, properties=properties, upload_interval=0.05)
        for which in ("nothing", name)
    )
    floor.calls(200)
    subject.calls(WARM_UP)
    subject.flush()
    time.sleep(max(0.0, start_at - time.time()))
    ready, ratios, block = Barrier(threads), [], calls // threads // BLOCKS

    def within() -> AbstractContextManager[object]:
        return request() if name.startswith("request") else nullcontext()

    with within():
        alone = median(runs.timed(floor.calls, block)[0] for _ in range(BLOCKS))

    def work() -> None:
        ready.wait()
        with within():
            for _ in range(BLOCKS):
                base = alone if threads > 1 else runs.timed(floor.calls, block)[0]
                ratios.append(runs.timed(subject.calls, block)[0] / base)
                if threads == 1:
                    subject.flush()

    workers = [Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    subject.flush()
    return median(ratios)


Curves = dict[str, dict[int, list[float]]]


def run(short: bool) -> list[runs.Row]:
    """Run all measurements, print the results and draw them. They have no budget."""
    rounds = 1 if short else 3
    with Collector() as collector, runs.directory() as journal:
        threads = _curves("threads", THREADS, (*OURS, "segment"), collector, rounds)
        sizes = _curves("size", SIZES, (*OURS, "segment"), collector, rounds)
        processes = _processes(collector, journal, rounds)
    panels = (
        ("threads of one process", threads),
        ("bytes of properties in an event", sizes),
        ("processes on one journal directory", processes),
    )
    for title, curves in panels:
        xs = sorted(next(iter(curves.values())))
        runs.show(
            (f"CPU per call, times the baseline, by {title}", *(f"{x:,}" for x in xs)),
            [[LABELS[n], *(f"{median(ys[x]):.1f}" for x in xs)] for n, ys in curves.items()],
        )
        print()
    if not short:
        PICTURE.write_text(picture_of(panels))
        print(f"{PICTURE.name} was written")
    return []


def _curves(
    parameter: str, xs: Sequence[int], names: Sequence[str], collector: Collector, rounds: int
) -> Curves:
    curves: Curves = {name: defaultdict(list) for name in names}
    for x, name in runs.in_turns([(x, name) for x in xs for name in names], rounds):
        calls = 1_000 if parameter == "size" and x >= 10_000 else 8_000
        result = runs.child(
            "growth", name=name, url=collector.url, journal="", calls=calls, **{parameter: x}
        )
        curves[name][x].append(result)
    return curves


def _processes(collector: Collector, journal: str, rounds: int) -> Curves:
    curves: Curves = {"journal": defaultdict(list)}
    for count in runs.in_turns(PROCESSES, rounds):
        collector.reset()
        start_at = time.time() + 0.7 + 0.3 * count  # when all of them are running
        children = [
            runs.start(
                "growth",
                name="journal",
                url=collector.url,
                journal=journal,
                calls=4_000,
                start_at=start_at,
            )
            for _ in range(count)
        ]
        costs = [runs.result_of(process) for process in children]
        arrived = collector.settled_counts()["events"]
        sent = count * (4_000 + WARM_UP)
        if arrived != sent:
            raise SystemExit(
                f"with {count} processes, {sent} events were sent, but {arrived} arrived"
            )
        curves["journal"][count].append(median(costs))
    return curves


# The picture. -----------------------------------------------------------------------------------

WIDTH, HEIGHT, MARGIN = 250, 190, 46
COLOURS = {
    "ours": "#0b6e4f",
    "ours-plain": "#6bbf9a",
    "request": "#7a3e9d",
    "request-plain": "#c39bd3",
    "journal": "#2b5c9e",
    "segment": "#b5542c",
}
SHORT = {
    "ours": "with speed",
    "ours-plain": "without speed",
    "request": "in a request, with speed",
    "request-plain": "in a request, without speed",
    "journal": "with speed and journal",
    "segment": "segment-analytics-python",
}


def picture_of(panels: Sequence[tuple[str, Curves]]) -> str:
    """Return the curves as SVG, with one panel per title.

    A y axis starts at zero. If the figures differ by more than a factor of ten, it is logarithmic.
    """
    step = WIDTH + MARGIN + 14
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{step * len(panels) + 20}" '
        f'height="{HEIGHT + 136}" font-family="sans-serif" font-size="11" fill="#222">',
        '<rect width="100%" height="100%" fill="#fdfdfb"/>',
        f'<text x="{MARGIN}" y="20" font-weight="bold">CPU time of one call, '
        "times that of a handler that does nothing</text>",
    ]
    for number, (title, curves) in enumerate(panels):
        parts += [f'<g transform="translate({MARGIN + number * step},58)">']
        parts += [*_panel(title, curves), "</g>"]
    shown = list(dict.fromkeys(name for _, curves in panels for name in curves))
    for number, name in enumerate(shown):
        x, y = MARGIN + number // 2 * step, HEIGHT + 106 + number % 2 * 18
        parts.append(f'<rect x="{x}" y="{y - 8}" width="14" height="4" fill="{COLOURS[name]}"/>')
        parts.append(f'<text x="{x + 20}" y="{y - 2}">{SHORT[name]}</text>')
    return "\n".join((*parts, "</svg>\n"))


def _panel(title: str, curves: Curves) -> list[str]:
    xs = sorted(next(iter(curves.values())))
    across = {x: WIDTH * index / (len(xs) - 1) for index, x in enumerate(xs)}
    marks, height_of = _axis([median(ys[x]) for ys in curves.values() for x in xs])
    parts = [f'<text x="0" y="-12">by {title}</text>']
    for mark in marks:
        y = HEIGHT - height_of(mark)
        parts.append(f'<path d="M0 {y:.1f}H{WIDTH}" stroke="#ddd"/>')
        parts.append(f'<text x="-6" y="{y + 4:.1f}" text-anchor="end">{mark:g}</text>')
    for x in xs:
        parts.append(
            f'<text x="{across[x]:.1f}" y="{HEIGHT + 16}" text-anchor="middle">{x:,}</text>'
        )
    for name, ys in curves.items():
        points = [(across[x], HEIGHT - height_of(median(ys[x]))) for x in xs]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        colour = COLOURS[name]
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    return parts


def _axis(figures: Sequence[float]) -> tuple[list[float], Callable[[float], float]]:
    """Return the marks of a y axis, and the function from a figure to its height in the picture."""
    steps = [step * 10**power for power in range(6) for step in (1, 2, 3, 5)]
    top = next(step for step in steps if step >= max(figures))
    if max(figures) <= 10 * min(figures):
        return [top * tenth / 10 for tenth in range(0, 11, 2)], lambda one: HEIGHT * one / top
    marks = [step for step in steps if step <= top and str(step)[0] in "13"]
    return [*marks, top], lambda one: HEIGHT * log(one) / log(top)


if __name__ == "__main__":
    runs.main(run, child)
