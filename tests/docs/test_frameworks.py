"""Tests that what the documentation states about FastAPI and structlog is true."""

from __future__ import annotations

import asyncio
import logging
import re
import unittest
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from typing_extensions import override

from segment_logging import SegmentHandler
from segment_logging._process.shutdown import TIME_AFTER_SIGTERM
from segment_logging._records import dialects
from segment_logging.contrib.asgi import SegmentMiddleware
from segment_logging.testing import Captured, FakeClient, capture_segment

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
                total = float(requests) + float(own) + float(max_shutdown)
                self.assertLessEqual(total, until - 2)
                self.assertLess(float(patience), float(max_shutdown))
                self.assertLess(float(max_shutdown), TIME_AFTER_SIGTERM)
        self.assertIn(f"never more than {TIME_AFTER_SIGTERM:.0f} s", " ".join(PAGES[ASGI].split()))


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
        """Behind a load balancer, uvicorn, the middleware or both find the visitor's address."""
        proxies: Any = import_module("uvicorn.middleware.proxy_headers")
        logger = logging.Logger("docs")
        logger.addHandler(SegmentHandler("key"))

        async def app(scope: Any, receive: Any, send: Any) -> None:
            logger.info("Seen", extra={"user_id": "u-17"})

        def address(*, by_uvicorn: str, by_us: tuple[str, ...]) -> Any:
            server = proxies.ProxyHeadersMiddleware(
                SegmentMiddleware(app, trusted_proxies=by_us), trusted_hosts=by_uvicorn
            )
            scope = {
                "type": "http", "path": "/", "scheme": "http", "client": ("10.0.0.5", 4711),
                "headers": [(b"x-forwarded-for", b"203.0.113.9")],
            }  # fmt: skip
            with capture_segment() as captured:
                asyncio.run(server(scope, None, None))
            return captured[0].to_dict()["context"]["ip"]

        networks = ("10.0.0.0/8",)
        self.assertEqual(address(by_uvicorn="127.0.0.1", by_us=()), "10.0.0.5")
        self.assertEqual(address(by_uvicorn="10.0.0.5", by_us=()), "203.0.113.9")
        self.assertEqual(address(by_uvicorn="127.0.0.1", by_us=networks), "203.0.113.9")
        self.assertEqual(address(by_uvicorn="10.0.0.5", by_us=networks), "203.0.113.9")


@unittest.skipUnless(find_spec("structlog"), "needs structlog")
class TestStructlog(unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.structlog: Any = import_module("structlog")
        self.addCleanup(self.structlog.reset_defaults)
        self.addCleanup(self.structlog.contextvars.clear_contextvars)

    def logged(self, *processors: Any, **options: Any) -> tuple[Captured, int]:
        """Return the events of some calls, and how many calls were ignored."""
        stdlib = self.structlog.stdlib
        logger = logging.Logger("docs")
        self.structlog.configure(
            processors=[self.structlog.contextvars.merge_contextvars, *processors],
            logger_factory=lambda *_: logger,
            wrapper_class=stdlib.BoundLogger,
        )
        handler = SegmentHandler("key", **options)
        logger.addHandler(handler)
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
        section = PAGES[STRUCTLOG].split("own processors add is left out:")[1].split("\n\n")[0]
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
