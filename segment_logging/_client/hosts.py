"""Segment's hosts, and checks of the hosts that are passed in."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from ..errors import ConfigurationError

US_HOST = "https://api.segment.io"
EU_HOST = "https://events.eu1.segmentapis.com"
"""The hosts of Segment's two regions ("Regional Segment"). Each workspace belongs to one region."""


def host_of(host: str | None, region: str) -> str:
    """Return `host` if it is given, or else SEGMENT_HOST if it is set, or else the region's host.

    Raises:
        ConfigurationError: the region does not exist.
    """
    try:
        host_of_region = {"us": US_HOST, "eu": EU_HOST}[region]
    except (KeyError, TypeError):
        raise ConfigurationError(
            f"region must be 'us' or 'eu', not {region!r}: use one of them, or pass a host"
        ) from None
    return host or os.environ.get("SEGMENT_HOST") or host_of_region


def base_of(host: str) -> str:
    """Return the base of the URLs to post to, without a trailing slash.

    Args:
        host: the scheme and name of the host, optionally with a port and a path, with or without
            `/v1` at the end.

    Raises:
        ConfigurationError: `host` is not a URL that a path can be added to.
    """
    base = host.rstrip("/").removesuffix("/v1").rstrip("/") if isinstance(host, str) else ""
    if not is_base(base):
        # It is not shown, because it may be a write key, or contain a password.
        raise ConfigurationError(
            "host must be a URL with http or https, optionally with a port and a path, but without "
            "credentials, a query, a fragment or an endpoint such as /v1/batch: "
            f"use the form {US_HOST!r}, also in SEGMENT_HOST"
        )
    return base


def is_base(text: str) -> bool:
    """Return whether adding a path to `text` makes a valid URL for requests."""
    try:
        url = urlsplit(text)
        _ = url.port  # raises ValueError if it is not a number
    except ValueError:
        return False
    is_http = url.scheme in ("http", "https") and bool(url.hostname)
    is_endpoint = "/v1/" in f"{url.path}/"  # `/v1/batch` would be added to it
    # Check the text itself, since `urlsplit` drops a trailing newline and an empty query.
    has_more = any(one.isspace() or one in "?#" for one in text)
    return is_http and not (is_endpoint or has_more or url.username or url.password)
