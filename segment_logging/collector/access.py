"""Who may send to the collector, and who may read what arrived.

Any program on this machine may do both. Web pages are limited: the browser runs pages of strangers
on this machine, too. This module uses no clock, thread or socket.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

_NAMES = frozenset(("127.0.0.1", "localhost", "::1"))
ANY = ("0.0.0.0", "::", "")
"""Addresses to listen on that stand for all addresses of the machine."""


class Access:
    """The rules for the names of the collector and for the origins of web pages.

    Args:
        host: the address that the collector listens on.
        allow_hosts: more names by which clients may address the collector.
        allow_origins: origins of web pages, such as "https://app.test", that may send. "*" allows
            every page.
    """

    def __init__(self, host: str, allow_hosts: Iterable[str], allow_origins: Iterable[str]) -> None:
        names = [*allow_hosts, *([] if host in ANY else [host])]
        self._names = _NAMES | {_plain(name.strip("[]")) for name in names}
        self._origins = {origin.lower().rstrip("/") for origin in allow_origins}

    def has_name(self, host: str) -> bool:
        """Return whether a Host header has one of the collector's names.

        A foreign page can give its own name this machine's address (DNS rebinding). Its requests
        then look like those of the collector's page, except for this header.
        """
        found = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([^\[\]:/@]+))(?::\d{1,5})?", host)
        return found is not None and _plain(found[1] or found[2]) in self._names

    def may_send(self, origin: str | None, host: str) -> bool:
        """Return whether a page of this origin may send. None means that there is no page."""
        if origin is None or self._is_own(origin, host):
            return True
        lowered = origin.lower()
        if lowered in self._origins or "*" in self._origins:
            return True
        try:
            url = urlsplit(lowered)
            name = url.hostname or ""
        except ValueError:
            return False
        return url.scheme in ("http", "https") and _is_this_machine(name)

    def may_read(self, origin: str | None, site: str | None, host: str) -> bool:
        """Return whether a page may read what arrived: only the collector's own page may.

        Args:
            origin: the Origin header. Browsers leave it out of some requests.
            site: the Sec-Fetch-Site header, which only browsers send.
            host: the Host header.
        """
        if origin is not None:
            return self._is_own(origin, host)
        return site in (None, "same-origin", "none")

    @staticmethod
    def _is_own(origin: str, host: str) -> bool:
        return origin.lower() == f"http://{host.lower()}"


def _plain(name: str) -> str:
    return name.lower().rstrip(".")


def _is_this_machine(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
