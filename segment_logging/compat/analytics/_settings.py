"""The official SDK's settings as options of a SegmentHandler, and reports of those without one."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..._options.delivery import DeliveryOptions
from ..._options.records import RecordOptions
from ..._options.table import rows_of
from ..._reports import report
from ._small_batches import SmallBatches

OnError = Callable[[Any, list[dict[str, Any]]], object]
"""Called with the error and the messages that are given up."""


@dataclass(eq=False, repr=False)
class Settings:
    """The settings with their defaults, in the order of the official client's arguments.

    The last three are this package's options. The official SDK does not have them.

    Attributes:
        write_key: the Segment source's write key.
        host: the server's URL; None means SEGMENT_HOST or, if that is not set, Segment's US host.
        debug: whether to log each call at DEBUG to the logger "segment", and to print that on
            stderr if the logger has no handler. The messages' contents are not logged.
        max_queue_size: the most messages that may wait; 0 means no limit.
        send: whether to send anything. If False, calls are only checked, and captured in tests.
        on_error: called with the error and a list of the messages that are given up, as dicts.
        gzip: whether to compress requests.
        max_retries: how many times a failed request is repeated.
        sync_mode: whether each call sends its message, and raises an error if that fails.
        timeout: seconds to connect, and to wait for an answer; None means 15.
        proxies: proxy URLs by scheme.
        thread: has no effect.
        upload_size: the most messages in a request. With the default, requests are filled up to
            Segment's limits instead.
        upload_interval: how many seconds a message may wait for others.
        log_handler: is added to the logger "segment".
        oauth_client_id: authenticates with OAuth, together with the key. Needs the extra `oauth`.
        oauth_client_key: the private key, as PEM.
        oauth_key_id: the id of the key.
        oauth_auth_server: the authorization server.
        oauth_scope: the scope of the tokens.
        max_total_backoff_duration: 0 means that no request is repeated. Other values have no
            effect.
        max_rate_limit_duration: has no effect.
        journal: directory in which every message is stored before the call returns. Not in sync
            mode.
        dead_letters: path of a JSON Lines file to which undeliverable messages are written, with
            the reason. Not in sync mode.
        region: region of the workspace: "us" or "eu".
    """

    write_key: str | None = None
    host: str | None = None
    debug: bool = False
    max_queue_size: int = 10_000
    send: bool = True
    on_error: OnError | None = None
    gzip: bool = False
    max_retries: int = 10
    sync_mode: bool = False
    timeout: float | None = 15
    proxies: Mapping[str, str] | None = None
    thread: int = 1
    upload_size: int = 100
    upload_interval: float = 0.5
    log_handler: logging.Handler | None = None
    oauth_client_id: str | None = None
    oauth_client_key: str | None = None
    oauth_key_id: str | None = None
    oauth_auth_server: str = "https://oauth2.segment.io"
    oauth_scope: str = "tracking_api:write"
    max_total_backoff_duration: float | None = 43_200
    max_rate_limit_duration: float | None = 1800
    journal: str | os.PathLike[str] | None = field(default=None, kw_only=True)
    dead_letters: str | os.PathLike[str] | None = field(default=None, kw_only=True)
    region: str = field(default="us", kw_only=True)


HANDLER_OPTIONS = frozenset(rows_of(DeliveryOptions, RecordOptions))
"""The names of SegmentHandler's options."""

SAME_AS: Mapping[str, str] = MappingProxyType({
    "flush_interval": "upload_interval",
    "max_attempts": "max_retries, which does not count the first attempt",
    "max_queue_messages": "max_queue_size",
    "oauth": "oauth_client_id, oauth_client_key and oauth_key_id",
})  # fmt: skip
"""Options of SegmentHandler, with the settings that take their place."""

_UNLIMITED = 1 << 62


def options_of(settings: Settings) -> dict[str, Any]:
    """Return the handler's options for a client's settings.

    Raises:
        ConfigurationError: a setting has an invalid value.
    """
    _tell_of_the_rest(settings)
    size, retries = settings.max_queue_size, settings.max_retries
    if settings.max_total_backoff_duration == 0:
        retries = 0
    options: dict[str, Any] = {
        "host": settings.host,
        "max_queue_messages": size if size > 0 else _UNLIMITED,  # as in `queue.Queue`
        "gzip": bool(settings.gzip),
        "max_attempts": max(0, retries) + 1,
        "proxies": settings.proxies,
        "flush_interval": settings.upload_interval,
        "journal": settings.journal,
        "dead_letters": settings.dead_letters,
        "region": settings.region,
    }
    if settings.timeout is not None:
        options["timeout"] = settings.timeout
    if settings.oauth_client_id and settings.oauth_client_key and settings.oauth_key_id:
        options["oauth"] = {
            "client_id": settings.oauth_client_id,
            "key_id": settings.oauth_key_id,
            "private_key": settings.oauth_client_key,
            "server": settings.oauth_auth_server,
            "scope": settings.oauth_scope,
        }
    if settings.upload_size != Settings.upload_size:
        client = DeliveryOptions(**options).new_http_client()
        options["client"] = SmallBatches(client, settings.upload_size)
    return options


def _tell_of_the_rest(settings: Settings) -> None:
    """Report each setting that has no meaning in this package, once."""
    for name, reason in _WITHOUT_MEANING.items():
        value = getattr(settings, name)
        if value not in (getattr(Settings, name), 0) and name not in _told:
            _told.add(name)
            report(f"analytics: the setting {name} has no effect, because {reason}: remove it")


_told: set[str] = set()

_WITHOUT_MEANING = {
    "thread": "one thread sends everything, in order",
    "max_total_backoff_duration": "max_retries limits the attempts",
    "max_rate_limit_duration": "a batch waits for a Retry-After for 30 minutes in all",
}
