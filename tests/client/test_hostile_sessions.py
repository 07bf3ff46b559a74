"""Tests for what programs put in the way of `HttpClient.send`: sessions, adapters, mocks, values.

Whatever they do, `send` raises nothing but the package's errors, which hold no secret.
"""

from __future__ import annotations

import unittest
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any
from unittest import mock

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from typing_extensions import override

from segment_logging import DeliveryError, HttpClient, InvalidMessage, SegmentError
from tests.builders import a_track
from tests.raw_servers import OK, RawServer, always, an_answer
from tests.servers import dead_host

KEY = "s3cr3t-write-key"


def frames_of(error: BaseException) -> Iterator[Mapping[str, Any]]:
    """Yield the local variables of the package's frames that an error has passed."""
    trace = error.__traceback__
    while trace is not None:
        if "segment_logging" in trace.tb_frame.f_code.co_filename:
            yield trace.tb_frame.f_locals
        trace = trace.tb_next


class FromHere(BaseAdapter):
    """An adapter that returns, or raises, what a test gives it."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result

    @override
    def send(self, request: Any, *args: Any, **options: Any) -> Any:
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result

    @override
    def close(self) -> None:
        pass


class Unprintable(Exception):
    """An error that cannot be shown."""

    @override
    def __str__(self) -> str:
        raise ValueError(KEY)


def with_adapter(result: Any) -> requests.Session:
    """Return a session with an adapter of the program's."""
    session = requests.Session()
    session.mount("http://", FromHere(result))
    return session


class TestErrors(unittest.TestCase):
    def error_of(self, client: HttpClient, key: Any = KEY, message: Any = None) -> SegmentError:
        """Send once and return the error, after a look for secrets in all that it holds."""
        with self.assertRaises(SegmentError) as caught:
            client.send(key, message or a_track("personal data"))
        error = caught.exception
        self.assertIsNone(error.__cause__)
        self.assertIsNone(error.__context__)
        for local in frames_of(error):
            shown = repr(local)
            for secret in (KEY, "czNjcjN0", "personal data"):
                self.assertNotIn(secret, shown)
        self.assertNotIn(KEY, f"{error} {error!r} {vars(error)}")
        return error

    def test_answers(self) -> None:
        """Refusals and missing answers hold no secret, in their frames neither."""
        for status in ("400 Bad", "401 No", "302 Found", "500 X"):
            with RawServer(always(an_answer(status=status))) as server:
                self.error_of(HttpClient(server.url))
        self.error_of(HttpClient(dead_host()))

    def test_values(self) -> None:
        """A key or a message of any type raises the package's errors."""
        client = HttpClient(dead_host())
        for key in (None, 7, b"bytes", "\ud800", "a\r\nb", "\0", object()):
            self.error_of(client, key)
        for message in ("text", {"type": "track"}, 7):
            self.assertIsInstance(self.error_of(client, KEY, message), InvalidMessage)

    def test_adapters(self) -> None:
        """An adapter may raise or return anything."""
        odd = requests.Response()
        worse = SimpleNamespace(status_code="200", headers={}, raw=None, content=b"")
        for result in (
            ValueError(KEY), RuntimeError(KEY), OSError(KEY), KeyError(KEY), Unprintable(),
            requests.exceptions.ConnectionError(KEY), requests.exceptions.InvalidURL(KEY),
            RecursionError(), MemoryError(), None, 7, "text", odd, worse,
        ):  # fmt: skip
            with self.subTest(result=type(result)):
                error = self.error_of(HttpClient("http://host", session=with_adapter(result)))
                self.assertIsInstance(error, DeliveryError)

    def test_interrupted(self) -> None:
        """Ctrl-C in an adapter is not swallowed."""
        client = HttpClient("http://host", session=with_adapter(KeyboardInterrupt()))
        with self.assertRaises(KeyboardInterrupt):
            client.send(KEY, a_track())

    def test_close_that_fails(self) -> None:
        """An answer counts, even if its response cannot be closed."""

        class Broken(requests.Response):
            @override
            def close(self) -> None:
                raise RuntimeError("close is broken")

        response = Broken()
        response.status_code = 200
        HttpClient("http://host", session=with_adapter(response)).send(KEY, a_track())

    def test_headers(self) -> None:
        """Headers of a session that cannot be sent are a wrong configuration."""
        for value in ("a\r\nX-B: c", 7, "\ud800", " x"):
            session = requests.Session()
            session.headers["X-A"] = value  # type: ignore[assignment]
            error = self.error_of(HttpClient(dead_host(), session=session))
            self.assertIsInstance(error, DeliveryError)

    def test_settings(self) -> None:
        """Settings of a session may be of any type."""
        for name in ("verify", "cert", "proxies", "headers", "adapters"):
            for value in (7, "text", object(), [1, 2, 3], {"http": 7}, {7: "x"}):
                session = requests.Session()
                setattr(session, name, value)
                client = HttpClient(dead_host().replace("http", "https"), session=session)
                with self.subTest(name=name, value=value):
                    self.error_of(client)

    def test_objects_like_sessions(self) -> None:
        """An object in place of a session may do anything."""
        for session in (
            object(), SimpleNamespace(post=None), mock.MagicMock(),
            SimpleNamespace(post=lambda *_, **__: None),
        ):  # fmt: skip
            self.error_of(HttpClient(dead_host(), session=session))


class TestSessions(unittest.TestCase):
    def test_follows_its_session(self) -> None:
        """What a program sets on its session later counts for the next request."""
        session = requests.Session()
        with RawServer(always(OK)) as server:
            client = HttpClient(server.url, session=session)
            client.send(KEY, a_track())
            session.headers["X-Tenant"] = "b"
            client.send(KEY, a_track())
            session.headers["X-Tenant"] = None  # type: ignore[assignment]
            client.send(KEY, a_track())
            session.mount("http://", FromHere(ConnectionError()))
            with self.assertRaises(DeliveryError):
                client.send(KEY, a_track())
            client.close()
        heads = [b"X-Tenant: b" in head for head, _ in server.requests]
        self.assertEqual(heads, [False, True, False])

    def test_keeps_nothing_of_its_session_but_the_route(self) -> None:
        """Cookies, `auth` and hooks of a session are not used, and ours are the headers."""
        session = requests.Session()
        session.cookies.set("a", "b")
        session.auth = ("user", "password")
        session.hooks["response"] = [lambda *_, **__: self.fail("a hook was called")]
        session.headers.update({"Content-Type": "text/x", "Accept-Encoding": "br"})
        with RawServer(always(OK)) as server, HttpClient(server.url, session=session) as client:
            client.send(KEY, a_track())
        head = server.requests[0][0].lower()
        self.assertNotIn(b"cookie", head)
        self.assertIn(b"authorization: basic cznjcjn0", head)
        self.assertIn(b"content-type: application/json", head)
        self.assertIn(b"accept-encoding: identity", head)

    def test_subclasses(self) -> None:
        """A subclass of Session or HTTPAdapter is used as it is."""

        class Session(requests.Session):
            pass

        class Adapter(HTTPAdapter):
            sent = 0

            @override
            def send(self, *args: Any, **options: Any) -> Any:
                self.sent += 1
                return super().send(*args, **options)

        session, adapter = Session(), Adapter()
        with RawServer(always(OK)) as server:
            HttpClient(server.url, session=session).send(KEY, a_track())
            session.mount("http://", adapter)
            HttpClient(server.url, session=session).send(KEY, a_track())
            session.close()
        self.assertEqual((len(server.requests), adapter.sent), (2, 1))


class TestMocks(unittest.TestCase):
    """Tools that replace parts of requests see the requests of a client that has sent before."""

    def test_adapter_send(self) -> None:
        """A patch of `HTTPAdapter.send`, as the package responses makes it, is used."""
        response = requests.Response()
        response.status_code = 404
        with RawServer(always(OK)) as server, HttpClient(server.url) as client:
            client.send(KEY, a_track())
            patch = mock.patch.object(HTTPAdapter, "send", lambda *_, **__: response)
            with patch, self.assertRaises(DeliveryError) as caught:
                client.send(KEY, a_track())
            client.send(KEY, a_track())
        self.assertEqual((caught.exception.status, len(server.requests)), (404, 2))

    def test_get_adapter(self) -> None:
        """A patch of `Session.get_adapter`, as the package requests-mock makes it, is used."""
        response = requests.Response()
        response.status_code = 404
        patch = mock.patch.object(requests.Session, "get_adapter", lambda *_: FromHere(response))
        with RawServer(always(OK)) as server, HttpClient(server.url) as client:
            client.send(KEY, a_track())
            with patch, self.assertRaises(DeliveryError) as caught:
                client.send(KEY, a_track())
            client.send(KEY, a_track())
        self.assertEqual((caught.exception.status, len(server.requests)), (404, 2))

    @unittest.skipUnless(find_spec("responses"), "needs the package responses")
    def test_responses(self) -> None:
        """The package responses answers in place of the server."""
        responses = import_module("responses")
        with responses.RequestsMock() as mocked:
            mocked.post("http://host/v1/track", json={"success": True})
            HttpClient("http://host").send(KEY, a_track())
            self.assertEqual(len(mocked.calls), 1)

    @unittest.skipUnless(find_spec("requests_mock"), "needs the package requests-mock")
    def test_requests_mock(self) -> None:
        """The package requests-mock answers in place of the server."""
        requests_mock = import_module("requests_mock")
        with requests_mock.Mocker() as mocked:
            mocked.post("http://host/v1/track", status_code=503)
            with self.assertRaises(DeliveryError):
                HttpClient("http://host").send(KEY, a_track())
            self.assertEqual(mocked.call_count, 1)

    def test_session_post(self) -> None:
        """A patch of `Session.post` or `Session.send` is used."""
        response = requests.Response()
        response.status_code = 404
        for name in ("post", "request", "send"):
            with RawServer(always(OK)) as server, HttpClient(server.url) as client:
                client.send(KEY, a_track())
                patch = mock.patch.object(requests.Session, name, return_value=response)
                with patch as patched, self.assertRaises(DeliveryError) as caught:
                    client.send(KEY, a_track())
                self.assertEqual((caught.exception.status, patched.call_count), (404, 1))
                self.assertEqual(len(server.requests), 1)
