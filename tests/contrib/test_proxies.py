"""Tests for a client's address, and for the proxies that are trusted to report it."""

from __future__ import annotations

import unittest
from typing import Any

from segment_logging import ConfigurationError
from segment_logging.contrib.proxies import TrustedProxies

CLIENT, FORGED = "203.0.113.9", "198.51.100.1"


class TestClient(unittest.TestCase):
    def client(self, peer: str | None, forwarded_for: str | None, *proxies: str) -> str | None:
        return TrustedProxies(proxies).client_of(peer, forwarded_for)

    def test_peer(self) -> None:
        """Without proxies, the client is the peer."""
        self.assertEqual(self.client(CLIENT, None), CLIENT)

    def test_anyone_can_send_it(self) -> None:
        """X-Forwarded-For from an untrusted peer is ignored."""
        self.assertEqual(self.client(CLIENT, FORGED), CLIENT)
        self.assertEqual(self.client(CLIENT, FORGED, "10.0.0.0/8"), CLIENT)

    def test_one_proxy(self) -> None:
        """With one trusted proxy, the client is the last address, which the proxy added."""
        self.assertEqual(self.client("10.0.0.1", f"{FORGED}, {CLIENT}", "10.0.0.1"), CLIENT)

    def test_two_proxies(self) -> None:
        """Trusted proxies at the end of the header are skipped."""
        chain = f"{FORGED}, {CLIENT}, 10.1.1.1"
        self.assertEqual(self.client("10.0.0.1", chain, "10.0.0.0/8"), CLIENT)

    def test_all_trusted(self) -> None:
        """If every address is trusted, the client is the first one."""
        self.assertEqual(self.client("10.0.0.1", "10.2.2.2, 10.1.1.1", "10.0.0.0/8"), "10.2.2.2")

    def test_trusted_without_header(self) -> None:
        """A trusted peer that sends no header, such as a health check, is itself the client."""
        self.assertEqual(self.client("10.0.0.1", None, "10.0.0.0/8"), "10.0.0.1")

    def test_garbage_on_the_way(self) -> None:
        """If the header contains a value such as "unknown", the client is unknown."""
        for garbage in ("unknown", "", "1.2.3", "x" * 10_000):
            with self.subTest(garbage=garbage[:10]):
                self.assertIsNone(self.client("10.0.0.1", f"{FORGED}, {garbage}", "10.0.0.0/8"))

    def test_ports(self) -> None:
        """An address may include a port, which some proxies add."""
        for text in (f"{CLIENT}:4711", f'"{CLIENT}:4711"'):
            self.assertEqual(self.client("10.0.0.1", text, "10.0.0.1"), CLIENT)
        for text in ("[2001:db8::1]:4711", "[2001:DB8::1]", "2001:db8::1"):
            self.assertEqual(self.client("10.0.0.1", text, "10.0.0.1"), "2001:db8::1")

    def test_ipv6(self) -> None:
        """IPv6 addresses are supported, and an IPv4-mapped address is treated as IPv4."""
        self.assertEqual(self.client("2001:db8::1", CLIENT, "2001:db8::/32"), CLIENT)
        self.assertEqual(self.client("::ffff:10.0.0.1", CLIENT, "10.0.0.0/8"), CLIENT)
        self.assertEqual(self.client("fe80::1%eth0", None), "fe80::1")

    def test_unix_socket(self) -> None:
        """A peer without an address is trusted if "unix" is listed."""
        for peer in (None, ""):
            self.assertEqual(self.client(peer, CLIENT, "unix"), CLIENT)
            self.assertIsNone(self.client(peer, CLIENT, "10.0.0.0/8"))
            self.assertIsNone(self.client(peer, None, "unix"))

    def test_peer_that_is_none(self) -> None:
        """A peer that is a name, such as a test client's, is not trusted like a Unix socket."""
        self.assertIsNone(self.client("testclient", CLIENT, "unix"))


class TestConfiguration(unittest.TestCase):
    def test_no_address(self) -> None:
        """A proxy that is not an address is refused, and the error contains it."""
        with self.assertRaisesRegex(ConfigurationError, "'proxy.local'"):
            TrustedProxies(["proxy.local"])

    def test_number(self) -> None:
        """A number is refused, although `ipaddress` accepts it as an address."""
        number: Any = 3
        with self.assertRaisesRegex(ConfigurationError, "trusted_proxies: 3"):
            TrustedProxies([number])

    def test_text(self) -> None:
        """A string is refused, because it would be read character by character."""
        text: Any = "10.0.0.1"
        with self.assertRaisesRegex(ConfigurationError, "list"):
            TrustedProxies(text)


if __name__ == "__main__":
    unittest.main()
