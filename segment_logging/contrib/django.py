"""Django: `"segment_logging.contrib.django.SegmentMiddleware"` in MIDDLEWARE, for WSGI and ASGI.

Put it first, so that events which the other middlewares log are about the visitor, too. One setting
holds its options:

    SEGMENT_LOGGING = {"trusted_proxies": ["10.0.0.0/8"], "user_id": "shop.analytics.user_id"}

Events that are logged while a request is handled are about its visitor. They carry the anonymous id
from analytics.js and the user's id, and also the address, browser, language and page. The
middleware never loads the user: the id is known once the program itself has loaded the user or the
session.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.core.exceptions import DisallowedHost
from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import LazyObject, empty
from django.utils.module_loading import import_string

from .._identity.binding import current_binding, only_identity
from .._identity.who import Identity, KnownIdentity
from ..errors import ConfigurationError
from .proxies import TrustedProxies
from .steps import AsyncSteps, Steps, keeping
from .visitor import Request, Visitor, check_user_id
from .wsgi import headers_of

SETTING = "SEGMENT_LOGGING"
OPTIONS = ("trusted_proxies", "user_id")


def loaded_user_id(request: HttpRequest) -> Any:
    """Return the logged-in user's id, or None if there is none or only the database knows it."""
    attributes = vars(request)
    user = attributes.get("user")
    if isinstance(user, LazyObject):  # from AuthenticationMiddleware; `login` sets a real user
        user = user._wrapped
    if user is None or user is empty:
        user = attributes.get("_acached_user")
    if user is None:
        session = getattr(attributes.get("session"), "_session_cache", None)
        return session.get(SESSION_KEY) if session else None
    return user.pk if getattr(user, "is_authenticated", False) else None


class SegmentMiddleware:
    """Binds the visitor of each request, until its response is closed.

    Options, in the setting SEGMENT_LOGGING:
        user_id: a function, or its dotted path, that is called with the request and returns the id
            of the logged-in user, or None. It is called for each event, in the middle of the
            logging call, so it must be cheap; in async views it may not touch the database. The
            default is `loaded_user_id`.
        trusted_proxies: addresses and networks of the proxies whose X-Forwarded-For counts;
            "unix" stands for a proxy that connects over a Unix socket.

    Raises:
        ConfigurationError: an option has a value that cannot work.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        options = getattr(settings, SETTING, {})
        if not isinstance(options, Mapping) or not options.keys() <= set(OPTIONS):
            raise ConfigurationError(
                f"{SETTING} must be a dict that holds nothing but {' and '.join(OPTIONS)}"
            )
        user_id = options.get("user_id")
        if isinstance(user_id, str):
            user_id = import_string(user_id)
        check_user_id(user_id)
        self._user_id = user_id or loaded_user_id
        self._proxies = TrustedProxies(options.get("trusted_proxies", ()))
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        visitor = Visitor(lambda: self._user_id(request), lambda: _identify(request, self._proxies))
        if self._is_async:
            return self._respond(request, visitor)
        with only_identity(visitor):
            return _keep_bound(self._get_response(request))

    async def _respond(self, request: HttpRequest, visitor: Identity) -> HttpResponseBase:
        with only_identity(visitor):
            return _keep_bound(await self._get_response(request))


def _identify(request: HttpRequest, proxies: TrustedProxies) -> KnownIdentity:
    host: str | None
    try:
        host = request.get_host()  # which reads it as the project's settings say
    except DisallowedHost:
        host = None
    return Request(
        headers=headers_of(request.META),
        peer=request.META.get("REMOTE_ADDR"),
        scheme=request.scheme,
        path=request.path,
        query=request.META.get("QUERY_STRING"),
        host=host,
    ).identify(proxies)


def _keep_bound(response: Any) -> Any:
    """Return the response; if it is streamed, what is bound now stays bound while it is made."""
    if not getattr(response, "streaming", False) or isinstance(response, FileResponse):
        return response
    binding = current_binding.get()
    parts = response.streaming_content
    response.streaming_content = (
        AsyncSteps(parts, binding) if response.is_async else Steps(parts, binding)
    )
    response.close = keeping(binding, response.close)
    return response
