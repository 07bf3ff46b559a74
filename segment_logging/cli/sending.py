"""`segment-logging send [TYPE]`: send the messages on stdin, one JSON message or JSON lines."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator

from .._clock import seconds_since_epoch
from .._messages.batcher import batches_of
from .._messages.encoding import decode, encode
from .._messages.ids import new_message_id
from .._messages.values import write_timestamp
from .._messages.wire import CALL_TYPES
from .._reports import counted, were
from ..errors import ConfigurationError
from . import connection
from .forms import BadLine, ready
from .lines import Line, lines_in
from .progress import Progress
from .sender import Sender
from .stopping import Signals, Stopped

NAME = "send"
SUMMARY = "send the messages on stdin"

_MAX_BYTES = 32 << 20
"""The largest input. It is read as a whole, so that nothing is sent if a part of it is invalid."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Send one JSON message, or JSON lines, from stdin. If one of them is not a message, "
        "nothing is sent. Messages without an id or a timestamp get one."
    )
    parser.add_argument(
        "type",
        nargs="?",
        choices=CALL_TYPES,
        metavar="TYPE",
        help=f"the type of messages that have none: {', '.join(CALL_TYPES)}",
    )
    connection.add_sending_options(parser)
    connection.add_key_options(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    signals = Signals()
    delivered = refused = 0
    with connection.connected(options) as delivery:  # raises before anything is read
        messages: list[bytes] = []
        progress = Progress()
        sender = Sender(delivery, progress, sleep=time.sleep)
        code = None
        try:
            with signals.caught():
                messages = list(_messages(_read(), options.type))
                progress.begin(0, None)
                for batch in batches_of(messages):
                    sender.send(batch, lambda _: progress.settled(sender.delivered, 0))
        except Stopped as stopped:
            code = stopped.exit_code
        progress.end()
        delivered, refused = sender.delivered, sender.refused
    left = len(messages) - delivered - refused
    if options.json:
        print(json.dumps({"delivered": delivered, "failed": refused + left}))
    else:
        print(f"{counted(delivered, 'message')} {were(delivered)} delivered")
        if refused + left:
            print(f"{counted(refused + left, 'message')} {were(refused + left)} not")
    if code is not None:
        return code
    return 0 if delivered == len(messages) else 1


def _read() -> bytes:
    if sys.stdin is None:
        raise ConfigurationError("stdin is closed: pass JSON, such as by a pipe")
    return sys.stdin.buffer.read(_MAX_BYTES + 1)


def _messages(found: bytes, call_type: str | None) -> Iterator[bytes]:
    """Yield the encoded messages.

    Raises:
        ConfigurationError: there are none, or one is not a message.
    """
    if len(found) > _MAX_BYTES:
        raise ConfigurationError(
            f"stdin contains more than {_MAX_BYTES >> 20} MiB: "
            "use `segment-logging import -`, which has no limit"
        )
    now = write_timestamp(seconds_since_epoch())
    count = 0
    for line in _lines_in(found):
        if line.is_blank:
            continue
        count += 1
        try:
            message = ready(line, new_message_id, call_type=call_type or "")
        except BadLine as error:
            raise ConfigurationError(
                f"stdin, line {line.number}: {error}, so nothing is sent"
            ) from None
        if call_type and message.call_type != call_type:
            raise ConfigurationError(
                f"stdin, line {line.number}: a {message.call_type} and not a {call_type}, "
                "so nothing is sent"
            )
        if message.is_dated:
            yield message.encoded
        else:
            yield encode({**decode(message.encoded), "timestamp": now})
    if not count:
        raise ConfigurationError("there is no message on stdin: pass JSON, such as by a pipe")


def _lines_in(found: bytes) -> Iterator[Line]:
    """Yield the lines. A single message that is spread over several lines counts as one line."""
    try:
        whole = decode(found) if b"\n" in found.strip() else None
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, dict):
        found = encode(whole)
    yield from lines_in(iter((found,)))
