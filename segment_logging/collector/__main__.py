"""`python -m segment_logging.collector`: print a line for each message that arrives."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from threading import Event

from .._process.sigterm import sigterm_as_ctrl_c
from .arrivals import Arrival
from .lines import columns_of, printable
from .server import Collector

PORT = 8765
_KEEP = 5_000


def main(arguments: Sequence[str] | None = None, *, ended: Event | None = None) -> int:
    """Run the collector until `ended` is set, or until Ctrl-C or SIGTERM.

    Args:
        arguments: the command-line arguments. None means the arguments of the process.
        ended: an event that another thread can set to stop the collector.

    Returns:
        The exit code: 0, or 2 if the collector cannot listen on the port.
    """
    parser = argparse.ArgumentParser(
        prog="python -m segment_logging.collector",
        description="Run a local endpoint that behaves like Segment's and shows what arrives.",
    )
    parser.add_argument(
        "--port", type=int, default=PORT, help=f"0 picks a free port (default: {PORT})"
    )
    options = parser.parse_args(arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # some terminals only support ASCII
    try:
        collector = Collector(options.port, on_arrival=_show, keep=_KEEP)
    except (OSError, OverflowError) as error:
        print(f"cannot listen on port {options.port}: {error}", file=sys.stderr)
        return 2
    with suppress(KeyboardInterrupt), sigterm_as_ctrl_c(), collector:
        print(f"The collector is running at {collector.url}: open it in a browser,", flush=True)
        print(f"and run your program with SEGMENT_HOST={collector.url}", flush=True)
        (ended or Event()).wait()
    return 0


def _show(arrival: Arrival) -> None:
    call_type, user, name, fields = columns_of(arrival.message)
    notes = [arrival.outcome, *([arrival.reason] if arrival.reason else []), *arrival.warnings]
    outcome = printable("; ".join(notes))
    print(f"{call_type:<8}  {user:<16}  {name:<24}  {fields}  [{outcome}]", flush=True)


if __name__ == "__main__":
    sys.exit(main())
