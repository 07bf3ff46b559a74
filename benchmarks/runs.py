"""How everything is measured: child processes that take turns, medians, and the budget table."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, thread_time
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Row:
    """One budget, and what was measured.

    Attributes:
        what: what is measured.
        budget: the limit.
        values: what was measured, one value for each round.
        unit: the unit of both: "x" for a ratio, else that of the absolute figure.
        at_least: whether the budget is a lower limit.
    """

    what: str
    budget: float
    values: Sequence[float]
    unit: str = "x"
    at_least: bool = False

    @property
    def measured(self) -> float:
        return median(self.values)

    @property
    def is_met(self) -> bool:
        return self.excess <= 1

    @property
    def excess(self) -> float:
        """How many times the budget was taken; up to 1, the budget is met."""
        if self.at_least:
            return self.budget / max(self.measured, 1e-9)
        return max(self.measured, 0.0) / self.budget

    def cells(self) -> list[str]:
        return [
            self.what,
            f"{'≥' if self.at_least else '≤'} {self.budget:g}{_suffix(self.unit)}",
            f"{self.measured:.2f}{_suffix(self.unit)}",
            spread(self.values),
            "ok" if self.is_met else "missed",
        ]


BUDGET_HEADER = ("what", "budget", "measured", "spread", "")


def _suffix(unit: str) -> str:
    return unit if unit == "x" else f" {unit}"


def spread(values: Sequence[float]) -> str:
    """Return the lowest and the highest value of the rounds."""
    return f"{min(values):.2f}-{max(values):.2f}"


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Return one ratio for each round, in which both sides were measured close together."""
    return [a / b for a, b in zip(over, under)]


def show(header: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool = False) -> None:
    """Print a table with its first column aligned to the left and the others to the right."""
    if markdown:
        for line in (header, ["---"] * len(header), *rows):
            print(f"| {' | '.join(line)} |")
        return
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    for row in (header, *rows):
        first, *others = (
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths))
        )
        print("  ".join((first, *others)).rstrip())


def machine() -> str:
    """Return a description of the machine and the interpreter."""
    model = platform.processor() or platform.machine()
    with open("/proc/cpuinfo") as lines:
        model = next((li.split(": ")[1].strip() for li in lines if "model name" in li), model)
    load = os.getloadavg()[0]
    return (
        f"{model}, {os.cpu_count()} cores, load {load:.1f}; "
        f"{platform.python_implementation()} {platform.python_version()}, {platform.system()}"
    )


def state_of_package() -> str:
    """Return a digest of the code that is measured, so that a change meanwhile is noticed."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "segment_logging").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def environment() -> dict[str, str]:
    """Return the environment of a child: without proxies, keys or options of the caller."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy")
        and not name.startswith(("SEGMENT_", "POSTHOG_", "RUDDER", "PYTHON"))
    }
    return {**kept, "NO_PROXY": "*", "no_proxy": "*", "PYTHONHASHSEED": "0"}


def start(module: str, **parameters: Any) -> subprocess.Popen[str]:
    """Start the function `child` of a benchmark in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{module}", "--child", json.dumps(parameters)],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )


def result_of(process: subprocess.Popen[str]) -> Any:
    """Wait for a child and return what it measured."""
    try:
        out, _ = process.communicate(timeout=300)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode:
        raise SystemExit(f"{process.args} ended with exit code {process.returncode}")
    return json.loads(out.splitlines()[-1])


def child(module: str, **parameters: Any) -> Any:
    """Run the function `child` of a benchmark in its own process and return what it measured."""
    return result_of(start(module, **parameters))


def in_turns(names: Sequence[Any], rounds: int) -> Iterator[Any]:
    """Yield every name once in each round, in order and in reverse order by turns.

    So whatever drifts meanwhile (other load, the clock rate of the CPU) affects all of them alike.
    """
    for number in range(rounds):
        print(f"  round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        yield from (names if number % 2 == 0 else reversed(names))


def timed(calls: Callable[[int], None], count: int) -> tuple[float, float]:
    """Return what one of `count` calls took: µs of this thread's CPU time, and µs that passed."""
    began, cpu = perf_counter(), thread_time()
    calls(count)
    cpu, took = thread_time() - cpu, perf_counter() - began
    return cpu / count * 1e6, took / count * 1e6


@contextmanager
def directory() -> Iterator[str]:
    """Provide a directory for journals, and remove it afterwards."""
    path = tempfile.mkdtemp(prefix="segment-logging-bench-")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def main(
    run: Callable[[bool], list[Row]],
    measure: Callable[..., Any] | None = None,
    *,
    leaves_at_once: bool = False,
) -> None:
    """Run a benchmark as a script. In a child process, only measure, and print the result.

    Args:
        run: runs the whole benchmark; its argument says whether to be short.
        measure: what a child process does.
        leaves_at_once: whether a child process ends without delivering what waits.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true", help="fewer rounds and rougher figures")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        assert measure is not None
        print(json.dumps(measure(**json.loads(options.child))), flush=True)
        if leaves_at_once:
            os._exit(0)
        return
    print(machine())
    rows = run(options.short)
    if rows:
        print()
        show(BUDGET_HEADER, [row.cells() for row in rows])
