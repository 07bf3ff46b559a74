"""Django's application under ASGI servers that are stopped."""

from __future__ import annotations

import unittest
from collections import Counter
from typing import Any

import requests

from ..docs.pages import blocks_of
from .serving import REQUESTS, HostTest, Server, has, needs
from .test_asgi_servers import COMMANDS, GUNICORN, HYPERCORN

SITE = """
import os
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.signals import request_finished, request_started
from django.http import HttpResponse
from django.urls import path

attach(flush_interval=30)


def anonymous_id(request):
    return request.COOKIES["ajs_anonymous_id"] if "consent" in request.COOKIES else None


def index(request):
    log("Request")
    logger.info("Own", extra={"segment": True})
    return HttpResponse("ok")


async def aindex(request):
    return index(request)


urlpatterns = [path("", index), path("async", aindex)]
settings.configure(
    SECRET_KEY="test-secret",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["segment_logging.contrib.django.SegmentMiddleware"],
    SEGMENT_LOGGING={"anonymous_id": anonymous_id, "user_id": lambda request: "u-31"},
    LOGGING_CONFIG=None,
)
request_started.connect(lambda **_: log("Started"), weak=False)
request_finished.connect(lambda **_: log("Finished"), weak=False)
"""

PLAIN = "app = get_asgi_application()"


def wrapped() -> str:
    """Return the code of the page's asgi.py."""
    (code,) = (one.text for one in blocks_of("docs/frameworks/django.md") if "get_asgi" in one.text)
    return f"{code}\napp = application"


def visit(server: Server) -> None:
    """Make `REQUESTS` requests, a half of them with consent, and a half of them async."""
    for number in range(REQUESTS):
        cookies = {"ajs_anonymous_id": "visitor-31"} | ({"consent": "yes"} if number % 2 else {})
        path = "async" if number % 4 > 1 else ""
        url = f"http://127.0.0.1:{server.port}/{path}"
        assert requests.get(url, cookies=cookies, timeout=20).text == "ok"


@needs("django", "uvicorn")
class TestDjango(HostTest):
    def ids(self) -> Counter[tuple[Any, ...]]:
        """Count the names and ids of the messages that arrived."""
        return Counter(
            (one["event"], one.get("userId"), one.get("anonymousId"))
            for one in self.collector.messages
        )

    def test_sigterm(self) -> None:
        """With the middleware around Django, all events arrive once, with ids from MIDDLEWARE."""
        commands = dict(COMMANDS)
        del commands["reload"], commands["run"]
        if has("gunicorn", "uvicorn_worker"):
            worker = "-k=uvicorn_worker.UvicornWorker"
            commands["gunicorn"] = (*GUNICORN, "--workers=2", worker, "program:app")
        if has("hypercorn"):
            commands["hypercorn"] = HYPERCORN
        for name, command in commands.items():
            with self.subTest(name):
                self.start_over()
                done = self.serve(SITE + wrapped(), command, visit=visit)
                self.assertNotIn("Traceback", done.stderr)
                half = REQUESTS // 2
                expected = {
                    ("Started", "u-17", None): REQUESTS,
                    ("Request", "u-17", None): REQUESTS,  # the bound user is another one
                    ("Own", "u-31", None): half,
                    ("Own", "u-31", "visitor-31"): half,
                    ("Finished", "u-17", None): REQUESTS,
                }
                self.assertEqual(self.ids(), expected, done.stderr)

    def test_not_wrapped(self) -> None:
        """Without it, the events are lost without a report."""
        done = self.serve(SITE + PLAIN, COMMANDS["uvicorn"], visit=visit)
        self.assertEqual((self.ids(), done.stderr), (Counter(), ""))

    def test_default_id(self) -> None:
        """Without the option of the outer middleware, events outside MIDDLEWARE have the cookie."""
        code = wrapped().replace(", anonymous_id=lambda scope: None", "")
        self.serve(SITE + code, COMMANDS["uvicorn"], visit=visit)
        self.assertEqual(self.ids()["Finished", "u-17", "visitor-31"], REQUESTS)


if __name__ == "__main__":
    unittest.main()
