"""Bundles: up to 64 KB of encoded messages as JSON Lines, in one message of the broker. Pure.

A broker's cost is per message and not per byte. Bundles of a hundred messages are published 80
times faster than single messages, and consumed 20 times faster.

A bundle's headers contain the first 12 hex digits of the SHA-256 of its write key. They never
contain the key itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

from .._messages.batch import Batch
from .._messages.calls import Call
from .._messages.encoding import decode, encode
from .._messages.ids import new_message_id
from .._messages.limits import MAX_MESSAGE_BYTES
from .._messages.message import Message
from .._messages.values import write_timestamp
from ..errors import InvalidMessage, MessageTooLarge

MAX_BUNDLE_BYTES = 65_536
"""The largest bundle. Only a message that is larger by itself makes a larger one."""

CONTENT_TYPE = "application/x-ndjson"

KEY_HEADER = "segment-key"
"""The name of the header with the write key's name."""


class Bundle(NamedTuple):
    """A part of a batch.

    Attributes:
        body: encoded messages, one per line.
        messages: how many messages it contains.
    """

    body: bytes
    messages: int


def key_name_of(write_key: str) -> str:
    """Return the name of a write key: the first 12 hex digits of its SHA-256."""
    return sha256(write_key.encode()).hexdigest()[:12]


def bundles_of(lines: Iterable[bytes]) -> Iterator[Bundle]:
    """Yield encoded messages as bundles, in order."""
    taken: list[bytes] = []
    size_bytes = 0
    for line in lines:
        if taken and size_bytes + len(line) > MAX_BUNDLE_BYTES:
            yield Bundle(b"\n".join(taken), len(taken))
            taken, size_bytes = [], 0
        taken.append(line)
        size_bytes += len(line) + 1
    if taken:
        yield Bundle(b"\n".join(taken), len(taken))


def lines_of_bundle(body: bytes) -> list[bytes]:
    """Return the encoded messages of a bundle. Blank lines are left out."""
    return [line for line in body.split(b"\n") if line and not line.isspace()]


def lines_of(message: Message, *, now: float) -> Sequence[bytes]:
    """Return a message or batch as encoded messages, each complete in itself.

    A call gets a message id and a timestamp if it has none, because a broker may deliver it twice
    and hours later.

    Args:
        message: a call or a batch.
        now: seconds since the epoch.

    Raises:
        MessageTooLarge: a message is above 32,000 bytes.
        InvalidMessage: it is not a message, or it is a batch with keys that no call can have.
    """
    if isinstance(message, Batch):
        lines = message.lines
        if message.context or message.integrations or message.extra:
            lines = tuple(_merged(decode(line), message) for line in lines)
    elif isinstance(message, Call):
        form = message.wire_form()
        form.setdefault("messageId", new_message_id())
        form.setdefault("timestamp", write_timestamp(now))
        lines = (encode(form),)
    else:
        raise InvalidMessage(
            f"a client sends messages, not {type(message).__name__}: "
            "pass a Track or another message, or use Message.from_dict()"
        )
    longest = max(map(len, lines))
    if longest > MAX_MESSAGE_BYTES:
        raise MessageTooLarge(longest, MAX_MESSAGE_BYTES)
    return lines


def _merged(call: dict[str, object], batch: Batch) -> bytes:
    """Return a call with the fields of its batch, as Segment would merge them."""
    if batch.extra:
        raise InvalidMessage(
            "a broker cannot carry a batch's `extra`: pass it to each call", field="extra"
        )
    for name, shared in (("context", batch.context), ("integrations", batch.integrations)):
        if shared:
            own = call.get(name)
            call[name] = {**shared, **(own if isinstance(own, dict) else {})}
    return encode(call)
