"""Django: `"segment_logging.contrib.django.SegmentMiddleware"` in MIDDLEWARE, for WSGI and ASGI.

Put it first, so that events which the other middlewares log are about the visitor, too. One setting
holds its options:

    SEGMENT_LOGGING = {"trusted_proxies": ["10.0.0.0/8"], "user_id": "shop.analytics.user_id"}

Events that are logged while a request is handled are about its visitor. They carry the anonymous id
from analytics.js and the user's id, and also the address, browser, language and page. In sync code
the user is loaded when the first event is logged, unless the program has done so before: that is
one query more, or two with sessions in the database, in requests that log an event. In async code
it is the user who is loaded already.
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
from .._reports import Reporter
from ..errors import ConfigurationError
from ._django_user import current_user_id, load_user, loaded_user_id
from .proxies import TrustedProxies
from .steps import AsyncSteps, Steps, keeping
from .visitor import Request, Visitor, check_user_id
from .wsgi import headers_of

SETTING = "SEGMENT_LOGGING"
_reporter = Reporter()

OPTIONS = ("trusted_proxies", "user_id", "load_user")


class SegmentMiddleware:
    """Binds the visitor of each request, until its response is closed.

    Options, in the setting SEGMENT_LOGGING:
        user_id: a function, or its dotted path, that is called with the request and returns the id
            of the logged-in user, or None. It is called for each event, in the middle of the
            logging call, so it must be cheap; in async views it may not touch the database.
        load_user: without such a function, whether the user is loaded for an event. True: in sync
            code, if nobody has loaded the user yet. "always": before each view, async or not.
            False: never; then the id is known once the program has loaded the user or the session.
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
                f"{SETTING} must be a dict that holds nothing but {', '.join(OPTIONS)}"
            )
        loading = options.get("load_user", True)
        if loading not in (True, False, "always"):
            raise ConfigurationError(f"{SETTING}: load_user must be True, False or 'always'")
        user_id = options.get("user_id")
        if isinstance(user_id, str):
            user_id = import_string(user_id)
        check_user_id(user_id)
        self._user_id = user_id or (current_user_id if loading else loaded_user_id)
        if loading == "always" and user_id is None:
            self.process_view = self._load_before_view  # which Django runs in a thread, if async
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

    def _load_before_view(self, request: HttpRequest, *_: Any) -> None:
        try:
            load_user(request)
            _reporter.over("load_user")
        except Exception as error:
            _reporter.once(
                "load_user",
                f"loading the user raised {type(error).__name__}: until that is mended, events go "
                "without the user's id",
            )


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
