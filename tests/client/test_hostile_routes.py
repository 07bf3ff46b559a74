"""Tests for TLS and proxies that drip, stall or refuse, and for certificates that are wrong."""

from __future__ import annotations

import shutil
import ssl
import tempfile
import time
import unittest
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import requests
from typing_extensions import override

from segment_logging import DeliveryError, HttpClient
from segment_logging.errors import Cause
from tests.builders import a_track
from tests.raw_servers import OK, RawServer, always, an_answer, once, tls_context
from tests.servers import dead_host

FAR_LONGER = 20.0
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def error_of(client: HttpClient) -> DeliveryError:
    """Send once, and return the error."""
    before = time.monotonic()
    try:
        with client:
            client.send("s3cr3t-write-key", a_track())
    except DeliveryError as error:
        if time.monotonic() - before > FAR_LONGER:
            raise AssertionError("the exchange was not bounded") from None
        return error
    raise AssertionError("the message counted as delivered")


def client_for(url: str, **options: Any) -> HttpClient:
    """Return a client with short timeouts."""
    return HttpClient(url, timeout=(0.4, 0.3), **options)


@unittest.skipUnless(shutil.which("openssl"), "needs openssl, to make a certificate")
class TestTls(unittest.TestCase):
    context: ssl.SSLContext
    certificate: Path

    @classmethod
    @override
    def setUpClass(cls) -> None:
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.context, cls.certificate = tls_context(Path(directory.name))

    def session(self) -> requests.Session:
        """Return a session that trusts the certificate."""
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.certificate)
        return session

    def over_tls(self, behave: Callable[[RawServer, Any], object]) -> RawServer:
        """Return a server whose `behave` gets a connection with TLS."""

        def wrapped(server: RawServer, connection: Any) -> None:
            with self.context.wrap_socket(connection, server_side=True) as secured:
                behave(server, secured)

        server = RawServer(wrapped)
        server.url = server.url.replace("http:", "https:")
        return server

    def test_delivered(self) -> None:
        """A message is delivered over TLS, and the connection is used again."""
        with self.over_tls(always(OK)) as server:
            client = HttpClient(server.url, session=self.session())
            client.send("key", a_track())
            client.send("key", a_track())
            client.close()
        self.assertEqual((len(server.requests), server.connections), (2, 1))

    def test_handshake(self) -> None:
        """A handshake that stalls or drips ends in time, and counts as no connection."""
        record = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03"  # a ServerHello that goes on
        behaviors: tuple[Callable[[RawServer, Any], object], ...] = (
            lambda server, connection: server.wait(),
            lambda server, connection: server.drip(connection, record + b"x" * 10_000),
            lambda server, connection: server.drip(connection),
            lambda server, connection: connection.sendall(OK),
        )
        for behave in behaviors:
            with RawServer(behave) as server:
                error = error_of(client_for(server.url.replace("http:", "https:")))
            self.assertEqual((error.status, error.cause), (None, Cause.CONNECTION))
            self.assertTrue(error.retryable)

    def test_records(self) -> None:
        """An answer that drips inside TLS ends in time."""

        def drip(server: RawServer, connection: Any) -> None:
            server.take(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-A: ")
            server.drip(connection)

        with self.over_tls(drip) as server:
            error = error_of(client_for(server.url, session=self.session()))
        self.assertEqual((error.status, error.cause), (None, Cause.OTHER))

    def test_untrusted(self) -> None:
        """A certificate that is not trusted is explained, and tried again."""
        with self.over_tls(always(OK)) as server:
            error = error_of(client_for(server.url))
        self.assertIn("certificate", str(error))
        self.assertEqual((error.retryable, error.cause), (True, Cause.CONNECTION))
        self.assertEqual(server.requests, [])

    def test_through_a_proxy(self) -> None:
        """After the proxy's answer, the TLS handshake may only take the time to connect."""

        def behave(server: RawServer, connection: Any) -> None:
            server.take(connection)
            connection.sendall(ESTABLISHED)
            if len(server.requests) == 1:
                with self.context.wrap_socket(connection, server_side=True) as secured:
                    always(OK)(server, secured)
            server.wait()

        with RawServer(behave) as proxy:
            proxies = {"https": proxy.url}
            address = "https://localhost:9"
            with HttpClient(address, session=self.session(), proxies=proxies) as client:
                client.send("key", a_track())
            self.assertIn(b"CONNECT localhost:9", proxy.requests[0][0])
            error = error_of(HttpClient(address, timeout=(0.3, 60), proxies=proxies))
        self.assertIs(error.cause, Cause.CONNECTION)

    def test_certificate_files(self) -> None:
        """A CA bundle or client certificate that cannot be read is named, and not tried again."""
        missing = "/nowhere/ca.pem"
        here = __file__  # not a certificate
        for attribute, value, named in (
            ("verify", missing, missing), ("verify", here, here), ("cert", missing, missing),
            ("cert", (str(self.certificate), missing), missing),
        ):  # fmt: skip
            session = self.session()
            setattr(session, attribute, value)
            error = error_of(client_for(dead_host().replace("http", "https"), session=session))
            self.assertIn(named, str(error))
            self.assertFalse(error.retryable)

    def test_bundle_of_the_environment(self) -> None:
        """A wrong REQUESTS_CA_BUNDLE is named, unless the host is not reached over TLS."""
        with mock.patch.dict("os.environ", REQUESTS_CA_BUNDLE="/nowhere/ca.pem"):
            error = error_of(client_for(dead_host().replace("http", "https")))
            self.assertIn("/nowhere/ca.pem", str(error))
            self.assertTrue(error_of(client_for(dead_host())).retryable)


class TestProxies(unittest.TestCase):
    SECRET = "pr0xy-passw0rd"

    def through(
        self, behave: Callable[[RawServer, Any], object], scheme: str = "https"
    ) -> DeliveryError:
        """Send once through a proxy with a password, and return the error."""
        with RawServer(behave) as server:
            proxy = server.url.replace("//", f"//user:{self.SECRET}@")
            error = error_of(client_for(f"{scheme}://segment.example", proxies={scheme: proxy}))
        given = b64encode(f"user:{self.SECRET}".encode()).decode()
        for secret in (self.SECRET, given):
            self.assertNotIn(secret, f"{error} {error!r} {vars(error)} {error.__cause__}")
        return error

    def test_password_wanted(self) -> None:
        """A 407 is explained, whatever its phrase, for http and for https."""
        for phrase in ("Proxy Authentication Required", "authentication needed", ""):
            for scheme in ("http", "https"):
                error = self.through(once(an_answer(status=f"407 {phrase}")), scheme)
                self.assertIn("(407)" if scheme == "https" else "407", str(error))
                self.assertIn("proxy", str(error))
                self.assertEqual((error.status, error.retryable), (407, False))

    def test_other_answers(self) -> None:
        """A proxy that refuses the tunnel otherwise is no connection, which may pass."""
        for status in ("403 Forbidden", "502 Bad Gateway", "503 407", "302 Found"):
            error = self.through(once(an_answer(status=status)))
            self.assertEqual((error.status, error.retryable), (None, True))
            self.assertIs(error.cause, Cause.CONNECTION)
            self.assertIn(f"the proxy answered {status[:3]}", str(error))

    def test_drips(self) -> None:
        """A proxy's answer that drips, floods or never comes ends in time."""

        def mute(server: RawServer, connection: Any) -> None:
            server.take(connection)
            server.wait()

        def drip(server: RawServer, connection: Any) -> None:
            server.take(connection)
            server.drip(connection, b"HTTP/1.1 200 " + b"x" * 10_000)

        def drip_headers(server: RawServer, connection: Any) -> None:
            server.take(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            server.drip(connection, b"X-A: x\r\n" * 10_000)

        def flood(server: RawServer, connection: Any) -> None:
            server.take(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                connection.sendall(b"X-A: x\r\n" * 1_000)

        for behave in (mute, drip, drip_headers, flood):
            with self.subTest(behave=behave.__name__):
                error = self.through(behave)
                self.assertEqual((error.status, error.retryable), (None, True))
                self.assertIs(error.cause, Cause.CONNECTION)

    def test_unusable(self) -> None:
        """A proxy's URL that cannot be used is a wrong configuration, and is not quoted."""
        for url in (
            f"http://user:{self.SECRET}@", f"http://user:{self.SECRET}[@x",
            f"http://user:{self.SECRET}@x:99999", f"socks9://user:{self.SECRET}@x:1",
            f"user:{self.SECRET}@:80", f"http://user:{self.SECRET}@x\n:80",
        ):  # fmt: skip
            for scheme in ("http", "https"):
                with self.subTest(url=url, scheme=scheme):
                    client = client_for(f"{scheme}://segment.invalid", proxies={scheme: url})
                    error = error_of(client)
                    self.assertNotIn(self.SECRET, f"{error} {vars(error)}")
                    self.assertFalse(error.retryable)
