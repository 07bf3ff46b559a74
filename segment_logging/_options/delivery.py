"""The options that say how messages wait and are delivered."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from typing_extensions import override

from .._client.client import Client, Tokens
from .._client.exchange import Timeout
from .._client.hosts import EU_HOST, host_of
from .._client.http_client import HttpClient
from .._messages.message import Message
from ..errors import ConfigurationError, SegmentError
from .checks import (
    callable_or_none,
    directory_or_none,
    file_or_none,
    number,
    object_or_none,
    one_of,
    seconds,
    seconds_or_none,
    switch,
    text_or_none,
)
from .table import Options, option

OnError = Callable[[SegmentError, Sequence[Message]], object]
"""What `on_error` is: called on the listener's thread with the reason and the messages given up."""

_count = number(at_least=1, is_whole=True)


def _tried_out(name: str, value: Any) -> Any:
    """Whatever an HttpClient can be made with, which is found out by making one."""
    return value


def _client_or_none(name: str, value: Any) -> Any:
    if value is not None and (
        isinstance(value, type) or not callable(getattr(value, "send", None))
    ):
        raise ConfigurationError(
            f"{name} must be an object with send(write_key, message) and close()"
        )
    return value


def _proxies_or_none(name: str, value: Any) -> Mapping[str, str] | None:
    for url in (object_or_none(name, value) or {}).values():
        if not isinstance(url, str):
            raise ConfigurationError(f"{name} must map schemes to proxy URLs: write text")
    proxies: Mapping[str, str] | None = value
    return proxies


def _oauth_or_none(name: str, value: Any) -> Any:
    is_object = value is None or isinstance(value, Mapping)
    if not is_object and not callable(getattr(value, "token", None)):
        raise ConfigurationError(_WHAT_OAUTH_IS)
    return value


# fmt: off
@dataclass(kw_only=True, eq=False, repr=False)
class DeliveryOptions(Options):
    """How messages wait and are delivered: name, type, default, check, sentence."""

    host: str | None = option(None, text_or_none,
        "where to send to, scheme and name, with or without `/v1`; None takes SEGMENT_HOST, else "
        "the region's host")
    region: str = option("us", _tried_out,
        '"us" or "eu": where the workspace is')
    client: Client | None = option(None, _client_or_none,
        "what sends, in place of an HttpClient with these options")
    flush_interval: float = option(1.0, seconds,
        "how long a message may wait for company")
    max_queue_messages: int = option(100_000, _count,
        "bound of the memory queue")
    max_queue_bytes: int = option(67_108_864, _count,
        "bound of the memory queue, in encoded bytes")
    overflow: str = option("drop", one_of("drop", "block"),
        'when the queue is full, "drop" the newest message and count it, or "block" the caller')
    block_timeout: float = option(10.0, seconds,
        "how long to block at most; after that the message is dropped")
    journal: str | None = option(None, directory_or_none,
        "directory in which every message is on disk before the logging call returns")
    journal_sync: str = option("interval", one_of("off", "interval", "emit"),
        'when a message survives a power cut: "off" (never for sure), "interval" (0.1 s later), '
        '"emit" (at once)')
    max_journal_bytes: int = option(1_073_741_824, _count,
        "bound of the journal; beyond it the memory queue takes over, and then `overflow` decides")
    dead_letters: str | None = option(None, file_or_none,
        "path of a JSON-lines file for what can never be delivered, with the reason")
    max_attempts: int = option(11, _count,
        "how often a batch is tried, including the first time")
    timeout: Timeout = option((3.05, 15.0), _tried_out,
        "to connect and to wait for an answer, or one number for both")
    gzip: bool = option(False, switch,
        "compress request bodies")
    proxies: Mapping[str, str] | None = option(None, _proxies_or_none,
        "scheme to proxy URL; None takes the environment's")
    oauth: Mapping[str, str] | Tokens | None = option(None, _oauth_or_none,
        "client_id, key_id and private_key (PEM, or its path) of an OAuth application; perhaps "
        "server and scope")
    shutdown_timeout: float = option(5.0, seconds,
        "how long `flush`, `close` and the end of the process wait without an acknowledged batch; "
        "with a journal, in all")
    max_shutdown: float | None = option(60.0, seconds_or_none,
        "how long they wait in all, whatever the server does; None for no limit, and at most 25 "
        "after SIGTERM")
    on_error: OnError | None = option(None, callable_or_none,
        "called with the error and the messages that are given up, in the delivering thread")
# fmt: on

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        self.new_http_client()  # a wrong host, region, timeout or oauth fails here, at start-up

    @property
    def keeps(self) -> bool:
        """Whether messages outlive the process."""
        return self.journal is not None

    @property
    def dead_letters_path(self) -> str | None:
        """Where dead letters go. A journal keeps its own if no path was given."""
        if self.dead_letters is None and self.journal is not None:
            return os.path.join(self.journal, "dead-letters.jsonl")
        return self.dead_letters

    @property
    def where(self) -> str:
        """Where messages are sent to, for people."""
        if self.client is not None:
            return getattr(self.client, "host", None) or type(self.client).__name__
        return self.new_http_client().host

    def new_client(self) -> Client:
        """Return the client that was given, or a new HTTP client."""
        return self.new_http_client() if self.client is None else self.client

    def new_http_client(self) -> HttpClient:
        """Return an HTTP client with these options."""
        host = host_of(self.host, self.region)
        is_eu = self.region == "eu" or host.startswith(EU_HOST)
        return HttpClient(
            host,
            timeout=self.timeout,
            gzip=self.gzip,
            proxies=self.proxies,
            oauth=_oauth_of(self.oauth, is_eu=is_eu),
        )


class DeliveryKeywords(TypedDict, total=False):
    """The same names and types, for type checkers."""

    host: str | None
    region: str
    client: Client | None
    flush_interval: float
    max_queue_messages: int
    max_queue_bytes: int
    overflow: str
    block_timeout: float
    journal: str | os.PathLike[str] | None
    journal_sync: str
    max_journal_bytes: int
    dead_letters: str | os.PathLike[str] | None
    max_attempts: int
    timeout: Timeout
    gzip: bool
    proxies: Mapping[str, str] | None
    oauth: Mapping[str, str] | Tokens | None
    shutdown_timeout: float
    max_shutdown: float | None
    on_error: OnError | None


_WHAT_OAUTH_IS = (
    "oauth must be an object with client_id, key_id and private_key, and perhaps server and scope"
)


def _oauth_of(oauth: Any, *, is_eu: bool) -> Any:
    """Return what provides tokens."""
    if not isinstance(oauth, Mapping):
        return oauth
    # Imported only now, as what signs takes as long to import as the whole package.
    from .._client.oauth import EU_SERVER, US_SERVER, OAuth  # noqa: PLC0415

    try:
        return OAuth(**{"server": EU_SERVER if is_eu else US_SERVER, **oauth})
    except TypeError:
        raise ConfigurationError(_WHAT_OAUTH_IS) from None


def write_key_of(given: str | None) -> str | None:
    """Return the write key that was given, else the environment's; None if there is neither.

    Raises:
        ConfigurationError: it cannot be one. The text never shows it.
    """
    write_key = given or os.environ.get("SEGMENT_WRITE_KEY") or None
    if write_key is None:
        return None
    where = "copy it from the source's settings"
    if not isinstance(write_key, str) or len(write_key.split()) != 1 or not write_key.isascii():
        raise ConfigurationError(f"write_key must be text without spaces: {where}")
    write_key = write_key.strip()
    if "://" in write_key:
        raise ConfigurationError(f"write_key must not be a URL, which is for host: {where}")
    if _PLACEHOLDER.fullmatch(write_key):
        raise ConfigurationError(f"write_key is still the placeholder of an example: {where}")
    return write_key


_PLACEHOLDER = re.compile(r"<.*>|\$?\{.*\}|\$\w+|(your|my)?[_-]?(segment)?[_-]?write[_-]?key", re.I)
