"""Any WSGI application: `application = SegmentMiddleware(application)`.

Events that are logged while a request is handled are about its visitor. They carry the anonymous id
from analytics.js and the id that `user_id` returns, and also the address, browser, language and
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
from .visitor import Request, Visitor, check_user_id

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

_KEYS = {name: "HTTP_" + name.upper().replace("-", "_") for name in NAMES}


class SegmentMiddleware:
    """Binds the visitor of each request, until its response is closed.

    Args:
        app: the application.
        user_id: called with the environ; returns the id of the logged-in user, or None. It is
            called for each event, in the middle of the logging call, so it must be cheap and only
            read what the application has put into the environ.
        trusted_proxies: addresses and networks of the proxies whose X-Forwarded-For counts;
            "unix" stands for a proxy that connects over a Unix socket.

    Raises:
        ConfigurationError: an option has a value that cannot work.
    """

    def __init__(
        self,
        app: Application,
        *,
        user_id: Callable[[Environ], Any] | None = None,
        trusted_proxies: Iterable[str] = (),
    ) -> None:
        check_user_id(user_id)
        self._app = app
        self._user_id = user_id
        self._proxies = TrustedProxies(trusted_proxies)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        visitor = Visitor(
            lambda: None if self._user_id is None else self._user_id(environ),
            lambda: _identify(environ, self._proxies),
        )
        with only_identity(visitor):
            parts = self._app(environ, start_response)
            binding = current_binding.get()
        return parts if _runs_no_code(parts, environ) else Steps(parts, binding)


def headers_of(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that say something about a visitor, by their names in lower case."""
    return {name: environ[key] for name, key in _KEYS.items() if key in environ}


def _identify(environ: Environ, proxies: TrustedProxies) -> KnownIdentity:
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    request = Request(
        headers=headers_of(environ),
        host=environ.get("HTTP_HOST"),
        peer=environ.get("REMOTE_ADDR"),
        scheme=environ.get("wsgi.url_scheme"),
        path=path.encode("latin-1", "replace"),  # PEP 3333 passes bytes in the guise of text
        query=environ.get("QUERY_STRING"),
    )
    return request.identify(proxies)


def _runs_no_code(parts: Iterable[bytes], environ: Environ) -> bool:
    """Whether a response is complete, or a file: servers send those faster if unwrapped."""
    if type(parts) in (list, tuple) or hasattr(parts, "fileno"):
        return True
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(parts, wrapper)
