"""Run all benchmarks and print one table: each budget, the measured value, and ok or missed.

python -m benchmarks              runs everything
python -m benchmarks --short      is less precise and takes two minutes; it exits with 1 if a call
                                  takes more than 1.25 times its budget, or if another ratio
                                  misses its budget by more than a factor of two
python -m benchmarks --markdown   prints the table in the README's format
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from importlib.util import find_spec
from time import perf_counter

from . import (
    call_cost,
    call_shapes,
    collector_speed,
    cpu_per_event,
    growth,
    import_time,
    latency,
    memory,
    one_post,
    profile_call,
    runs,
)

BUDGETS = (call_shapes, call_cost, cpu_per_event, one_post, memory, import_time, latency)
OTHERS = (collector_speed, profile_call, growth)


def main() -> int:
    """Run the benchmarks and return the exit code. It is 1 if `--short` found a gross miss."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--short", action="store_true", help="faster and less precise")
    parser.add_argument("--markdown", action="store_true", help="print the table for the README")
    options = parser.parse_args()
    if find_spec("rudderstack") is None:
        sys.exit("the clients to compare with are not installed: run `make bench`")
    began, rows = perf_counter(), []
    machine, package = runs.machine(), runs.state_of_package()
    with contextlib.redirect_stdout(sys.stderr):  # only the table goes to standard output
        print(machine)
        for script in BUDGETS if options.short else (*BUDGETS, *OTHERS):
            print(f"\n{script.__name__}", flush=True)
            rows += script.run(options.short)
        print(f"\n{perf_counter() - began:.0f} s\n", flush=True)
    runs.show(runs.BUDGET_HEADER, [row.cells() for row in rows], markdown=options.markdown)
    print(f"\nMeasured on: {machine}.")
    if runs.state_of_package() != package:
        print("segment_logging changed during the run: the figures mix several versions of it")
    far_off = [row.what for row in rows if row.unit == "x" and row.excess > row.tolerance]
    if options.short and far_off:
        print(f"far above the budget: {'; '.join(far_off)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
