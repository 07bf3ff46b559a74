"""`segment-logging deliver DIR`: send the messages that other processes write to a journal."""

from __future__ import annotations

import argparse
import os

from .._broker.client import BrokerClient
from .._files import own_path
from .._options.delivery import DeliveryOptions
from .._queues.journal.place import Place
from .._trust import NOT_PREPARED, NotOurs, Trust
from ..errors import ConfigurationError
from .connection import (
    add_broker_option,
    add_key_files_option,
    add_oauth_options,
    add_request_options,
    broker_of,
    delivery_options_of,
    has_oauth_options,
    headers_of,
    positive_number,
    proxies_of,
    whole_number,
    write_keys_of,
)
from .deliverer import Deliverer
from .journal_place import trust_of, user_id
from .preparing import prepare
from .service import Service
from .watching import add_metrics_option

NAME = "deliver"
SUMMARY = "send the messages that other processes write to a journal"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Send the messages that handlers with deliver=False write to a journal, and those that "
        "dead processes left in it. Several of these commands may run: one delivers, and the "
        "others stand by. SIGTERM and Ctrl-C end it with exit code 0."
    )
    parser.add_argument("directory", metavar="DIR", help="the directory that is the journal")
    add_key_files_option(parser)
    parser.add_argument(
        "--linger",
        type=_seconds,
        metavar="SECONDS",
        default=0.0,
        help="after SIGTERM, continue until no process writes any more and everything is sent, "
        "for at most this long (default: 0)",
    )
    _add_sending_options(parser)
    _add_options_of_place(parser)
    _add_options_of_watching(parser)


def _add_sending_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("sending")
    add_broker_option(
        group,
        "publish to this broker, for `segment-logging relay`, instead of sending to Segment",
    )
    add_request_options(group)
    group.add_argument(
        "--max-attempts",
        type=whole_number,
        metavar="N",
        default=11,
        help="attempts per batch before it is kept for a minute (default: 11)",
    )
    group.add_argument(
        "--rate",
        type=positive_number,
        metavar="N",
        help="the largest number of messages to send per second for each write key (default: no "
        "limit)",
    )
    group.add_argument(
        "--dead-letters",
        metavar="FILE",
        help="where to write messages that can never be delivered, with the reason (default: "
        "dead-letters.jsonl in the journal)",
    )
    add_oauth_options(parser)


def _add_options_of_place(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("who may write to the journal")
    group.add_argument(
        "--prepare",
        action="store_true",
        help="make the directories of the journal, and end; with --group, run it as root, and "
        "again for each new write key",
    )
    group.add_argument(
        "--group",
        metavar="NAME",
        help="the group that the programs and this command share, by name or number, as in their "
        "journal_group",
    )
    group.add_argument(
        "--owner",
        type=user_id,
        metavar="UID",
        action="append",
        default=[],
        help="another user, by number or name, whose files are sent; may be given several times",
    )


def _add_options_of_watching(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("watching it")
    group.add_argument(
        "--liveness-file",
        metavar="FILE",
        help="a file whose time is set every second while the command works",
    )
    group.add_argument(
        "--json", action="store_true", help="print the figures of each minute as JSON"
    )
    group.add_argument("--quiet", action="store_true", help="print no figures each minute")
    add_metrics_option(group)


def run(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    write_keys = write_keys_of(options.write_key_file)
    trust = trust_of(options.group, options.owner)
    places = [Place(options.directory, write_key, trust) for write_key in write_keys]
    if options.prepare:
        prepare(options.directory, places, trust)
        return 0
    _check_directory(options.directory, places[0], trust)
    deliverers = [
        Deliverer(place, write_key, _options_of(options, place), rate=options.rate)
        for place, write_key in zip(places, write_keys, strict=True)
    ]
    service = Service(
        deliverers,
        directory=os.path.abspath(options.directory),
        linger=options.linger,
        as_json=options.json,
        is_quiet=options.quiet,
        liveness_path=options.liveness_file,
        metrics_port=options.metrics_port,
    )
    service.run()
    return 0


def _check_directory(directory: str, place: Place, trust: Trust) -> None:
    """Raise an error if the directory belongs to another user, or only root should make it."""
    path = own_path(directory, trust)
    if trust.group is not None and os.geteuid() != 0 and not os.path.isdir(path):
        way_out = place.way_out_of(NotOurs(NOT_PREPARED, path))
        raise ConfigurationError(f"{path} does not exist, and a group is to share it: {way_out}")


def _options_of(options: argparse.Namespace, place: Place) -> DeliveryOptions:
    if options.broker is not None and (options.header or has_oauth_options(options)):
        # A source or a gateway may require them, so they are not left out in silence.
        raise ConfigurationError(
            "with --broker, only the relay sends to Segment: pass --header and the options for "
            "OAuth to `segment-logging relay` and omit them here"
        )
    made = delivery_options_of(
        options,
        journal=options.directory,
        gzip=options.gzip,
        max_attempts=options.max_attempts,
        proxies=proxies_of(options),
        headers=headers_of(options),
        flush_interval=0.5,
        shutdown_timeout=0.0,  # the service waits for the request under way
        dead_letters=options.dead_letters or os.path.join(place.path, "dead-letters.jsonl"),
    )
    if options.broker is None:
        made.client = made.new_http_client()
    else:
        made.client = BrokerClient(broker_of(options))
    return made


def _seconds(text: str) -> float:
    return 0.0 if float(text) == 0 else positive_number(text)


# argparse shows this name: "invalid number value".
_seconds.__name__ = "number"
