"""Checks of the options about sending: the client, the broker, and what a request is made with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._client.request_headers import check_headers
from ..errors import ConfigurationError
from .checks import object_or_none, text_or_none


def tried_out(name: str, value: Any) -> Any:
    """Accept any value. It is checked by creating an HttpClient with it."""
    return value


def client_or_none(name: str, value: Any) -> Any:
    """Check that the value has the methods of a client, or is None."""
    if value is not None and (
        isinstance(value, type) or not callable(getattr(value, "send", None))
    ):
        raise ConfigurationError(
            f"{name} must be an object with send(write_key, message) and close()"
        )
    return value


def broker_or_none(name: str, value: Any) -> str | None:
    """Check that the value is the URL of a broker, or None."""
    if text_or_none(name, value) is not None:
        from .._broker.address import address_of  # noqa: PLC0415  # few handlers need it

        address_of(value, name=name)
    return value  # type: ignore[no-any-return]


def proxies_or_none(name: str, value: Any) -> Mapping[str, str] | None:
    """Check that the value maps schemes to texts, or is None."""
    for url in (object_or_none(name, value) or {}).values():
        if not isinstance(url, str):
            raise ConfigurationError(f"{name} must map schemes to proxy URLs: pass strings")
    proxies: Mapping[str, str] | None = value
    return proxies


def headers_or_none(name: str, value: Any) -> Mapping[str, str] | None:
    """Check that the value maps names of request headers to their values, or is None."""
    check_headers(name, value)
    headers: Mapping[str, str] | None = value
    return headers


WHAT_OAUTH_IS = (
    "oauth must be an object with client_id, key_id and private_key, and optionally server and "
    "scope"
)
"""The error text for a value of `oauth` that is not one."""


def oauth_or_none(name: str, value: Any) -> Any:
    """Check that the value is a mapping, an object that provides tokens, or None."""
    is_object = value is None or isinstance(value, Mapping)
    if not is_object and not callable(getattr(value, "token", None)):
        raise ConfigurationError(WHAT_OAUTH_IS)
    return value
