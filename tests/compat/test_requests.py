"""Tests for a half-moved web application: its calls, and its logging calls, in one request."""

from __future__ import annotations

import logging
import unittest
from typing import Any
from wsgiref.util import setup_testing_defaults

from segment_logging import SegmentHandler
from segment_logging.compat.analytics.client import Client
from segment_logging.contrib.wsgi import SegmentMiddleware
from segment_logging.testing import capture_segment

from ..docs.pages import PAGES

OF_THE_REQUEST = ("ip", "userAgent", "locale", "page")


def messages_of(**options: Any) -> list[dict[str, Any]]:
    """Return the messages of a call and of a logging call in a request of a user."""
    logger = logging.Logger("docs")
    logger.addHandler(SegmentHandler("key", **options))
    client = Client("key")

    def app(environ: Any, start_response: Any) -> list[bytes]:
        client.track("u-1", "Paid")
        logger.info("Paid", extra={"event": "Paid"})
        return [b""]

    request: dict[str, Any] = {
        "REMOTE_ADDR": "192.0.2.7", "HTTP_USER_AGENT": "Firefox", "HTTP_ACCEPT_LANGUAGE": "de-DE",
        "HTTP_COOKIE": "ajs_anonymous_id=a-31",
    }  # fmt: skip
    setup_testing_defaults(request)
    with capture_segment() as captured:
        list(SegmentMiddleware(app, user_id=lambda environ: "u-1")(request, lambda *args: None))
    return [one.to_dict() for one in captured]


class TestRequests(unittest.TestCase):
    def test_moved_call(self) -> None:
        """Only the logging call sends the request's data and the ids of its visitor."""
        old, new = messages_of()
        self.assertTrue(all(name in new["context"] for name in OF_THE_REQUEST), new)
        self.assertEqual((new["userId"], new["anonymousId"]), ("u-1", "a-31"))
        self.assertEqual(set(old["context"]), {"library"})
        self.assertEqual((old["userId"], old.get("anonymousId")), ("u-1", None))

    def test_redact(self) -> None:
        """The option on the page removes what is about the request."""
        names = ", ".join(f'"context.{name}"' for name in OF_THE_REQUEST)
        self.assertIn(f"`redact=[{names}]`", PAGES["docs/official-sdk.md"])
        _, new = messages_of(redact=[f"context.{name}" for name in OF_THE_REQUEST])
        self.assertEqual(set(new["context"]), {"library"})


if __name__ == "__main__":
    unittest.main()
