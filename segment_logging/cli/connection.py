"""The options of commands that send: the write key, host, broker and OAuth, and how to send."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from .._delivery.attempts import Delivery
from .._delivery.retries import RetryPolicy
from .._options.delivery import DeliveryOptions, write_key_of
from ..errors import ConfigurationError

_MAX_KEY_FILE_BYTES = 65_536


def add_key_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the write key, the host and OAuth."""
    key = parser.add_argument_group("write key and host")
    key.add_argument(
        "--write-key",
        metavar="KEY",
        help="the source's write key (default: SEGMENT_WRITE_KEY); other users of this machine "
        "can see it in the list of processes, so prefer the other ways",
    )
    key.add_argument("--write-key-file", metavar="FILE", help="a file that contains the write key")
    _add_host_options(key)
    add_oauth_options(parser)


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


def _add_host_options(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--host", metavar="URL", help="default: SEGMENT_HOST, or the host of the region"
    )
    group.add_argument(
        "--region", choices=("us", "eu"), default="us", help="workspace region (default: us)"
    )


def add_key_files_option(group: argparse._ActionsContainer) -> None:
    """Add the option of services for write keys, of which there may be several."""
    group.add_argument(
        "--write-key-file",
        metavar="FILE",
        action="append",
        default=[],
        help="a file with one write key on each line; may be given several times (default: the "
        "write key in SEGMENT_WRITE_KEY)",
    )


def add_request_options(group: argparse._ActionsContainer) -> None:
    """Add the options of services about the requests: the host, and how to reach it."""
    _add_host_options(group)
    group.add_argument("--gzip", action="store_true", help="compress request bodies")
    group.add_argument(
        "--header",
        metavar="'NAME: VALUE'",
        action="append",
        default=[],
        help="one more request header; may be given several times",
    )
    group.add_argument(
        "--proxy", metavar="URL", help="the proxy for all requests (default: the environment's)"
    )


def add_oauth_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for sources that require OAuth."""
    oauth = parser.add_argument_group("OAuth (the first three, or none)")
    oauth.add_argument("--oauth-client-id", metavar="ID", help="the application's id")
    oauth.add_argument("--oauth-key-id", metavar="ID", help="the id of its key")
    oauth.add_argument("--oauth-private-key", metavar="FILE", help="the key, as a PEM file")
    oauth.add_argument("--oauth-server", metavar="URL", help="default: the region's")
    oauth.add_argument("--oauth-scope", metavar="SCOPE", help="default: tracking_api:write")


def has_oauth_options(options: argparse.Namespace) -> bool:
    """Return whether any of the options for OAuth was passed."""
    return any(
        value is not None for name, value in vars(options).items() if name.startswith("oauth_")
    )


def oauth_of(options: argparse.Namespace) -> dict[str, str] | None:
    """Return the value of the option `oauth`, or None.

    Raises:
        ConfigurationError: only some of the required options were passed.
    """
    required = {
        "client_id": options.oauth_client_id,
        "key_id": options.oauth_key_id,
        "private_key": options.oauth_private_key,
    }
    more = {"server": options.oauth_server, "scope": options.oauth_scope}
    given = {name: value for name, value in {**required, **more}.items() if value is not None}
    if given and None in required.values():
        raise ConfigurationError(
            "OAuth needs --oauth-client-id, --oauth-key-id and --oauth-private-key: pass all three"
        )
    return given or None


def delivery_options_of(options: argparse.Namespace, **more: Any) -> DeliveryOptions:
    """Return the options about the host and OAuth as the options of a handler.

    Args:
        options: the command's options.
        more: further options about delivery.

    Raises:
        ConfigurationError: an option cannot work.
    """
    return DeliveryOptions(
        host=options.host, region=options.region, oauth=oauth_of(options), **more
    )


def headers_of(options: argparse.Namespace) -> dict[str, str]:
    """Return the additional request headers.

    Raises:
        ConfigurationError: one is not a header.
    """
    return dict(map(_header, options.header))


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not text.isprintable():
        raise ConfigurationError("--header must be like 'X-Strict-Mode: 1'")
    return name.strip(), value.strip()


def proxies_of(options: argparse.Namespace) -> dict[str, str] | None:
    """Return the proxy for each scheme, or None for those from the environment."""
    return None if options.proxy is None else dict.fromkeys(("http", "https"), options.proxy)


def add_broker_option(group: argparse._ActionsContainer, text: str) -> None:
    """Add `--broker`, whose value may be left to the environment.

    Args:
        group: where to add it.
        text: what it does, for the help.
    """
    group.add_argument(
        "--broker",
        metavar="URL",
        nargs="?",
        const="",
        help=f"{text}; other users of this machine can see the URL in the list of processes, so "
        "put one with a password in SEGMENT_BROKER and omit it here",
    )


def broker_of(options: argparse.Namespace) -> str:
    """Return the URL of the broker: the one that was passed, or else the environment's.

    Raises:
        ConfigurationError: there is neither.
    """
    url = options.broker or os.environ.get("SEGMENT_BROKER")
    if not url:
        raise ConfigurationError("no broker: set SEGMENT_BROKER, or pass --broker with a URL")
    return str(url)


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
    if options.write_key is None and options.write_key_file is not None:
        found = write_keys_in(options.write_key_file)
        if len(found) > 1:
            raise ConfigurationError(
                f"{options.write_key_file} contains {len(found)} write keys: pass a file with one"
            )
        return found[0]
    write_key = write_key_of(options.write_key)
    if write_key is None:
        raise ConfigurationError(
            "no write key: set SEGMENT_WRITE_KEY, or pass --write-key-file or --write-key"
        )
    return write_key


def write_keys_of(paths: Sequence[str]) -> list[str]:
    """Return the write keys in some files, or else the environment's.

    Raises:
        ConfigurationError: there is none, or one cannot be a write key.
        OSError: a file cannot be read.
    """
    found = list(dict.fromkeys(key for path in paths for key in write_keys_in(path)))
    if not paths and (key := write_key_of(None)) is not None:
        found = [key]
    if not found:
        raise ConfigurationError("no write key: set SEGMENT_WRITE_KEY, or pass --write-key-file")
    return found


def write_keys_in(path: str) -> list[str]:
    """Return the write keys in a file, at least one. Lines that begin with `#` are comments.

    Raises:
        ConfigurationError: there is none, or one cannot be a write key.
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        content = file.read(_MAX_KEY_FILE_BYTES + 1)
    lines = map(str.strip, content.decode(errors="replace").split("\n"))
    numbered = enumerate(lines, 1)
    keys = [(number, line) for number, line in numbered if line and not line.startswith("#")]
    if not keys or len(content) > _MAX_KEY_FILE_BYTES:
        raise ConfigurationError(
            f"{path} does not contain write keys: write one on each line, and nothing else"
        )
    return [_key_on_line(path, number, line) for number, line in keys]


def _key_on_line(path: str, number: int, line: str) -> str:
    try:
        return str(write_key_of(line))
    except ConfigurationError as error:  # its text does not contain the line
        raise ConfigurationError(f"{path}, line {number}: {error}") from None


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
    made = delivery_options_of(options, gzip=options.gzip)
    with closing(made.new_http_client()) as client:
        delivery = Delivery(
            client, write_key, policy=RetryPolicy(max_attempts=options.max_attempts), **more
        )
        yield delivery
        delivery.sum_up()
