"""Checks of what connections are made with: timeouts, proxies and certificates."""

from __future__ import annotations

import math
import os
import ssl
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ..errors import ConfigurationError, DeliveryError
from .client import Timeout


def check_proxies(proxies: Mapping[str, str]) -> None:
    """Raise DeliveryError, without quoting it, if a proxy's URL cannot be used."""
    for scheme, url in proxies.items():
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            is_plain = url.isprintable() and " " not in url
            is_usable = is_plain and bool(parts.hostname) and parts.port != 0
        except (ValueError, TypeError, AttributeError):
            is_usable = False
        if url and not is_usable:
            raise DeliveryError(
                f"the proxy for {scheme} is not a URL with a host: write http://proxy:8080 "
                f"in `proxies` or {scheme.upper()}_PROXY",
                retryable=False,
            )


def check_certificates(verify: object, cert: object = None) -> None:
    """Raise DeliveryError if a CA bundle or a client certificate cannot be read.

    Args:
        verify: the path of the CA bundle; anything but a path is not checked.
        cert: the path of the client certificate, or a pair with the path of its key.
    """
    for path in cert if isinstance(cert, (tuple, list)) else (cert,):
        if isinstance(path, (str, os.PathLike)) and not os.path.isfile(path):
            raise DeliveryError(
                f"the client certificate {os.fspath(path)!r} is not a file: "
                "correct the session's `cert`",
                retryable=False,
            )
    if not isinstance(verify, (str, os.PathLike)):
        return
    trust = {"capath" if os.path.isdir(verify) else "cafile": os.fspath(verify)}
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(**trust)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise DeliveryError(
            f"the CA bundle {os.fspath(verify)!r} cannot be read ({type(error).__name__}): "
            "correct REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, or the session's `verify`",
            retryable=False,
        ) from error


def pair_of(timeout: Timeout) -> tuple[float, float]:
    """Return the seconds to connect and to read.

    Raises:
        ConfigurationError: a timeout is not a positive number.
    """
    pair: Sequence[Any] = timeout if isinstance(timeout, (tuple, list)) else (timeout, timeout)
    if len(pair) != 2 or not all(
        type(part) in (int, float) and 0 < part < math.inf for part in pair
    ):
        raise ConfigurationError(
            "timeout must be seconds above zero, or a pair of them to connect and to read: "
            "write 10 or [3.05, 15]"
        )
    return float(pair[0]), float(pair[1])
