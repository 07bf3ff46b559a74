"""Connections to a server, and how they are made: certificates, proxies, a session of the user's.

If no response comes, that is a DeliveryError. What a response means is decided in `answers`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from typing_extensions import override

from .._clock import is_replaced
from .._process.delivering import time_left
from ..errors import Cause, DeliveryError
from .answers import Answer
from .checks import check_certificates, check_proxies, pair_of
from .client import Timeout
from .exchange import SOCKET_OPTIONS, Exchange, bound
from .responses import answer_of

_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "keep-alive"}

_NETWORK_FAULTS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
)
_NOT_THE_NETWORK = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidProxyURL,
    requests.exceptions.InvalidHeader,
    urllib3.exceptions.LocationValueError,
)
_PROXY_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})\b")  # the text of http.client


@dataclass
class _Route:
    """How the requests to one host are made.

    Without slots, because eventlet looks for locks in the attributes of objects only.
    """

    found: tuple[Any, ...]  # on the session
    adapter: Any
    request: requests.PreparedRequest  # without its body
    options: dict[str, Any]  # for the adapter


class Connections:
    """Posts bodies over connections that stay open. For one thread at a time.

    Redirects are not followed, cookies are not kept, and `.netrc` is not read. The proxies and
    certificates of the environment are those of the moment when a connection is first needed.

    Args:
        session: provides adapters, proxies, certificates and headers; None for the defaults.
        timeout: see `Timeout`.
        proxies: scheme to proxy URL, as requests takes them; None means the environment's.

    Raises:
        ConfigurationError: a timeout is not a positive number.
    """

    def __init__(
        self,
        session: Any,
        timeout: Timeout,
        proxies: Mapping[str, str] | None,
    ) -> None:
        self._session = session
        self._timeout = pair_of(timeout)
        self._proxies = dict(proxies) if proxies else {}
        self._exchange = Exchange(*self._timeout)
        self._adapter: _BoundedAdapter | None = None
        self._own_session = requests.Session()  # tools that test with requests patch its class
        self._routes: dict[str, _Route] = {}
        self._pid = os.getpid()

    def post(
        self,
        url: str,
        body: bytes | Mapping[str, str],
        headers: Mapping[str, str],
        authorization: str | None,
    ) -> Answer:
        """Post once.

        Args:
            url: the URL to post to.
            body: bytes, or a form.
            headers: more request headers.
            authorization: the header of that name.

        Raises:
            DeliveryError: no answer came.
        """
        left = time_left()
        if left is not None and left <= 0:
            why = "no time is left for a request: raise shutdown_timeout, or give drain more time"
            raise DeliveryError(why, cause=Cause.NO_TIME)
        if not isinstance(body, bytes):
            body = urlencode(body).encode()
            headers = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
        if authorization is not None:
            headers = {**headers, "Authorization": authorization}
        base = url.split("/v1/", maxsplit=1)[0]
        try:
            return self._exchanged(url, body, headers)
        except DeliveryError:
            raise
        except Exception as error:
            raise _failure(base, error, self._cause_of(error)) from error
        finally:
            self._exchange.end()

    def _exchanged(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        if self._pid != os.getpid():  # a forked child must not use its parent's sockets
            self.close()
            self._pid = os.getpid()
        session = self._own_session if self._session is None else self._session
        if not isinstance(session, requests.Session) or _is_mocked():
            return self._posted_by_hand(session, url, body, headers)
        found = self._found_for(url)
        route = self._routes.get(url)
        if route is None or route.found != found:
            route = self._routes[url] = self._route_to(url, found)
        request = copy(route.request)  # its own `copy` also copies a jar of cookies
        request.headers = request.headers.copy()
        request.headers.update(headers)
        request.headers["Content-Length"] = str(len(body))
        request.body = body
        self._exchange.begin(len(body))
        response = route.adapter.send(
            request, stream=True, timeout=self._timeout_of_now(), **route.options
        )
        return answer_of(response)

    def _cause_of(self, error: Exception) -> Cause:
        if self._adapter is None:  # of an adapter that is not ours
            is_connection = isinstance(error, requests.exceptions.ConnectTimeout)
            return Cause.CONNECTION if is_connection else Cause.OTHER
        if not self._exchange.is_connected:
            return Cause.CONNECTION
        return Cause.UPLOAD if self._exchange.is_stalled else Cause.OTHER

    def _posted_by_hand(
        self, session: Any, url: str, body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        """Post through a test's session, or an object that is like a session."""
        own = {"auth": lambda request: request} if isinstance(session, requests.Session) else {}
        response = session.post(
            url,
            data=body,
            headers={**_HEADERS, **headers},
            timeout=self._timeout_of_now(),
            proxies=self._proxies,
            allow_redirects=False,
            stream=True,
            **own,  # `auth` keeps requests from reading .netrc
        )
        return answer_of(response)

    def close(self) -> None:
        """Close the connections. The next POST opens new ones."""
        self._routes.clear()
        if self._adapter is not None:
            self._adapter.close()
            self._adapter = None
        if self._session is not None:
            self._session.close()

    def _found_for(self, url: str) -> tuple[Any, ...]:
        """Return what may change between two requests: what the program has set on its session."""
        session = self._session
        if session is None:
            return (self._own_session.get_adapter(url),)
        set_on_it = (session.verify, session.cert, dict(session.proxies), dict(session.headers))
        return (session.get_adapter(url), *set_on_it)

    def _route_to(self, url: str, found_for: tuple[Any, ...]) -> _Route:
        session = self._own_session if self._session is None else self._session
        found: Any = session.merge_environment_settings(url, self._proxies, True, None, None)
        options = {name: found[name] for name in ("verify", "cert", "proxies")}
        check_proxies(options["proxies"])
        if url.startswith("https:"):
            check_certificates(options["verify"], options["cert"])
        adapter = found_for[0]
        if type(adapter) is HTTPAdapter:
            if self._adapter is None:
                self._adapter = _BoundedAdapter(self._exchange)
            adapter = self._adapter
        headers: dict[str, Any] = {}
        if self._session is not None:  # None as a value leaves a header out
            headers = {name: value for name, value in session.headers.items() if value is not None}
        request = requests.Request("POST", url, headers={**headers, **_HEADERS}).prepare()
        return _Route(found_for, adapter, request, options)

    def _timeout_of_now(self) -> urllib3.Timeout:
        """Return the timeouts for an adapter that is not ours, until the thread's deadline."""
        connect, read = self._timeout
        left = time_left()
        if left is None:
            return urllib3.Timeout(connect=connect, read=read)
        left = max(left, 0.001)
        total = None if is_replaced() else left  # urllib3 subtracts what its clock says has passed
        return urllib3.Timeout(total=total, connect=min(connect, left), read=min(read, left))


def _is_mocked() -> bool:
    """Return whether a test has replaced how a Session of requests sends, as requests-mock does.

    Wrappers that trace requests keep the name of the module, and are bypassed.
    """
    ways = (requests.Session.post, requests.Session.request, requests.Session.send)
    return any(getattr(way, "__module__", None) != requests.Session.__module__ for way in ways)


class _BoundedAdapter(HTTPAdapter):
    """An adapter of requests whose exchanges are bounded. For one thread at a time.

    Args:
        exchange: the time that each request may take.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._asked: tuple[Any, ...] | None = None
        self._pool: Any = None  # of what was asked for
        super().__init__()

    @override
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, socket_options=SOCKET_OPTIONS, **options)

    @override
    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, socket_options=SOCKET_OPTIONS, **options)

    @override
    def build_response(self, request: Any, resp: Any) -> requests.Response:
        """Return the response without its cookies, which nobody keeps."""
        response = requests.Response()
        response.status_code, response.raw, response.request = resp.status, resp, request
        response.headers = CaseInsensitiveDict(resp.headers)
        return response

    @override
    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        # Nearly all requests go to one URL, and finding its pool would take a tenth of a request.
        asked = (request.url, verify, cert, *(proxies or {}).items())
        if asked != self._asked:
            self._pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
            self._asked = asked
        bound(self._pool, self._exchange)
        return self._pool


def _failure(base: str, error: Exception, cause: Cause) -> DeliveryError:
    """Return why no answer came, as an error that holds nothing of the request."""
    kind = type(error).__name__
    of_proxy = _PROXY_REFUSED.search(str(error)) if isinstance(error, _NETWORK_FAULTS) else None
    if of_proxy is not None and of_proxy[1] == "407":
        return DeliveryError(
            f"the proxy wants a user name and a password (407): put them into its URL, as in "
            f"http://name:password@proxy:8080, to reach {base}",
            status=407,
            retryable=False,
        )
    if isinstance(error, _NOT_THE_NETWORK) or not isinstance(error, _NETWORK_FAULTS):
        return DeliveryError(
            f"request to {base} cannot be made ({kind}): check host, proxies and headers",
            retryable=False,
        )
    way_out = "check the network, or wait until it is back"
    if isinstance(error, requests.exceptions.SSLError):
        way_out = "check its certificate, REQUESTS_CA_BUNDLE, and http against https"
    elif isinstance(error, requests.exceptions.ProxyError):  # its text may contain the password
        way_out = (
            "requests go through a proxy, so check that it is running, and check HTTP_PROXY, "
            "HTTPS_PROXY, NO_PROXY and the option `proxies`"
        )
    if of_proxy is not None:
        kind = f"the proxy answered {of_proxy[1]}"
        way_out = "check that the proxy works, and that it allows this host"
    return DeliveryError(f"no answer from {base} ({kind}): {way_out}", cause=cause)
