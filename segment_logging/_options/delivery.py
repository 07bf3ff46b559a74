"""Options for the queue and for delivery."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypedDict

from typing_extensions import override

from .._client.client import Client, Timeout, Tokens
from .._client.hosts import EU_HOST, host_of
from .._messages.message import Message
from ..errors import ConfigurationError, SegmentError
from .checks import (
    callable_or_none,
    check_owner_of_journal,
    directory_or_none,
    file_or_none,
    group_or_none,
    number,
    one_of,
    plain,
    seconds,
    seconds_or_none,
    switch,
    text_or_none,
)
from .sending import (
    WHAT_OAUTH_IS,
    broker_or_none,
    client_or_none,
    headers_or_none,
    oauth_or_none,
    proxies_or_none,
    tried_out,
)
from .table import Options, option

if TYPE_CHECKING:
    from .._client.http_client import HttpClient

OnError = Callable[[SegmentError, Sequence[Message]], object]
"""The type of `on_error`, which is called with the error and the abandoned messages."""

_count = number(at_least=1, is_whole=True)


# fmt: off
@dataclass(kw_only=True, eq=False, repr=False)
class DeliveryOptions(Options):
    """Options for the queue and for delivery: name, type, default, check and sentence."""

    host: str | None = option(None, text_or_none,
        "base URL of the server, with or without `/v1`; None means SEGMENT_HOST or, if that is not "
        "set, the region's host")
    region: str = option("us", tried_out,
        'region of the workspace: "us" or "eu"')
    client: Client | None = option(None, client_or_none,
        "client to send with, instead of an HttpClient with these options")
    broker: str | None = option(None, broker_or_none,
        "`amqp` or `amqps` URL of a broker to publish to, instead of sending to Segment; "
        "`segment-logging relay` sends what it holds; `?queue=` names another queue than "
        "`segment-logging`")
    flush_interval: float = option(1.0, seconds,
        "how long a message may wait for others to fill its batch")
    max_queue_messages: int = option(100_000, _count,
        "maximum number of messages in the memory queue")
    max_queue_bytes: int = option(67_108_864, _count,
        "maximum size of the memory queue, in encoded bytes")
    overflow: str = option("drop", one_of("drop", "block"),
        'when the queue is full, "drop" the new message and count it, or "block" the caller')
    block_timeout: float = option(10.0, seconds,
        "how long to block at most; after that, the message is dropped")
    journal: str | None = option(None, directory_or_none,
        "directory in which every message is stored before the logging call returns")
    journal_sync: str = option("interval", one_of("off", "interval", "emit"),
        'when messages are synced to disk, to survive a power cut: "off" (left to the operating '
        'system), "interval" (0.1 s later) or "emit" (before the logging call returns)')
    max_journal_bytes: int = option(1_073_741_824, _count,
        "maximum size of the journal; beyond it, messages go to the memory queue, and `overflow` "
        "applies when that is full")
    journal_group: str | None = option(None, group_or_none,
        "a group (name or number) whose members may read and remove the journal's files, for a "
        "`segment-logging deliver` that runs as another user; None means no group")
    deliver: bool = option(True, switch,
        "whether this process delivers; if False, messages are only written to the journal, and "
        "`segment-logging deliver` delivers them")
    dead_letters: str | None = option(None, file_or_none,
        "path of a JSON Lines file to which undeliverable messages are written, with the reason")
    max_dead_letter_bytes: int = option(268_435_456, _count,
        "maximum size of the dead-letter file and its predecessor, `<path>.1`, together; the "
        "oldest dead letters are removed first")
    max_attempts: int = option(11, _count,
        "how many times a batch is tried, including the first attempt")
    timeout: Timeout = option((3.05, 15.0), tried_out,
        "time limits for connecting and for waiting for an answer, or one number for both")
    gzip: bool = option(False, switch,
        "whether to compress request bodies")
    proxies: Mapping[str, str] | None = option(None, proxies_or_none,
        "proxy URLs by scheme; None means those from the environment")
    headers: Mapping[str, str] | None = option(None, headers_or_none,
        "additional request headers by name; those that the package sets cannot be replaced")
    oauth: Mapping[str, str] | Tokens | None = option(None, oauth_or_none,
        "client_id, key_id and private_key (PEM, or the path of a PEM file) of an OAuth "
        "application, and optionally server and scope")
    shutdown_timeout: float = option(5.0, seconds,
        "how long to wait in `flush` and `close` and at process exit for the next batch to be "
        "acknowledged; with a journal, how long to wait in total")
    max_shutdown: float | None = option(60.0, seconds_or_none,
        "how long to wait in `flush` and `close` and at process exit in total, even while batches "
        "are being acknowledged; None means no limit; with `exit_on_sigterm`, and when an ASGI "
        "server stops, the limit is at most 25")
    on_error: OnError | None = option(None, callable_or_none,
        "called in the delivery thread with the error and the abandoned messages")
# fmt: on

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.journal is not None:
            check_owner_of_journal(self.journal, self.journal_group)
        if self.broker is not None and self.client is not None:
            raise ConfigurationError("client and broker exclude each other: pass one of them")
        if self.headers and (self.broker is not None or self.client is not None):
            # They may be what a gateway requires, so they are not left out in silence.
            raise ConfigurationError(
                "headers are added by the package's own HTTP client: omit them with broker, or "
                "pass client=HttpClient(headers=...)"
            )
        if self.deliver and self.broker is not None:
            self.new_client()  # so that it is known at start-up if kombu is missing
        elif self.deliver:
            # So that a wrong host, region, timeout or oauth fails at start-up.
            self.new_http_client()
        elif self.journal is None:
            raise ConfigurationError(
                "deliver=False needs a journal: set journal to the directory that "
                "`segment-logging deliver` reads"
            )

    @property
    def ignored_here(self) -> list[str]:
        """The names of options that are set, but have no meaning with `deliver=False`."""
        return [
            row.name
            for row in fields(self)
            if row.name in _OF_SENDING and getattr(self, row.name) != plain(row.name, row.default)
        ]

    @property
    def keeps(self) -> bool:
        """Whether messages outlive the process."""
        return self.journal is not None

    @property
    def dead_letters_path(self) -> str | None:
        """The path of the dead-letter file, or None. By default, a journal has its own file."""
        if self.dead_letters is None and self.journal is not None:
            # Of several users who share a journal, each has a file of their own.
            user = "" if self.journal_group is None else f"-u{os.geteuid()}"
            return os.path.join(self.journal, f"dead-letters{user}.jsonl")
        return self.dead_letters

    @property
    def where(self) -> str:
        """Where messages are sent, for use in reports."""
        if not self.deliver:
            return f"the journal {self.journal}"
        if self.client is not None:
            return getattr(self.client, "host", None) or type(self.client).__name__
        if self.broker is not None:
            from .._broker.address import address_of  # noqa: PLC0415  # few handlers need it

            return address_of(self.broker).shown
        return self.new_http_client().host

    def new_client(self) -> Client:
        """Return the client that was given, or a new client of a broker or of HTTP."""
        if self.client is not None:
            return self.client
        if self.broker is None:
            return self.new_http_client()
        from .._broker.client import BrokerClient  # noqa: PLC0415  # few handlers need it

        return BrokerClient(self.broker)

    def new_http_client(self) -> HttpClient:
        """Return a new HTTP client with these options."""
        # Not needed with deliver=False, and requests takes as long to import as this package.
        from .._client.http_client import HttpClient  # noqa: PLC0415

        host = host_of(self.host, self.region)
        is_eu = self.region == "eu" or host.startswith(EU_HOST)
        return HttpClient(
            host,
            timeout=self.timeout,
            gzip=self.gzip,
            proxies=self.proxies,
            oauth=_oauth_of(self.oauth, is_eu=is_eu),
            headers=self.headers,
        )


_OF_SENDING = (
    "host", "region", "client", "broker", "max_attempts", "timeout", "gzip", "proxies", "headers",
    "oauth",
)  # fmt: skip


class DeliveryKeywords(TypedDict, total=False):
    """The names and types of the options, for type checkers."""

    host: str | None
    region: str
    client: Client | None
    broker: str | None
    flush_interval: float
    max_queue_messages: int
    max_queue_bytes: int
    overflow: str
    block_timeout: float
    journal: str | os.PathLike[str] | None
    journal_sync: str
    max_journal_bytes: int
    journal_group: str | int | None
    deliver: bool
    dead_letters: str | os.PathLike[str] | None
    max_dead_letter_bytes: int
    max_attempts: int
    timeout: Timeout
    gzip: bool
    proxies: Mapping[str, str] | None
    headers: Mapping[str, str] | None
    oauth: Mapping[str, str] | Tokens | None
    shutdown_timeout: float
    max_shutdown: float | None
    on_error: OnError | None


def _oauth_of(oauth: Any, *, is_eu: bool) -> Any:
    """Return the object that provides tokens, or None."""
    if not isinstance(oauth, Mapping):
        return oauth
    # Imported here because the signing library takes as long to import as this whole package.
    from .._client.oauth import EU_SERVER, US_SERVER, OAuth  # noqa: PLC0415

    try:
        return OAuth(**{"server": EU_SERVER if is_eu else US_SERVER, **oauth})
    except TypeError:
        raise ConfigurationError(WHAT_OAUTH_IS) from None


def write_key_of(given: str | None) -> str | None:
    """Return the given write key or else the environment's. Return None if there is neither.

    Raises:
        ConfigurationError: it cannot be a write key. The error text never contains it.
    """
    write_key = given or os.environ.get("SEGMENT_WRITE_KEY") or None
    if write_key is None:
        return None
    where = "copy it from the source's settings"
    if not isinstance(write_key, str) or len(write_key.split()) != 1 or not write_key.isascii():
        raise ConfigurationError(f"write_key must be a string without spaces: {where}")
    write_key = write_key.strip()
    if "://" in write_key:
        raise ConfigurationError(f"write_key must not be a URL (those belong in host): {where}")
    if _PLACEHOLDER.fullmatch(write_key):
        raise ConfigurationError(f"write_key is a placeholder from an example: {where}")
    return write_key


_PLACEHOLDER = re.compile(r"<.*>|\$?\{.*\}|\$\w+|(your|my)?[_-]?(segment)?[_-]?write[_-]?key", re.I)
