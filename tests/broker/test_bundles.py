"""Tests for bundles."""

from __future__ import annotations

import json
import unittest

from segment_logging import Batch, InvalidMessage, MessageTooLarge
from segment_logging._broker.bundles import (
    MAX_BUNDLE_BYTES,
    bundles_of,
    key_name_of,
    lines_of,
    lines_of_bundle,
)
from tests.builders import a_track
from tests.queues.cases import a_line


class TestBundles(unittest.TestCase):
    def test_size(self) -> None:
        """A bundle has at most 64 KB, and no message is lost or out of order."""
        lines = [a_line(number, size_bytes=100 + number) for number in range(1_000)]
        bundles = list(bundles_of(lines))
        self.assertTrue(all(len(bundle.body) <= MAX_BUNDLE_BYTES for bundle in bundles))
        self.assertEqual([x for b in bundles for x in lines_of_bundle(b.body)], lines)
        self.assertEqual(sum(bundle.messages for bundle in bundles), 1_000)
        self.assertLess(len(bundles), 12)

    def test_exact(self) -> None:
        """A bundle can have exactly 64 KB."""
        lines = [a_line(1, size_bytes=32_768), a_line(2, size_bytes=32_767)]
        self.assertEqual([len(bundle.body) for bundle in bundles_of(lines)], [65_536])
        lines[1] += b" "
        self.assertEqual(len(list(bundles_of(lines))), 2)

    def test_blank_lines(self) -> None:
        """Blank lines in a foreign bundle are not messages."""
        self.assertEqual(lines_of_bundle(b"\n{}\n \r\n{}\n"), [b"{}", b"{}"])
        self.assertEqual(lines_of_bundle(b""), [])

    def test_key(self) -> None:
        """A key's name has 12 hex digits of its SHA-256."""
        self.assertEqual(key_name_of("key"), "2c70e12b7a06")


class TestLines(unittest.TestCase):
    def test_call(self) -> None:
        """A call gets a message id and a time, because it may arrive hours later, and twice."""
        (line,) = lines_of(a_track(), now=0.0)
        call = json.loads(line)
        self.assertEqual(call["timestamp"], "1970-01-01T00:00:00.000Z")
        self.assertTrue(call["messageId"])
        self.assertEqual(call["type"], "track")
        (line,) = lines_of(a_track(message_id="m"), now=0.0)
        self.assertEqual(json.loads(line)["messageId"], "m")

    def test_context_of_a_batch(self) -> None:
        """The context of a batch becomes part of its calls, whose own values win."""
        batch = Batch([a_track(context={"ip": "own"})], context={"ip": "x", "locale": "de"})
        (line,) = lines_of(batch, now=0.0)
        self.assertEqual(json.loads(line)["context"], {"ip": "own", "locale": "de"})

    def test_refused(self) -> None:
        """Messages that no relay could deliver are refused."""
        with self.assertRaises(MessageTooLarge):
            lines_of(Batch.of_lines([b"x" * 32_001]), now=0.0)
        with self.assertRaises(InvalidMessage):
            lines_of(Batch([a_track()], extra={"a": 1}), now=0.0)
        with self.assertRaises(InvalidMessage):
            lines_of("Signup", now=0.0)  # type: ignore[arg-type]
