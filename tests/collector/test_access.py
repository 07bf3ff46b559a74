"""Tests for who may send to the collector, and who may read what arrived."""

from __future__ import annotations

import unittest

from segment_logging.collector.access import Access

from .serving import GOOD, OverHttp, captured_reports


class TestAccess(unittest.TestCase):
    def test_names(self) -> None:
        """The collector's names are compared without case, and with any port."""
        access = Access("127.0.0.1", ["Host.Docker.Internal", "[::1]"], [])
        for host in (
            "127.0.0.1", "LOCALHOST:80", "localhost.:1", "host.docker.INTERNAL:8765", "[::1]:80",
        ):  # fmt: skip
            self.assertTrue(access.has_name(host), host)
        for host in (
            "", "evil.test", "localhost.evil.test", "127.0.0.1:80:80", "a@localhost", "[::2]",
            "localhost:x", "127.0.0.2",
        ):  # fmt: skip
            self.assertFalse(access.has_name(host), host)

    def test_address(self) -> None:
        """The address to listen on is a name, unless it stands for all addresses."""
        self.assertTrue(Access("10.0.0.5", [], []).has_name("10.0.0.5:8765"))
        self.assertFalse(Access("0.0.0.0", [], []).has_name("0.0.0.0:8765"))

    def test_senders(self) -> None:
        """Programs and pages of this machine may send, and foreign pages may not."""
        access = Access("127.0.0.1", [], ["https://App.test/"])
        own = "127.0.0.1:8765"
        for origin in (
            None, "http://localhost:3000", "https://localhost", "http://127.0.0.1", "http://[::1]:5",
            "http://shop.localhost:80", "https://app.test", "http://127.9.9.9", "http://127.0.0.1:8765",
        ):  # fmt: skip
            self.assertTrue(access.may_send(origin, own), origin)
        for origin in (
            "null", "https://evil.test", "http://localhost.evil.test", "http://app.test", "x",
            "https://app.test.evil.test", "file://localhost", "http://[::1", "http://10.0.0.1", "*",
        ):  # fmt: skip
            self.assertFalse(access.may_send(origin, own), origin)
        self.assertTrue(Access("127.0.0.1", [], ["*"]).may_send("https://evil.test", own))

    def test_readers(self) -> None:
        """Programs and the collector's own page may read, and no other page."""
        access = Access("127.0.0.1", [], ["https://app.test"])
        own = "localhost:8765"
        self.assertTrue(access.may_read(None, None, own))
        self.assertTrue(access.may_read("http://localhost:8765", "same-origin", own))
        self.assertTrue(access.may_read(None, "same-origin", own))
        self.assertTrue(access.may_read(None, "none", own))
        for origin, site in (
            ("http://localhost:3000", "same-site"), (None, "same-site"), (None, "cross-site"),
            ("https://app.test", None), ("null", None),
        ):  # fmt: skip
            self.assertFalse(access.may_read(origin, site, own), (origin, site))


class TestCors(OverHttp):
    ORIGIN = "http://localhost:3000"

    def test_preflight(self) -> None:
        """A preflight request of a page of this machine is answered with what it asks for."""
        collector = self.start()
        asked = {
            "Origin": self.ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,authorization,x-custom",
        }
        status, headers, _ = self.ask(collector, "OPTIONS", "/v1/t", None, asked)
        self.assertEqual(status, 204)
        self.assertEqual(headers["Access-Control-Allow-Origin"], self.ORIGIN)
        self.assertIn("x-custom", headers["Access-Control-Allow-Headers"])
        self.assertIn("POST", headers["Access-Control-Allow-Methods"])
        self.assertEqual(headers["Access-Control-Allow-Private-Network"], "true")

    def test_errors_can_be_read(self) -> None:
        """A page can also read an error, and how long to wait."""
        collector = self.start(answer="429:retry-after=5")
        headers = {"Origin": self.ORIGIN}
        status, answered, _ = self.ask(collector, "POST", "/v1/t", GOOD, headers)
        self.assertEqual(status, 429)
        self.assertEqual(answered["Access-Control-Allow-Origin"], self.ORIGIN)
        self.assertEqual(answered["Access-Control-Expose-Headers"], "Retry-After")
        self.assertEqual(answered["Vary"], "Origin")

    def test_foreign_page(self) -> None:
        """A foreign page is refused, nothing is stored, and it is reported once how to allow it."""
        with captured_reports() as said:
            collector = self.start()
            for _ in range(3):
                self.assertEqual(self.post(collector, Origin="https://evil.test"), 403)
            asked = {"Origin": "https://evil.test", "Access-Control-Request-Method": "POST"}
            status, headers, _ = self.ask(collector, "OPTIONS", "/v1/t", None, asked)
        self.assertEqual((status, headers["Access-Control-Allow-Origin"]), (403, None))
        self.assertEqual(collector.requests, [])
        (report,) = said
        self.assertIn("--allow-origin", report)

    def test_allowed_page(self) -> None:
        """A page that is allowed may send, but not read what arrived."""
        collector = self.start(allow_origins=["https://app.test"])
        self.assertEqual(self.post(collector, Origin="https://app.test"), 200)
        status, _, _ = self.ask(
            collector, "GET", "/api/messages", None, {"Origin": "https://app.test"}
        )
        self.assertEqual(status, 403)

    def test_only_the_own_page_clears(self) -> None:
        """Pages of other origins cannot clear what arrived."""
        collector = self.start()
        self.post(collector)
        for headers in ({"Origin": self.ORIGIN}, {"Sec-Fetch-Site": "same-site"}):
            self.assertEqual(self.ask(collector, "DELETE", "/api/messages", None, headers)[0], 403)
        self.assertEqual(len(collector.messages), 1)
        own = {"Origin": collector.url}
        self.assertEqual(self.ask(collector, "DELETE", "/api/messages", None, own)[0], 200)
        self.assertEqual(collector.messages, [])

    def test_settings(self) -> None:
        """analytics.js gets settings that make it send to the collector."""
        collector = self.start()
        headers = {"Origin": self.ORIGIN}
        status, answered, body = self.ask(
            collector, "GET", "/v1/projects/any-key/settings", None, headers
        )
        self.assertEqual((status, answered["Access-Control-Allow-Origin"]), (200, self.ORIGIN))
        self.assertIn(f'"apiHost": "{collector.url[7:]}/v1"'.encode(), body)

    def test_allowed_host(self) -> None:
        """In a container, clients may use its name."""
        collector = self.start(host="0.0.0.0", allow_hosts=["Collector"])
        self.assertRegex(collector.url, r"^http://127\.0\.0\.1:\d+$")
        self.assertEqual(self.post(collector, Host="collector:8765"), 200)
        self.assertEqual(self.post(collector, Host="other:8765"), 403)
