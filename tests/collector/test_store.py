"""Tests for what the collector keeps, without a server."""

from __future__ import annotations

import json
import unittest
from typing import Any
from unittest.mock import patch

from segment_logging.collector import Request, judge
from segment_logging.collector.entries import entries_of
from segment_logging.collector.event_counts import EventCounts, shape_of
from segment_logging.collector.explanations import EXPLANATIONS
from segment_logging.collector.faults import answers_in
from segment_logging.collector.reading import read_form
from segment_logging.collector.store import Store

from ..builders import PACKAGE

PLACE = "segment_logging.collector.store"


def fill(store: Store, *calls: Any, **headers: str) -> None:
    """Store a batch."""
    body = json.dumps({"batch": calls, "sentAt": "2026-11-23T08:00:00Z"}).encode()
    verdict = judge("/v1/batch", body)
    request = Request(
        path="/v1/batch",
        headers=headers,
        write_key=None,
        body_bytes=len(body),
        verdict=verdict,
        status=verdict.status,
    )
    store.add(request, store.parcel(entries_of(request, "2026-11-23T08:00:00.000Z")))


def good(number: int, **fields: Any) -> dict[str, Any]:
    """Return a call without any fault."""
    return {
        "type": "track",
        "userId": "u",
        "event": "E",
        "messageId": f"m-{number}",
        "context": {"library": {"name": "test"}},
        **fields,
    }


class TestStore(unittest.TestCase):
    def test_kinds_are_kept_apart(self) -> None:
        """Many good messages remove neither dropped ones nor those with warnings."""
        store = Store(5)
        fill(store, good(0, userId=None), good(0, userId="a@example.com"))
        fill(store, *[good(number) for number in range(50)])
        self.assertEqual([one.number for one in store.after(0)], [1, 2, 48, 49, 50, 51, 52])
        self.assertEqual([one.number for one in store.after(2)], [48, 49, 50, 51, 52])
        self.assertEqual([one.number for one in store.after(50)], [51, 52])
        self.assertEqual(list(store.after(52)), [])

    def test_bytes(self) -> None:
        """Large messages and requests are removed earlier."""
        store = Store(1_000_000)
        large = [good(number, properties={"a": "x" * 30_000}) for number in range(16)]
        with patch.multiple(PLACE, _MAX_KIND_BYTES=2_000_000, _MAX_REQUESTS_BYTES=500_000):
            for _ in range(10):  # 5 MB
                fill(store, *large, agent="x" * 60_000)
        kept = sum(len(one.line) for one in store.after(0))
        self.assertTrue(1_900_000 < kept < 2_000_000, kept)
        self.assertEqual(len(store.requests), 8)
        self.assertEqual(store.counts["accepted"], 160)

    def test_requests_hold_no_messages(self) -> None:
        """With a limit, requests do not hold the messages that were removed."""
        store = Store(5)
        fill(store, good(1), good(2))
        (request,) = store.requests
        self.assertEqual((request.message_count, request.verdict.judged), (2, ()))

    def test_ids(self) -> None:
        """The latest ids are known, and long ones cost little."""
        store = Store(5)
        long_id = "x" * 20_000
        fill(store, good(0, messageId=long_id), good(1))
        self.assertTrue(store.has_seen(long_id))
        self.assertFalse(store.has_seen("x" * 20_001))
        with patch.multiple(PLACE, _MAX_IDS=1_000):
            fill(store, *[good(number) for number in range(2, 1_002)])
        self.assertFalse(store.has_seen("m-1"))
        self.assertTrue(store.has_seen("m-2"))
        self.assertTrue(store.has_seen("m-1001"))

    def test_text_is_kept_as_sent(self) -> None:
        """A call of a batch is kept as it was sent, and a merged one as it is merged."""
        store = Store(5)
        fill(store, good(1, properties={"n": 1.0}))
        (entry,) = store.after(0)
        self.assertIn(b'"n": 1.0', entry.line)
        self.assertEqual(entry.arrival().message, good(1, properties={"n": 1.0}))


class TestEventCounts(unittest.TestCase):
    def test_many_names_and_properties(self) -> None:
        """Any number of names and properties takes bounded memory, and the totals are right."""
        counts = EventCounts()
        for number in range(1_500):
            call = {"properties": {"a": 1}}
            counts.add(shape_of("track", f"E {number}", call, "accepted"))
        for number in range(3_000):
            fields = {f"{number} {key}": 1 for key in range(20)} | {"x" * 5_000: 1}
            counts.add(shape_of("track", "E 1", {"properties": fields}, "dropped"))
        listed = counts.to_list()
        self.assertEqual(len(listed), 1_001)
        self.assertEqual(sum(item["count"] for item in listed), 4_500)
        self.assertLess(max(len(item["properties"]) for item in listed), 62_000)

    def test_shapes_and_properties_agree(self) -> None:
        """Counts are the same however the calls with a property are spread."""
        counts = EventCounts()
        for number in range(2_100):  # beyond the number of shapes that are stored
            fields = {f"k{number}": 1, "same": number if number % 2 else "text"}
            counts.add(shape_of("track", "E", {"properties": fields}, "accepted"))
        (item,) = counts.to_list()
        same = next(one for one in item["properties"] if one["name"] == "same")
        self.assertEqual(same["types"], {"number": 1_050, "string": 1_050})


class TestReading(unittest.TestCase):
    def test_like_the_standard_library(self) -> None:
        """Any text gives the same value, or an error as well."""
        texts = [
            '{"batch": [], "a": 1}', ' {"batch" : [ {"a":[1]} , 2 ,"x"] } ', "[1]", '"a"', "{}",
            '{"batch":[1,]}', '{"batch":[1 2]}', '{"batch":[', '{"batch":[]', "{,}", '{"a":1,}',
            '{"a" 1}', "{1:2}", '{"batch":[]}}', '{"batch":{}}', '{"batch":[1],"batch":[2,3]}',
            "", " ", '{"a":1}x', '{"batch":[{}],}', '{"batch":null}', "\ufeff{}",
        ]  # fmt: skip
        for text in texts:
            with self.subTest(text=text):
                try:
                    wanted = json.loads(text)
                except ValueError:
                    with self.assertRaises(ValueError):
                        read_form(text.encode())
                else:
                    value, items = read_form(text.encode())
                    self.assertEqual(value, wanted)
                    if items is not None:
                        self.assertEqual([json.loads(one) for one in items], wanted["batch"])


class TestFaults(unittest.TestCase):
    def test_script(self) -> None:
        """A script has statuses with headers, words and repetitions."""
        answers = list(answers_in("429:retry-after=2:x-a=b, 500*2, hang, drop, ok, ok:delay=1.5"))
        self.assertEqual(
            [None if one is None else (one.status, one.delay) for one in answers],
            [(429, 0), (500, 0), (500, 0), (None, float("inf")), (None, 0), None, (200, 1.5)],
        )
        assert answers[0] is not None
        self.assertEqual(answers[0].headers, {"Retry-After": "2", "X-A": "b"})

    def test_for_ever(self) -> None:
        """A star repeats an answer for ever."""
        answers = answers_in("503*")
        self.assertEqual({next(answers).status for _ in range(1_000)}, {503})  # type: ignore[union-attr]

    def test_wrong(self) -> None:
        """What is not a script is an error."""
        for text in ("700", "42", "sleep", "500:x", "ok:delay=soon", "500**", "500:a=\r\nb: c"):
            with self.subTest(text=text), self.assertRaises(ValueError):
                answers_in(text)


class TestExplanations(unittest.TestCase):
    def test_every_code(self) -> None:
        """Every discard code has an explanation."""
        source = (PACKAGE / "collector" / "rules.py").read_text(encoding="utf-8")
        for code in EXPLANATIONS:
            name, _, rest = code.partition("_")
            self.assertTrue(code in source or f"{{key}}_{rest}" in source, (name, code))
        for call_type, fields in (
            ("track", {"event": None}), ("track", {"event": 1}), ("page", {"name": 1}),
            ("page", {"category": ""}), ("identify", {"traits": 1}), ("track", {"properties": 1}),
            ("nothing", {}), (None, {}), ("track", {"userId": None}), ("track", {"userId": 1}),
        ):  # fmt: skip
            call = {**good(1), "type": call_type, **fields}
            (judged,) = judge("/v1/batch", json.dumps({"batch": [call]}).encode()).judged
            self.assertIn(judged.code, EXPLANATIONS)
