"""Tests for batches that are sent as several small requests, as `upload_size` asks for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from segment_logging import DeliveryError, MessageTooLarge, SegmentHandler
from segment_logging._client.http_client import HttpClient
from segment_logging._delivery.outcomes import Tally
from segment_logging._delivery.retries import RetryPolicy
from segment_logging._messages.batch import Batch
from segment_logging._messages.encoding import encode
from segment_logging._messages.message import Message
from segment_logging.compat.analytics._small_batches import SmallBatches
from segment_logging.errors import Cause
from segment_logging.testing import FakeClient

from ..builders import a_record, a_track
from ..delivery.cases import Case, End, a_batch, deliver, events_of
from ..servers import Answer, ScriptedServer

Failure = Callable[[], Exception]


class TestSmallBatches(Case):
    def small(
        self, failures: Sequence[Failure | None], batch: Batch, **options: Any
    ) -> tuple[End, Tally]:
        """Deliver a batch in requests of two messages, with these answers to the first ones."""
        self.sent: list[str] = []
        left = list(failures)

        def answer(message: Message) -> Exception | None:
            self.sent.append("".join(events_of(message)))
            failure = left.pop(0) if left else None
            return None if failure is None else failure()

        delivery = self.a_delivery(FakeClient(answer), **options)
        delivery._client = SmallBatches(delivery._client, 2)
        end, tally, _ = deliver(delivery, batch, self.waits)
        return end, tally

    def test_single_messages(self) -> None:
        """A message that is not a batch is sent as it is."""
        client = FakeClient()
        SmallBatches(client, 1).send("key", a_track())
        self.assertEqual(client.requests, [a_track()])

    def test_delivered_once(self) -> None:
        """What was delivered before a request failed is not sent again, wherever that was."""
        end, tally = self.small([None, busy, None, busy, busy], a_batch(*"ABCDEFG"))
        self.assertEqual(self.sent, ["AB", "CD", "CD", "EF", "EF", "EF", "G"])
        self.assertEqual((end, tally.delivered, tally.dead_lettered), (End.ANSWERED, 7, 0))
        self.assertEqual(tally.retried, 3)

    def test_no_dead_letters_of_delivered_ones(self) -> None:
        """If the attempts are used up, or never help, only the rest becomes dead letters."""
        for failure in (busy, forbidden, unreachable):
            with self.subTest(failure), self.reports():
                self.letters = type(self.letters)()
                _, tally = self.small(
                    [None, *[failure] * 5], a_batch(*"ABCD"), policy=RetryPolicy(max_attempts=1)
                )
                self.assertEqual((tally.delivered, tally.dead_lettered), (2, 2))
                self.assertEqual(self.letters.events, ["C", "D"])

    def test_unreadable(self) -> None:
        """A message that the server cannot read is isolated without sending others twice."""
        with self.reports():
            _, tally = self.small([None, unreadable, unreadable], a_batch(*"ABCDE"))
        self.assertEqual(self.letters.events, ["C"])
        self.assertEqual((tally.delivered, tally.dead_lettered), (4, 1))
        self.assertEqual(self.sent, ["AB", "CD", "C", "DE"])

    def test_too_large(self) -> None:
        """A request that is too large does not send again what was delivered before it."""
        with self.reports():
            _, tally = self.small([None, large, large, large], a_batch(*"ABCDE"))
        self.assertEqual((tally.delivered, tally.dead_lettered), (4, 1))
        self.assertEqual(self.sent.count("AB"), 1)

    def test_refused_messages(self) -> None:
        """Messages that the server refuses in one request become dead letters; others are sent."""
        for failures, sent in (
            ([refuses("id-B"), None, refuses("id-E")], ["AB", "CD", "E"]),
            ([refuses("id-B"), busy, None, refuses("id-E")], ["AB", "CD", "CD", "E"]),
            ([None, busy, refuses("id-C"), busy], ["AB", "CD", "CD", "E", "E"]),
        ):
            with self.subTest(sent=sent), self.reports():
                self.letters = type(self.letters)()
                end, tally = self.small(failures, batch_with_ids("ABCDE"))
                self.assertEqual(self.sent, sent)
                dead = ["C"] if sent[-2] == "E" else ["B", "E"]
                self.assertEqual(self.letters.events, dead)
                self.assertEqual(tally.delivered + tally.dead_lettered, 5)
                self.assertEqual((end, tally.dead_lettered), (End.ANSWERED, len(dead)))

    def test_retry_count(self) -> None:
        """A request that is sent again has the number of attempts at it in its header."""
        script = [Answer(), Answer(status=503), Answer(status=503)]
        with ScriptedServer(script) as server, HttpClient(server.host) as http:
            client, batch = SmallBatches(http, 1), a_batch(*"ABC")
            for delivered in (1, 0):
                with self.assertRaises(DeliveryError) as caught:
                    client.send("key", batch)
                self.assertEqual(caught.exception.delivered, delivered)
                rest = batch.without(delivered)
                assert rest is not None
                batch = rest
            client.send("key", batch)
        counts = [request.headers.get("X-Retry-Count") for request in server.requests]
        self.assertEqual(counts, [None, None, "1", "2", None])

    def test_secrets_in_frames(self) -> None:
        """No frame that the error has passed has the write key."""
        client = SmallBatches(FakeClient([None, 503]), 1)
        with self.assertRaises(DeliveryError) as caught:
            client.send("the-write-key", a_batch(*"AB"))
        frame = caught.exception.__traceback__
        while frame is not None:
            if frame.tb_frame.f_code.co_filename != __file__:
                self.assertNotIn("the-write-key", map(str, frame.tb_frame.f_locals.values()))
            frame = frame.tb_next

    def test_handler(self) -> None:
        """A handler counts each message once, and writes only the undelivered ones to the file."""
        path = Path(self.enterContext(tempfile.TemporaryDirectory()), "letters.jsonl")
        client = FakeClient([None, 403, None])
        handler = SegmentHandler(
            "key", client=SmallBatches(client, 2), dead_letters=str(path), flush_interval=60
        )
        with self.reports():
            for event in "ABCD":
                handler.handle(a_record(event, extra={"user_id": "u"}))
            handler.close()
        counts = handler.counts()
        self.assertEqual((counts.delivered, counts.dead_lettered, counts.pending), (2, 2, 0))
        self.assertEqual(len(path.read_text().splitlines()), 2)


def busy() -> DeliveryError:
    return DeliveryError("busy", status=503)


def forbidden() -> DeliveryError:
    return DeliveryError("forbidden", status=403, retryable=False)


def unreachable() -> DeliveryError:
    return DeliveryError("no connection", cause=Cause.CONNECTION)


def unreadable() -> DeliveryError:
    return DeliveryError("unreadable", status=400, retryable=False)


def large() -> MessageTooLarge:
    return MessageTooLarge(40_000, 32_000)


def refuses(message_id: str) -> Failure:
    return lambda: DeliveryError("some refused", status=200, refused={message_id: "no"})


def batch_with_ids(events: str) -> Batch:
    calls = [a_track(event, message_id=f"id-{event}") for event in events]
    return Batch.of_lines([encode(call.to_dict()) for call in calls])
