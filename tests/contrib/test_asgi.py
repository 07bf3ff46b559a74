"""Tests for SegmentMiddleware with FastAPI, Starlette and plain ASGI applications."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext
from contextvars import Context
from typing import Any

from segment_logging import ConfigurationError, bind
from segment_logging._identity.binding import current_identity
from segment_logging._identity.who import NOBODY
from segment_logging.contrib._lifespans import Receive, Scope, Send
from segment_logging.contrib.asgi import SegmentMiddleware

from .frameworks import COOKIE, MANY, FrameworkTest, captured, context_of, has, log, number_of, who

if not has("fastapi", "starlette", "httpx"):
    raise unittest.SkipTest("needs FastAPI, Starlette and httpx")

import httpx
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser, SimpleUser
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket
from typing_extensions import override


class XUser(AuthenticationBackend):
    """An authentication backend that takes the user's name from a header."""

    @override
    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        name = conn.headers.get("x-user")
        return None if name is None else (AuthCredentials(), SimpleUser(name))


def application(*routes: Any, **options: Any) -> Starlette:
    """Return an application that takes its users from a header."""
    return Starlette(
        routes=list(routes),
        middleware=[
            Middleware(SegmentMiddleware, **options),
            Middleware(AuthenticationMiddleware, backend=XUser()),
        ],
    )


def visitor(number: int) -> dict[str, str]:
    """Return the request headers of the visitor with this number."""
    return {"cookie": f"{COOKIE}=a-{number}", "x-user": f"u-{number}"}


async def get(
    app: Any, path: str = "/", headers: dict[str, str] | None = None, **options: Any
) -> httpx.Response:
    """Request a page, as visitor 1 unless other headers are given."""
    transport = httpx.ASGITransport(app, client=("192.0.2.7", 4711), **options)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as browser:
        return await browser.get(path, headers=visitor(1) if headers is None else headers)


async def seen(request: Request) -> Response:
    """A view that logs one event."""
    log()
    return PlainTextResponse("ok")


def run(awaitable: Awaitable[Any]) -> Any:
    """Run a test's requests in a new event loop."""

    async def main() -> Any:
        return await awaitable

    return asyncio.run(main())


class TestStarlette(FrameworkTest):
    def test_ids(self) -> None:
        """An event in a request has the visitor's anonymous id and Starlette's user."""
        with captured() as events:
            run(get(application(Route("/", seen))))
        self.assertEqual(who(events), [("u-1", "a-1")])

    def test_nobody_logged_in(self) -> None:
        """If the visitor is not logged in, an event has no user id."""
        with captured() as events:
            run(get(application(Route("/", seen)), headers={"cookie": f"{COOKIE}=a-1"}))
        self.assertEqual(who(events), [(None, "a-1")])

    def test_empty_context(self) -> None:
        """An event that is logged in an empty context has nothing of the visitor or the request."""

        async def invite(request: Request) -> Response:
            log("Invited", anonymous_id="a-9")
            Context().run(log, "Invited", anonymous_id="a-9")
            return PlainTextResponse("ok")

        with captured() as events:
            run(get(application(Route("/", invite))))
        self.assertEqual(who(events), [("u-1", "a-9"), (None, "a-9")])
        self.assertEqual(set(events[1].to_dict()["context"]), {"library"})

    def test_context(self) -> None:
        """The context holds the address, browser, language and page, even below a mount."""
        headers = {
            "user-agent": "Mozilla/5.0",
            "accept-language": "de-DE,de",
            "referer": "https://search.example/",
        }
        app = application(Mount("/shop", routes=[Route("/café", seen)]))
        with captured() as events:
            run(get(app, "/shop/café?gclid=17", {**visitor(1), **headers}))
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

    def test_user_id(self) -> None:
        """The option `user_id` replaces Starlette's user."""
        app = application(Route("/", seen), user_id=lambda scope: len(scope["path"]))
        with captured() as events:
            run(get(app))
        self.assertEqual(who(events), [("1", "a-1")])

    def test_anonymous_id(self) -> None:
        """`anonymous_id` replaces the cookie's id, and is called once, for the first event."""
        asked: list[Scope] = []

        def anonymous_id(scope: Scope) -> Any:
            asked.append(scope)
            return scope["state"].get("visitor")

        async def view(request: Request) -> Response:
            request.state.visitor = found
            self.assertEqual(asked, [])
            for _ in range(2):
                log(user_id="u-1")
            return PlainTextResponse("ok")

        for found in ("a-7", None):
            with self.subTest(found), captured() as events:
                run(get(application(Route("/", view), anonymous_id=anonymous_id)))
                self.assertEqual(who(events), [("u-1", found)] * 2)
                self.assertEqual([one["path"] for one in asked], ["/"])
                asked.clear()

    def test_user_without_identity(self) -> None:
        """A user object without an identity gives no user id."""

        class Somebody(BaseUser):
            is_authenticated = True

        async def view(request: Request) -> Response:
            request.scope["user"] = Somebody()
            return await seen(request)

        with captured() as events:
            run(get(application(Route("/", view))))
        self.assertEqual(who(events), [(None, "a-1")])

    def test_wrong_option(self) -> None:
        """An invalid option is refused when the middleware is created."""

        async def user_id(scope: Scope) -> str:
            return "u-1"

        for options in (
            {"user_id": user_id},
            {"anonymous_id": user_id},
            {"trusted_proxies": "10.0.0.1"},
        ):
            with self.subTest(**options), self.assertRaises(ConfigurationError):
                SegmentMiddleware(application(), **options)

    def test_background_task(self) -> None:
        """An event in a background task has the ids of the visitor whose request started it."""

        async def view(request: Request) -> Response:
            return PlainTextResponse("ok", background=BackgroundTask(log))

        with captured() as events:
            run(get(application(Route("/", view))))
        self.assertEqual(who(events), [("u-1", "a-1")])

    def test_task(self) -> None:
        """An event in an asyncio task has the visitor's ids, even after the request has ended.

        With an empty context, it has none.
        """
        tasks = []

        async def later(is_over: asyncio.Event) -> None:
            await is_over.wait()
            log()

        async def main() -> None:
            is_over = asyncio.Event()

            async def view(request: Request) -> Response:
                tasks.append(asyncio.create_task(later(is_over)))
                tasks.append(asyncio.create_task(later(is_over), context=Context()))
                return PlainTextResponse("ok")

            await get(application(Route("/", view)))
            is_over.set()
            await asyncio.gather(*tasks)

        with captured() as events:
            run(main())
        self.assertEqual(who(events), [("u-1", "a-1")])
        self.assertEqual(len(events.invalid), 1)

    def test_to_thread(self) -> None:
        """An event in `asyncio.to_thread` has the visitor's ids."""

        async def view(request: Request) -> Response:
            await asyncio.to_thread(log)
            return PlainTextResponse("ok")

        with captured() as events:
            run(get(application(Route("/", view))))
        self.assertEqual(who(events), [("u-1", "a-1")])

    def test_streaming(self) -> None:
        """Events that are logged while a response is streamed have the visitor's ids."""

        async def parts() -> AsyncIterator[str]:
            for part in "12":
                log()
                yield part

        async def view(request: Request) -> Response:
            return StreamingResponse(parts())

        with captured() as events:
            self.assertEqual(run(get(application(Route("/", view)))).text, "12")
        self.assertEqual(who(events), [("u-1", "a-1")] * 2)

    def test_error(self) -> None:
        """An exception passes through the middleware unchanged."""

        async def view(request: Request) -> Response:
            log()
            raise LookupError

        with captured() as events, self.assertRaises(LookupError):
            run(get(application(Route("/", view))))
        self.assertEqual(who(events), [("u-1", "a-1")])


class TestFastAPI(FrameworkTest):
    def test_dependencies_and_threads(self) -> None:
        """Events in sync dependencies and views, which run in threads, have the visitor's ids."""

        def dependency() -> Any:
            log("Before")
            yield
            log("After")

        app = FastAPI()
        app.add_middleware(SegmentMiddleware, user_id=lambda scope: "u-7")

        @app.get("/")
        def view(depends: None = Depends(dependency)) -> str:
            log()
            return "ok"

        with captured() as events:
            self.assertEqual(run(get(app)).json(), "ok")
        self.assertEqual(who(events), [("u-7", "a-1")] * 3)


class TestPlainAsgi(FrameworkTest):
    def call(self, app: Callable[..., Awaitable[None]], **scope: Any) -> None:
        """Send one request to the application through the middleware."""

        async def nothing(*args: Any) -> Any:
            return {}

        usual = {"type": "http", "path": "/", "headers": []}
        run(SegmentMiddleware(app)({**usual, **scope}, nothing, nothing))

    async def seen(self, scope: Scope, receive: Receive, send: Send) -> None:
        log(user_id="u-1")

    def test_least(self) -> None:
        """A scope with only the keys that the specification requires is handled."""
        with captured() as events:
            self.call(self.seen)
        self.assertEqual(context_of(events), {"page": {"path": "/"}})

    def test_headers_that_are_repeated(self) -> None:
        """Repeated Cookie headers are joined; of other repeated headers, the first counts."""
        headers = [
            (b"cookie", b"theme=dark"),
            (b"cookie", b"ajs_anonymous_id=a-1"),
            (b"user-agent", b"one"),
            (b"user-agent", b"two"),
        ]
        with captured() as events:
            self.call(self.seen, headers=headers)
        self.assertEqual(who(events), [("u-1", "a-1")])
        self.assertEqual(context_of(events)["userAgent"], "one")

    def test_nothing_is_read_without_an_event(self) -> None:
        """The scope of a request that logs no event is not read."""

        async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
            pass

        self.call(nothing, headers=None, path=None)

    def test_afterwards(self) -> None:
        """After a request, no identity is bound, because the next may run in the same task."""

        async def fail(scope: Scope, receive: Receive, send: Send) -> None:
            raise LookupError

        async def main() -> None:
            for app in (self.seen, fail):
                with self.assertRaises(LookupError) if app is fail else nullcontext():
                    await SegmentMiddleware(app)({"type": "http", "path": "/"}, nothing, nothing)
                self.assertIs(current_identity(), NOBODY)

        async def nothing(*args: Any) -> Any:
            return {}

        with captured():
            run(main())

    def test_lifespan(self) -> None:
        """No identity is bound during the server's startup and shutdown."""

        async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
            self.assertIs(current_identity(), NOBODY)

        said = iter(("lifespan.startup", "lifespan.shutdown"))

        async def receive() -> dict[str, str]:
            return {"type": next(said)}

        async def send(message: Any) -> None:
            pass

        run(SegmentMiddleware(lifespan)({"type": "lifespan"}, receive, send))

    def test_websocket(self) -> None:
        """Events in a WebSocket connection have the visitor's ids while it is open."""

        async def talk(websocket: WebSocket) -> None:
            await websocket.accept()
            async for _ in websocket.iter_text():
                log()

        said = [{"type": "websocket.receive", "text": text} for text in "12"]
        received = iter(
            [{"type": "websocket.connect"}, *said, {"type": "websocket.disconnect", "code": 1000}]
        )

        async def receive() -> Any:
            return next(received)

        async def send(message: Any) -> None:
            pass

        scope = {
            "type": "websocket",
            "scheme": "wss",
            "path": "/",
            "client": ("192.0.2.7", 4711),
            "headers": [(key.encode(), value.encode()) for key, value in visitor(1).items()],
        }
        with captured() as events:
            run(application(WebSocketRoute("/", talk))(scope, receive, send))
        self.assertEqual(who(events), [("u-1", "a-1")] * 2)
        self.assertEqual((events[0].context or {})["ip"], "192.0.2.7")


class TestManyRequests(FrameworkTest):
    def test_gather(self) -> None:
        """In concurrent requests, each event has the ids of its own visitor."""
        waiting = 0

        async def all_in(everybody: asyncio.Event) -> None:
            nonlocal waiting
            waiting += 1
            if waiting == MANY:
                everybody.set()
            await everybody.wait()

        async def main() -> None:
            everybody = asyncio.Event()

            async def view(request: Request) -> Response:
                number = int(request.query_params["number"])
                log(properties={"number": number})
                bind(context={"app": {"name": f"shop {number}"}})
                await all_in(everybody)
                await asyncio.to_thread(log, properties={"number": number})
                return StreamingResponse(parts(number))

            async def parts(number: int) -> AsyncIterator[str]:
                yield "ok"
                await asyncio.sleep(0)
                log(properties={"number": number})

            app = application(Route("/", view))
            answers = await asyncio.gather(
                *(get(app, f"/?number={number}", visitor(number)) for number in range(MANY))
            )
            self.assertEqual({answer.text for answer in answers}, {"ok"})
            self.assertIs(current_identity(), NOBODY)

        with captured() as events:
            run(main())
        self.assertEqual(len(events), 3 * MANY)
        for event, ids in zip(events, who(events)):
            number = number_of(event)
            self.assertEqual(ids, (f"u-{number}", f"a-{number}"))
            app = (event.context or {}).get("app")
            self.assertIn(app, (None, {"name": f"shop {number}"}))


if __name__ == "__main__":
    unittest.main()
