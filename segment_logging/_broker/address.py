"""The URL of a broker, and which brokers are refused. Pure: no connection is made here.

The text of an error never contains the URL, because it may contain a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from ..errors import ConfigurationError

DEFAULT_QUEUE = "segment-logging"
"""The queue that is used if the URL names no other."""

_EXAMPLE = "amqp://user:password@host:5672/vhost"
_QUEUE_NAME = re.compile(r"[\w.:-]{1,200}", re.ASCII)
_SUFFIX = ".dead"

_LOSES_MESSAGES = {
    "redis": "kombu's Redis transport takes a message from its list before it records it as "
    "unacknowledged, and lost 16 of 30,000 messages when consumers were killed",
    "filesystem": "kombu's file system transport lost 269 of 2,000 messages when consumers were "
    "killed",
    "sqlalchemy": "kombu's SQLAlchemy transport lost 78 of 2,000 messages when consumers were "
    "killed",
    "confluentkafka": "kombu's Kafka transport loses messages when consumers are killed",
}
"""The reason why a transport is refused, as measured with kombu 5.7."""

_OTHER_NAMES = {
    "rediss": "redis",
    "sentinel": "redis",
    "valkey": "redis",
    "file": "filesystem",
    "sqla": "sqlalchemy",
    "db": "sqlalchemy",
    "kafka": "confluentkafka",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a broker is, and which of its queues is used.

    Attributes:
        url: the URL without its query. It may contain a password.
        scheme: "amqp", "amqps" or "memory".
        host: the name of the host.
        queue: the name of the queue.
    """

    url: str = field(repr=False)
    scheme: str
    host: str
    queue: str

    @property
    def dead_queue(self) -> str:
        """The name of the queue for messages that can never be delivered."""
        return f"{self.queue}{_SUFFIX}"

    @property
    def dead_queue_address(self) -> Address:
        """The address of that queue."""
        return replace(self, queue=self.dead_queue)

    @property
    def shown(self) -> str:
        """The address for reports, without user, password and virtual host."""
        return f"queue {self.queue} of {self.scheme}://{self.host}"


def address_of(url: Any, queue: str | None = None, *, name: str = "broker") -> Address:
    """Return the address that a URL such as `amqp://user:password@host/vhost?queue=name` gives.

    Args:
        url: the URL.
        queue: the name of the queue. None means the URL's query, or else `segment-logging`.
        name: the name of the option, for errors.

    Raises:
        ConfigurationError: the URL cannot be used, or its transport loses messages.
    """
    if not isinstance(url, str) or not url:
        raise ConfigurationError(f"{name} must be a URL: use the form {_EXAMPLE!r}")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port  # raises ValueError if it is not a number
    except ValueError:
        raise ConfigurationError(f"{name} is not a valid URL: use the form {_EXAMPLE!r}") from None
    _check_scheme(name, parts.scheme)
    if parts.scheme != "memory" and not host:
        raise ConfigurationError(f"{name} has no host: use the form {_EXAMPLE!r}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for option in options:
        if option != "queue":
            raise ConfigurationError(
                f"{name} has an unknown parameter: the only one is `?queue=`, and settings of the "
                "connection cannot be changed"
            )
    queue = queue or options.get("queue") or DEFAULT_QUEUE
    if not _QUEUE_NAME.fullmatch(queue):
        raise ConfigurationError(
            f"the queue of {name} must have a name of up to 200 letters, digits and . _ : -"
        )
    bare = urlunsplit(parts._replace(query="", fragment=""))
    if parts.scheme == "memory":
        bare = "memory://"  # `urlunsplit` drops the slashes
    return Address(url=bare, scheme=parts.scheme, host=host or "this-process", queue=queue)


def _check_scheme(name: str, scheme: str) -> None:
    if scheme in ("amqp", "amqps", "memory"):
        return
    transport = scheme.partition("+")[0]
    reason = _LOSES_MESSAGES.get(_OTHER_NAMES.get(transport, transport))
    if reason is not None:
        raise ConfigurationError(f"{name} must not use {scheme}: {reason}; use amqp or amqps")
    near = get_close_matches(scheme, ("amqp", "amqps"), n=1)
    meant = f"did you mean {near[0]}?" if near else f"use the form {_EXAMPLE!r}"
    raise ConfigurationError(f"{name} must be an amqp or amqps URL: {meant}")
