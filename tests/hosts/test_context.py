"""Tests that context stays where it belongs: with its request, its user and its logging call."""

from __future__ import annotations

import asyncio
import io
import logging
import pickle
import unittest
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from contextvars import ContextVar, copy_context
from logging.handlers import MemoryHandler, QueueHandler, QueueListener
from queue import SimpleQueue
from threading import Thread
from typing import Any
from unittest import mock

from typing_extensions import override

from segment_logging import KeepIdentity, SegmentHandler, SegmentLogger, bind, identity
from segment_logging._identity.binding import current_identity
from segment_logging._identity.who import NOBODY
from segment_logging.contrib import asgi, wsgi
from segment_logging.testing import FakeClient

from .. import needs
from .serving import HostTest
from .serving import needs as needs_modules

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


@contextmanager
def inherited_contexts() -> Iterator[None]:
    """Make new threads copy the context that starts them, as OpenTelemetry does."""
    start = Thread.start

    def start_with_context(self: Thread) -> None:
        context, run = copy_context(), self.run
        self.run = lambda: context.run(run)  # type: ignore[method-assign]
        start(self)

    with mock.patch.object(Thread, "start", start_with_context):
        yield


class ContextTest(unittest.TestCase):
    """Base class with a logger and a client that sends nothing."""

    @override
    def setUp(self) -> None:
        self.client = FakeClient()
        self.logger = logging.Logger("app")
        self.handler = self.attach()

    def attach(self, **options: Any) -> SegmentHandler:
        """Return a new handler, and attach it as the logger's only one."""
        handler = SegmentHandler("key", client=self.client, **options)
        self.addCleanup(handler.close)
        self.logger.handlers = [handler]
        return handler

    def forms(self) -> list[dict[str, Any]]:
        """Deliver all events, and return them in wire form."""
        self.assertTrue(self.handler.drain(10))
        return [call.wire_form() for call in self.client.messages]

    def whom(self) -> list[tuple[str | None, str | None]]:
        """Deliver all events, and return the user id and the anonymous id of each one."""
        return [(form.get("userId"), form.get("anonymousId")) for form in self.forms()]


@needs.threads
class TestDeliveryThread(ContextTest):
    """The thread that delivers, which is started by the first event."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.seen: list[object] = []

        def look(message: object) -> None:
            self.seen += [request_id.get(), current_identity()]

        self.client = FakeClient(script=look)
        self.handler = self.attach()

    def handle_requests(self) -> None:
        """Log events in two contexts. The first one starts the thread, as the second one does."""

        def handle(number: int) -> None:
            request_id.set(f"r-{number}")
            with identity(user_id=f"u-{number}"):
                self.logger.info("Seen", extra={"segment": True})
                self.handler.close()

        for number in (1, 2):
            copy_context().run(handle, number)
        self.assertEqual(self.whom(), [("u-1", None), ("u-2", None)])

    def test_empty_context(self) -> None:
        """A client sees neither context variables nor the identity of any request."""
        self.handle_requests()
        self.assertEqual(self.seen, [None, NOBODY] * 2)

    def test_inherited_context(self) -> None:
        """The same is true if a library makes new threads copy the context."""
        with inherited_contexts():
            self.handle_requests()
        self.assertEqual(self.seen, [None, NOBODY] * 2)

    def test_before_send(self) -> None:
        """`before_send` is called in the context of the logging call."""

        def look(message: Any) -> Any:
            self.seen.append(request_id.get())
            return message

        self.handler = self.attach(before_send=look)
        for name in ("r-1", "r-2"):
            token = request_id.set(name)
            self.logger.info("Seen", extra={"user_id": "u-17"})
            request_id.reset(token)
        self.assertEqual(self.seen, ["r-1", "r-2"])


class TestTraces(HostTest):
    @needs_modules("sentry_sdk")
    def test_sentry(self) -> None:
        """No POST belongs to the trace of the request whose event started the thread."""
        done = self.run_it(
            "import sentry_sdk\n"
            "from sentry_sdk.transport import Transport\n"
            "class Nowhere(Transport):\n"
            "    def capture_envelope(self, envelope): pass\n"
            "sentry_sdk.init('http://key@127.0.0.1:1/1', transport=Nowhere, traces_sample_rate=1)\n"
            "handler = attach(flush_interval=0)\n"
            "with sentry_sdk.start_transaction(name='request') as transaction:\n"
            "    log('Seen'); handler.drain(10)\n"
            "print(json.dumps(transaction.trace_id))\n"
            "log('Seen')"
        )
        self.assert_arrived(done, Seen=2)
        for request in self.collector.requests:
            self.assertNotIn(done.json, str(request.headers))


class TestHandlersInFront(ContextTest):
    """A MemoryHandler or QueueHandler in front of a SegmentHandler."""

    def put_in_front(self, *filters: logging.Filter, **options: Any) -> MemoryHandler:
        """Put a MemoryHandler with filters in front of a SegmentHandler with options."""
        self.handler = self.attach(**options)
        memory = MemoryHandler(100, flushLevel=logging.CRITICAL, target=self.handler)
        for one in filters:
            memory.addFilter(one)
        self.logger.handlers = [memory]
        self.addCleanup(memory.close)
        return memory

    def log_as(self, *names: str) -> None:
        """Log an event with each name, about the user of the same name."""
        for name in names:
            with identity(user_id=name.lower(), context={"traits": {"name": name}}):
                self.logger.info(name, extra={"segment": True})

    def test_memory_handler(self) -> None:
        """With KeepIdentity, an event keeps its user, whoever is bound when it is passed on."""
        memory = self.put_in_front(KeepIdentity())
        self.log_as("Anna", "Bert")
        with identity(user_id="carl", context={"traits": {"name": "Carl"}, "groupId": "g"}):
            memory.flush()
        self.assertEqual(self.whom(), [("anna", None), ("bert", None)])
        contexts = [form["context"] for form in self.forms()]
        self.assertEqual([one["traits"]["name"] for one in contexts], ["Anna", "Bert"])
        self.assertFalse(any("groupId" in one for one in contexts))

    def test_nobody(self) -> None:
        """An event that was logged for nobody is not about the user who is bound later."""
        memory = self.put_in_front(KeepIdentity())
        self.logger.info("Seen", extra={"anonymous_id": "a-1"})
        with identity(user_id="carl"):
            memory.flush()
        self.assertEqual(self.whom(), [(None, "a-1")])

    def test_memory_handler_without_the_filter(self) -> None:
        """Without KeepIdentity, an event is about the user who is bound when it is passed on."""
        memory = self.put_in_front()
        self.log_as("Anna")
        with identity(user_id="carl"):
            memory.flush()
        self.assertEqual(self.whom(), [("carl", None)])

    def test_own_ids(self) -> None:
        """A record's own ids and those bound to its logger precede the identity that is kept."""
        memory = self.put_in_front(KeepIdentity())
        with identity(user_id="anna", anonymous_id="a-1", context={"groupId": "g", "ip": "::1"}):
            self.logger.info("A", extra={"user_id": "bert"})
            SegmentLogger(self.logger).bind(user_id="carl").info("B", extra={"segment": True})
        memory.flush()
        self.assertEqual(self.whom(), [("bert", None), ("carl", None)])
        for form in self.forms():
            self.assertEqual((form["context"]["ip"], form["context"].get("groupId")), ("::1", None))

    def test_unmarked_records(self) -> None:
        """For a handler with `capture="all"`, KeepIdentity needs the same option."""
        memory = self.put_in_front(KeepIdentity(capture="all"), capture="all")
        with identity(user_id="anna"):
            self.logger.info("Seen")
        with identity(user_id="carl"):
            memory.flush()
        self.assertEqual(self.whom(), [("anna", None)])

    def test_other_records(self) -> None:
        """Records that are not events stay as they are, and the identity is not determined."""

        class Asked:
            def known(self) -> Any:
                raise AssertionError

        record = logging.makeLogRecord({"msg": "cache miss"})
        with mock.patch("segment_logging._records.keeping.current_identity", Asked):
            self.assertTrue(KeepIdentity().filter(record))
        self.assertNotIn("_segment_identity", vars(record))

    def test_visitor(self) -> None:
        """The visitor who made the request is determined during the logging call."""
        memory = self.put_in_front(KeepIdentity())
        environ = {"REMOTE_USER": "anna", "PATH_INFO": "/", "HTTP_COOKIE": "ajs_anonymous_id=a-1"}

        def application(environ: wsgi.Environ, start_response: Any) -> list[bytes]:
            self.logger.info("Seen", extra={"segment": True})
            return []

        app = wsgi.SegmentMiddleware(application, user_id=lambda environ: environ["REMOTE_USER"])
        list(app(environ, lambda *_: None))
        environ.clear()
        memory.flush()
        self.assertEqual(self.whom(), [("anna", "a-1")])

    def test_values_that_raise(self) -> None:
        """A record that cannot be read never raises an exception in the caller."""

        class Broken(dict[str, Any]):
            @override
            def __iter__(self) -> Any:
                raise ValueError

            keys = items = __iter__

        memory = self.put_in_front(KeepIdentity())
        self.logger.info(Broken(event="Seen"), extra={"user_id": "u-17"})
        with redirect_stderr(io.StringIO()) as stderr:
            memory.flush()
        self.assertEqual(self.handler.counts().invalid, 1, stderr.getvalue())

    @contextmanager
    def queue_in_front(self, *filters: logging.Filter) -> Iterator[None]:
        """Put a QueueHandler with filters in front, and pass all records on at the end."""
        queue: SimpleQueue[Any] = SimpleQueue()
        front = QueueHandler(queue)
        for one in filters:
            front.addFilter(one)
        self.logger.handlers = [front]
        listener = QueueListener(queue, self.handler)
        listener.start()
        try:
            yield
        finally:
            listener.stop()

    @needs.threads
    def test_queue_handler(self) -> None:
        """With KeepIdentity, events keep their users on the way through a queue."""
        with self.queue_in_front(KeepIdentity()), inherited_contexts(), identity(user_id="carl"):
            self.log_as("Anna", "Bert")
        self.assertEqual(self.whom(), [("anna", None), ("bert", None)])

    @needs.threads
    def test_queue_handler_without_the_filter(self) -> None:
        """Without KeepIdentity, nobody is bound in the queue's thread, so events lack an id."""
        with redirect_stderr(io.StringIO()) as stderr:
            with self.queue_in_front():
                self.log_as("Anna")
            self.assertEqual(self.whom(), [])
        self.assertEqual(self.handler.counts().invalid, 1)
        self.assertIn("user_id", stderr.getvalue())

    def test_pickled(self) -> None:
        """The identity that is kept survives being pickled, as by a queue between processes."""
        record = self.logger.makeRecord("app", 20, "", 1, "Seen", (), None, None, {"segment": True})
        with identity(user_id="anna", context={"traits": {"name": "Anna"}}):
            KeepIdentity().filter(record)
        self.handler.handle(logging.makeLogRecord(pickle.loads(pickle.dumps(vars(record)))))
        self.assertEqual(self.whom(), [("anna", None)])


PERSONAL: Mapping[str, Any] = {
    "traits": {"email": "a@example.com"},
    "groupId": "group-of-a",
    "externalIds": [{"id": "1", "type": "crm"}],
    "consent": {"categoryPreferences": {"analytics": True}},
}
REQUEST = {"ip": "192.0.2.1", "locale": "de"}


class TestUsers(ContextTest):
    """Nothing of user a reaches an event about user b, although a is bound."""

    def assert_not_about_a(self, *, events: int = 1) -> None:
        forms = self.forms()
        self.assertEqual(len(forms), events)
        for form in forms:
            context = form["context"]
            self.assertEqual((form["userId"], form.get("anonymousId")), ("b", None))
            self.assertEqual({key: context.get(key) for key in PERSONAL}, dict.fromkeys(PERSONAL))
            self.assertEqual({key: context.get(key) for key in REQUEST}, REQUEST)

    def test_record(self) -> None:
        """A record's own user id is that of b."""
        with identity(user_id="a", anonymous_id="x", context={**PERSONAL, **REQUEST}):
            self.logger.info("Seen", extra={"user_id": "b"})
        self.assert_not_about_a()

    def test_bind(self) -> None:
        """The identity of a was bound with `bind`."""

        def log() -> None:
            bind(user_id="a", anonymous_id="x", context={**PERSONAL, **REQUEST})
            self.logger.info("Seen", extra={"user_id": "b"})
            bind(user_id="b")
            self.logger.info("Seen", extra={"segment": True})

        copy_context().run(log)
        self.assert_not_about_a(events=2)

    def test_inner_block(self) -> None:
        """The identity of b is bound inside the block of a."""
        outer = identity(user_id="a", anonymous_id="x", context={**PERSONAL, **REQUEST})
        with outer, identity(user_id="b"):
            self.logger.info("Seen", extra={"segment": True})
        self.assert_not_about_a()

    def test_logger_of_b(self) -> None:
        """The identity of b is bound to the logger."""
        log = SegmentLogger(self.logger).bind(user_id="b")
        with identity(user_id="a", anonymous_id="x", context={**PERSONAL, **REQUEST}):
            log.info("Seen", extra={"segment": True})
            log.track("Seen")
        self.assert_not_about_a(events=2)

    def test_logger_of_a(self) -> None:
        """The identity of a is bound to the logger."""
        log = SegmentLogger(self.logger).bind(
            user_id="a", anonymous_id="x", context={**PERSONAL, **REQUEST}
        )
        log.info("Seen", extra={"user_id": "b"})
        with identity(user_id="c", context=PERSONAL):
            log.track("Seen", user_id="b")
        self.assert_not_about_a(events=2)

    def test_other_calls(self) -> None:
        """Page, screen, identify and group calls about b are no exception."""
        log = SegmentLogger(self.logger)
        with identity(user_id="a", anonymous_id="x", context={**PERSONAL, **REQUEST}):
            log.page("Seen", user_id="b")
            log.screen("Seen", user_id="b")
            log.identify(user_id="b", traits={"plan": "pro"})
            log.group("group-of-b", user_id="b")
        forms = self.forms()
        self.assertEqual([form["userId"] for form in forms], ["b"] * 4)
        for text in ("'x'", "a@example.com", "group-of-a", "crm"):
            self.assertNotIn(text, str(forms))

    def test_afterwards(self) -> None:
        """The next event in the block of a is about a, with everything that is bound."""
        with identity(user_id="a", anonymous_id="x", context=PERSONAL):
            self.logger.info("First", extra={"user_id": "b"})
            self.logger.info("Second", extra={"segment": True})
        form = self.forms()[1]
        self.assertEqual((form["userId"], form["anonymousId"]), ("a", "x"))
        self.assertLessEqual(PERSONAL.items(), form["context"].items())


CLIENT = "203.0.113.9"


@needs.event_loop
class TestMappedAddresses(ContextTest):
    """A server that listens on `::` sees the IPv4 addresses of its peers as IPv6 addresses."""

    def ip_behind(self, peer: str, proxy: str) -> tuple[object, object]:
        """Return `context.ip` of an event of each middleware, for a request through a proxy.

        Args:
            peer: the peer's address, as the server reports it.
            proxy: the proxy that is trusted.
        """

        async def respond(scope: Any, receive: Any, send: Any) -> None:
            self.logger.info("ASGI", extra={"user_id": "u-17"})

        def application(environ: wsgi.Environ, start_response: Any) -> list[bytes]:
            self.logger.info("WSGI", extra={"user_id": "u-17"})
            return []

        scope: dict[str, Any] = {
            "type": "http",
            "path": "/",
            "headers": [(b"x-forwarded-for", CLIENT.encode())],
            "client": (peer, 4711),
        }
        environ = {"PATH_INFO": "/", "REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": CLIENT}

        async def nothing(*_: object) -> dict[str, Any]:
            return {}

        self.attach_again()
        asyncio.run(
            asgi.SegmentMiddleware(respond, trusted_proxies=[proxy])(scope, nothing, nothing)  # type: ignore[arg-type]
        )
        list(wsgi.SegmentMiddleware(application, trusted_proxies=[proxy])(environ, nothing))
        of_asgi, of_wsgi = (form["context"].get("ip") for form in self.forms())
        return of_asgi, of_wsgi

    def attach_again(self) -> None:
        self.client = FakeClient()
        self.handler = self.attach()

    def test_trusted(self) -> None:
        """A proxy is recognized, in whichever form its address and that of the peer are."""
        forms = ("10.0.0.1", "::ffff:10.0.0.1", "::FFFF:0a00:0001")
        for peer in forms:
            for proxy in (*forms, "10.0.0.0/8", "::ffff:10.0.0.0/104"):
                with self.subTest(peer=peer, proxy=proxy):
                    self.assertEqual(self.ip_behind(peer, proxy), (CLIENT, CLIENT))

    def test_not_trusted(self) -> None:
        """The address of another peer is the client's, in the form of IPv4."""
        for proxy in ("10.0.0.2", "::ffff:10.0.0.2", "::/8"):
            with self.subTest(proxy=proxy):
                self.assertEqual(self.ip_behind("::ffff:10.0.0.1", proxy), ("10.0.0.1",) * 2)


if __name__ == "__main__":
    unittest.main()
