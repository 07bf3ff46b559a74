"""Tests for the URL of a broker."""

from __future__ import annotations

import unittest

from segment_logging import ConfigurationError, SegmentHandler
from segment_logging._broker.address import address_of
from segment_logging.testing import FakeClient

SECRET = "s3cr3t"


class TestAddress(unittest.TestCase):
    def refusal(self, url: object, queue: str | None = None) -> str:
        """Return the error's text, which must not contain the password."""
        with self.assertRaises(ConfigurationError) as caught:
            address_of(url, queue)
        self.assertNotIn(SECRET, str(caught.exception))
        return str(caught.exception)

    def test_accepted(self) -> None:
        """An amqp or amqps URL is accepted, with or without its parts."""
        for url, host in (
            ("amqp://shop", "shop"),
            (f"amqp://user:{SECRET}@shop:5672/events", "shop"),
            ("amqps://shop//", "shop"),
            ("amqp://[::1]:5672", "::1"),
        ):
            with self.subTest(url):
                address = address_of(url)
                self.assertEqual((address.host, address.url), (host, url))
                self.assertNotIn(SECRET, address.shown)

    def test_queue(self) -> None:
        """The queue is the argument, or else the one in the URL, or else the default."""
        for url, queue, found in (
            ("amqp://shop", None, "segment-logging"),
            ("amqp://shop/v?queue=eu", None, "eu"),
            ("amqp://shop/v?queue=eu", "us", "us"),
        ):
            address = address_of(url, queue)
            self.assertEqual((address.queue, address.dead_queue), (found, f"{found}.dead"))
            self.assertNotIn("?", address.url)

    def test_transports_that_lose_messages(self) -> None:
        """Transports that were measured to lose messages are refused with that reason."""
        for scheme, reason in (
            ("redis", "lost 16 of 30,000"), ("rediss", "lost 16 of 30,000"),
            ("sentinel", "lost 16 of 30,000"), ("redis+socket", "lost 16 of 30,000"),
            ("filesystem", "lost 269 of 2,000"), ("sqlalchemy+sqlite", "lost 78 of 2,000"),
            ("sqla+postgresql", "lost 78 of 2,000"), ("confluentkafka", "loses messages"),
        ):  # fmt: skip
            with self.subTest(scheme):
                self.assertIn(reason, self.refusal(f"{scheme}://user:{SECRET}@shop"))

    def test_other_schemes(self) -> None:
        """Any other scheme is refused, and the one that was meant is suggested."""
        self.assertIn("did you mean amqp?", self.refusal(f"ampq://user:{SECRET}@shop"))
        self.assertIn("use the form", self.refusal(f"https://user:{SECRET}@shop"))
        self.assertIn("use the form", self.refusal(SECRET))

    def test_not_usable(self) -> None:
        """A URL without a host, with a wrong port or with other parameters is refused."""
        for url in (
            "amqp://", f"amqp://user:{SECRET}@", f"amqp://u:{SECRET}@shop:port", "", None, 7,
            f"amqp://shop?heartbeat={SECRET}", "amqp://shop?queue=a%20b", "amqp://[shop",
        ):  # fmt: skip
            with self.subTest(url):
                self.refusal(url)
        self.refusal("amqp://shop", "a/b")


class TestOption(unittest.TestCase):
    def test_checked_at_once(self) -> None:
        """A handler with a broker that cannot be used fails when it is created."""
        for broker in ("redis://shop", "amqp://", 7):
            with self.assertRaisesRegex(ConfigurationError, "^broker"):
                SegmentHandler("key", broker=broker)  # type: ignore[arg-type]

    def test_client(self) -> None:
        """A client and a broker exclude each other."""
        with self.assertRaisesRegex(ConfigurationError, "exclude each other"):
            SegmentHandler("key", broker="amqp://shop", client=FakeClient())

    def test_password(self) -> None:
        """The password is not shown."""
        handler = SegmentHandler("key", broker=f"amqp://user:{SECRET}@shop")
        self.assertIn("queue segment-logging of amqp://shop", repr(handler))
        self.assertNotIn(SECRET, repr(handler))
