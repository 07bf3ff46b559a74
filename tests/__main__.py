"""The test runner: `python -W error -m tests [pattern ...]`.

A pattern selects the tests whose dotted name contains it. A pattern with a `*` must match the whole
name. The last line of output shows the counts. The exit status is 1 if a test failed, if no test
ran, or if fewer tests passed than `--at-least`.

With `--rerun`, a module with a failed test runs again after all others, when the machine is quiet,
and the second attempt counts. The first failure is printed all the same: a test that passes only at
its second attempt should be mended.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial

from . import suite, workers
from .suite import Outcome


def main(arguments: Sequence[str]) -> int:
    """Run the tests that the arguments select, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests")
    parser.add_argument("patterns", nargs="*", metavar="pattern", help="part of the test names")
    parser.add_argument("--jobs", type=int, help="worker processes; default: CPUs plus one")
    parser.add_argument(
        "--fast", action="store_true", help="skip tests that start a process or server"
    )
    parser.add_argument(
        "--rerun", action="store_true", help="give modules that failed a second attempt"
    )
    parser.add_argument("--at-least", type=int, default=0, help="tests that must pass")
    parser.add_argument(workers.SERVE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        _prepare(options)
        workers.serve(partial(suite.run, patterns=options.patterns))
        return 0
    outcomes = _run(options, suite.modules())
    if options.rerun:
        outcomes = suite.with_second_attempts(outcomes, lambda module: _run(options, [module]))
    return suite.show(outcomes, at_least=options.at_least)


def _run(options: argparse.Namespace, modules: Sequence[str]) -> Iterator[tuple[Outcome, str]]:
    jobs = options.jobs or _default_jobs()
    if jobs == 1:
        _prepare(options)
        for module in modules:
            yield suite.run(module, options.patterns), ""
        logging.shutdown()  # its output, if any, must come before the last line
        return
    own = ["--fast"] * options.fast
    yield from workers.run_in_workers(modules, [*own, *options.patterns], jobs=jobs)


def _prepare(options: argparse.Namespace) -> None:
    if options.fast:
        suite.skip_processes()


def _default_jobs() -> int:
    if sys.platform == "emscripten":  # which has no processes
        return 1
    return 1 + (os.cpu_count() or 1)  # one more than CPUs, because some tests only wait


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
