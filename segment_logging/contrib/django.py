"""Django, with WSGI or ASGI: add `segment_logging.contrib.django.SegmentMiddleware` to MIDDLEWARE.

Put it first, so that events logged by other middleware are also about the visitor. Its options are
in one setting:

    SEGMENT_LOGGING = {"trusted_proxies": ["10.0.0.0/8"], "user_id": "shop.analytics.user_id"}

Events logged while a request is being handled are about its visitor. They carry the anonymous id
from analytics.js, the user's id, and the visitor's address, browser, language and page.

In sync code, the user is loaded when the first event is logged, unless the program has already done
so. This adds one query to requests that log an event, or two with sessions in the database. In
async code, the user's id is only known if the user is already loaded.

Under ASGI, also wrap the application in `contrib.asgi.SegmentMiddleware`, which delivers the
waiting events when the server stops.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from .._identity.binding import current_binding, only_identity
from .._identity.who import Identity, KnownIdentity
from .._options.table import refuse_unknown
from .._reports import Reporter
from ..errors import ConfigurationError
from ._django_user import current_user_id, load_user, loaded_user_id
from .proxies import TrustedProxies
from .steps import AsyncSteps, Steps, keeping
from .visitor import Request, Visitor, check_functions
from .wsgi import headers_of

__all__ = ["SegmentMiddleware", "loaded_user_id"]

SETTING = "SEGMENT_LOGGING"
_reporter = Reporter()

OPTIONS = ("trusted_proxies", "user_id", "anonymous_id", "load_user")


class SegmentMiddleware:
    """Binds the visitor who made each request until its response is closed.

    Options in the setting SEGMENT_LOGGING:
        user_id: a function, or its dotted path. It is called with the request and returns the
            logged-in user's id, or None. It is called for each event, during the logging call, so
            it must be fast. In async views, it must not query the database.
        anonymous_id: a function, or its dotted path. It is called with the request and returns the
            visitor's anonymous id, or None if the visitor has none. It is called once per request,
            for its first event. By default, the id is that of the cookie that analytics.js sets. In
            async views, it must not query the database.
        load_user: when to load the user, if there is no `user_id` function. True: at the first
            event, in sync code only. "always": before each view, sync or async. False: never, so
            the id is only known once the program has loaded the user or the session.
        trusted_proxies: addresses and networks of the proxies whose X-Forwarded-For is trusted;
            "unix" means a proxy that connects over a Unix socket.

    Raises:
        ConfigurationError: if an option is invalid.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        options = getattr(settings, SETTING, {})
        known = ", ".join(OPTIONS)
        if not isinstance(options, Mapping):
            raise ConfigurationError(f"{SETTING} must be a dict with some of the keys {known}")
        refuse_unknown(SETTING, options, OPTIONS, f"its keys are {known}", kind="key")
        loading = options.get("load_user", True)
        if loading not in (True, False, "always"):
            raise ConfigurationError(f"{SETTING}: load_user must be True, False or 'always'")
        user_id = _function_of(options, "user_id")
        self._anonymous_id = _function_of(options, "anonymous_id")
        check_functions(user_id=user_id, anonymous_id=self._anonymous_id)
        self._user_id = user_id or (current_user_id if loading else loaded_user_id)
        if loading == "always" and user_id is None:
            self.process_view = self._load_before_view  # run in a thread by Django if async
        self._proxies = TrustedProxies(options.get("trusted_proxies", ()))
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        visitor = Visitor(request, self._user_id, self._identify, self._anonymous_id)
        if self._is_async:
            return self._respond(request, visitor)
        with only_identity(visitor):
            return _keep_bound(self._get_response(request))

    async def _respond(self, request: HttpRequest, visitor: Identity) -> HttpResponseBase:
        with only_identity(visitor):
            return _keep_bound(await self._get_response(request))

    def _identify(self, request: HttpRequest) -> KnownIdentity:
        host: str | None
        try:
            host = request.get_host()  # follows the project's settings
        except DisallowedHost:
            host = None
        return Request(
            headers=headers_of(request.META),
            peer=request.META.get("REMOTE_ADDR"),
            scheme=request.scheme,
            path=request.path,
            query=request.META.get("QUERY_STRING"),
            host=host,
        ).identify(self._proxies)

    def _load_before_view(self, request: HttpRequest, *_: Any) -> None:
        try:
            load_user(request)
            _reporter.over("load_user")
        except Exception as error:
            _reporter.once(
                "load_user",
                f"loading the user raised {type(error).__name__}: until this is fixed, events "
                "lack the user's id",
            )


def _function_of(options: Mapping[str, Any], name: str) -> Any:
    """Return the function that an option's dotted path names. Return other values unchanged."""
    value = options.get(name)
    if not isinstance(value, str):
        return value
    try:
        return import_string(value)
    except ImportError as error:
        raise ConfigurationError(
            f"{SETTING}: {name} must be a function that takes the request, or its dotted path, "
            f"such as 'shop.analytics.{name}', but importing {value!r} failed ({error}): to use "
            "a field or a cookie, write a function that returns it"
        ) from error


def _keep_bound(response: Any) -> Any:
    """Return the response. A streamed response is generated with the current identity bound."""
    if not getattr(response, "streaming", False) or isinstance(response, FileResponse):
        return response
    binding = current_binding.get()
    parts = response.streaming_content
    response.streaming_content = (
        AsyncSteps(parts, binding) if response.is_async else Steps(parts, binding)
    )
    response.close = keeping(binding, response.close)
    return response
