"""The options that say how messages wait and are delivered, as checked, plain values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any

from .checks import (
    check_callable,
    check_choice,
    check_number,
    check_object,
    check_switch,
    check_text,
    plain,
)
from .client import EU_HOST, Client, HttpClient, host_of
from .delivery import OnError
from .errors import ConfigurationError
from .http import Timeout

_OAUTH = (
    "oauth must be an object with client_id, key_id and private_key, and perhaps server and scope"
)
_OFF_IN_YAML: object = False  # in YAML 1.1, `off` is a way to write it


@dataclass(kw_only=True, eq=False, repr=False)  # the rest would double the import's time
class Settings:
    """How messages are delivered. The docstring of `SegmentHandler` says what each option means.

    Raises:
        ConfigurationError: a value that cannot work; names the option.
    """

    host: str | None
    region: str
    client: Client | None
    flush_interval: float
    max_queue_messages: int
    max_queue_bytes: int
    overflow: str
    block_timeout: float
    journal: str | None
    journal_sync: str
    max_journal_bytes: int
    dead_letters: str | None
    max_attempts: int
    timeout: Timeout
    gzip: bool
    proxies: Mapping[str, str] | None
    oauth: Any
    shutdown_timeout: float
    on_error: OnError | None

    def __post_init__(self) -> None:
        for field in fields(self):
            setattr(self, field.name, plain(field.name, getattr(self, field.name)))
        for name in ("journal", "dead_letters"):
            path = getattr(self, name)
            path = os.fspath(path) if isinstance(path, os.PathLike) else path
            check_text(name, path)
            # A later chdir must not move it.
            setattr(self, name, None if path is None else os.path.abspath(path))
        if self.journal is not None and os.path.isfile(self.journal):
            raise ConfigurationError(f"journal {self.journal!r} is a file: name a directory")
        if self.dead_letters is not None and os.path.isdir(self.dead_letters):
            raise ConfigurationError(
                f"dead_letters {self.dead_letters!r} is a directory: name a file"
            )
        check_choice("overflow", self.overflow, ("drop", "block"))
        if self.journal_sync == _OFF_IN_YAML:
            self.journal_sync = "off"
        check_choice("journal_sync", self.journal_sync, ("off", "interval", "emit"))
        for name in ("flush_interval", "block_timeout", "shutdown_timeout"):
            check_number(name, getattr(self, name), at_least=0)
        for name in ("max_queue_messages", "max_queue_bytes", "max_journal_bytes", "max_attempts"):
            check_number(name, getattr(self, name), at_least=1, kind=int)
        check_switch("gzip", self.gzip)
        check_text("host", self.host)
        check_object("proxies", self.proxies)
        check_callable("on_error", self.on_error)
        is_options = self.oauth is None or isinstance(self.oauth, Mapping)
        if not is_options and not callable(getattr(self.oauth, "token", None)):
            raise ConfigurationError(_OAUTH)
        for url in (self.proxies or {}).values():
            if not isinstance(url, str):
                raise ConfigurationError("proxies must map schemes to proxy URLs: write text")
        self._new_http_client()  # host, region, timeout: wrong ones fail here and now
        if self.client is not None and (
            isinstance(self.client, type) or not callable(getattr(self.client, "send", None))
        ):
            raise ConfigurationError(
                "client must be an object with send(write_key, message) and close()"
            )

    @property
    def dead_letters_path(self) -> str | None:
        """Where dead letters go: a journal keeps its own when no path was given."""
        if self.dead_letters is None and self.journal is not None:
            return os.path.join(self.journal, "dead-letters.jsonl")
        return self.dead_letters

    def new_client(self) -> Client:
        """Return the client given, or a new HTTP client."""
        return self._new_http_client() if self.client is None else self.client

    def _new_http_client(self) -> HttpClient:
        host = host_of(self.host, self.region)
        is_eu = self.region == "eu" or host.startswith(EU_HOST)
        return HttpClient(
            host,
            timeout=self.timeout,
            gzip=self.gzip,
            proxies=self.proxies,
            oauth=_oauth_of(self.oauth, is_eu=is_eu),
        )


def _oauth_of(oauth: Any, *, is_eu: bool) -> Any:
    """Return what gets tokens. Imported only now: signing takes as long to import as all of us."""
    if not isinstance(oauth, Mapping):
        return oauth
    module = import_module(".oauth", __package__)
    try:
        return module.OAuth(**{"server": module.EU_SERVER if is_eu else module.US_SERVER, **oauth})
    except TypeError:
        raise ConfigurationError(_OAUTH) from None


def write_key_of(given: str | None) -> str | None:
    """Return the write key given, else the environment's; None when there is neither.

    Raises:
        ConfigurationError: no text. Its own text never shows the key.
    """
    write_key = given or os.environ.get("SEGMENT_WRITE_KEY") or None
    if write_key is None:
        return None
    if not isinstance(write_key, str) or len(write_key.split()) != 1 or not write_key.isascii():
        raise ConfigurationError(
            "write_key must be text without spaces: copy it from the source's settings"
        )
    return write_key.strip()
