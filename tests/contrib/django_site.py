"""A Django site with our middleware and without a database. Any query would raise."""

from __future__ import annotations

import asyncio
import logging
import unittest
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from typing_extensions import override

from .frameworks import (
    COOKIE,
    FrameworkTest,
    has,
    log,
)

if not has("django"):
    raise unittest.SkipTest("needs Django")

import django
from django.conf import settings

if not settings.configured:
    settings.configure(
        SECRET_KEY="test-secret",
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
        MIDDLEWARE=[
            "segment_logging.contrib.django.SegmentMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        AUTHENTICATION_BACKENDS=[f"{__name__}.Users"],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        LOGGING_CONFIG=None,
    )
    django.setup()

from django.contrib.auth import get_user_model
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path

loads: list[str] = []


class Users(BaseBackend):  # type: ignore[misc]
    """A backend that creates users without a database and records which ones are loaded."""

    @override
    def get_user(self, user_id: Any) -> Any:
        loads.append(str(user_id))
        return get_user_model()(pk=user_id)

    async def aget_user(self, user_id: Any) -> Any:
        return self.get_user(user_id)


View = Callable[[HttpRequest], Any]
views: dict[str, View] = {}
"""The current view, under the key "now". It handles all URLs, sync and async."""


def show(request: HttpRequest) -> Any:
    return views["now"](request)


async def ashow(request: HttpRequest) -> Any:
    answer = views["now"](request)
    return await answer if asyncio.iscoroutine(answer) else answer


urlpatterns = [path("shop/<str:name>", lambda request, name: show(request)), path("", show)]


async def ashow_named(request: HttpRequest, name: str) -> Any:
    return await ashow(request)


class Async:
    """The URL configuration for async requests."""

    urlpatterns = (path("", ashow), path("shop/<str:name>", ashow_named))


def user_id_of_header(request: HttpRequest) -> Any:
    """Return the user id from a header; used as the `user_id` setting."""
    return request.META.get("HTTP_X_USER")


def seen(request: HttpRequest) -> HttpResponse:
    """A view that logs one event."""
    log()
    return HttpResponse("ok")


class DjangoTest(FrameworkTest):
    @override
    def setUp(self) -> None:
        super().setUp()
        loads.clear()
        user_logged_in.disconnect(dispatch_uid="update_last_login")  # which saves the user
        logging.getLogger("django.request").setLevel(logging.CRITICAL)

    def get(self, view: View, url: str = "/", *, user_id: Any = None, **headers: str) -> Any:
        """Request the view over WSGI as visitor 1, who is logged in if `user_id` is given."""
        views["now"] = view
        client = Client(REMOTE_ADDR="192.0.2.7")
        client.cookies[COOKIE] = "a-1"
        if user_id is not None:
            client.force_login(get_user_model()(pk=user_id))
        response = client.get(url, headers=headers)
        return b"".join(response) if response.streaming else response

    def get_async(self, view: View, url: str = "/", *, user_id: Any = None, **headers: str) -> Any:
        """Request the view over ASGI as visitor 1, who is logged in if `user_id` is given."""
        views["now"] = view
        client = AsyncClient()
        client.cookies[COOKIE] = "a-1"
        if user_id is not None:
            client.force_login(get_user_model()(pk=user_id))

        async def main() -> Any:
            response = await client.get(url, headers=headers)
            if not response.streaming:
                return response
            try:
                return b"".join([part async for part in response])
            finally:
                await asyncio.to_thread(response.close)

        with override_settings(ROOT_URLCONF=Async):
            return asyncio.run(main())

    def both(self) -> Iterator[tuple[Callable[..., Any], AbstractContextManager[Any]]]:
        """Yield the WSGI and the ASGI variant of `get`, each with a subtest."""
        for get in (self.get, self.get_async):
            loads.clear()
            yield get, self.subTest(get.__name__)
