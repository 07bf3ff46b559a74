"""`segment-logging relay`: send the messages in a broker's queue to Segment.

A service: it runs until Ctrl-C or SIGTERM stops it, and then ends with 0.
"""

from __future__ import annotations

import argparse

from .._broker.address import DEFAULT_QUEUE, address_of
from .._broker.bundles import key_name_of
from .._broker.connection import check_installed
from .._client.hosts import host_of
from .._clock import monotonic
from .._delivery.retries import RetryPolicy
from .._relay.figures import Figures
from .._relay.relay import Relay
from .._relay.session import PREFETCH, Settings
from .._reports import Reporter, counted, say
from ..errors import ConfigurationError
from .connection import (
    add_broker_option,
    add_key_files_option,
    add_oauth_options,
    add_request_options,
    broker_of,
    delivery_options_of,
    headers_of,
    proxies_of,
    whole_number,
    write_keys_of,
)
from .metrics import RELAY
from .stopping import passed_to
from .watching import LivenessFile, add_metrics_option, metrics_served, print_line

NAME = "relay"
SUMMARY = "send the messages in a broker's queue to Segment"

LIVENESS_INTERVAL = 5.0
"""Seconds between two times that the liveness file is rewritten."""

_FIGURES_INTERVAL = 60.0
_MAX_PREFETCH = 65_535  # a 16-bit number in AMQP


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Send the messages in a broker's queue to Segment, in full batches. Several relays may "
        "share a queue. Messages that can never be delivered are moved to the queue `Q.dead`."
    )
    add_broker_option(parser, "an amqp or amqps URL (default: SEGMENT_BROKER)")
    parser.add_argument(
        "--queue", metavar="Q", help=f"default: the URL's ?queue=, or {DEFAULT_QUEUE}"
    )
    add_key_files_option(parser)
    parser.add_argument(
        "--prefetch",
        type=whole_number,
        metavar="N",
        default=PREFETCH,
        help="bundles that may be in progress, each of up to 64 KB in memory "
        f"(default: {PREFETCH})",
    )
    group = parser.add_argument_group("sending")
    add_request_options(group)
    group.add_argument(
        "--max-attempts",
        type=whole_number,
        metavar="N",
        default=11,
        help="attempts per batch, until it waits for a minute (default: 11)",
    )
    add_oauth_options(parser)
    group = parser.add_argument_group("watching it")
    group.add_argument(
        "--liveness-file",
        metavar="FILE",
        help="a file that is rewritten every 5 seconds while the relay lives, with its figures",
    )
    group.add_argument(
        "--json", action="store_true", help="print the figures as one JSON object per line"
    )
    add_metrics_option(group)


def run(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code.

    Raises:
        ConfigurationError: an option cannot work.
    """
    check_installed()
    address = address_of(broker_of(options), options.queue, name="--broker")
    if options.prefetch > _MAX_PREFETCH:
        raise ConfigurationError(f"--prefetch must be at most {_MAX_PREFETCH:,}")
    host = host_of(options.host, options.region)
    made = delivery_options_of(
        options, gzip=options.gzip, headers=headers_of(options), proxies=proxies_of(options)
    )
    keys = {key_name_of(key): key for key in write_keys_of(options.write_key_file)}
    watch = _Watch(options.liveness_file, as_json=options.json)
    relay = Relay(
        Settings(
            address=address,
            keys=keys,
            new_client=made.new_http_client,
            policy=RetryPolicy(max_attempts=options.max_attempts),
            prefetch=options.prefetch,
        ),
        tick=watch.tick,
    )
    with (
        passed_to(lambda number, frame: relay.stop()),
        metrics_served(options.metrics_port, lambda: RELAY.text([(address.queue, watch.figures)])),
    ):
        say(f"relaying {address.shown} to {host}, for {counted(len(keys), 'write key')}")
        relay.run()
    watch.end(relay)
    return 0


class _Watch:
    """Prints the figures once a minute, and keeps the liveness file fresh.

    Args:
        path: the liveness file's path, if any.
        as_json: whether to print JSON.
    """

    def __init__(self, path: str | None, *, as_json: bool) -> None:
        self._liveness = LivenessFile(path, Reporter())
        self._as_json = as_json
        self._touch_at = 0.0
        self._print_at = monotonic() + _FIGURES_INTERVAL
        self.figures = Figures()
        """The latest figures. Replaced as a whole, so any thread may read them."""

    def tick(self, relay: Relay) -> None:
        """Do what is due."""
        now = monotonic()
        self.figures = relay.figures
        if now >= self._touch_at:
            self._touch_at = now + LIVENESS_INTERVAL
            self._liveness.write(f"{self.figures.json()}\n")
        if now >= self._print_at:
            self._print_at = now + _FIGURES_INTERVAL
            self._print()

    def end(self, relay: Relay) -> None:
        """Print the figures for the last time, and remove the file."""
        self.figures = relay.figures
        self._print()
        self._liveness.remove()

    def _print(self) -> None:
        print_line(self.figures.json() if self._as_json else self.figures.line())
