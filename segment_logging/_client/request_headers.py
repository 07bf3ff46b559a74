"""Request headers that a user adds to each POST of messages. Pure.

Their values may be secrets, such as a gateway's API key, so no error text contains one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import ConfigurationError

_OURS = frozenset((
    "accept", "accept-encoding", "authorization", "connection", "content-encoding",
    "content-length", "content-type", "host", "transfer-encoding", "user-agent", "x-retry-count",
))  # fmt: skip

# RFC 9110, sections 5.1 and 5.5: a token, and visible characters with blanks only between them.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"([!-~\x80-\xff]([ \t!-~\x80-\xff]*[!-~\x80-\xff])?)?")


def added(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return the headers without those that cannot be replaced.

    Raises:
        ConfigurationError: see `check_headers`.
    """
    check_headers("headers", headers)
    ours = without_effect(headers or {})
    return {name: value for name, value in (headers or {}).items() if name not in ours}


def without_effect(names: Iterable[str]) -> list[str]:
    """Return the names of those headers that cannot be replaced, because the client sets them."""
    return [name for name in names if name.lower() in _OURS]


def check_headers(option: str, headers: Any) -> None:
    """Check that a value is a mapping of header names to values, or None.

    Raises:
        ConfigurationError: it is not. The error text has the option and the name of the header.
    """
    if headers is None:
        return
    if not isinstance(headers, Mapping):
        raise ConfigurationError(
            f"{option} must map header names to values, not be {type(headers).__name__}: "
            "write {'X-Strict-Mode': '1'}"
        )
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"{option} contains a name that is not one of a request header: "
                "write letters, digits and hyphens only, as in 'X-Strict-Mode'"
            )
        if not isinstance(value, str):
            raise ConfigurationError(
                f"{option}[{name!r}] must be a string, not {type(value).__name__}: "
                "write the value in quotes"
            )
        if not _VALUE.fullmatch(value):
            raise ConfigurationError(
                f"{option}[{name!r}] cannot be the value of a request header: remove line breaks, "
                "control characters, characters outside Latin-1, and spaces around the value"
            )
