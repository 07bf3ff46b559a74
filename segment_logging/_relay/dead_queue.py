"""The queue for messages that can never be delivered, next to the queue they came from.

A dead letter has the form of a bundle: the messages as JSON Lines, and the key's name in a header.
Further headers contain the reason, the status and the time. A relay that consumes the dead-letter
queue therefore sends the messages again.
"""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from .._broker.address import Address
from .._broker.bundles import CONTENT_TYPE, KEY_HEADER, bundles_of
from .._broker.client import failure_of, is_refusal
from .._broker.connection import Connection
from .._messages.encoding import encode
from .._messages.values import write_timestamp
from ..errors import DeliveryError, InvalidMessage, SegmentError

_REASON_CHARACTERS = 500


class DeadQueue:
    """Publishes dead letters. For one thread, with a connection of its own.

    Args:
        address: the queue that the messages came from.
        clock: returns the time in seconds since the epoch.
    """

    def __init__(self, address: Address, *, clock: Callable[[], float] = time.time) -> None:
        self._address = address
        self._clock = clock
        self._connection: Connection | None = None

    @property
    def name(self) -> str:
        """The name of the queue that dead letters are published to."""
        return self._address.dead_queue

    def publish(self, lines: Sequence[bytes], error: SegmentError, key_name: str | None) -> None:
        """Publish encoded messages with the reason.

        If the connection is lost, another one is made once, on which publishing continues with the
        first bundle that is not confirmed.

        Args:
            lines: the encoded messages.
            error: the reason why they cannot be delivered.
            key_name: the name of their write key. None if they had none.

        Raises:
            DeliveryError: the broker did not confirm all of them. Its `delivered` is the number of
                messages that were confirmed.
        """
        headers: dict[str, Any] = {
            "reason": str(error)[:_REASON_CHARACTERS],
            "status": str(getattr(error, "status", None) or ""),
            "time": write_timestamp(self._clock()),
        }
        if key_name is not None:
            headers[KEY_HEADER] = key_name
        stored, may_connect_again = 0, True
        bundles = deque(bundles_of(lines))
        while bundles:
            try:
                self._connected().publish(
                    bundles[0].body,
                    headers,
                    queue=self._address.dead_queue,
                    content_type=CONTENT_TYPE,
                )
                stored += bundles.popleft().messages
            except Exception as fault:
                self._drop()
                if not may_connect_again or is_refusal(fault):
                    address = self._address.dead_queue_address
                    raise failure_of(fault, address, delivered=stored) from None
                may_connect_again = False

    def _connected(self) -> Connection:
        if self._connection is None:
            connection = self._connection = Connection(self._address)
            connection.declare()
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()

    def close(self) -> None:
        """Close the connection. The next dead letter makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class QueuedLetters:
    """Writes the dead letters of one write key to the queue. See `Letters`."""

    def __init__(self, queue: DeadQueue, key_name: str | None) -> None:
        self._queue = queue
        self._key_name = key_name
        self.queue = queue.name
        """The name of the queue that they are stored in."""
        self.stored = 0
        """How many messages were stored."""

    def write(self, messages: Sequence[Any], error: SegmentError, *, sync: bool = True) -> None:
        """Publish messages with the reason. The broker confirms when they are stored.

        Args:
            messages: calls in wire form, as dicts. A text is a line that is not JSON.
            error: the reason why they can never be delivered.
            sync: has no effect.

        Raises:
            OSError: the broker did not confirm all of them.
        """
        try:
            self._queue.publish([_line_of(message) for message in messages], error, self._key_name)
        except DeliveryError as failure:
            raise OSError(errno.EIO, str(failure)) from None
        self.stored += len(messages)


def _line_of(message: Any) -> bytes:
    if isinstance(message, str):  # not JSON
        return message.encode()
    try:
        return encode(message)
    except InvalidMessage:
        return b"null"
