"""The code that all benchmarks share: child processes, medians, and the budget table."""

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
    """A budget and the measured values.

    Attributes:
        what: a description of the measurement.
        budget: the limit.
        values: the measured values, one for each round.
        unit: the unit of the budget and the values. It is "x" for ratios.
        at_least: whether the budget is a lower limit.
        tolerance: the factor by which a short run may miss the budget.
    """

    what: str
    budget: float
    values: Sequence[float]
    unit: str = "x"
    at_least: bool = False
    tolerance: float = 2.0

    @property
    def measured(self) -> float:
        return median(self.values)

    @property
    def is_met(self) -> bool:
        return self.excess <= 1

    @property
    def excess(self) -> float:
        """The factor by which the budget was exceeded. If it is at most 1, the budget is met."""
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
    """Return the lowest and the highest value as text."""
    return f"{min(values):.2f}-{max(values):.2f}"


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Return one ratio for each round. Both sides of a round were measured close together."""
    return [a / b for a, b in zip(over, under)]


def show(header: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool = False) -> None:
    """Print a table. The first column is left-aligned, and the others are right-aligned."""
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
    """Return a digest of the measured code, to detect changes during a run."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "segment_logging").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def environment() -> dict[str, str]:
    """Return the environment for child processes, without proxies, keys and client options."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy")
        and not name.startswith(("SEGMENT_", "POSTHOG_", "RUDDER", "PYTHON"))
    }
    return {**kept, "NO_PROXY": "*", "no_proxy": "*", "PYTHONHASHSEED": "0"}


def start(module: str, **parameters: Any) -> subprocess.Popen[str]:
    """Start the `child` function of a benchmark in its own process."""
    return subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{module}", "--child", json.dumps(parameters)],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )


def result_of(process: subprocess.Popen[str]) -> Any:
    """Wait for a child process and return its result."""
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
    """Run the `child` function of a benchmark in its own process and return its result."""
    return result_of(start(module, **parameters))


def in_turns(names: Sequence[Any], rounds: int) -> Iterator[Any]:
    """Yield every name once per round, alternating between forward and reverse order.

    That way, any drift (other load, the CPU's clock rate) affects all of them equally.
    """
    for number in range(rounds):
        print(f"  round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        yield from (names if number % 2 == 0 else reversed(names))


def timed(calls: Callable[[int], None], count: int) -> tuple[float, float]:
    """Make `count` calls, and return the CPU time of this thread and the elapsed time, in µs.

    Both are averages for one call.
    """
    began, cpu = perf_counter(), thread_time()
    calls(count)
    cpu, took = thread_time() - cpu, perf_counter() - began
    return cpu / count * 1e6, took / count * 1e6


@contextmanager
def directory() -> Iterator[str]:
    """Create a directory for journals, and remove it afterwards."""
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
    """Run a benchmark as a script. In a child process, only measure and print the result.

    Args:
        run: runs the whole benchmark. Its argument is True for a short run.
        measure: the function that a child process runs.
        leaves_at_once: if True, a child process exits without delivering the waiting messages.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true", help="fewer rounds, less precise figures")
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
