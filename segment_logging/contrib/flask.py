"""Flask: `SegmentLogging(app)`, or `SegmentLogging().init_app(app)`.

Events logged while a request is being handled are about its visitor. They carry the anonymous id
from analytics.js, the user's id, and the visitor's address, browser, language and page. The user's
id is the one that Flask-Login keeps in the session, unless `user_id` is passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, g, has_app_context, has_request_context, request
from flask.globals import request_ctx

from .visitor import NOT_YET, check_functions
from .wsgi import Environ, SegmentMiddleware

_SESSION = "segment_logging.session"
_USER_ID = "_user_id"  # Flask-Login's session key for the user's id
_USER = "_login_user"  # the attribute of `g` where Flask-Login keeps a loaded user


class SegmentLogging:
    """Binds the visitor who made each request until its response is closed.

    Args:
        app: the application; None to call `init_app` later.
        user_id: a function without arguments that returns the logged-in user's id, or None, such as
            `lambda: g.user.id if g.user else None`. It is called for each event, during the logging
            call, so it must be fast. It is not called outside a request context.
        anonymous_id: a function without arguments that returns the visitor's anonymous id, or None
            if the visitor has none. It is called once per request, for the first event in its
            request context. Until then, events have no anonymous id. By default, the id is that of
            the cookie that analytics.js sets.
        trusted_proxies: addresses and networks of the proxies whose X-Forwarded-For is trusted;
            "unix" means a proxy that connects over a Unix socket.

    Raises:
        ConfigurationError: if an option is invalid.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        user_id: Callable[[], Any] | None = None,
        anonymous_id: Callable[[], Any] | None = None,
        trusted_proxies: Iterable[str] = (),
    ) -> None:
        check_functions(user_id=user_id, anonymous_id=anonymous_id)
        self._user_id = user_id
        self._anonymous_id = anonymous_id
        self._trusted_proxies = trusted_proxies
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Bind the visitor who made each request that the application handles."""
        app.wsgi_app = SegmentMiddleware(  # type: ignore[method-assign]  # as Flask documents
            app.wsgi_app,
            user_id=self._user_id_of,
            anonymous_id=self._anonymous_id and _in_request(self._anonymous_id),
            trusted_proxies=self._trusted_proxies,
        )
        if self._user_id is None:
            app.before_request(_remember_session)

    def _user_id_of(self, environ: Environ) -> Any:
        if self._user_id is None:
            return logged_in_user_id(environ)
        return self._user_id() if has_request_context() else None


def _in_request(anonymous_id: Callable[[], Any]) -> Callable[[Environ], Any]:
    return lambda environ: anonymous_id() if has_request_context() else NOT_YET


def logged_in_user_id(environ: Environ) -> Any:
    """Return the id of Flask-Login's user, or None if the user would need to be loaded."""
    user = g.get(_USER) if has_app_context() else None
    if user is not None:
        return user.get_id() if user.is_authenticated else None
    found = environ.get(_SESSION)
    return None if found is None else found.get(_USER_ID)


def _remember_session() -> None:
    """Keep the session where a streamed response can find it after the request context has ended.

    This avoids `flask.session`, which would mark the session as accessed and add `Vary: Cookie` to
    the response. Logging an event must not affect caching.
    """
    context = vars(request_ctx._get_current_object())  # type: ignore[attr-defined]
    request.environ[_SESSION] = context.get("_session", context.get("session"))
