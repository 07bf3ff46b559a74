"""Tests for AutoBatcher, which sends each batch when it is full."""

from __future__ import annotations

import unittest
from contextlib import suppress

from segment_logging import (
    AutoBatcher,
    Batch,
    Batcher,
    DeliveryError,
    InvalidMessage,
    Message,
    MessageTooLarge,
    Track,
)
from segment_logging._messages.encoding import encode
from segment_logging._messages.limits import MAX_MESSAGE_BYTES
from segment_logging.testing import FakeClient
from tests.builders import a_track


def sized(size_bytes: int, filler: str = "x") -> Track:
    """Return a track that takes exactly `size_bytes` bytes in a batch."""
    bare = len(encode(a_track(timestamp=0.0, properties={"t": ""}).to_dict()))
    width = len(filler.encode())
    text = filler * ((size_bytes - bare) // width)
    text += "x" * (size_bytes - bare - len(text.encode()))
    return a_track(timestamp=0.0, properties={"t": text})


class TestAutoBatcher(unittest.TestCase):
    def test_sends_when_full(self) -> None:
        """A batch is sent as soon as the next message does not fit into it."""
        client = FakeClient()
        auto = AutoBatcher(client, Batcher(), "key")
        for _ in range(16):
            auto.push(sized(31_000))
        self.assertEqual(client.requests, [])
        auto.push(sized(31_000))
        self.assertEqual([len(batch) for batch in client.batches], [16])
        auto.flush()
        self.assertEqual([len(batch) for batch in client.batches], [16, 1])
        self.assertEqual(client.write_keys, ["key", "key"])

    def test_flush_of_nothing(self) -> None:
        """A flush without messages sends nothing."""
        client = FakeClient()
        AutoBatcher(client, Batcher(), "key").flush()
        self.assertEqual(client.requests, [])

    def test_context_manager(self) -> None:
        """Leaving the block flushes, even if the block raises."""
        client = FakeClient()
        with self.assertRaises(KeyError), AutoBatcher(client, Batcher(), "key") as auto:
            auto.push(a_track())
            raise KeyError
        self.assertEqual(len(client.messages), 1)

    def test_own_error_of_the_block(self) -> None:
        """An exception in the block is not replaced by an exception from the final flush."""
        client = FakeClient([ConnectionError, 503])
        batcher = AutoBatcher(client, Batcher(), "key")
        with self.assertRaises(ZeroDivisionError), batcher:
            batcher.push(a_track())
            raise ZeroDivisionError
        with self.assertRaises(DeliveryError), batcher:
            pass
        batcher.flush()
        self.assertEqual(len(client.messages), 1)

    def test_failed_batch_is_kept(self) -> None:
        """A batch that could not be sent is sent by the next flush, in order."""
        client = FakeClient([503, 503])
        auto = AutoBatcher(client, Batcher(), "key")
        for n in range(3):
            auto.push(a_track(str(n)))
        for _ in range(2):
            with self.assertRaises(DeliveryError):
                auto.flush()
        auto.push(a_track("3"))
        auto.flush()
        self.assertEqual([m.to_dict()["event"] for m in client.messages], ["0", "1", "2", "3"])

    def test_failed_batch_stays_in_the_batcher(self) -> None:
        """Messages that could not be sent stay in the batcher, and new ones are added to them."""
        batcher = Batcher()
        client = FakeClient([503])
        auto = AutoBatcher(client, batcher, "key")
        auto.push(a_track("0"))
        size_bytes = batcher.size_bytes
        with self.assertRaises(DeliveryError):
            auto.flush()
        self.assertEqual((len(batcher), batcher.size_bytes), (1, size_bytes))
        auto.push(a_track("1"))
        auto.flush()
        self.assertEqual([len(batch) for batch in client.batches], [2])
        self.assertTrue(batcher.is_empty)

    def test_refused_in_part(self) -> None:
        """A batch of which the server refused some messages is not sent again."""
        for fills in (False, True):
            with self.subTest(fills=fills):
                refusal = DeliveryError("answered 207", status=207, refused={"m-1": "too old"})
                client = FakeClient([refusal])
                auto = AutoBatcher(client, Batcher(), "key")
                auto.push(a_track("0"))
                with self.assertRaises(DeliveryError) as caught:
                    if fills:
                        while True:
                            auto.push(a_track("0", properties={"x": "y" * 30_000}))
                    auto.flush()
                self.assertEqual(caught.exception.refused, {"m-1": "too old"})
                auto.flush()
                self.assertEqual(len(client.batches), 1 if fills else 0)

    def test_delivered_in_part(self) -> None:
        """Of a batch whose first messages were delivered, only the rest is sent again."""
        for error, rest in (
            (DeliveryError("lost", delivered=2), ["2"]),
            (DeliveryError("lost", delivered=3), []),
            (DeliveryError("lost", delivered=2, refused={"m-1": "too old"}), ["2"]),
        ):
            with self.subTest(delivered=error.delivered, refused=error.refused):
                client = FakeClient([error])
                auto = AutoBatcher(client, Batcher(), "key")
                for number in range(3):
                    auto.push(a_track(str(number)))
                with self.assertRaises(DeliveryError):
                    auto.flush()
                auto.flush()
                sent = [call.to_dict()["event"] for batch in client.batches for call in batch.batch]
                self.assertEqual(sent, rest)

    def test_largest_message(self) -> None:
        """The largest allowed message can be pushed, and gets no id if there is no room."""
        auto = AutoBatcher(FakeClient(), Batcher(auto_timestamp=False), "key")
        with self.assertRaises(MessageTooLarge):
            auto.push(sized(MAX_MESSAGE_BYTES + 1))
        auto.push(sized(MAX_MESSAGE_BYTES))
        auto.flush()

    def test_client_that_takes_less(self) -> None:
        """A batch that is too large for the client is sent in halves."""

        def answer(message: Message) -> MessageTooLarge | None:
            assert isinstance(message, Batch)
            return MessageTooLarge(2, 1) if len(message) > 2 else None

        client = FakeClient(answer)
        auto = AutoBatcher(client, Batcher(), "key")
        for number in range(5):
            auto.push(a_track(str(number)))
        auto.flush()
        events = [message.to_dict()["event"] for message in client.messages]
        self.assertEqual(events, ["0", "1", "2", "3", "4"])

    def test_id_among_the_extras(self) -> None:
        """A message with `messageId` among its extra keys keeps that id."""
        client = FakeClient()
        with AutoBatcher(client, Batcher(), "key") as auto:
            auto.push(a_track(extra={"messageId": "m-1"}))
        self.assertEqual([message.to_dict()["messageId"] for message in client.messages], ["m-1"])

    def test_same_object_again(self) -> None:
        """A batch that is sent again is the same object, with the same message ids."""
        client = FakeClient([ConnectionError])
        auto = AutoBatcher(client, Batcher(), "key")
        auto.push(a_track())
        with self.assertRaises(ConnectionError):
            auto.flush()
        auto.flush()
        self.assertIs(client.requests[0], client.requests[1])
        ids = [request.to_dict()["batch"][0]["messageId"] for request in client.requests]
        self.assertEqual(len(set(ids)), 1)

    def test_push_that_fails(self) -> None:
        """If a full batch cannot be sent, the message that was just pushed is kept as well."""
        client = FakeClient([503])
        auto = AutoBatcher(client, Batcher(), "key")
        with self.assertRaises(DeliveryError):
            for n in range(20):
                auto.push(a_track(str(n), properties={"t": "x" * 30_000}))
        auto.flush()
        self.assertEqual(
            [m.to_dict()["event"] for m in client.messages], [str(n) for n in range(17)]
        )

    def test_long_outage(self) -> None:
        """Despite repeated failures of several kinds, every message arrives once, in order."""
        client = FakeClient([503, None, 429, 500, ConnectionError(), None, 503])
        auto = AutoBatcher(client, Batcher(), "key")
        pushed = []
        for n in range(120):
            pushed.append(str(n))
            with suppress(DeliveryError, ConnectionError):
                auto.push(a_track(str(n), properties={"t": "x" * 30_000}))
        auto.flush()
        self.assertEqual([m.to_dict()["event"] for m in client.messages], pushed)

    def test_ids_are_kept(self) -> None:
        """A message with an id keeps it, and a message without an id gets a unique one."""
        client = FakeClient()
        with AutoBatcher(client, Batcher(), "key") as auto:
            auto.push(a_track(message_id="m-1"))
            auto.push(a_track())
            auto.push(a_track())
        ids = [message.message_id for message in client.messages]
        self.assertEqual(ids[0], "m-1")
        self.assertEqual(len(set(ids)), 3)

    def test_refused_message(self) -> None:
        """A refused message does not change the batch and sends nothing."""
        client = FakeClient()
        auto = AutoBatcher(client, Batcher(), "key")
        auto.push(a_track("a"))
        with self.assertRaises(MessageTooLarge):
            auto.push(a_track("b", properties={"t": "x" * 40_000}))
        with self.assertRaises(InvalidMessage):
            auto.push(Batch([a_track()]))
        self.assertEqual(client.requests, [])
        auto.flush()
        self.assertEqual([m.to_dict()["event"] for m in client.messages], ["a"])
