"""`segment-logging relay`: send the messages in a broker's queue to Segment.

A service: it runs until Ctrl-C or SIGTERM stops it, and then ends with 0.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from .._broker.address import DEFAULT_QUEUE, address_of
from .._broker.bundles import key_name_of
from .._broker.connection import check_installed
from .._client.hosts import host_of
from .._client.http_client import HttpClient
from .._clock import monotonic
from .._delivery.retries import RetryPolicy
from .._options.delivery import write_key_of
from .._relay.figures import remove_liveness, write_liveness
from .._relay.relay import Relay
from .._relay.session import PREFETCH, Settings
from .._reports import counted, say
from ..errors import ConfigurationError

NAME = "relay"
SUMMARY = "send the messages in a broker's queue to Segment"

_MAX_KEY_FILE_BYTES = 1 << 20
LIVENESS_INTERVAL = 5.0
_FIGURES_INTERVAL = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Send the messages in a broker's queue to Segment, in full batches. Several relays may "
        "share a queue. Messages that can never be delivered are moved to the queue `Q.dead`."
    )
    parser.add_argument(
        "--broker",
        metavar="URL",
        help="an amqp or amqps URL (default: SEGMENT_BROKER); other users of this machine can see "
        "an argument in the list of processes, so prefer the variable if it contains a password",
    )
    parser.add_argument(
        "--queue", metavar="Q", help=f"default: the URL's ?queue=, or {DEFAULT_QUEUE}"
    )
    parser.add_argument(
        "--write-key-file",
        metavar="FILE",
        action="append",
        default=[],
        help="a file with write keys, one per line; may be given several times "
        "(default: SEGMENT_WRITE_KEY)",
    )
    parser.add_argument(
        "--host", metavar="URL", help="default: SEGMENT_HOST, or the host of the region"
    )
    parser.add_argument(
        "--region", choices=("us", "eu"), default="us", help="workspace region (default: us)"
    )
    parser.add_argument("--gzip", action="store_true", help="compress request bodies")
    parser.add_argument(
        "--max-attempts",
        type=_whole_number,
        metavar="N",
        default=11,
        help="attempts per batch, until it waits for a minute (default: 11)",
    )
    parser.add_argument(
        "--prefetch",
        type=_whole_number,
        metavar="N",
        default=PREFETCH,
        help="bundles that may be in progress, each of up to 64 KB in memory "
        f"(default: {PREFETCH})",
    )
    parser.add_argument(
        "--liveness-file",
        metavar="FILE",
        help="a file that is rewritten every 5 seconds while the relay lives, with its figures",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the figures as one JSON object per line"
    )


def _whole_number(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65_535:
        raise ValueError
    return number


_whole_number.__name__ = "whole number"  # argparse shows it


def run(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code.

    Raises:
        ConfigurationError: an option cannot work.
    """
    check_installed()
    url = options.broker or os.environ.get("SEGMENT_BROKER")
    if not url:
        raise ConfigurationError("no broker: pass --broker or set SEGMENT_BROKER")
    address = address_of(url, options.queue, name="--broker")
    host = host_of(options.host, options.region)
    HttpClient(host)  # raises if the host cannot be used
    keys = {key_name_of(key): key for key in _keys_of(options.write_key_file)}
    watch = _Watch(options.liveness_file, as_json=options.json)
    relay = Relay(
        Settings(
            address=address,
            keys=keys,
            new_client=lambda: HttpClient(host, gzip=options.gzip),
            policy=RetryPolicy(max_attempts=options.max_attempts),
            prefetch=options.prefetch,
        ),
        tick=watch.tick,
    )
    say(f"relaying {address.shown} to {host}, for {counted(len(keys), 'write key')}")
    with _stopping(relay):
        relay.run()
    watch.end(relay)
    return 0


def _keys_of(paths: Sequence[str]) -> Iterator[str]:
    """Yield the write keys.

    Raises:
        ConfigurationError: there is none, or one of them cannot be a write key.
    """
    for path in paths:
        try:
            with open(path, "rb") as file:
                found = file.read(_MAX_KEY_FILE_BYTES).decode(errors="replace").split()
        except OSError as error:
            raise ConfigurationError(
                f"{path} cannot be read ({error.strerror}): write one write key per line into it"
            ) from None
        if not found:
            raise ConfigurationError(f"{path} is empty: write one write key per line into it")
        for key in found:
            yield write_key_of(key) or key
    if not paths:
        own = write_key_of(None)
        if own is None:
            raise ConfigurationError(
                "no write key: pass --write-key-file, or set SEGMENT_WRITE_KEY"
            )
        yield own


class _Watch:
    """Prints the figures once a minute, and keeps the liveness file fresh.

    Args:
        path: the liveness file's path, if any.
        as_json: whether to print JSON.
    """

    def __init__(self, path: str | None, *, as_json: bool) -> None:
        self._path = path
        self._as_json = as_json
        self._touch_at = 0.0
        self._print_at = monotonic() + _FIGURES_INTERVAL
        self._trouble = ""

    def tick(self, relay: Relay) -> None:
        """Do what is due."""
        now = monotonic()
        if now >= self._touch_at:
            self._touch_at = now + LIVENESS_INTERVAL
            self._touch(relay)
        if now >= self._print_at:
            self._print_at = now + _FIGURES_INTERVAL
            self._print(relay)

    def end(self, relay: Relay) -> None:
        """Print the figures for the last time, and remove the file."""
        self._print(relay)
        if self._path is not None:
            remove_liveness(self._path)

    def _touch(self, relay: Relay) -> None:
        if self._path is None:
            return
        try:
            write_liveness(self._path, relay.figures)
        except OSError as error:
            trouble = f"the liveness file cannot be written ({error.strerror})"
            if trouble != self._trouble:
                say(f"{trouble}: make {self._path} writable")
            self._trouble = trouble

    def _print(self, relay: Relay) -> None:
        figures = relay.figures
        try:
            print(figures.json() if self._as_json else figures.line(), flush=True)
        except OSError:  # nobody reads it any more
            self._print_at = math.inf


@contextmanager
def _stopping(relay: Relay) -> Iterator[None]:
    """Stop the relay at Ctrl-C and SIGTERM."""

    def stop(number: int, frame: FrameType | None) -> None:
        relay.stop()

    before: list[tuple[int, Any]] = []
    try:
        for caught in (signal.SIGINT, signal.SIGTERM):
            before.append((caught, signal.signal(caught, stop)))
    except ValueError:  # another thread than the main one, which gets no signals
        pass
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
