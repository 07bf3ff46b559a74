"""Tests that the sign-up example of every framework sends the same messages."""

from __future__ import annotations

import unittest
from typing import Any

from ..faults.subprocesses import IMPATIENT_CELERY, run
from ..test_examples import EXAMPLES
from .frameworks import CollectorTest, has

ADA = {"name": "Ada", "plan": "pro"}
ORDER = {"order_id": "o-501", "revenue": 29.0, "currency": "EUR"}
EXPECTED = [
    ("page", "Pricing", None, "visitor-31", {}),
    ("identify", None, "1", "visitor-31", ADA),
    ("track", "Signed Up", "1", "visitor-31", {"plan": "pro"}),
    ("track", "Order Completed", "1", "visitor-31", ORDER),
]


def gist_of(message: dict[str, Any]) -> tuple[Any, ...]:
    """Return a message's type, name, ids, and properties or traits."""
    return (
        message["type"],
        message.get("event", message.get("name")),
        message.get("userId"),
        message.get("anonymousId"),
        message.get("properties", message.get("traits")),
    )


class TestSignUp(CollectorTest):
    """Each example runs in its own interpreter."""

    def messages_of(self, name: str, *, setup: str = "") -> list[dict[str, Any]]:
        done = run(
            (EXAMPLES / name).read_text(encoding="utf-8"),
            self.collector.url,
            setup=setup,
            SEGMENT_WRITE_KEY="example-key",
            PYTHONWARNINGS="error",
        )
        self.assertEqual((done.status, done.stderr), (0, ""))
        self.assertEqual(self.collector.dropped, [])
        return self.collector.messages

    def assert_signed_up(self, name: str, *, setup: str = "") -> list[dict[str, Any]]:
        messages = self.messages_of(name, setup=setup)
        self.assertEqual([gist_of(message) for message in messages], EXPECTED)
        return messages

    def assert_pages(self, name: str) -> None:
        """Assert that the messages arrive, with the right pages and addresses in their contexts."""
        contexts = [message["context"] for message in self.assert_signed_up(name)]
        self.assertEqual(
            [context["page"]["path"] for context in contexts],
            ["/pricing", "/signup", "/signup", "/orders"],
        )
        self.assertEqual({context["ip"] for context in contexts}, {"127.0.0.1"})

    @unittest.skipUnless(has("django"), "needs Django")
    def test_django(self) -> None:
        """The Django example sends the expected messages."""
        self.assert_pages("django_app.py")

    @unittest.skipUnless(has("flask"), "needs Flask")
    def test_flask(self) -> None:
        """The Flask example sends the expected messages."""
        self.assert_pages("flask_app.py")

    @unittest.skipUnless(
        has("fastapi", "httpx", "itsdangerous"), "needs FastAPI, httpx and itsdangerous"
    )
    def test_fastapi(self) -> None:
        """The FastAPI example sends the expected messages."""
        self.assert_pages("fastapi_app.py")

    @unittest.skipUnless(has("celery"), "needs Celery")
    def test_celery(self) -> None:
        """The Celery example, which passes the identity to tasks, sends the expected messages."""
        self.assert_signed_up("celery_app.py", setup=IMPATIENT_CELERY)

    def test_lambda(self) -> None:
        """The AWS Lambda example sends one request to Segment for each call of the function."""
        self.assert_signed_up("lambda_function.py")
        self.assertEqual(len(self.collector.requests), 3)


if __name__ == "__main__":
    unittest.main()
