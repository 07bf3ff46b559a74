"""Tests for filling a request, and for returning messages that do not fit."""

from __future__ import annotations

import copy
import json
import unittest
from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from segment_logging import (
    AutoBatcher,
    Batch,
    Batcher,
    HttpClient,
    InvalidMessage,
    Message,
    MessageTooLarge,
    Track,
)
from segment_logging._messages.encoding import encode
from segment_logging._messages.limits import MAX_BATCH_BYTES, MAX_BATCH_MESSAGES, MAX_MESSAGE_BYTES
from tests.builders import RecordingSession, a_track


def sized(size_bytes: int, filler: str = "x") -> Track:
    """Return a track call that takes exactly this many bytes in a batch."""
    bare = len(encode(a_track(timestamp=0.0, properties={"t": ""}).to_dict()))
    width = len(filler.encode())
    text = filler * ((size_bytes - bare) // width)
    text += "x" * (size_bytes - bare - len(text.encode()))
    return a_track(timestamp=0.0, properties={"t": text})


def numbered(count: int, size_bytes: int = 0) -> list[Track]:
    return [a_track(properties={"n": n, "t": "x" * size_bytes}) for n in range(count)]


def events_of(batch: Batch) -> list[str]:
    return [call["event"] for call in batch.to_dict()["batch"]]


def body_of(batch: Message) -> bytes:
    """Return the body that HttpClient posts for the batch."""
    session = RecordingSession()
    HttpClient(session=session).send("key", batch)
    return session.bodies[0]


def sent_by(messages: Iterable[Message], batcher: Batcher) -> list[bytes]:
    """Return the bodies that an AutoBatcher posts for the messages."""
    session = RecordingSession()
    with AutoBatcher(HttpClient(session=session), batcher, "key") as auto:
        for message in messages:
            auto.push(message)
    return session.bodies


class TestBatcher(unittest.TestCase):
    def test_new(self) -> None:
        """A new batcher is empty, but its envelope already has a size."""
        batcher = Batcher()
        self.assertTrue(batcher.is_empty)
        self.assertEqual(len(batcher), 0)
        self.assertGreater(batcher.size_bytes, 0)

    def test_size_is_the_bodys(self) -> None:
        """`size_bytes` is the length of the request body, with envelope, commas and context."""
        for context, integrations in ((None, None), ({"é": "日本"}, {"All": True}), ({}, {})):
            batcher = Batcher(context, integrations)
            for n in range(5):
                batcher.push(a_track(properties={"n": n, "t": "é🎉"}))
                if n in (0, 4):
                    again = Batcher(context, integrations)
                    for _ in range(n + 1):
                        again.push(a_track(properties={"n": 0, "t": "é🎉"}))
                    size_bytes = again.size_bytes
                    self.assertEqual(size_bytes, len(body_of(again.take())))

    def test_take_empties(self) -> None:
        """`take` returns the pushed messages in order and empties the batcher."""
        batcher = Batcher({"ip": "x"}, {"All": True})
        empty_bytes = batcher.size_bytes
        messages = [a_track(str(n), timestamp=0.0) for n in range(3)]
        for message in messages:
            self.assertIsNone(batcher.push(message))
        self.assertEqual(len(batcher), 3)
        batch = batcher.take()
        self.assertEqual(batch, Batch(messages, context={"ip": "x"}, integrations={"All": True}))
        self.assertEqual((len(batcher), batcher.size_bytes), (0, empty_bytes))
        self.assertTrue(batcher.is_empty)

    def test_take_of_nothing(self) -> None:
        """`take` on an empty batcher raises InvalidMessage."""
        with self.assertRaises(InvalidMessage):
            Batcher().take()

    def test_handed_back(self) -> None:
        """A message that does not fit is returned as the same object, and nothing is counted."""
        batcher = Batcher()
        big = sized(30_000)
        while batcher.push(big) is None:
            pass
        before = (len(batcher), batcher.size_bytes)
        for _ in range(100):
            self.assertIs(batcher.push(big), big)
        self.assertEqual((len(batcher), batcher.size_bytes), before)

    def test_smaller_one_still_fits(self) -> None:
        """After a refusal, a smaller message still fits, down to the last byte."""
        batcher = Batcher()
        while batcher.push(sized(30_000)) is None:
            pass
        left = MAX_BATCH_BYTES - batcher.size_bytes - 1
        self.assertIsNotNone(batcher.push(sized(left + 1)))
        self.assertIsNone(batcher.push(sized(left)))
        self.assertEqual(batcher.size_bytes, MAX_BATCH_BYTES)
        self.assertEqual(len(body_of(batcher.take())), MAX_BATCH_BYTES)

    def test_handed_back_without_timestamp(self) -> None:
        """A message that does not fit gets no timestamp until a later push accepts it."""
        moments = iter([1.0] * 17 + [2.0] * 2)
        batcher = Batcher(clock=lambda: next(moments))
        big = a_track(properties={"t": "x" * 30_000})
        while batcher.push(big) is None:
            pass
        self.assertIsNone(big.timestamp)

    def test_one_too_large(self) -> None:
        """A message above 32,000 bytes can never fit, so it is refused with its size."""
        batcher = Batcher()
        self.assertIsNone(batcher.push(sized(MAX_MESSAGE_BYTES)))
        before = (len(batcher), batcher.size_bytes)
        with self.assertRaises(MessageTooLarge) as caught:
            batcher.push(sized(MAX_MESSAGE_BYTES + 1))
        self.assertEqual(caught.exception.size_bytes, MAX_MESSAGE_BYTES + 1)
        self.assertEqual(caught.exception.limit_bytes, MAX_MESSAGE_BYTES)
        self.assertEqual((len(batcher), batcher.size_bytes), before)

    def test_bytes_not_characters(self) -> None:
        """Limits count bytes, not characters: 20,000 characters may take 40,000 bytes."""
        with self.assertRaises(MessageTooLarge):
            Batcher().push(a_track(properties={"t": "é" * 20_000}))

    def test_no_2501st(self) -> None:
        """The 2,501st message does not fit, however small it is."""
        batcher = Batcher()
        for _ in range(MAX_BATCH_MESSAGES):
            self.assertTrue(batcher.push_line(b"{}"))
        self.assertFalse(batcher.push_line(b"{}"))
        self.assertEqual(len(batcher), MAX_BATCH_MESSAGES)

    def test_context_too_large(self) -> None:
        """A context that leaves no room for a message is refused when the batcher is created."""
        with self.assertRaises(MessageTooLarge):
            Batcher({"t": "x" * 470_000})
        Batcher({"t": "x" * 460_000}).push(sized(MAX_MESSAGE_BYTES))

    def test_invalid_context(self) -> None:
        """A context that is not an object is refused when the batcher is created."""
        with self.assertRaises(InvalidMessage):
            Batcher("x")  # type: ignore[arg-type]

    def test_no_batch_in_a_batch(self) -> None:
        """Only calls can be pushed."""
        with self.assertRaises(InvalidMessage):
            Batcher().push(Batch([a_track()]))

    def test_auto_timestamp(self) -> None:
        """A message without a timestamp gets the time of its push. Others keep theirs."""
        batcher = Batcher(clock=lambda: 1_800_000_000.0)
        batcher.push(a_track())
        batcher.push(a_track(timestamp="2026-11-23T08:00:00Z"))
        stamps = [call["timestamp"] for call in batcher.take().to_dict()["batch"]]
        self.assertEqual(stamps, ["2027-01-15T08:00:00.000Z", "2026-11-23T08:00:00.000Z"])

    def test_no_auto_timestamp(self) -> None:
        """Without auto_timestamp, no timestamp is added."""
        batcher = Batcher(auto_timestamp=False)
        batcher.push(a_track())
        self.assertNotIn("timestamp", batcher.take().to_dict()["batch"][0])

    def test_snapshot(self) -> None:
        """Changing a message's dicts after the push does not change what is sent."""
        properties = {"plan": "pro"}
        batcher = Batcher()
        batcher.push(a_track(properties=properties))
        properties["plan"] = "free"
        self.assertEqual(batcher.take().to_dict()["batch"][0]["properties"], {"plan": "pro"})

    def test_context_is_a_snapshot(self) -> None:
        """A context that grows after the batcher was created cannot push a body over the limit."""
        context = {"a": "x"}
        batcher = Batcher(context)
        while batcher.push(sized(31_000)) is None:
            pass
        context["b"] = "x" * 100_000
        self.assertLessEqual(len(body_of(batcher.take())), MAX_BATCH_BYTES)

    def test_copies(self) -> None:
        """A copied batcher and the original do not affect each other, even after a peek."""
        for function in (copy.copy, copy.deepcopy):
            for peek in (False, True):
                with self.subTest(function.__name__, peek=peek):
                    batcher = Batcher({"app": {"name": "shop"}})
                    batcher.push(a_track("one"))
                    if peek:
                        batcher.peek()
                    copied = function(batcher)
                    batcher.push(a_track("two"))
                    copied.push(a_track("three"))
                    self.assertEqual(events_of(batcher.peek()), ["one", "two"])
                    self.assertEqual(events_of(copied.take()), ["one", "three"])
                    self.assertEqual((copied.is_empty, len(batcher)), (True, 2))
                    self.assertEqual(batcher.size_bytes, len(body_of(batcher.take())))


class TestLimits(unittest.TestCase):
    def checked(self, bodies: list[bytes]) -> list[Any]:
        """Check every body against both limits, and return all calls in order."""
        calls = []
        for body in bodies:
            self.assertLessEqual(len(body), MAX_BATCH_BYTES)
            batch = json.loads(body)["batch"]
            self.assertLessEqual(len(batch), MAX_BATCH_MESSAGES)
            calls += batch
        return calls

    def test_3000_of_400_bytes(self) -> None:
        """With 3,000 messages of 400 bytes, the byte limit applies and all batches are full."""
        bodies = sent_by(numbered(3_000, 280), Batcher({"library": {"name": "x"}}))
        calls = self.checked(bodies)
        self.assertEqual([call["properties"]["n"] for call in calls], list(range(3_000)))
        for body in bodies[:-1]:
            self.assertGreater(len(body), MAX_BATCH_BYTES - 500)

    def test_6000_tiny(self) -> None:
        """With 6,000 tiny messages, the count limit applies."""
        batcher, sizes, refused = Batcher(), [], 0
        for _ in range(6_000):
            if not batcher.push_line(b'{"type":"track"}'):
                refused += 1
                sizes.append(len(batcher.take()))
                self.assertTrue(batcher.push_line(b'{"type":"track"}'))
        self.assertEqual([*sizes, len(batcher)], [2_500, 2_500, 1_000])
        self.assertEqual(refused, 2)

    texts = st.tuples(st.integers(0, 31_700), st.sampled_from('x"é日🎉\n\\'))

    @given(
        texts=st.lists(texts, max_size=50),
        context=st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=50), max_size=3),
    )
    @settings(max_examples=25, deadline=None)
    def test_any_sizes(self, texts: list[tuple[int, str]], context: Any) -> None:
        """The order is kept, nothing is lost, and every body is within both limits."""
        messages, refused = [], set()
        for n, (size_bytes, filler) in enumerate(texts):
            text = filler * (size_bytes // len(json.dumps(filler, ensure_ascii=False).encode()))
            messages.append(a_track(properties={"n": n, "t": text}))
        session = RecordingSession()
        with AutoBatcher(HttpClient(session=session), Batcher(context), "key") as auto:
            for n, message in enumerate(messages):
                try:
                    auto.push(message)
                except MessageTooLarge:
                    refused.add(n)
        calls = self.checked(session.bodies)
        kept = [n for n in range(len(messages)) if n not in refused]
        self.assertEqual([call["properties"]["n"] for call in calls], kept)

    @given(st.lists(st.integers(2, 400), min_size=1_000, max_size=4_000), st.randoms())
    @settings(max_examples=10, deadline=None)
    def test_any_small_sizes(self, sizes: list[int], random: Any) -> None:
        """The same is true if the count and the bytes reach their limits at about the same time."""
        batcher, bodies, lengths = Batcher(), [], []
        for size_bytes in sizes:
            line = b'"' + b"x" * (size_bytes - 2) + b'"'
            lengths.append(size_bytes)
            if not batcher.push_line(line):
                bodies.append(body_of(batcher.take()))
                self.assertTrue(batcher.push_line(line))
        bodies.append(body_of(batcher.take()))
        self.assertEqual([len(call) + 2 for call in self.checked(bodies)], lengths)
