"""Many calls in one request."""

from __future__ import annotations

import unittest

from segment_logging import (
    Alias,
    Batch,
    Group,
    Identify,
    InvalidMessage,
    Page,
    Screen,
    Track,
    User,
)
from segment_logging._messages.calls import Call
from segment_logging._messages.encoding import encode

FOO = User(user_id="foo")


CALLS: tuple[Call, ...] = (
    Identify(user=FOO, traits={"a": 1}),
    Track(user=FOO, event="Foo", properties={"a": 1}),
    Page(user=FOO, name="Foo", category="Bar", properties={"a": 1}),
    Screen(user=FOO, name="Foo", category="Bar", properties={"a": 1}),
    Group(user=FOO, group_id="bar", traits={"a": 1}),
    Alias(user=FOO, previous_id="bar"),
)
"""One of each."""


class TestBatch(unittest.TestCase):
    def test_of_lines(self) -> None:
        """A batch of encoded calls is equal to one of the messages, and passes its bytes on."""
        lines = tuple(encode(call.to_dict()) for call in CALLS)
        batch = Batch.of_lines(lines, context={"a": 1})
        self.assertEqual(batch, Batch(CALLS, context={"a": 1}))
        self.assertTrue(all(a is b for a, b in zip(batch.lines, lines, strict=True)))
        self.assertEqual(batch.batch, CALLS)

    def test_decodes_on_demand(self) -> None:
        """A batch of lines decodes nothing until somebody asks for the calls."""
        batch = Batch.of_lines([b"no JSON"])
        self.assertEqual(len(batch), 1)
        self.assertEqual(repr(batch), "<Batch of 1 messages>")
        with self.assertRaises(ValueError):
            _ = batch.batch

    def test_empty(self) -> None:
        """A batch of nothing is refused (empty_batch)."""
        with self.assertRaises(InvalidMessage) as caught:
            Batch([])
        self.assertEqual(caught.exception.field, "batch")
        with self.assertRaises(InvalidMessage):
            Batch.of_lines([])

    def test_too_many(self) -> None:
        """2,500 calls are a batch, 2,501 are not: Segment would answer 200 and drop them."""
        self.assertEqual(len(Batch.of_lines([b"{}"] * 2_500)), 2_500)
        with self.assertRaises(InvalidMessage) as caught:
            Batch.of_lines([b"{}"] * 2_501)
        self.assertEqual(caught.exception.field, "batch")

    def test_holds_calls(self) -> None:
        """A batch in a batch and anything else is refused."""
        for other in (Batch(CALLS), {"type": "track"}, None):
            with self.assertRaises(InvalidMessage) as caught:
                Batch([other])  # type: ignore[list-item]
            self.assertEqual(caught.exception.field, "batch")

    def test_objects(self) -> None:
        """Context and integrations are objects."""
        for name in ("context", "integrations"):
            with self.assertRaises(InvalidMessage) as caught:
                Batch(CALLS, **{name: "x"})  # type: ignore[arg-type]
            self.assertEqual(caught.exception.field, name)

    def test_iterable(self) -> None:
        """Any iterable of calls will do, and is read once."""
        self.assertEqual(Batch(iter(CALLS)), Batch(CALLS))
