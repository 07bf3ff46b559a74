"""The options of commands that send: the write key, the host, and how to send."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from .._client.hosts import host_of
from .._client.http_client import HttpClient
from .._delivery.attempts import Delivery
from .._delivery.retries import RetryPolicy
from .._options.delivery import write_key_of
from ..errors import ConfigurationError

_MAX_KEY_BYTES = 4096


def add_key_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the write key and the host."""
    key = parser.add_argument_group("write key and host")
    key.add_argument(
        "--write-key",
        metavar="KEY",
        help="the source's write key (default: SEGMENT_WRITE_KEY); other users of this machine "
        "can see it in the list of processes, so prefer the other ways",
    )
    key.add_argument("--write-key-file", metavar="FILE", help="a file that contains the write key")
    key.add_argument(
        "--host", metavar="URL", help="default: SEGMENT_HOST, or the host of the region"
    )
    key.add_argument(
        "--region", choices=("us", "eu"), default="us", help="workspace region (default: us)"
    )


def add_sending_options(parser: argparse.ArgumentParser) -> None:
    """Add the options about how to send, and for the output."""
    parser.add_argument(
        "--max-attempts",
        type=whole_number,
        metavar="N",
        default=11,
        help="attempts per batch (default: 11)",
    )
    parser.add_argument("--gzip", action="store_true", help="compress request bodies")
    parser.add_argument("--json", action="store_true", help="print the totals as JSON")


def whole_number(text: str) -> int:
    """Return a whole number from 1 on. argparse reports the ValueError for any other text."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def positive_number(text: str) -> float:
    """Return a finite number above 0. argparse reports the ValueError for any other text."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError
    return number


# argparse shows these names: "invalid whole number value".
whole_number.__name__ = "whole number"
positive_number.__name__ = "number"


def key_of(options: argparse.Namespace) -> str:
    """Return the write key.

    Raises:
        ConfigurationError: there is none, or it cannot be one.
        OSError: the file with it cannot be read.
    """
    given = options.write_key
    if given is None and options.write_key_file is not None:
        with open(options.write_key_file, "rb") as file:
            found = file.read(_MAX_KEY_BYTES + 1)
        given = found.decode(errors="replace").strip()
        if not given or len(found) > _MAX_KEY_BYTES:
            raise ConfigurationError(
                f"{options.write_key_file} does not contain a write key: "
                "write nothing but the write key into it"
            )
    write_key = write_key_of(given)
    if write_key is None:
        raise ConfigurationError(
            "no write key: set SEGMENT_WRITE_KEY, or pass --write-key-file or --write-key"
        )
    return write_key


@contextmanager
def connected(options: argparse.Namespace, **more: Any) -> Iterator[Delivery]:
    """Yield a delivery with the options, and close its connections at the end.

    Args:
        options: the command's options.
        more: further options of the Delivery.

    Raises:
        ConfigurationError: an option cannot work.
        OSError: the file with the write key cannot be read.
    """
    write_key = key_of(options)
    host = host_of(options.host, options.region)
    with closing(HttpClient(host, gzip=options.gzip)) as client:
        delivery = Delivery(
            client, write_key, policy=RetryPolicy(max_attempts=options.max_attempts), **more
        )
        yield delivery
        delivery.sum_up()
