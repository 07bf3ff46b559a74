"""Tests for batches, which send several calls in one request."""

from __future__ import annotations

import copy
import json
import pickle
import unittest

from segment_logging import (
    Alias,
    Batch,
    Group,
    HttpClient,
    Identify,
    InvalidMessage,
    Message,
    Page,
    Screen,
    Track,
    User,
)
from segment_logging._messages.calls import Call
from segment_logging._messages.encoding import encode
from tests.builders import RecordingSession, each

FOO = User(user_id="foo")


CALLS: tuple[Call, ...] = (
    Identify(user=FOO, traits={"a": 1}),
    Track(user=FOO, event="Foo", properties={"a": 1}),
    Page(user=FOO, name="Foo", category="Bar", properties={"a": 1}),
    Screen(user=FOO, name="Foo", category="Bar", properties={"a": 1}),
    Group(user=FOO, group_id="bar", traits={"a": 1}),
    Alias(user=FOO, previous_id="bar"),
)
"""One call of each type."""


class TestBatch(unittest.TestCase):
    def test_of_lines(self) -> None:
        """A batch of encoded calls equals a batch of the same calls and keeps their bytes."""
        lines = tuple(encode(call.to_dict()) for call in CALLS)
        batch = Batch.of_lines(lines, context={"a": 1})
        self.assertEqual(batch, Batch(CALLS, context={"a": 1}))
        self.assertTrue(all(a is b for a, b in zip(batch.lines, lines, strict=True)))
        self.assertEqual(batch.batch, CALLS)

    def test_decodes_on_demand(self) -> None:
        """A batch of lines decodes nothing until its calls are read."""
        batch = Batch.of_lines([b"no JSON"])
        self.assertEqual(len(batch), 1)
        self.assertEqual(repr(batch), "<Batch of 1 messages>")
        with self.assertRaises(ValueError):
            _ = batch.batch

    def test_empty(self) -> None:
        """An empty batch is refused (empty_batch)."""
        with self.assertRaises(InvalidMessage) as caught:
            Batch([])
        self.assertEqual(caught.exception.field, "batch")
        with self.assertRaises(InvalidMessage):
            Batch.of_lines([])

    def test_too_many(self) -> None:
        """A batch may hold 2,500 calls, but not 2,501: Segment would answer 200 and drop them."""
        self.assertEqual(len(Batch.of_lines([b"{}"] * 2_500)), 2_500)
        with self.assertRaises(InvalidMessage) as caught:
            Batch.of_lines([b"{}"] * 2_501)
        self.assertEqual(caught.exception.field, "batch")

    def test_holds_calls(self) -> None:
        """A batch may hold only calls. Another batch or anything else is refused."""
        for other in (Batch(CALLS), {"type": "track"}, None):
            with self.assertRaises(InvalidMessage) as caught:
                Batch([other])  # type: ignore[list-item]
            self.assertEqual(caught.exception.field, "batch")

    def test_objects(self) -> None:
        """Context and integrations must be objects."""
        for name in ("context", "integrations"):
            with self.assertRaises(InvalidMessage) as caught:
                Batch(CALLS, **{name: "x"})  # type: ignore[arg-type]
            self.assertEqual(caught.exception.field, name)

    def test_iterable(self) -> None:
        """A batch accepts any iterable of calls and reads it once."""
        self.assertEqual(Batch(iter(CALLS)), Batch(CALLS))


EXTRA = {"channel": "server", "writeMode": {"strict": True}}


class TestExtra(unittest.TestCase):
    def test_from_dict(self) -> None:
        """Other top-level keys of a dict are the batch's extra, and are there again in its dict."""
        form = {"batch": [call.to_dict() for call in CALLS], "context": {"a": 1}, **EXTRA}
        batch = Message.from_dict(form)
        assert isinstance(batch, Batch)
        self.assertEqual((batch.extra, batch.context), (EXTRA, {"a": 1}))
        self.assertEqual(batch.to_dict(), form)
        self.assertEqual(batch, Batch(CALLS, context={"a": 1}, extra=EXTRA))

    def test_none(self) -> None:
        """Without other keys, there is no extra. The time of an earlier attempt is not kept."""
        form = {"type": "batch", "batch": [CALLS[0].to_dict()], "sentAt": "2026-01-01T00:00:00Z"}
        batch = Message.from_dict(form)
        assert isinstance(batch, Batch)
        self.assertIsNone(batch.extra)

    def test_on_the_wire(self) -> None:
        """The extra keys are sent with the batch, beside the time of the attempt."""
        session = RecordingSession()
        HttpClient(session=session).send("key", Batch(CALLS, extra=EXTRA))
        (body,) = map(json.loads, session.bodies)
        self.assertEqual({key: body[key] for key in EXTRA}, EXTRA)
        self.assertEqual(len(body["batch"]), len(CALLS))
        self.assertIn("sentAt", body)

    def test_parts_and_copies(self) -> None:
        """Halves, the rest of a batch, and copies have the same extra."""
        batch = Batch(CALLS, extra=EXTRA)
        left = batch.without(1)
        assert left is not None
        copies = copy.copy(batch), copy.deepcopy(batch), pickle.loads(pickle.dumps(batch))
        for other in (*batch.halves(), left, *copies):
            self.assertEqual(other.extra, EXTRA)
            self.assertEqual(other.to_dict()["channel"], "server")

    def test_own_keys(self) -> None:
        """Extra keys must be an object, without the batch's own keys."""
        for extra in each({"batch": []}, {"context": {}}, {"sentAt": "now"}, {"type": "x"}, "x"):
            with self.assertRaises(InvalidMessage) as caught:
                Batch(CALLS, extra=extra)
            self.assertEqual(caught.exception.field, "extra")
