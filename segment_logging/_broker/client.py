"""`BrokerClient`: publishes batches to a queue of a broker, where relays take them from.

Each `send` is one attempt. The delivery decides whether and when to try again. A broker that is
down, stalled, full or refusing is like a network that is down: the messages wait.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace

from .._client import diverted
from .._messages.message import Message
from .._process.delivering import time_left
from .._reports import where
from ..errors import Cause, DeliveryError, SegmentError
from .address import Address, address_of
from .bundles import CONTENT_TYPE, KEY_HEADER, bundles_of, key_name_of, lines_of
from .connection import Connection, check_installed

_SHORTEST = 0.1  # seconds that an attempt gets even if there is no time left


class BrokerClient:
    """Publishes each batch as bundles of JSON Lines, and waits for the broker's confirmations.

    The connection is made by the first `send`, in the thread that calls it. A forked child makes
    its own. If a batch was confirmed in part, the error's `delivered` is the number of confirmed
    messages.

    Args:
        url: an `amqp` or `amqps` URL, optionally with `?queue=`.
        queue: the name of the queue, which overrides the URL's.

    Raises:
        ConfigurationError: the URL cannot be used, its transport loses messages, or kombu is not
            installed.
    """

    def __init__(self, url: str, queue: str | None = None) -> None:
        self._address = address_of(url, queue)
        check_installed()
        self._connection: Connection | None = None
        self._pid = -1

    @property
    def host(self) -> str:
        """Where messages are published, for reports. It contains no password."""
        return self._address.shown

    def send(self, write_key: str, message: Message) -> None:
        """Publish a call or a batch, and return once the broker has stored all of it.

        Raises:
            DeliveryError: it was not confirmed, or not all of it (see its `delivered`).
            MessageTooLarge: a message is above 32,000 bytes. Nothing was published.
            InvalidMessage: `message` is not a message.
        """
        if diverted.instead is not None:
            diverted.instead(message)
            return
        error = self._error_of_attempt(write_key, message)
        # There is no frame but this one for debuggers to show, and it holds no key and no message.
        del write_key, message
        if error is not None:
            raise error

    def _error_of_attempt(self, write_key: str, message: Message) -> SegmentError | None:
        confirmed = 0
        failure: SegmentError
        try:
            lines = lines_of(message, now=time.time())
            headers = {KEY_HEADER: key_name_of(write_key)}
            for bundle in bundles_of(lines):
                left = time_left()
                timeout = {} if left is None else {"timeout": max(_SHORTEST, left)}
                self._connected().publish(
                    bundle.body,
                    headers,
                    queue=self._address.queue,
                    content_type=CONTENT_TYPE,
                    **timeout,
                )
                confirmed += bundle.messages
        except SegmentError as error:
            failure = error
        except Exception as error:
            self._drop()
            failure = failure_of(error, self._address, delivered=confirmed)
        except BaseException:  # Ctrl-C, when a caller's thread delivers
            self._drop()
            raise
        else:
            return None
        failure.__cause__ = failure.__context__ = None
        return failure.with_traceback(None)

    def close(self) -> None:
        """Close the connection. The next `send` makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None and self._pid == os.getpid():
            connection.close()

    def _connected(self) -> Connection:
        if self._pid != os.getpid():
            self._connection = None  # the parent's
        if self._connection is None:
            left = time_left()
            connection = Connection(
                self._address, timeout=None if left is None else max(_SHORTEST, left)
            )
            try:
                connection.declare()
            except BaseException:
                connection.drop()
                raise
            self._connection, self._pid = connection, os.getpid()
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()


def failure_of(error: Exception, address: Address, *, delivered: int = 0) -> DeliveryError:
    """Return what an exception of kombu means. It contains no text of the exception's own.

    Args:
        error: the exception.
        address: the queue.
        delivered: how many messages were confirmed before it.
    """
    queue = getattr(error, "queue", address.queue)  # see `Connection.declare`
    text = f"{replace(address, queue=queue).shown} {_what_happened(error)}"
    return DeliveryError(text, cause=Cause.CONNECTION, delivered=delivered)


def is_refusal(error: Exception) -> bool:
    """Return whether an exception of kombu is the broker's refusal to store a message."""
    return type(error).__name__ == "MessageNacked"


def _what_happened(error: Exception) -> str:
    code = getattr(error, "reply_code", None) or getattr(error, "code", None)
    kind = type(error).__name__
    if is_refusal(error):
        return "refuses messages, because it is full: start relays, or raise its limit"
    if code == _NO_ROUTE:
        return "has been removed: it is declared again"
    if getattr(error, "is_missing", False):
        return "does not exist and cannot be declared: declare it, or permit the user to configure"
    if code == _ACCESS_REFUSED or kind == "AccessRefused":
        return "refuses access: check user, password, virtual host and permissions"
    if code == _NOT_ALLOWED or kind == "NotAllowed":
        return "has no such virtual host, or the user may not use it: check the URL"
    if code == _PRECONDITION_FAILED or kind == "PreconditionFailed":
        return "cannot be declared like this: let it be a quorum queue, or declare it yourself"
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return "did not answer in time: check the broker, its disk and its memory"
    if isinstance(error, OSError):
        return f"cannot be reached ({error.strerror or kind}): check the broker and the network"
    return f"failed ({kind} in {where(error)}): check the broker"


_NO_ROUTE = 312
_ACCESS_REFUSED = 403
_PRECONDITION_FAILED = 406
_NOT_ALLOWED = 530
