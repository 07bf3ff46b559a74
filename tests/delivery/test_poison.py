"""Tests for the question whether a batch or the network is to blame, with real servers."""

from __future__ import annotations

import socket
import tempfile
import time
import unittest
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

from typing_extensions import override

from segment_logging import DeliveryError, HttpClient, SegmentHandler
from segment_logging._client.client import Client
from segment_logging._messages.batch import Batch
from segment_logging._messages.message import Message
from segment_logging.errors import Cause
from segment_logging.testing import FakeClient
from tests.builders import a_record, a_track
from tests.raw_servers import OK, RawServer, an_answer
from tests.servers import dead_host

BAD = b'"event":"bad"'


def events_in(message: Message) -> list[str]:
    """Return the event names of a batch."""
    assert isinstance(message, Batch)
    return [str(one.to_dict()["event"]) for one in message.batch]


def poisoned(status: str) -> Callable[[RawServer, Any], None]:
    """Return a behavior that answers with a status for a bad event, and with 200 otherwise."""

    def behave(server: RawServer, connection: Any) -> None:
        while server.take(connection) is not None:
            is_bad = BAD in server.requests[-1][1]
            connection.sendall(an_answer(status=status) if is_bad else OK)

    return behave


class PoisonCase(unittest.TestCase):
    """Base class with a handler of few attempts, whose reports are kept."""

    @override
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.letters = self.directory / "dead-letters"

    def a_handler(self, client: Client, *, journal: bool, **options: Any) -> SegmentHandler:
        options.setdefault("max_attempts", 2)
        options.setdefault("flush_interval", 0.05)
        options.setdefault("shutdown_timeout", 0.2)
        handler = SegmentHandler(
            "key",
            client=client,
            dead_letters=str(self.letters),
            journal=str(self.directory / "journal") if journal else None,
            **options,
        )
        self.addCleanup(handler.close)
        return handler

    def log(self, handler: SegmentHandler, *events: str) -> None:
        for event in events:
            handler.handle(a_record(event, extra={"user_id": "u-17"}))

    def until(self, is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + 30
        while not is_so():
            if time.monotonic() > end:
                self.fail("it did not happen within 30 s")
            time.sleep(0.01)


class TestPoison(PoisonCase):
    def test_one_bad_message(self) -> None:
        """One message that always gets a 500 becomes a dead letter, and all others arrive."""
        for journal in (False, True):
            for status in ("500 X", "503 Busy"):
                with (
                    self.subTest(journal=journal, status=status),
                    RawServer(poisoned(status)) as at,
                ):
                    handler = self.a_handler(HttpClient(at.url), journal=journal)
                    with redirect_stderr(StringIO()) as said, self.assertLogs("segment_logging"):
                        self.log(handler, *(f"good {i}" for i in range(150)), "bad")
                        time.sleep(0.2)
                        self.log(handler, *(f"good {i}" for i in range(150, 300)))
                        self.until(lambda: handler.counts().delivered >= 300)  # noqa: B023
                        while not handler.counts().dead_lettered:  # later events prove it
                            self.log(handler, "later")
                            time.sleep(0.1)
                    self.assertTrue(handler.drain(10))
                    (letter,) = self.letters.read_text().splitlines()
                    self.assertIn('"bad"', letter)
                    self.letters.unlink()
                    self.assertEqual(said.getvalue(), "")
                    handler.close()

    def test_order(self) -> None:
        """The good messages arrive in order, except those of the batch with the bad one."""
        client = FakeClient(lambda message: 500 if "bad" in events_in(message) else 200)
        handler = self.a_handler(client, journal=False)
        with self.assertLogs("segment_logging"):
            self.log(handler, "A", "bad", "B")
            time.sleep(0.2)
            self.log(handler, *"CDEF")
            self.until(lambda: handler.counts().dead_lettered == 1)
            self.assertTrue(handler.drain(10))
        arrived = [str(one.to_dict()["event"]) for one in client.messages]
        self.assertEqual(sorted(arrived), list("ABCDEF"))
        self.assertEqual([one for one in arrived if one in "AB"], ["A", "B"])
        self.assertEqual([one for one in arrived if one in "CDEF"], list("CDEF"))


class TestOutage(PoisonCase):
    def outage(self, fault: Any, *, batches: int = 3) -> FakeClient:
        """Deliver batches during an outage and after it, and return the client."""
        down = [True]
        client = FakeClient(lambda message: fault if down else 200)
        handler = self.a_handler(client, journal=True, max_attempts=1)
        with self.assertLogs("segment_logging"):
            for number in range(batches):
                self.log(handler, f"{number}a", f"{number}b")
                time.sleep(0.12)
            before = len(client.requests)
            self.assertGreater(before, 0)
            handler.close()
        down.clear()
        self.log(handler, "last")
        self.assertTrue(handler.drain(20))
        self.assertEqual(handler.counts().dead_lettered, 0)
        return client

    def test_nothing_moves(self) -> None:
        """In an outage no batch is moved, and after it the messages arrive in order."""
        for fault in (
            500, 503, 429, (503, 1.5), ConnectionError(), TimeoutError(),
            DeliveryError("no name", cause=Cause.CONNECTION),
        ):  # fmt: skip
            with self.subTest(fault=fault):
                client = self.outage(fault)
                events = [str(one.to_dict()["event"]) for one in client.messages]
                self.assertEqual(events, ["0a", "0b", "1a", "1b", "2a", "2b", "last"])
                self.setUp()

    def test_nothing_is_blamed(self) -> None:
        """A 429, a refused connection or an unknown name never makes a batch suspect."""
        for fault in (429, (500, 1.5), DeliveryError("refused", cause=Cause.CONNECTION)):
            sizes: list[int] = []
            down = [True]

            def answer(
                message: Message, fault: Any = fault, sizes: Any = sizes, down: Any = down
            ) -> Any:
                if down and "bad" in events_in(message):
                    sizes.append(len(events_in(message)))
                    return fault
                return 200

            handler = self.a_handler(FakeClient(answer), journal=True, max_attempts=1)
            with self.subTest(fault=fault), self.assertLogs("segment_logging"):
                self.log(handler, "good", "bad")
                time.sleep(0.3)
                self.log(handler, "more")
                time.sleep(0.3)
                self.assertEqual(set(sizes), {2})
                self.assertEqual(handler.counts().dead_lettered, 0)
                handler.close()
            down.clear()
            self.log(handler, "last")
            self.assertTrue(handler.drain(20))  # so that nothing writes to the journal any more
            self.setUp()


class TestCauses(unittest.TestCase):
    def cause_of(self, host: str) -> Cause:
        client = HttpClient(host, timeout=(0.5, 0.2))
        with client, self.assertRaises(DeliveryError) as caught:
            client.send("key", a_track())
        self.assertTrue(caught.exception.retryable)
        return caught.exception.cause

    def test_no_connection(self) -> None:
        """A refused connection and a name that is not known are no fault of a batch's."""
        self.assertIs(self.cause_of(dead_host()), Cause.CONNECTION)
        self.assertIs(self.cause_of("http://name.invalid"), Cause.CONNECTION)
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
            full = [socket.socket() for _ in range(4)]
            for one in full:
                one.setblocking(False)
                one.connect_ex(listening.getsockname())
            cause = self.cause_of(f"http://127.0.0.1:{listening.getsockname()[1]}")
            for one in full:
                one.close()
        self.assertIs(cause, Cause.CONNECTION)


class TestFloods(PoisonCase):
    def test_stderr(self) -> None:
        """A flood of refusals with the longest words is a few short lines on stderr."""
        words = ("\u202e" * 300).encode()
        body = b'{"message":"%s"}' % words

        def behave(server: RawServer, connection: Any) -> None:
            while server.take(connection) is not None:
                connection.sendall(an_answer(body, status="400 Bad"))

        with RawServer(behave) as server, redirect_stderr(StringIO()) as said:
            handler = self.a_handler(HttpClient(server.url), journal=False)
            self.log(handler, *(f"event {i}" for i in range(200)))
            self.assertTrue(handler.drain(30))
            self.assertEqual(handler.counts().dead_lettered, 200)
            handler.close()
        lines = said.getvalue().splitlines()
        self.assertIn(len(lines), (1, 2))
        self.assertLess(len(said.getvalue()), 4_000)
        self.assertTrue(all(line.isprintable() for line in lines))
