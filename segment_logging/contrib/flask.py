"""Flask: `SegmentLogging(app)`, or `SegmentLogging().init_app(app)`.

Events that are logged while a request is handled are about its visitor. They carry the anonymous id
from analytics.js and the user's id, and also the address, browser, language and page. The user's id
is the one that Flask-Login keeps in the session, unless `user_id` says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, g, has_app_context, has_request_context, request
from flask.globals import request_ctx

from .visitor import check_user_id
from .wsgi import Environ, SegmentMiddleware

_SESSION = "segment_logging.session"
_USER_ID = "_user_id"  # the key under which Flask-Login keeps the id in the session
_USER = "_login_user"  # the attribute of `g` in which Flask-Login keeps a user that it has loaded


class SegmentLogging:
    """Binds the visitor of each request, until its response is closed.

    Args:
        app: the application; None to call `init_app` later.
        user_id: called without arguments, such as `lambda: g.user.id if g.user else None`; returns
            the id of the logged-in user, or None. It is called for each event, in the middle of
            the logging call, so it must be cheap. It is not called without a request context.
        trusted_proxies: addresses and networks of the proxies whose X-Forwarded-For counts;
            "unix" stands for a proxy that connects over a Unix socket.

    Raises:
        ConfigurationError: an option has a value that cannot work.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        user_id: Callable[[], Any] | None = None,
        trusted_proxies: Iterable[str] = (),
    ) -> None:
        check_user_id(user_id)
        self._user_id = user_id
        self._trusted_proxies = trusted_proxies
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Bind the visitor of each request that an application handles."""
        app.wsgi_app = SegmentMiddleware(  # type: ignore[method-assign]  # as Flask documents
            app.wsgi_app, user_id=self._user_id_of, trusted_proxies=self._trusted_proxies
        )
        if self._user_id is None:
            app.before_request(_remember_session)

    def _user_id_of(self, environ: Environ) -> Any:
        if self._user_id is None:
            return logged_in_user_id(environ)
        return self._user_id() if has_request_context() else None


def logged_in_user_id(environ: Environ) -> Any:
    """Return the id of Flask-Login's user, or None if it is not known without loading the user."""
    user = g.get(_USER) if has_app_context() else None
    if user is not None:
        return user.get_id() if user.is_authenticated else None
    found = environ.get(_SESSION)
    return None if found is None else found.get(_USER_ID)


def _remember_session() -> None:
    """Keep the session where a streamed response can find it after its request context is gone.

    This avoids `flask.session`, which would note that the session was used and add `Vary: Cookie`
    to the response. Logging an event must not change what caches keep.
    """
    context = vars(request_ctx._get_current_object())  # type: ignore[attr-defined]
    request.environ[_SESSION] = context.get("_session", context.get("session"))
