"""`python -m segment_logging.collector` runs until Ctrl-C, and prints a line for each message."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from threading import Event

from .arrivals import Arrival
from .lines import columns_of, printable
from .server import Collector

PORT = 8765
_KEEP = 5_000


def main(arguments: Sequence[str] | None = None, *, ended: Event | None = None) -> int:
    """Run the collector until `ended` is set, or until Ctrl-C.

    Args:
        arguments: those of the command line; None takes the process's own.
        ended: another thread sets it to end the collector.

    Returns:
        The exit code: 0, or 2 if the collector cannot listen on the port.
    """
    parser = argparse.ArgumentParser(
        prog="python -m segment_logging.collector",
        description="A local, Segment-shaped endpoint that shows what arrives.",
    )
    parser.add_argument(
        "--port", type=int, default=PORT, help=f"0 takes a free port (default: {PORT})"
    )
    options = parser.parse_args(arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # some terminals know only ASCII
    try:
        collector = Collector(options.port, on_arrival=_show, keep=_KEEP)
    except (OSError, OverflowError) as error:
        print(f"cannot listen on port {options.port}: {error}", file=sys.stderr)
        return 2
    with collector:
        print(f"The collector listens on {collector.url}: open that in a browser,", flush=True)
        print(f"and run your program with SEGMENT_HOST={collector.url}", flush=True)
        with suppress(KeyboardInterrupt):
            (ended or Event()).wait()
    return 0


def _show(arrival: Arrival) -> None:
    call_type, user, name, fields = columns_of(arrival.message)
    notes = [arrival.outcome, *([arrival.reason] if arrival.reason else []), *arrival.warnings]
    outcome = printable("; ".join(notes))
    print(f"{call_type:<8}  {user:<16}  {name:<24}  {fields}  [{outcome}]", flush=True)


if __name__ == "__main__":
    sys.exit(main())
