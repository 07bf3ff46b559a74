"""Tests that what the documentation states about FastAPI and structlog is true."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import unittest
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from typing_extensions import override

from segment_logging import SegmentHandler, bind, identity
from segment_logging._process.shutdown import TIME_AFTER_SIGTERM
from segment_logging._records import dialects
from segment_logging.contrib._lifespans import LATE_REQUESTS
from segment_logging.contrib.asgi import SegmentMiddleware
from segment_logging.testing import Captured, FakeClient, capture_segment

from .. import needs
from .pages import PAGES, rows_under

ASGI = "docs/frameworks/asgi.md"
STRUCTLOG = "docs/structlog-and-loguru.md"


class TestTimes(unittest.TestCase):
    def test_sums(self) -> None:
        """The times of each platform end two seconds before it kills the process."""
        rows = rows_under(ASGI, "How much time it takes")
        self.assertEqual(len(rows), 3)
        for platform, (kills_after, requests, own, max_shutdown, patience) in rows:
            with self.subTest(platform):
                hook = re.search(r"hook of (\d+) s", platform)
                until = float(kills_after.removesuffix(" s")) - float(hook[1] if hook else 0)
                total = float(requests) + float(own) + LATE_REQUESTS + float(max_shutdown)
                self.assertLessEqual(total, until - 2)
                self.assertLess(float(patience), float(max_shutdown))
                self.assertLess(float(max_shutdown), TIME_AFTER_SIGTERM)
        text = " ".join(PAGES[ASGI].split())
        self.assertIn(f"never more than {TIME_AFTER_SIGTERM:.0f} s", text)
        self.assertIn(f"waits up to {LATE_REQUESTS:.0f} s if cancelled requests", text)
        self.assertIn(f"including the {LATE_REQUESTS:.0f} s of step 3", text)

    def test_docker(self) -> None:
        """docs/operating.md gives the same `max_shutdown` for uvicorn in Docker."""
        (docker, *_) = rows_under(ASGI, "How much time it takes")
        self.assertEqual(docker.first, "Docker")
        rows = rows_under("docs/operating.md", "How processes end")
        (row,) = (row for row in rows if row.first == "Docker")
        self.assertIn(f"or to {docker.others[3]} [with uvicorn]", row.others[-1])


@unittest.skipUnless(find_spec("starlette"), "needs Starlette")
class TestAsgi(unittest.TestCase):
    def test_own_lifespan(self) -> None:
        """With the middleware, events from the end of the program's own lifespan are delivered."""
        client = FakeClient()
        logger = logging.Logger("docs")
        handler = SegmentHandler("key", client=client)
        self.addCleanup(handler.close)
        logger.addHandler(handler)

        @asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[None]:
            yield
            logger.info("Stopped", extra={"user_id": "u-17"})

        starlette: Any = import_module("starlette.applications")
        app = starlette.Starlette(lifespan=lifespan)
        app.add_middleware(SegmentMiddleware)
        answers: list[tuple[str, int]] = []

        async def send(message: Any) -> None:
            answers.append((message["type"], len(client.messages)))

        events = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> Any:
            return {"type": next(events)}

        asyncio.run(app({"type": "lifespan", "state": {}}, receive, send))
        self.assertEqual(
            answers, [("lifespan.startup.complete", 0), ("lifespan.shutdown.complete", 1)]
        )

    @unittest.skipUnless(find_spec("uvicorn"), "needs uvicorn")
    def test_addresses(self) -> None:
        """Behind a load balancer, uvicorn, the middleware or both find the visitor's address. If
        the visitor's address is trusted, too, the visitor can choose it."""
        proxies: Any = import_module("uvicorn.middleware.proxy_headers")
        logger = logging.Logger("docs")
        logger.addHandler(SegmentHandler("key"))

        async def app(scope: Any, receive: Any, send: Any) -> None:
            logger.info("Seen", extra={"user_id": "u-17"})

        def address(
            *, by_uvicorn: str, by_us: tuple[str, ...], forwarded: bytes = b"203.0.113.9"
        ) -> Any:
            server = proxies.ProxyHeadersMiddleware(
                SegmentMiddleware(app, trusted_proxies=by_us), trusted_hosts=by_uvicorn
            )
            scope = {
                "type": "http", "path": "/", "scheme": "http", "client": ("10.0.0.5", 4711),
                "headers": [(b"x-forwarded-for", forwarded)],
            }  # fmt: skip
            with capture_segment() as captured:
                asyncio.run(server(scope, None, None))
            return captured[0].to_dict()["context"]["ip"]

        networks = ("10.0.0.0/8",)
        self.assertEqual(address(by_uvicorn="127.0.0.1", by_us=()), "10.0.0.5")
        self.assertEqual(address(by_uvicorn="10.0.0.5", by_us=()), "203.0.113.9")
        self.assertEqual(address(by_uvicorn="127.0.0.1", by_us=networks), "203.0.113.9")
        self.assertEqual(address(by_uvicorn="10.0.0.5", by_us=networks), "203.0.113.9")
        for forwarded, found in ((b"10.1.2.3", "10.1.2.3"), (b"8.8.8.8, 10.1.2.3", "8.8.8.8")):
            with self.subTest(forwarded):
                self.assertEqual(
                    address(by_uvicorn="10.0.0.5", by_us=networks, forwarded=forwarded), found
                )


@unittest.skipUnless(find_spec("structlog"), "needs structlog")
class TestStructlog(unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.structlog: Any = import_module("structlog")
        self.addCleanup(self.structlog.reset_defaults)
        self.addCleanup(self.structlog.contextvars.clear_contextvars)

    def configured(self, *processors: Any, wrapper: Any = None, **options: Any) -> SegmentHandler:
        """Configure structlog, and return the handler of its logger, `self.logger`."""
        self.logger = logging.Logger("docs")
        self.structlog.configure(
            processors=[self.structlog.contextvars.merge_contextvars, *processors],
            logger_factory=lambda *_: self.logger,
            wrapper_class=wrapper or self.structlog.stdlib.BoundLogger,
        )
        handler = SegmentHandler("key", **options)
        self.logger.addHandler(handler)
        return handler

    def logged(self, *processors: Any, **options: Any) -> tuple[Captured, int]:
        """Return the events of some calls, and how many calls were ignored."""
        handler = self.configured(*processors, **options)
        self.structlog.contextvars.bind_contextvars(
            user_id="u-17", email="ada@shop.example", request_id="r-1"
        )
        with capture_segment() as captured:
            log = self.structlog.get_logger()
            log.info("Paid %d", 17, user_id="u-17", plan="pro")
            log.info("Profile", traits={"plan": "pro"})
        return captured, handler.counts().ignored

    def test_context(self) -> None:
        """Values that are bound to the context become properties and traits, unless excluded."""
        last = self.structlog.stdlib.ProcessorFormatter.wrap_for_formatter
        bound = {"email": "ada@shop.example", "request_id": "r-1"}
        for options, left in (
            ({}, bound),
            ({"exclude_extras": ["email"]}, {"request_id": "r-1"}),
            ({"redact": ["email"]}, {"request_id": "r-1"}),
        ):
            with self.subTest(options):
                (paid, profile), _ = self.logged(last, **options)
                self.assertEqual(
                    paid.to_dict()["properties"], {"plan": "pro", "message": "Paid 17", **left}
                )
                self.assertEqual(profile.to_dict()["traits"], {"plan": "pro", **left})

    def test_left_out(self) -> None:
        """The page lists the keys that are left out."""
        section = PAGES[STRUCTLOG].split("own processors are left out:")[1].split("\n\n")[0]
        told = set(re.findall(r"`(\w+)`", section)) - {"CallsiteParameterAdder", "timestamp"}
        left_out = {name for name in dialects._ADDED | dialects.INTERNAL if name[0] != "_"}
        self.assertEqual(told, left_out)

    def test_mistakes(self) -> None:
        """Each mistake in the table has the effect that is described."""
        stdlib = self.structlog.stdlib
        last = stdlib.ProcessorFormatter.wrap_for_formatter
        text = rows_under(STRUCTLOG, "Common mistakes")[0].first
        for name in re.findall(r"`(\w+Renderer)`", text):
            with self.subTest(name):
                rooms = (self.structlog.processors, self.structlog.dev)
                (renderer,) = (getattr(room, name)() for room in rooms if hasattr(room, name))
                captured, ignored = self.logged(renderer)
                self.assertEqual((len(captured), ignored), (0, 2))
        captured, _ = self.logged(stdlib.PositionalArgumentsFormatter(), last)
        self.assertEqual(captured[0].to_dict()["event"], "Paid 17")
        captured, _ = self.logged(last)
        self.assertEqual(captured[0].to_dict()["event"], "Paid %d")

    @needs.event_loop
    def test_filtering_logger(self) -> None:
        """structlog's default wrapper formats the text, in sync and in async calls."""
        last = self.structlog.stdlib.ProcessorFormatter.wrap_for_formatter
        filtering = self.structlog.make_filtering_bound_logger(logging.INFO)
        for wrapper, names in (
            (filtering, ["Paid 17", "Sent 3", "Signup"]),
            (None, ["Paid %d", "Sent %d", "Signup"]),
        ):
            with self.subTest(wrapper):
                self.configured(last, wrapper=wrapper)
                with capture_segment() as captured:
                    log = self.structlog.get_logger()
                    log.info("Paid %d", 17, user_id="u-17")
                    asyncio.run(log.ainfo("Sent %d", 3, user_id="u-17"))
                    log.info("Signup", user_id="u-17")
                self.assertEqual([one.to_dict()["event"] for one in captured], names)

    @needs.event_loop
    def test_precedence(self) -> None:
        """The order in which identity.md lists where a user's id may come from."""
        self.configured(self.structlog.stdlib.ProcessorFormatter.wrap_for_formatter)
        log = self.structlog.get_logger()
        bound_contextvars = self.structlog.contextvars.bound_contextvars

        async def app(scope: Any, receive: Any, send: Any) -> None:
            log.info("Event", segment=True)
            bind(user_id="bound")
            log.info("Event", segment=True)
            with bound_contextvars(user_id="contextvars"), identity(user_id="later"):
                log.info("Event", segment=True)
                log.info("An ordinary record")
                bound = log.bind(user_id="logger")
                bound.info("Event")
                bound.info("Event", user_id="call")
                bound.info("Event", user_id="call", segment={"user_id": "segment"})

        middleware = SegmentMiddleware(app, user_id=lambda scope: "middleware")
        with capture_segment() as captured:
            asyncio.run(middleware({"type": "http", "path": "/", "headers": []}, _never, _never))
        self.assertEqual(
            [one.to_dict()["userId"] for one in captured],
            ["middleware", "bound", "contextvars", "logger", "call", "segment"],
        )

    def test_excluded_user(self) -> None:
        """With exclude_extras=["user_id"], ids from structlog and from calls are ignored, but not
        those in `segment`."""
        last = self.structlog.stdlib.ProcessorFormatter.wrap_for_formatter
        self.configured(last, exclude_extras=["user_id"])
        log = self.structlog.get_logger()
        with (
            capture_segment() as captured,
            self.structlog.contextvars.bound_contextvars(user_id="contextvars"),
            identity(user_id="u-17"),
        ):
            log.info("Event", segment=True)
            log.info("Event", segment=True, user_id="call")
            log.info("An ordinary record", user_id="call")
            log.info("Event", segment={"user_id": "segment"})
        users = [one.to_dict()["userId"] for one in captured]
        self.assertEqual(users, ["u-17", "u-17", "segment"])

    def test_times(self) -> None:
        """Which timestamps of processors become the event's time, and which become properties."""
        stdlib = self.structlog.stdlib
        for added, options, properties, is_used in (
            ({"timestamp": "2023-11-14T22:13:20Z"}, {}, {}, True),
            ({"timestamp": 1_700_000_000.0}, {}, {}, True),
            ({"timestamp": "22:13:20"}, {}, {}, False),
            ({"timestamp": "2023-11-14T22:13:20"}, {}, {}, False),
            ({"ts": 1_700_000_000.0}, {}, {"ts": 1_700_000_000.0}, False),
            ({"ts": 1_700_000_000.0}, {"exclude_extras": ["ts"]}, {}, False),
        ):
            with self.subTest(added, options=options):

                def add(_logger: Any, _method: str, event: Any, added: Any = added) -> Any:
                    return {**event, **added}

                self.configured(add, stdlib.ProcessorFormatter.wrap_for_formatter, **options)
                with capture_segment() as captured:
                    self.structlog.get_logger().info("Event", segment=True, user_id="u-17")
                message = captured[0].to_dict()
                self.assertEqual(message.get("properties", {}), properties)
                self.assertEqual(message["timestamp"].startswith("2023-11-14T22:13:20"), is_used)

    def test_console(self) -> None:
        """The options of a handler change nothing on the console. Processors of its formatter do,
        and they can rename the text."""
        stdlib = self.structlog.stdlib
        formatter = stdlib.ProcessorFormatter
        rename = self.structlog.processors.EventRenamer("message")

        def without_email(_logger: Any, _method: str, event: Any) -> Any:
            return {key: value for key, value in event.items() if key != "email"}

        paid = {"plan": "pro", "user_id": "u-17"}
        for processors, printed in (
            ((), {"email": "ada@shop.example", "event": "Paid 17", **paid}),
            ((without_email,), {"event": "Paid 17", **paid}),
            ((without_email, rename), {"message": "Paid 17", **paid}),
        ):
            with self.subTest(processors):
                self.configured(formatter.wrap_for_formatter, redact=["email"])
                console = logging.StreamHandler(io.StringIO())
                console.setFormatter(
                    formatter(
                        processors=[
                            stdlib.PositionalArgumentsFormatter(),
                            formatter.remove_processors_meta,
                            *processors,
                            self.structlog.processors.JSONRenderer(),
                        ]
                    )
                )
                self.logger.addHandler(console)
                with capture_segment() as captured:
                    self.structlog.get_logger().info(
                        "Paid %d", 17, user_id="u-17", plan="pro", email="ada@shop.example"
                    )
                self.assertEqual(json.loads(console.stream.getvalue()), printed)
                message = captured[0].to_dict()
                self.assertEqual(message["event"], "Paid %d")
                self.assertEqual(message["properties"], {"plan": "pro", "message": "Paid 17"})

    def test_capture_logs(self) -> None:
        """structlog's own capture hides events from this package's."""
        self.configured(self.structlog.stdlib.ProcessorFormatter.wrap_for_formatter)
        testing: Any = import_module("structlog.testing")
        with capture_segment() as captured, testing.capture_logs() as logs:
            self.structlog.get_logger().info("Signup", user_id="u-17")
        self.assertEqual((len(captured), len(logs)), (0, 1))


async def _never(*_: Any) -> Any:
    raise AssertionError
