"""Where to send: Segment's hosts, and what a host may look like."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from ..errors import ConfigurationError

US_HOST = "https://api.segment.io"
EU_HOST = "https://events.eu1.segmentapis.com"
"""Segment's two regions ("Regional Segment"): the workspace decides which one takes its events."""


def host_of(host: str | None, region: str) -> str:
    """Return the host to send to: `host` if there is one, else SEGMENT_HOST's, else the region's.

    Raises:
        ConfigurationError: Segment has no such region.
    """
    try:
        host_of_region = {"us": US_HOST, "eu": EU_HOST}[region]
    except (KeyError, TypeError):
        raise ConfigurationError(
            f"region must be 'us' or 'eu', not {region!r}: use one of them, or pass a host"
        ) from None
    return host or os.environ.get("SEGMENT_HOST") or host_of_region


def base_of(host: str) -> str:
    """Return a host as the beginning of the URLs to post to, without a slash at its end.

    Args:
        host: scheme and name, with or without `/v1` behind them.

    Raises:
        ConfigurationError: no path can be added to it.
    """
    base = host.rstrip("/").removesuffix("/v1").rstrip("/") if isinstance(host, str) else ""
    if not is_base(base):
        shown = "" if "@" in str(host) else f", not {host!r}"  # a password stands before an @
        raise ConfigurationError(
            f"host must be a scheme and a name{shown}: write it like {US_HOST!r}"
        )
    return base


def is_base(text: str) -> bool:
    """Whether adding a path to `text` makes the URL of a request."""
    try:
        url = urlsplit(text)
        _ = url.port  # raises when it is not a number
    except ValueError:
        return False
    is_http = url.scheme in ("http", "https") and bool(url.hostname)
    is_endpoint = "/v1/" in f"{url.path}/"  # `/v1/batch` would be added to it
    # Looked for in the text, as `urlsplit` drops a trailing newline and an empty query.
    has_more = any(one.isspace() or one in "?#" for one in text)
    return is_http and not (is_endpoint or has_more or url.username or url.password)
