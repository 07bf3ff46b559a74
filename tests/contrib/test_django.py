"""Django under its middleware, over WSGI and ASGI, without a database: any query would raise."""

from __future__ import annotations

import asyncio
import io
import logging
import unittest
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from typing_extensions import override

from segment_logging import ConfigurationError, bind
from segment_logging._identity.binding import current_identity
from segment_logging._identity.who import NOBODY

from .frameworks import (
    COOKIE,
    MANY,
    FrameworkTest,
    captured,
    context_of,
    has,
    log,
    number_of,
    who,
)

if not has("django"):
    raise unittest.SkipTest("needs Django")

import django
from django.conf import settings

if not settings.configured:
    settings.configure(
        SECRET_KEY="of the tests",
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

from django.contrib.auth import alogin, get_user_model, login, logout
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.signals import user_logged_in
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.urls import path

from segment_logging.contrib.django import SegmentMiddleware

loads: list[str] = []


class Users(BaseBackend):  # type: ignore[misc]
    """Has users without a database, and notes who is loaded."""

    @override
    def get_user(self, user_id: Any) -> Any:
        loads.append(str(user_id))
        return get_user_model()(pk=user_id)

    async def aget_user(self, user_id: Any) -> Any:
        return self.get_user(user_id)


View = Callable[[HttpRequest], Any]
views: dict[str, View] = {}
"""What the one url does, for sync and for async requests."""


def show(request: HttpRequest) -> Any:
    return views["now"](request)


async def ashow(request: HttpRequest) -> Any:
    answer = views["now"](request)
    return await answer if asyncio.iscoroutine(answer) else answer


urlpatterns = [path("shop/<str:name>", lambda request, name: show(request)), path("", show)]


async def ashow_named(request: HttpRequest, name: str) -> Any:
    return await ashow(request)


class Async:
    """The urls of asynchronous requests."""

    urlpatterns = (path("", ashow), path("shop/<str:name>", ashow_named))


def user_id_of_header(request: HttpRequest) -> Any:
    """An option of the setting."""
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
        """Have the view answer to visitor 1, who may be logged in; over WSGI."""
        views["now"] = view
        client = Client(REMOTE_ADDR="192.0.2.7")
        client.cookies[COOKIE] = "a-1"
        if user_id is not None:
            client.force_login(get_user_model()(pk=user_id))
        response = client.get(url, headers=headers)
        return b"".join(response) if response.streaming else response

    def get_async(self, view: View, url: str = "/", *, user_id: Any = None, **headers: str) -> Any:
        """The same over ASGI."""
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
        """Both ways of requesting, each in a subtest."""
        for get in (self.get, self.get_async):
            loads.clear()
            yield get, self.subTest(get.__name__)


class TestDjango(DjangoTest):
    def test_anonymous(self) -> None:
        """An event in a request is about its visitor."""
        for get, subtest in self.both():
            with subtest, captured() as events:
                self.assertEqual(get(seen).content, b"ok")
                self.assertEqual(who(events), [(None, "a-1")])

    def test_context(self) -> None:
        """The context says address, browser, language and page."""
        headers = {
            "user-agent": "Mozilla/5.0",
            "accept-language": "de-DE,de",
            "referer": "https://search.example/",
        }
        for get, subtest in self.both():
            with subtest, captured() as events:
                get(seen, "/shop/a b?plan=pro", **headers)
                context = context_of(events)
                self.assertIn(context.pop("ip"), ("192.0.2.7", "127.0.0.1"))
                self.assertEqual(
                    context,
                    {
                        "userAgent": "Mozilla/5.0",
                        "locale": "de-DE",
                        "page": {
                            "path": "/shop/a%20b",
                            "search": "?plan=pro",
                            "url": "http://testserver/shop/a%20b?plan=pro",
                            "referrer": "https://search.example/",
                        },
                    },
                )

    def test_host_that_is_not_allowed(self) -> None:
        """A Host header that the settings do not allow makes no url, and costs no event."""
        for get, subtest in self.both():
            with subtest, captured() as events:
                get(seen, host="evil.example")
                self.assertEqual(context_of(events)["page"], {"path": "/"})

    def test_error(self) -> None:
        """An exception in a view goes on as it was."""

        def fail(request: HttpRequest) -> HttpResponse:
            log()
            raise LookupError

        for get, subtest in self.both():
            with subtest, captured() as events:
                with self.assertRaises(LookupError):
                    get(fail)
                self.assertEqual(who(events), [(None, "a-1")])

    def test_bound_in_a_request(self) -> None:
        """What a view binds ends with its request."""

        def view(request: HttpRequest) -> HttpResponse:
            log()
            bind(user_id="u-9")
            return HttpResponse("ok")

        for get, subtest in self.both():
            with subtest, captured() as events:
                get(view)
                get(view)
                self.assertEqual(who(events), [(None, "a-1")] * 2)

    def test_sync_view_over_asgi(self) -> None:
        """A view that is not async runs in a thread, and is about the visitor there."""
        views["now"] = seen
        client = AsyncClient()
        client.cookies[COOKIE] = "a-1"
        with captured() as events:
            asyncio.run(client.get("/"))
        self.assertEqual(who(events), [(None, "a-1")])

    def test_to_thread(self) -> None:
        """`asyncio.to_thread` takes the visitor along."""

        async def view(request: HttpRequest) -> HttpResponse:
            await asyncio.to_thread(log)
            return HttpResponse("ok")

        with captured() as events:
            self.get_async(view)
        self.assertEqual(who(events), [(None, "a-1")])


class TestUser(DjangoTest):
    def test_no_query(self) -> None:
        """Nobody loads the user for an event, nor the session: who it is stays unknown."""
        for get, subtest in self.both():
            with subtest, captured() as events:
                get(seen, user_id=17)
                self.assertEqual((who(events), loads), ([(None, "a-1")], []))

    def test_a_query_would_raise(self) -> None:
        """There really is no database here."""
        with self.assertRaises(ImproperlyConfigured):
            connection.cursor()

    def test_session(self) -> None:
        """When the view has loaded the session, who it is is known, still without the user."""

        def view(request: HttpRequest) -> HttpResponse:
            request.session.get("basket")
            return seen(request)

        for get, subtest in self.both():
            with subtest, captured() as events:
                get(view, user_id=17)
                self.assertEqual((who(events), loads), ([("17", "a-1")], []))

    def test_user(self) -> None:
        """When the view has asked for the user, the event is about that one."""

        def view(request: HttpRequest) -> HttpResponse:
            self.assertTrue(request.user.is_authenticated)
            return seen(request)

        for get, subtest in self.both():
            with subtest, captured() as events:
                get(view, user_id=17)
                self.assertEqual((who(events), loads), ([("17", "a-1")], ["17"]))

    def test_auser(self) -> None:
        """The same with `request.auser()`."""

        async def view(request: HttpRequest) -> HttpResponse:
            await request.auser()
            return seen(request)

        with captured() as events:
            self.get_async(view, user_id=17)
        self.assertEqual((who(events), loads), ([("17", "a-1")], ["17"]))

    def test_anonymous_user(self) -> None:
        """Django's anonymous user is nobody."""

        def view(request: HttpRequest) -> HttpResponse:
            self.assertFalse(request.user.is_authenticated)
            return seen(request)

        for get, subtest in self.both():
            with subtest, captured() as events:
                get(view)
                self.assertEqual(who(events), [(None, "a-1")])

    def test_login_and_logout(self) -> None:
        """A visitor who logs in or out in the view does so for the events, too."""

        def view(request: HttpRequest) -> HttpResponse:
            log()
            login(request, get_user_model()(pk=18))
            log()
            logout(request)
            return seen(request)

        with captured() as events:
            self.get(view)
        self.assertEqual([user for user, _ in who(events)], [None, "18", None])

    def test_alogin(self) -> None:
        """The same in an async view."""

        async def view(request: HttpRequest) -> HttpResponse:
            await alogin(request, get_user_model()(pk=18))
            return seen(request)

        with captured() as events:
            self.get_async(view)
        self.assertEqual(who(events), [("18", "a-1")])

    def test_user_set_by_others(self) -> None:
        """A user whom another middleware or an API framework sets counts."""

        def view(request: HttpRequest) -> HttpResponse:
            request.user = get_user_model()(pk=19)
            return seen(request)

        for get, subtest in self.both():
            with subtest, captured() as events:
                get(view)
                self.assertEqual(who(events), [("19", "a-1")])

    def test_without_auth(self) -> None:
        """Without sessions and users, there is no user id."""
        only_ours = ["segment_logging.contrib.django.SegmentMiddleware"]
        for get, subtest in self.both():
            with subtest, captured() as events, override_settings(MIDDLEWARE=only_ours):
                get(seen)
                self.assertEqual(who(events), [(None, "a-1")])


class TestStreaming(DjangoTest):
    def test_each_step(self) -> None:
        """A response that is made while it is sent is about its visitor, with what is bound."""

        def view(request: HttpRequest) -> StreamingHttpResponse:
            bind(user_id="u-1")
            return StreamingHttpResponse(parts())

        def parts() -> Iterator[bytes]:
            for part in (b"1", b"2"):
                log()
                yield part

        with captured() as events:
            self.assertEqual(self.get(view), b"12")
        self.assertEqual(who(events), [("u-1", "a-1")] * 2)

    def test_async(self) -> None:
        """The same over ASGI."""

        def view(request: HttpRequest) -> StreamingHttpResponse:
            bind(user_id="u-1")
            return StreamingHttpResponse(parts())

        async def parts() -> AsyncIterator[bytes]:
            for part in (b"1", b"2"):
                await asyncio.sleep(0)
                log()
                yield part

        with captured() as events:
            self.assertEqual(self.get_async(view), b"12")
        self.assertEqual(who(events), [("u-1", "a-1")] * 2)

    def test_visitor_who_leaves(self) -> None:
        """A response that is closed early is about its visitor while it is."""

        def parts() -> Iterator[bytes]:
            try:
                yield b"1"
                yield b"2"
            finally:
                log()

        middleware = SegmentMiddleware(lambda request: StreamingHttpResponse(parts()))
        response: Any = middleware(RequestFactory().get("/", headers={"cookie": f"{COOKIE}=a-1"}))
        with captured() as events:
            next(iter(response))
            self.assertIs(current_identity(), NOBODY)
            response.close()
        self.assertEqual(who(events), [(None, "a-1")])

    def test_file(self) -> None:
        """A file stays one, for servers to send in their own way."""
        file = FileResponse(io.BytesIO(b"ok"))
        iterator = file._iterator
        response: Any = SegmentMiddleware(lambda request: file)(RequestFactory().get("/"))
        self.assertIs(response._iterator, iterator)
        self.assertIsNotNone(response.file_to_stream)
        response.close()


class TestSettings(DjangoTest):
    def test_user_id(self) -> None:
        """`user_id` says who it is instead: a callable, or the path of one."""
        for user_id in (user_id_of_header, f"{__name__}.user_id_of_header"):
            with override_settings(SEGMENT_LOGGING={"user_id": user_id}):
                for get, subtest in self.both():
                    with subtest, captured() as events:
                        get(seen, **{"x-user": "u-5"})
                        self.assertEqual(who(events), [("u-5", "a-1")])

    def test_trusted_proxies(self) -> None:
        """`trusted_proxies` says whose X-Forwarded-For counts."""
        with override_settings(SEGMENT_LOGGING={"trusted_proxies": ["127.0.0.0/8", "192.0.2.7"]}):
            for get, subtest in self.both():
                with subtest, captured() as events:
                    get(seen, **{"x-forwarded-for": "203.0.113.9"})
                    self.assertEqual(context_of(events)["ip"], "203.0.113.9")

    def test_wrong(self) -> None:
        """A wrong setting fails when the middleware is made, and is named."""
        for options in (
            {"userid": user_id_of_header}, {"user_id": 17}, {"trusted_proxies": "10.0.0.1"}, ["x"],
        ):  # fmt: skip
            with (
                self.subTest(options),
                override_settings(SEGMENT_LOGGING=options),
                self.assertRaisesRegex(ConfigurationError, "user_id|trusted_proxies"),
            ):
                SegmentMiddleware(seen)


class TestManyRequests(DjangoTest):
    def test_gather(self) -> None:
        """Of many requests at the same time, each logs about its own visitor only."""
        waiting = 0

        async def main() -> None:
            everybody = asyncio.Event()

            async def view(request: HttpRequest) -> StreamingHttpResponse:
                nonlocal waiting
                number = int(request.GET["number"])
                log(properties={"number": number})
                waiting += 1
                if waiting == MANY:
                    everybody.set()
                await everybody.wait()
                await asyncio.to_thread(log, properties={"number": number})
                return StreamingHttpResponse(parts(number))

            async def parts(number: int) -> AsyncIterator[bytes]:
                yield b"ok"
                await asyncio.sleep(0)
                log(properties={"number": number})

            views["now"] = view
            await asyncio.gather(*map(visit, range(MANY)))
            self.assertIs(current_identity(), NOBODY)

        async def visit(number: int) -> None:
            client = AsyncClient()
            client.cookies[COOKIE] = f"a-{number}"
            response: Any = await client.get(
                "/", {"number": str(number)}, headers={"x-user": f"u-{number}"}
            )
            self.assertEqual([part async for part in response], [b"ok"])

        options = {"user_id": user_id_of_header}
        with override_settings(ROOT_URLCONF=Async, SEGMENT_LOGGING=options), captured() as events:
            asyncio.run(main())
        self.assertEqual(len(events), 3 * MANY)
        for event, ids in zip(events, who(events)):
            number = number_of(event)
            self.assertEqual(ids, (f"u-{number}", f"a-{number}"))


if __name__ == "__main__":
    unittest.main()
