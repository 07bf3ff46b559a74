"""Run all benchmarks and print one table: every budget, what was measured, ok or missed.

python -m benchmarks              all of it
python -m benchmarks --short      rougher, within a minute and a half; ends with 1 when a
                                  ratio takes more than twice its budget
python -m benchmarks --markdown   the table as the README has it
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from importlib.util import find_spec
from time import perf_counter

from . import (
    call_cost,
    collector_speed,
    cpu_per_event,
    growth,
    import_time,
    latency,
    memory,
    profile_call,
    runs,
)

BUDGETS = (call_cost, cpu_per_event, memory, import_time, latency)
OTHERS = (collector_speed, profile_call, growth)


def main() -> int:
    """Return 1 when `--short` found a ratio that takes more than twice its budget."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--short", action="store_true", help="rougher, for every commit")
    parser.add_argument("--markdown", action="store_true", help="print the table for the README")
    options = parser.parse_args()
    if find_spec("rudderstack") is None:
        sys.exit("the clients to compare with are not here: run `make bench`")
    began, rows = perf_counter(), []
    machine, package = runs.machine(), runs.state_of_package()
    with contextlib.redirect_stdout(sys.stderr):  # the table alone goes to standard output
        print(machine)
        for script in BUDGETS if options.short else (*BUDGETS, *OTHERS):
            print(f"\n{script.__name__}", flush=True)
            rows += script.run(options.short)
        print(f"\n{perf_counter() - began:.0f} s\n", flush=True)
    runs.show(runs.BUDGET_HEADER, [row.cells() for row in rows], markdown=options.markdown)
    print(f"\nMeasured on: {machine}.")
    if runs.state_of_package() != package:
        print("segment_logging changed meanwhile: these figures are of no one version of it")
    far_off = [row.what for row in rows if row.unit == "x" and row.excess > 2]
    if options.short and far_off:
        print(f"more than twice the budget: {'; '.join(far_off)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
