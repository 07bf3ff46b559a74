"""Middleware for any WSGI application: `application = SegmentMiddleware(application)`.

Events logged while a request is being handled are about its visitor. They carry the anonymous id
from analytics.js, the id that `user_id` returns, and the visitor's address, browser, language and
page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .._identity.binding import current_binding, only_identity
from .._identity.who import KnownIdentity
from .headers import NAMES
from .proxies import TrustedProxies
from .steps import Steps
from .visitor import Request, Visitor, check_functions

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

_KEYS = {name: "HTTP_" + name.upper().replace("-", "_") for name in NAMES}


class SegmentMiddleware:
    """Binds the visitor who made each request until its response is closed.

    Args:
        app: the application.
        user_id: called with the environ; returns the logged-in user's id, or None. It is called for
            each event, during the logging call, so it must be fast and should only read values that
            the application has put into the environ.
        anonymous_id: called with the environ; returns the visitor's anonymous id, or None if the
            visitor has none. It is called once per request, for its first event. By default, the id
            is that of the cookie that analytics.js sets.
        trusted_proxies: addresses and networks of the proxies whose X-Forwarded-For is trusted;
            "unix" means a proxy that connects over a Unix socket.

    Raises:
        ConfigurationError: if an option is invalid.
    """

    def __init__(
        self,
        app: Application,
        *,
        user_id: Callable[[Environ], Any] | None = None,
        anonymous_id: Callable[[Environ], Any] | None = None,
        trusted_proxies: Iterable[str] = (),
    ) -> None:
        check_functions(user_id=user_id, anonymous_id=anonymous_id)
        self._app = app
        self._user_id = user_id or _no_user_id
        self._anonymous_id = anonymous_id
        self._proxies = TrustedProxies(trusted_proxies)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        visitor = Visitor(environ, self._user_id, self._identify, self._anonymous_id)
        with only_identity(visitor):
            parts = self._app(environ, start_response)
            binding = current_binding.get()
        return parts if _runs_no_code(parts, environ) else Steps(parts, binding)

    def _identify(self, environ: Environ) -> KnownIdentity:
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        return Request(
            headers=headers_of(environ),
            host=environ.get("HTTP_HOST"),
            peer=environ.get("REMOTE_ADDR"),
            scheme=environ.get("wsgi.url_scheme"),
            path=path.encode("latin-1", "replace"),  # PEP 3333 passes bytes decoded as ISO 8859-1
            query=environ.get("QUERY_STRING"),
        ).identify(self._proxies)


def headers_of(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that describe a visitor, with their names in lower case."""
    return {name: environ[key] for name, key in _KEYS.items() if key in environ}


def _no_user_id(environ: Environ) -> None:
    return None


def _runs_no_code(parts: Iterable[bytes], environ: Environ) -> bool:
    """Return whether a response is complete or a file. Servers send these faster if unwrapped."""
    if type(parts) in (list, tuple) or hasattr(parts, "fileno"):
        return True
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(parts, wrapper)
