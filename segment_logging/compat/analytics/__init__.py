"""The face of segment-analytics-python 2.4, over this package's handler.

    # instead of: import segment.analytics as analytics
    from segment_logging.compat import analytics

    analytics.write_key = "YOUR_WRITE_KEY"
    analytics.track("u-17", "Signup", {"plan": "pro"})

Functions, settings, return values and assertions are those of the official SDK. Delivery is this
package's: at exit, after a fork, and when Segment is slow or down. The first call of a function
reads the settings and creates `default_client`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, Concatenate, ParamSpec, TypeVar

# Delivery and the HTTP library are loaded now, not by the first call, which may serve a request.
from ..._client import http_client as _http_client  # noqa: F401
from ..._delivery import pipeline as _pipeline  # noqa: F401
from ..._reports import printable, report
from ..._version import __version__ as __version__
from ._settings import HANDLER_OPTIONS, SAME_AS, OnError, Settings
from ._unconfigured import Unconfigured
from .client import Client as Client
from .version import VERSION as VERSION

P = ParamSpec("P")
R = TypeVar("R")

write_key: str | None = Settings.write_key
host: str | None = Settings.host
on_error: OnError | None = Settings.on_error
debug: bool = Settings.debug
log_handler: logging.Handler | None = Settings.log_handler
send: bool = Settings.send
sync_mode: bool = Settings.sync_mode
max_queue_size: int = Settings.max_queue_size
gzip: bool = Settings.gzip
timeout: float | None = Settings.timeout
max_retries: int = Settings.max_retries
proxies: Mapping[str, str] | None = Settings.proxies
thread: int = Settings.thread
upload_size: int = Settings.upload_size
upload_interval: float = Settings.upload_interval
max_total_backoff_duration: float | None = Settings.max_total_backoff_duration
max_rate_limit_duration: float | None = Settings.max_rate_limit_duration
oauth_client_id: str | None = Settings.oauth_client_id
oauth_client_key: str | None = Settings.oauth_client_key
oauth_key_id: str | None = Settings.oauth_key_id
oauth_auth_server: str = Settings.oauth_auth_server
oauth_scope: str = Settings.oauth_scope
journal: str | os.PathLike[str] | None = Settings.journal
dead_letters: str | os.PathLike[str] | None = Settings.dead_letters
region: str = Settings.region

default_client: Client | None = None
"""The client that the functions use. Set it to None to have the settings read again."""

_SETTINGS = tuple(field.name for field in fields(Settings))


def _client() -> Client:
    global default_client
    if default_client is None:
        _tell_of_unknown()
        settings: dict[str, Any] = {name: globals()[name] for name in _SETTINGS}
        try:
            default_client = Client(**settings)
        except ValueError as error:
            default_client = Unconfigured(error, settings)
            raise
    return default_client


def _tell_of_unknown() -> None:
    """Report assignments to settings that do not exist. They would have no effect."""
    for name in sorted(globals().keys() - _NAMES):
        report(f"analytics {_refusal_of(name)}")


def _refusal_of(name: str) -> str:
    """Return the text that says that there is no such setting, and what to do."""
    has_none = f"has no setting {printable(name)}"
    if name in SAME_AS:
        return f"{has_none}: use {SAME_AS[name]}"
    if name in HANDLER_OPTIONS:
        return f"{has_none}: it is an option of SegmentHandler only"
    near = get_close_matches(name, _SETTINGS, n=1)
    return f"{has_none}: {f'did you mean {near[0]}?' if near else 'remove it'}"


def _function(method: Callable[Concatenate[Client, P], R]) -> Callable[P, R]:
    """Return a function that calls the default client's method of the same name."""
    name = method.__name__

    def function(*args: P.args, **kwargs: P.kwargs) -> R:
        result: R = getattr(_client(), name)(*args, **kwargs)
        return result

    function.__name__ = function.__qualname__ = name
    function.__doc__ = method.__doc__
    return function


track = _function(Client.track)
identify = _function(Client.identify)
group = _function(Client.group)
alias = _function(Client.alias)
page = _function(Client.page)
screen = _function(Client.screen)
flush = _function(Client.flush)
join = _function(Client.join)
shutdown = _function(Client.shutdown)

_NAMES = frozenset(globals()) | {"_NAMES"}
