"""Connections to a broker: the only file that imports kombu, and only when one is made.

A connection belongs to the thread and to the process that made it. A forked child closes the
descriptor that it inherited without sending anything: sharing one connection between two processes
made the parent hang and the child spin.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple
from weakref import WeakSet

from .._process.forks import in_forked_child
from ..errors import ConfigurationError
from .address import Address

_CONNECT_TIMEOUT = 5.0
_TIMEOUT = 10.0
"""Seconds that a read or a write may take. Without a limit, the first publish to a broker that is
stalled never returns."""

MAX_QUEUE_BYTES = 4 << 30
"""How much a queue that we declare can hold: about ten million messages."""

MAX_DEAD_QUEUE_BYTES = 1 << 30
DELIVERY_LIMIT = 1_000_000
"""How many times a message may return to its queue. The default of RabbitMQ 4 is 20 times, which an
outage could reach. After that, a message is dead-lettered, or removed from a queue that has no
dead-letter exchange."""


def arguments_of(address: Address) -> dict[str, dict[str, str | int]]:
    """Return the arguments with which both queues are declared, by the name of the queue.

    The dead-letter queue is first, because messages can be moved to it as soon as the other exists.
    Source: https://www.rabbitmq.com/docs/quorum-queues
    """
    both: dict[str, str | int] = {
        "x-queue-type": "quorum",
        "x-overflow": "reject-publish",
        "x-delivery-limit": DELIVERY_LIMIT,
    }
    return {
        address.dead_queue: {**both, "x-max-length-bytes": MAX_DEAD_QUEUE_BYTES},
        address.queue: {
            **both,
            "x-max-length-bytes": MAX_QUEUE_BYTES,
            "x-dead-letter-exchange": "",  # the default exchange, whose routing keys are queues
            "x-dead-letter-routing-key": address.dead_queue,
            "x-dead-letter-strategy": "at-least-once",
        },
    }


class Received(NamedTuple):
    """A message of the broker, as it was received.

    Attributes:
        tag: what to acknowledge it with, on the same connection.
        body: its body.
        headers: its headers.
    """

    tag: int
    body: bytes
    headers: Mapping[str, Any]


def check_installed() -> None:
    """Raise ConfigurationError if kombu is not installed. Does not import it, which is slow."""
    # A module that is loaded need not have a spec, and kombu has none.
    if "kombu" not in sys.modules and find_spec("kombu") is None:
        raise ConfigurationError(
            "a broker needs kombu: install it with `pip install segment-logging[relay]`"
        )


class Connection:
    """An open connection with one channel, on which publishing is confirmed.

    Args:
        address: where the broker is.
        heartbeat: seconds between two heartbeats, or 0 for none. If there are heartbeats, `beat`
            must be called about once per second.
        timeout: a limit on the seconds to connect and on each read and write, or None.

    Raises:
        Exception: the connection could not be made. kombu raises many kinds of exceptions.
    """

    def __init__(
        self, address: Address, *, heartbeat: float = 0, timeout: float | None = None
    ) -> None:
        # Imported here, because this takes as long as importing this whole package.
        kombu: Any = import_module("kombu")
        self._kombu = kombu
        self._address = address
        self._limit = _TIMEOUT if timeout is None else min(timeout, _TIMEOUT)
        self._is_amqp = address.scheme != "memory"
        options: dict[str, Any] = {"polling_interval": 0.01}
        if self._is_amqp:
            options = {
                "confirm_publish": True,
                "read_timeout": self._limit,
                "write_timeout": self._limit,
            }
        tls = {"context": {"check_hostname": True}, "server_hostname": None}
        self._connection: Any = kombu.Connection(
            # For `amqp`, kombu could choose librabbitmq, which has no heartbeats.
            f"py{address.url}" if address.scheme == "amqp" else address.url,
            connect_timeout=min(self._limit, _CONNECT_TIMEOUT),
            heartbeat=heartbeat,
            ssl=tls if address.scheme == "amqps" else False,
            transport_options=options,
        )
        self._consumer: Any = None
        self._wire: Any = None  # the connection of the library below kombu
        if self._is_amqp:
            self._keep_wire()
        _open.add(self)
        try:
            self._channel = self._connection.channel()
        except BaseException:
            self.drop()
            raise

    def _keep_wire(self) -> None:
        """Keep the connection below kombu. Without it, one that the broker refuses stays open."""
        transport = self._connection.transport
        kind = transport.Connection

        def make(**options: Any) -> Any:
            self._wire = kind(**options)
            return self._wire

        transport.Connection = make

    def declare(self) -> None:
        """Declare the queue and its dead-letter queue, unless they exist.

        Queues that exist are used as they are, so that operators can declare them with other
        limits. Both are quorum queues, which do not lose confirmed messages. A full queue refuses
        further messages, so that they stay where they are.

        Raises:
            Exception: it is not possible. If the broker answered, the exception's `queue` is the
                name of the queue, and `is_missing` tells whether it does not exist.
        """
        for queue, arguments in arguments_of(self._address).items():
            is_missing = False
            try:
                if not self._is_amqp:
                    self._channel.queue_declare(queue=queue)
                    continue
                is_missing = self._is_missing(queue)
                if is_missing:
                    self._channel.queue_declare(
                        queue=queue, durable=True, auto_delete=False, arguments=dict(arguments)
                    )
            except self._connection.channel_errors as error:
                error.queue, error.is_missing = queue, is_missing
                raise

    def _is_missing(self, queue: str) -> bool:
        try:
            self._channel.queue_declare(queue=queue, passive=True)
        except self._connection.channel_errors as error:
            if getattr(error, "reply_code", None) != _NOT_FOUND:
                raise
            self._channel = self._connection.channel()  # the error has closed the previous one
            return True
        return False

    def publish(
        self,
        body: bytes,
        headers: Mapping[str, Any],
        *,
        queue: str,
        content_type: str,
        timeout: float = _TIMEOUT,
    ) -> None:
        """Publish a message, and return once the broker has confirmed that it is stored.

        Raises:
            Exception: it is not known to be stored. The connection must be dropped then, because a
                late confirmation would be taken for the next message's.
        """
        self._kombu.Producer(self._channel).publish(
            body,
            exchange="",
            routing_key=queue,
            headers=dict(headers),
            content_type=content_type,
            content_encoding="binary",
            delivery_mode=2,
            mandatory=True,  # otherwise, a message without a queue is confirmed and gone
            timeout=min(timeout, self._limit),
            confirm_timeout=min(timeout, self._limit),
            retry=False,
        )

    def consume(self, on_message: Callable[[Received], None], *, prefetch: int) -> None:
        """Ask the broker for messages. They are passed to `on_message` by `pump`.

        Args:
            on_message: called in the thread that calls `pump`.
            prefetch: how many messages may be unacknowledged.
        """

        def on_kombu_message(message: Any) -> None:
            body = message.body
            body = body.encode() if isinstance(body, str) else bytes(body)
            on_message(Received(message.delivery_tag, body, message.headers or {}))

        self._consumer = self._kombu.Consumer(
            self._channel,
            [self._kombu.Queue(self._address.queue, no_declare=True)],
            on_message=on_kombu_message,
            auto_declare=False,
            prefetch_count=prefetch,
        )
        self._consumer.consume()

    def pump(self, seconds: float) -> None:
        """Wait up to some seconds for an event, and handle all that have arrived."""
        with suppress(TimeoutError):
            self._connection.drain_events(timeout=seconds)
            for _ in range(_EVENTS_AT_ONCE):
                self._connection.drain_events(timeout=_NO_TIME)

    def beat(self) -> None:
        """Send a heartbeat if one is due. Raises an exception if the broker's are missing."""
        if self._is_amqp:
            self._connection.heartbeat_check(rate=2)

    def acknowledge(self, first: Sequence[int], others: Sequence[int]) -> None:
        """Acknowledge messages.

        Args:
            first: the tags of messages before which none is unacknowledged, in order.
            others: the tags of further messages.
        """
        if first and self._is_amqp:
            self._channel.basic_ack(first[-1], multiple=True)
        else:
            others = (*first, *others)
        for tag in others:
            self._channel.basic_ack(tag)

    def stop_consuming(self) -> None:
        """Ask the broker for no more messages. Those that have arrived remain unacknowledged."""
        if self._consumer is not None:
            self._consumer.cancel()
            self._consumer = None

    def close(self) -> None:
        """Close the connection in order. Unacknowledged messages return to their queue."""
        _open.discard(self)
        try:
            self._connection.release()
        except Exception:
            self.drop()

    def drop(self) -> None:
        """Close the connection without telling the broker, which may not answer. Never raises."""
        _open.discard(self)
        with suppress(Exception):
            if self._wire is not None and self._wire.connected:  # else it would connect
                self._wire.transport.sock.settimeout(0.1)  # TLS would wait for the other side
        with suppress(Exception):
            (self._wire or self._connection).collect()

    def leave(self) -> None:
        """In a forked child, close the inherited descriptor. Nothing is sent, not even by TLS."""
        with suppress(Exception):
            transport = self._wire.transport
            socket, transport.sock = transport.sock, None  # or its `__del__` would shut it down
            os.close(socket.detach())


_NOT_FOUND = 404
_EVENTS_AT_ONCE = 256  # so that heartbeats and acknowledgements get their turn
_NO_TIME = 0.000_1  # 0 would be taken for no limit

_open: WeakSet[Connection] = WeakSet()


@in_forked_child
def _leave_all() -> None:
    for connection in list(_open):
        connection.leave()
    _open.clear()
