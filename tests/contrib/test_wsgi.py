"""Tests for SegmentMiddleware with WSGI applications."""

from __future__ import annotations

import io
import unittest
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults

from typing_extensions import override

from segment_logging import ConfigurationError, bind
from segment_logging._identity.binding import current_identity
from segment_logging._identity.who import NOBODY
from segment_logging.contrib.wsgi import Environ, SegmentMiddleware, StartResponse

from .frameworks import COOKIE, MANY, FrameworkTest, captured, context_of, log, number_of, who


def environ(**given: Any) -> Environ:
    """Return a request's environ with a server's usual defaults."""
    request: Environ = {"REMOTE_ADDR": "192.0.2.7", **given}
    setup_testing_defaults(request)
    return request


def visit(number: int, **given: Any) -> Environ:
    """Return the environ of a request by the visitor with this number."""
    return environ(HTTP_COOKIE=f"{COOKIE}=a-{number}", REMOTE_USER=f"u-{number}", **given)


def start_response(*args: Any) -> None:
    """Accept the status and headers, as a server would."""


def get(app: Any, request: Environ) -> bytes:
    """Return an application's response body, after reading and closing it as a server would."""
    parts = app(request, start_response)
    try:
        return b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()


def wrapped(app: Callable[[Environ, StartResponse], Iterable[bytes]], **options: Any) -> Any:
    """Return the application with the middleware, and with REMOTE_USER as the user."""
    options.setdefault("user_id", lambda environ: environ.get("REMOTE_USER"))
    return SegmentMiddleware(app, **options)


def seen(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """An application that logs one event."""
    log()
    return [b"ok"]


class TestWsgi(FrameworkTest):
    def test_ids(self) -> None:
        """An event in a request has the visitor's anonymous id and user id."""
        with captured() as events:
            self.assertEqual(get(wrapped(seen), visit(1)), b"ok")
        self.assertEqual(who(events), [("u-1", "a-1")])

    def test_context(self) -> None:
        """The context holds the address, browser, language and page."""
        with captured() as events:
            get(
                wrapped(seen),
                visit(
                    1,
                    SCRIPT_NAME="/shop",
                    PATH_INFO="/café".encode().decode("latin-1"),
                    QUERY_STRING="gclid=17",
                    HTTP_HOST="shop.example",
                    HTTP_USER_AGENT="Mozilla/5.0",
                    HTTP_ACCEPT_LANGUAGE="de-DE,de",
                    HTTP_REFERER="https://search.example/",
                ),
            )
        self.assertEqual(
            context_of(events),
            {
                "ip": "192.0.2.7",
                "userAgent": "Mozilla/5.0",
                "locale": "de-DE",
                "page": {
                    "path": "/shop/caf%C3%A9",
                    "search": "?gclid=17",
                    "url": "http://shop.example/shop/caf%C3%A9?gclid=17",
                    "referrer": "https://search.example/",
                },
            },
        )

    def test_proxies(self) -> None:
        """X-Forwarded-For is used only if it comes from one of `trusted_proxies`."""
        for proxies, address in (((), "192.0.2.7"), (["192.0.2.7"], "203.0.113.9")):
            with self.subTest(proxies=proxies), captured() as events:
                request = visit(1, HTTP_X_FORWARDED_FOR="203.0.113.9")
                get(wrapped(seen, trusted_proxies=proxies), request)
                self.assertEqual(context_of(events)["ip"], address)

    def test_no_user_id(self) -> None:
        """Without the option `user_id`, events have no user id."""
        with captured() as events:
            get(SegmentMiddleware(seen), visit(1))
        self.assertEqual(who(events), [(None, "a-1")])

    def test_anonymous_id(self) -> None:
        """`anonymous_id` replaces the cookie's id, and is called once, for the first event."""
        asked: list[Environ] = []

        def anonymous_id(environ: Environ) -> Any:
            asked.append(environ)
            return environ.get("HTTP_X_VISITOR")

        def view(environ: Environ, start_response: StartResponse) -> list[bytes]:
            self.assertEqual(asked, [])
            log()
            return seen(environ, start_response)

        for given, expected in (({"HTTP_X_VISITOR": "a-7"}, "a-7"), ({}, None)):
            with self.subTest(expected), captured() as events:
                request = visit(1, **given)
                get(wrapped(view, anonymous_id=anonymous_id), request)
                self.assertEqual(who(events), [("u-1", expected)] * 2)
                self.assertEqual(asked, [request])
                asked.clear()

    def test_wrong_option(self) -> None:
        """An invalid option is refused when the middleware is created."""
        for options in (
            {"user_id": "REMOTE_USER"},
            {"anonymous_id": "id"},
            {"trusted_proxies": ["here"]},
        ):
            with self.subTest(**options), self.assertRaises(ConfigurationError):
                wrapped(seen, **options)

    def test_nothing_is_read_without_an_event(self) -> None:
        """The environ of a request that logs no event is not read."""

        class Untouched(dict[str, Any]):
            @override
            def __getitem__(self, key: str) -> Any:
                raise AssertionError(key)

            @override
            def get(self, key: str, default: Any = None) -> Any:
                raise AssertionError(key)

        app = wrapped(lambda environ, start_response: [b"ok"], user_id=Untouched.get)
        self.assertEqual(get(app, Untouched()), b"ok")

    def test_error(self) -> None:
        """An exception propagates unchanged, and no identity is bound afterwards."""

        def fail(environ: Environ, start_response: StartResponse) -> list[bytes]:
            log()
            raise LookupError

        with captured() as events, self.assertRaises(LookupError):
            get(wrapped(fail), visit(1))
        self.assertEqual(who(events), [("u-1", "a-1")])
        self.assertIs(current_identity(), NOBODY)

    def test_bound_in_a_request(self) -> None:
        """An identity that a view binds is unbound at the end of the request."""

        def view(environ: Environ, start_response: StartResponse) -> list[bytes]:
            log()
            bind(user_id="u-9")
            return [b"ok"]

        app = wrapped(view, user_id=None)
        with captured() as events:
            get(app, visit(1))
            get(app, visit(2))
        self.assertEqual(who(events), [(None, "a-1"), (None, "a-2")])


class TestStreaming(FrameworkTest):
    def stream(self, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        try:
            log("First")
            bind(context={"app": {"name": "shop"}})
            yield b"1"
            log("Second")
            yield b"2"
        finally:
            log("Last")

    def test_each_step(self) -> None:
        """Events that are logged while a response is streamed have the visitor's ids."""
        with captured() as events:
            self.assertEqual(get(wrapped(self.stream), visit(1)), b"12")
        self.assertEqual(who(events), [("u-1", "a-1")] * 3)

    def test_between_steps(self) -> None:
        """Between two parts of a response, the thread can handle other requests."""
        parts = wrapped(self.stream)(visit(1), start_response)
        with captured() as events:
            for _ in parts:
                self.assertIs(current_identity(), NOBODY)
                get(wrapped(seen), visit(2))
        self.assertEqual([user for user, _ in who(events)], ["u-1", "u-2", "u-1", "u-2", "u-1"])

    def test_what_a_step_binds(self) -> None:
        """Fields that are bound in one part of a response are bound in the next parts."""
        with captured() as events:
            get(wrapped(self.stream), visit(1))
        self.assertNotIn("app", events[0].context or {})
        self.assertEqual((events[1].context or {})["app"], {"name": "shop"})
        self.assertIn("page", events[1].context or {})

    def test_what_the_view_binds(self) -> None:
        """An identity that the view binds is still bound while the response is streamed."""

        def view(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
            bind(user_id="u-9")
            return self.stream(environ, start_response)

        with captured() as events:
            get(wrapped(view, user_id=None), visit(1))
        self.assertEqual(who(events), [("u-9", "a-1")] * 3)

    def test_visitor_who_leaves(self) -> None:
        """An event that is logged when a response is closed early has the visitor's ids."""
        with captured() as events:
            parts = wrapped(self.stream)(visit(1), start_response)
            next(parts)
            parts.close()
        self.assertEqual([event.to_dict()["event"] for event in events], ["First", "Last"])
        self.assertEqual(who(events), [("u-1", "a-1")] * 2)

    def test_error(self) -> None:
        """If a streamed response raises, no identity is bound afterwards."""

        def fail(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
            yield b"1"
            raise LookupError

        with self.assertRaises(LookupError):
            get(wrapped(fail), visit(1))

    def test_other_threads(self) -> None:
        """The parts of a response may be produced in different threads."""
        parts = wrapped(self.stream)(visit(1), start_response)
        with captured() as events, ThreadPoolExecutor(1) as pool:
            next(parts)
            pool.submit(next, parts).result(10)
            parts.close()
        self.assertEqual(who(events), [("u-1", "a-1")] * 3)

    def test_unwrapped(self) -> None:
        """A list, tuple or file is returned unwrapped, because servers can send it faster."""

        def answer(parts: Any, environ: Environ, start_response: StartResponse) -> Any:
            return parts

        for parts in ([b"ok"], (b"ok",), FileWrapper(io.BytesIO(b"ok"))):
            app = wrapped(partial(answer, parts))
            request = visit(1, **{"wsgi.file_wrapper": FileWrapper})
            self.assertIs(app(request, start_response), parts)
        with open(__file__, "rb") as file:  # uWSGI's wrapper returns the file itself
            app = wrapped(partial(answer, file))
            request = visit(1, **{"wsgi.file_wrapper": lambda file: file})
            self.assertIs(app(request, start_response), file)


class TestManyRequests(FrameworkTest):
    def test_threads(self) -> None:
        """In concurrent requests, each event has the ids of its own visitor."""
        all_in = Barrier(MANY)

        def view(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
            number = int(environ["QUERY_STRING"])
            log(properties={"number": number})
            all_in.wait(30)
            log(properties={"number": number})
            return stream(number)

        def stream(number: int) -> Iterator[bytes]:
            yield b"1"
            all_in.wait(30)
            log(properties={"number": number})

        app = wrapped(view)
        with captured() as events, ThreadPoolExecutor(MANY) as pool:
            requests = [visit(number, QUERY_STRING=str(number)) for number in range(MANY)]
            answers = pool.map(partial(get, app), requests)
            self.assertEqual(set(answers), {b"1"})
        self.assertEqual(len(events), 3 * MANY)
        for event, ids in zip(events, who(events)):
            number = number_of(event)
            self.assertEqual(ids, (f"u-{number}", f"a-{number}"))


if __name__ == "__main__":
    unittest.main()
