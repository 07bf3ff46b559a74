"""Checks whether events can be delivered: write key, region, names, proxies, TLS, clocks."""

from __future__ import annotations

import os
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http.client import HTTPMessage
from typing import IO, Any
from urllib.parse import urlsplit

from typing_extensions import override

from .._client.client import Client
from .._client.hosts import EU_HOST, US_HOST
from .._clock import seconds_since_epoch
from .._messages.calls import Track
from .._messages.ids import new_message_id
from .._messages.user import User
from ..errors import SegmentError
from .findings import Finding

_TIMEOUT = 10.0
_MAX_SKEW = 60.0  # seconds
_CHECKER = "segment-logging-check"

_NOT_TRACKING = {
    "app.segment.com": "the app",
    "segment.com": "the website",
    "api.segmentapis.com": "the Public API",
    "eu1.api.segmentapis.com": "the Public API",
    "cdn.segment.com": "the settings of analytics.js",
    "profiles.segment.com": "the Profile API",
}


def check_write_key(write_key: str) -> Finding:
    """Return what is found about the form of a write key. It is not shown."""
    if len(write_key) == 32 and write_key.isalnum():
        return Finding("ok", "write key", "it has the form of Segment's write keys")
    return Finding("note", "write key", f"it has {len(write_key)} characters, but Segment's have "
                   "32 letters and digits: copy it from the source's settings")  # fmt: skip


def check_region(base: str, region: str, *, is_given: bool = True) -> Iterator[Finding]:
    """Yield what is found about the host and the region.

    Args:
        base: the host that events are sent to.
        region: the workspace's region.
        is_given: whether the host was passed as an option. If not, SEGMENT_HOST may have set it.
    """
    host = urlsplit(base).hostname or ""
    if host in _NOT_TRACKING:
        yield Finding("problem", "region", f"{host} is the host of {_NOT_TRACKING[host]}, and "
                      f"accepts no events: use {US_HOST} or {EU_HOST}")  # fmt: skip
        return
    expected = {"us": US_HOST, "eu": EU_HOST}.get(region)
    is_of_environment = not is_given and bool(os.environ.get("SEGMENT_HOST"))
    if is_of_environment and region != "us" and base != expected:  # so the region was chosen
        yield Finding("problem", "region", f"SEGMENT_HOST is set, so events go to {base}, and the "
                      f"region {region!r} has no effect: unset SEGMENT_HOST")  # fmt: skip
    elif base in (US_HOST, EU_HOST) and base != expected:
        yield Finding("problem", "region", f"the region is {region!r}, but events go to {base}: "
                      "remove `host` and SEGMENT_HOST, or change the region")  # fmt: skip
    elif base in (US_HOST, EU_HOST):
        other = "eu" if region == "us" else "us"
        yield Finding("ok", "region", f"events go to {base}; if the workspace is in the other "
                      f"region, set region to {other!r}")  # fmt: skip
    else:
        why = "SEGMENT_HOST is set, so " if is_of_environment else ""
        yield Finding("note", "region", f"{why}events go to {base}, which is not Segment's own "
                      "host")  # fmt: skip


def check_connection(base: str, proxies: Mapping[str, str] | None) -> Iterator[Finding]:
    """Yield what is found about the way to a host: proxy, DNS, TLS, and both clocks."""
    parts = urlsplit(base)
    host = parts.hostname or ""
    used = _proxies_for(host, proxies)
    proxy = used.get(parts.scheme) or used.get("all")
    if proxy:
        where = _shown(proxy)
        yield Finding("note", "proxy", f"requests go through the proxy {where}: if they must not, "
                      f"add {host} to NO_PROXY")  # fmt: skip
        host = urlsplit(proxy if "://" in proxy else f"http://{proxy}").hostname or ""
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError) as error:
        what = "proxy" if proxy else "DNS"
        why = getattr(error, "strerror", None) or type(error).__name__
        yield Finding("problem", what, f"the name {host} cannot be resolved ({why}): check its "
                      "spelling, the DNS server, and whether a proxy is needed")  # fmt: skip
        return
    try:
        date = _date_of(base, {parts.scheme: proxy} if proxy else {})
    except urllib.error.URLError as error:
        yield _unreachable(base, error.reason, is_proxied=bool(proxy))
        return
    except Exception as error:
        yield _unreachable(base, error, is_proxied=bool(proxy))
        return
    yield Finding("ok", "connection", f"{base} answers")
    yield from _check_clock(base, date)


def _unreachable(base: str, reason: object, *, is_proxied: bool) -> Finding:
    if isinstance(reason, ssl.SSLError):
        why = getattr(reason, "verify_message", "") or reason.reason or type(reason).__name__
        return Finding("problem", "TLS", f"the connection to {base} is not secure ({why}): check "
                       "the clock, REQUESTS_CA_BUNDLE, and who is in between")  # fmt: skip
    why = getattr(reason, "strerror", None) or type(reason).__name__
    if is_proxied:
        return Finding("problem", "proxy", f"{base} cannot be reached through the proxy ({why}): "
                       "correct HTTPS_PROXY or `proxies`, or add the host to NO_PROXY")  # fmt: skip
    return Finding("problem", "connection", f"{base} cannot be reached ({why}): check the network "
                   "and the firewall, and whether a proxy is needed")  # fmt: skip


def _check_clock(base: str, date: str | None) -> Iterator[Finding]:
    try:
        skew = seconds_since_epoch() - parsedate_to_datetime(date or "").timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        yield Finding("note", "clock", f"{base} does not say what time it is")
        return
    if abs(skew) <= _MAX_SKEW:
        yield Finding("ok", "clock", "this machine's clock is right")
        return
    how = "ahead of" if skew > 0 else "behind"
    yield Finding("problem", "clock", f"this machine's clock is {abs(skew):,.0f} s {how} that of "
                  f"{base}: set it, for example with NTP, since events have its time")  # fmt: skip


def send_test_event(
    client: Client, write_key: str, *, into: str | None = None, passes_by_handler: bool = False
) -> Finding:
    """Send one event, and return what came of it.

    Args:
        client: sends it.
        write_key: the Segment source's write key.
        into: the broker's queue, or None if the event is sent to Segment.
        passes_by_handler: whether there is a handler, whose options do not apply to this event.
    """
    event = Track(
        user=User(anonymous_id=_CHECKER), event="segment-logging check", message_id=new_message_id()
    )
    try:
        client.send(write_key, event)
    except SegmentError as error:
        return Finding("problem", "test event", str(error))
    except Exception as error:
        return Finding("problem", "test event", f"the client raised {type(error).__name__}")
    past = " (the handler's filters and options do not apply to it)" if passes_by_handler else ""
    if into is not None:
        return Finding("ok", "test event", f"stored in {into}{past}: `segment-logging relay` sends "
                       "it")  # fmt: skip
    return Finding("ok", "test event", f"accepted{past}: look for the anonymous id {_CHECKER} in "
                   "the source's debugger, as a wrong write key gets the same answer")  # fmt: skip


def _proxies_for(host: str, proxies: Mapping[str, str] | None) -> Mapping[str, str]:
    if proxies:
        return proxies
    if urllib.request.proxy_bypass(host):
        return {}
    return urllib.request.getproxies()


def _shown(proxy: str) -> str:
    """Return the host and port of a proxy, without its password."""
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    except ValueError:
        return "in `proxies` or the environment"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    @override
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str,
        headers: HTTPMessage, newurl: str,
    ) -> None:  # fmt: skip
        """Do not follow redirects."""


def _date_of(base: str, proxies: dict[str, str]) -> str | None:
    """Return the Date that a host answers with."""
    context = ssl.create_default_context()
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    with suppress(ImportError, OSError):
        import certifi  # noqa: PLC0415  # requests brings it along

        context.load_verify_locations(certifi.where())
    if bundle:
        place = {"capath" if os.path.isdir(bundle) else "cafile": bundle}
        context.load_verify_locations(**place)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies),
        urllib.request.HTTPSHandler(context=context),
        _NoRedirect(),
    )
    answer: Any
    try:
        answer = opener.open(f"{base}/", timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        date: str | None = answer.headers.get("Date")
        return date
