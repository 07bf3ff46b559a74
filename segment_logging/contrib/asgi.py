"""Middleware for any ASGI application, such as FastAPI, Starlette, Quart or Litestar.

    app.add_middleware(SegmentMiddleware)           # FastAPI, Starlette
    app = SegmentMiddleware(app)                    # any other

Events logged while a request or websocket is being handled are about its visitor. They carry the
anonymous id from analytics.js, the user's id, and the visitor's address, browser, language and
page. Background tasks and `asyncio.to_thread` count as part of the request.

When the server stops, everything is delivered before the server is told that the application has
shut down, including what cancelled requests log. For applications without the middleware,
`lifespan` delivers what was logged until then:

    app = FastAPI(lifespan=lifespan)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from .._handlers import drain_at_end
from .._identity.binding import only_identity
from .._identity.who import KnownIdentity
from ._lifespans import Application, Lifespan, OpenRequests, Receive, Scope, Send
from .headers import NAMES
from .proxies import TrustedProxies
from .visitor import Request, Visitor, check_functions

_NAMES = {name.encode(): name for name in (*NAMES, "host")}
_JOINED = {"cookie": b"; ", "x-forwarded-for": b","}
"""Headers that may be repeated, like cookies in HTTP/2, with the separators of their values."""


def starlette_user_id(scope: Scope) -> Any:
    """Return the id of the user set by Starlette's AuthenticationMiddleware, or None."""
    user = scope.get("user")
    if user is None or not getattr(user, "is_authenticated", False):
        return None
    try:
        return user.identity
    except (AttributeError, NotImplementedError):  # user classes may lack an identity
        return None


class SegmentMiddleware:
    """Binds the visitor who made each request or opened each websocket while it is being handled.

    Args:
        app: the application.
        user_id: called with the scope; returns the logged-in user's id, or None. It is called for
            each event, during the logging call, so it must be fast and should only read values that
            other middleware has put into the scope. By default, the id is that of the user set by
            Starlette's AuthenticationMiddleware.
        anonymous_id: called with the scope; returns the visitor's anonymous id, or None if the
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
        user_id: Callable[[Scope], Any] | None = None,
        anonymous_id: Callable[[Scope], Any] | None = None,
        trusted_proxies: Iterable[str] = (),
    ) -> None:
        check_functions(user_id=user_id, anonymous_id=anonymous_id)
        self.app = app
        self._user_id = user_id or starlette_user_id
        self._anonymous_id = anonymous_id
        self._proxies = TrustedProxies(trusted_proxies)
        self._requests = OpenRequests()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await Lifespan(receive, send, self._requests).run(self.app, scope)
            return
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        visitor = Visitor(scope, self._user_id, self._identify, self._anonymous_id)
        self._requests.begin_one()
        try:
            with only_identity(visitor):
                await self.app(scope, receive, send)
        finally:
            self._requests.end_one()

    def _identify(self, scope: Scope) -> KnownIdentity:
        headers: dict[str, str | bytes] = {}
        for key, value in scope.get("headers", ()):
            name = _NAMES.get(key)
            if name is not None:
                before = headers.get(name)
                # Repeated headers in `_JOINED` are joined. For other headers, the first one counts.
                if before is None:
                    headers[name] = value
                elif isinstance(before, bytes) and name in _JOINED:
                    headers[name] = before + _JOINED[name] + value
        client = scope.get("client")
        return Request(
            headers=headers,
            peer=client[0] if client else None,
            scheme=scope.get("scheme"),
            host=headers.get("host"),
            path=scope["path"],
            query=scope.get("query_string"),
        ).identify(self._proxies)


@asynccontextmanager
async def lifespan(app: object = None) -> AsyncIterator[None]:
    """Deliver everything when an application's lifespan ends, within `shutdown_timeout`.

    Args:
        app: the application, which Starlette and FastAPI pass. It is not used.
    """
    try:
        yield
    finally:
        await drain_at_end()
