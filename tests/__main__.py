"""Runs the tests and ends with one line of counts: `python -W error -m tests [pattern ...]`.

A pattern picks tests whose dotted name contains it, or matches it when it has a `*`. The exit
status is 1 when a test failed, and when none ran.
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
    """Run the tests that the arguments pick, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests")
    parser.add_argument("patterns", nargs="*", metavar="pattern", help="of the tests to run")
    parser.add_argument("--jobs", type=int, help="processes to run modules in; one more than CPUs")
    parser.add_argument(
        "--fast", action="store_true", help="skip what starts a process or a server"
    )
    parser.add_argument("--at-least", type=int, default=0, help="tests that are to pass")
    parser.add_argument(workers.SERVE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        _prepare(options)
        workers.serve(partial(suite.run, patterns=options.patterns))
        return 0
    return suite.show(_run(options), at_least=options.at_least)


def _run(options: argparse.Namespace) -> Iterator[tuple[Outcome, str]]:
    jobs = options.jobs or _default_jobs()
    if jobs == 1:
        _prepare(options)
        for module in suite.modules():
            yield suite.run(module, options.patterns), ""
        logging.shutdown()  # what it may have to say belongs above the last line
        return
    own = ["--fast"] * options.fast
    yield from workers.run_in_workers(suite.modules(), [*own, *options.patterns], jobs=jobs)


def _prepare(options: argparse.Namespace) -> None:
    if options.fast:
        suite.skip_processes()


def _default_jobs() -> int:
    if sys.platform == "emscripten":  # where there are no processes
        return 1
    return 1 + (os.cpu_count() or 1)  # there is always a test that only waits


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
