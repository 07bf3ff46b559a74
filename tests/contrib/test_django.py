"""Tests for Django's SegmentMiddleware, over WSGI and ASGI."""

from __future__ import annotations

import asyncio
import io
import unittest
from collections.abc import AsyncIterator, Iterator
from contextvars import Context
from typing import Any

from segment_logging import ConfigurationError, bind
from segment_logging._identity.binding import current_identity
from segment_logging._identity.who import NOBODY

from .frameworks import COOKIE, MANY, captured, context_of, has, log, number_of, who

if not has("django"):
    raise unittest.SkipTest("needs Django")

from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, RequestFactory, override_settings

from segment_logging.contrib.django import SegmentMiddleware

from .django_site import Async, DjangoTest, seen, user_id_of_header, views


class TestDjango(DjangoTest):
    def test_anonymous(self) -> None:
        """An event in a request has the visitor's anonymous id."""
        for get, subtest in self.both():
            with subtest, captured() as events:
                self.assertEqual(get(seen).content, b"ok")
                self.assertEqual(who(events), [(None, "a-1")])

    def test_context(self) -> None:
        """The context holds the address, browser, language and page."""
        headers = {
            "user-agent": "Mozilla/5.0",
            "accept-language": "de-DE,de",
            "referer": "https://search.example/",
        }
        for get, subtest in self.both():
            with subtest, captured() as events:
                get(seen, "/shop/a b?gclid=17", **headers)
                context = context_of(events)
                self.assertIn(context.pop("ip"), ("192.0.2.7", "127.0.0.1"))
                self.assertEqual(
                    context,
                    {
                        "userAgent": "Mozilla/5.0",
                        "locale": "de-DE",
                        "page": {
                            "path": "/shop/a%20b",
                            "search": "?gclid=17",
                            "url": "http://testserver/shop/a%20b?gclid=17",
                            "referrer": "https://search.example/",
                        },
                    },
                )

    def test_host_that_is_not_allowed(self) -> None:
        """If the Host header is not allowed, the event is logged without a URL."""
        for get, subtest in self.both():
            with subtest, captured() as events:
                get(seen, host="evil.example")
                self.assertEqual(context_of(events)["page"], {"path": "/"})

    def test_error(self) -> None:
        """An exception in a view passes through the middleware unchanged."""

        def fail(request: HttpRequest) -> HttpResponse:
            log()
            raise LookupError

        for get, subtest in self.both():
            with subtest, captured() as events:
                with self.assertRaises(LookupError):
                    get(fail)
                self.assertEqual(who(events), [(None, "a-1")])

    def test_bound_in_a_request(self) -> None:
        """An identity that a view binds is unbound at the end of the request."""

        def view(request: HttpRequest) -> HttpResponse:
            log()
            bind(user_id="u-9")
            return HttpResponse("ok")

        for get, subtest in self.both():
            with subtest, captured() as events:
                get(view)
                get(view)
                self.assertEqual(who(events), [(None, "a-1")] * 2)

    def test_empty_context(self) -> None:
        """An event that is logged in an empty context has nothing of the visitor or the request."""

        def view(request: HttpRequest) -> HttpResponse:
            bind(user_id="u-9")
            Context().run(log, "Invoice Paid", user_id="u-17")
            return HttpResponse("ok")

        for get, subtest in self.both():
            with subtest, captured() as events:
                get(view)
                self.assertEqual(who(events), [("u-17", None)])
                self.assertEqual(set(events[0].to_dict()["context"]), {"library"})

    def test_visitor_of_a_sync_view_over_asgi(self) -> None:
        """An event in a sync view, which runs in a thread, has the visitor's ids."""
        views["now"] = seen
        client = AsyncClient()
        client.cookies[COOKIE] = "a-1"
        with captured() as events:
            asyncio.run(client.get("/"))
        self.assertEqual(who(events), [(None, "a-1")])

    def test_to_thread(self) -> None:
        """An event in `asyncio.to_thread` has the visitor's ids."""

        async def view(request: HttpRequest) -> HttpResponse:
            await asyncio.to_thread(log)
            return HttpResponse("ok")

        with captured() as events:
            self.get_async(view)
        self.assertEqual(who(events), [(None, "a-1")])


class TestStreaming(DjangoTest):
    def test_each_step(self) -> None:
        """Events in a streamed response have the visitor's ids and those that the view binds."""

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
        """Events in a streamed response have the same ids over ASGI."""

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
        """An event that is logged when a response is closed early has the visitor's ids."""

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
        """A file response is not wrapped, so that servers can send it efficiently."""
        file = FileResponse(io.BytesIO(b"ok"))
        iterator = file._iterator
        response: Any = SegmentMiddleware(lambda request: file)(RequestFactory().get("/"))
        self.assertIs(response._iterator, iterator)
        self.assertIsNotNone(response.file_to_stream)
        response.close()


class TestSettings(DjangoTest):
    def test_user_id(self) -> None:
        """The setting `user_id` may be a callable or the path of a callable."""
        for user_id in (user_id_of_header, f"{user_id_of_header.__module__}.user_id_of_header"):
            with override_settings(SEGMENT_LOGGING={"user_id": user_id}):
                for get, subtest in self.both():
                    with subtest, captured() as events:
                        get(seen, **{"x-user": "u-5"})
                        self.assertEqual(who(events), [("u-5", "a-1")])

    def test_anonymous_id(self) -> None:
        """`anonymous_id` replaces the cookie's id, and is called once, for the first event."""
        asked: list[str] = []

        def anonymous_id(request: HttpRequest) -> Any:
            asked.append(request.path)
            return request.META.get("HTTP_X_VISITOR")

        def view(request: HttpRequest) -> HttpResponse:
            self.assertEqual(asked, [])
            log(user_id="u-1")
            log(user_id="u-1")
            return HttpResponse("ok")

        with override_settings(SEGMENT_LOGGING={"anonymous_id": anonymous_id}):
            for get, subtest in self.both():
                with subtest:
                    for headers, expected in (({"x-visitor": "a-7"}, "a-7"), ({}, None)):
                        with captured() as events:
                            get(view, **headers)
                        self.assertEqual((who(events), asked), ([("u-1", expected)] * 2, ["/"]))
                        asked.clear()

    def test_path_of_anonymous_id(self) -> None:
        """The setting `anonymous_id` may be the path of a function."""
        path = f"{user_id_of_header.__module__}.user_id_of_header"
        with override_settings(SEGMENT_LOGGING={"anonymous_id": path}), captured() as events:
            self.get(seen, **{"x-user": "a-7"})
        self.assertEqual(who(events), [(None, "a-7")])

    def test_trusted_proxies(self) -> None:
        """X-Forwarded-For is used only if it comes from one of `trusted_proxies`."""
        with override_settings(SEGMENT_LOGGING={"trusted_proxies": ["127.0.0.0/8", "192.0.2.7"]}):
            for get, subtest in self.both():
                with subtest, captured() as events:
                    get(seen, **{"x-forwarded-for": "203.0.113.9"})
                    self.assertEqual(context_of(events)["ip"], "203.0.113.9")

    def test_wrong(self) -> None:
        """An invalid setting is refused when the middleware is created."""
        for options in (
            {"userid": user_id_of_header}, {"user_id": 17}, {"anonymous_id": 17},
            {"trusted_proxies": "10.0.0.1"}, ["x"],
        ):  # fmt: skip
            with (
                self.subTest(options),
                override_settings(SEGMENT_LOGGING=options),
                self.assertRaisesRegex(ConfigurationError, "user_id|anonymous_id|trusted_proxies"),
            ):
                SegmentMiddleware(seen)

    def test_misspelled(self) -> None:
        """A misspelled key is named, with the key that was meant."""
        for options, text in (
            (
                {"trusted_proxies": [], "user_ids": None},
                "SEGMENT_LOGGING has no key 'user_ids': did you mean user_id?",
            ),
            (
                {"colour": 1},
                "SEGMENT_LOGGING has no key 'colour': "
                "its keys are trusted_proxies, user_id, anonymous_id, load_user",
            ),
        ):
            with (
                override_settings(SEGMENT_LOGGING=options),
                self.assertRaises(ConfigurationError) as refused,
            ):
                SegmentMiddleware(seen)
            self.assertEqual(str(refused.exception), text)

    def test_path_of_no_function(self) -> None:
        """A field's name, or the path of nothing, is refused with the setting's name and advice."""
        for name, path in (
            ("user_id", "username"),
            ("user_id", "missing_module.user_id"),
            ("user_id", f"{__name__}.missing"),
            ("anonymous_id", COOKIE),
        ):
            with (
                self.subTest(path),
                override_settings(SEGMENT_LOGGING={name: path}),
                self.assertRaises(ConfigurationError) as refused,
            ):
                SegmentMiddleware(seen)
            text = str(refused.exception)
            self.assertIn(f"SEGMENT_LOGGING: {name} must be a function", text)
            self.assertIn(repr(path), text)
            self.assertIn("write a function that returns it", text)


class TestManyRequests(DjangoTest):
    def test_gather(self) -> None:
        """In concurrent requests, each event has the ids of its own visitor."""
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
