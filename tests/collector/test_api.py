"""Tests for the collector's JSON, and for the same in Python."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from threading import Thread
from typing import Any
from urllib.request import urlopen

from segment_logging.collector import Collector

from .serving import OverHttp

LIBRARY = {"library": {"name": "lib"}}
SENT = "2026-11-23T08:00:00.000Z"


def call(key: str, **fields: Any) -> dict[str, Any]:
    """Return a call with this event and message id. A field that is `...` is removed."""
    given = {
        "type": "track",
        "userId": "u-1",
        "event": key,
        "messageId": key,
        "context": LIBRARY,
        **fields,
    }
    return {key: value for key, value in given.items() if value is not ...}


class TestApi(OverHttp):
    def send(self, collector: Collector, *calls: Any) -> None:
        """Send a batch."""
        body = json.dumps({"batch": calls, "sentAt": SENT}).encode()
        self.assertEqual(self.post(collector, body, "/v1/batch"), 200)

    def filled(self, **options: Any) -> Collector:
        """Return a collector with one call for each filter."""
        collector = self.start(**options)
        self.send(
            collector,
            call("A"),
            call("B", userId=...),
            call("C", userId="a@example.com"),
            call("D", type="page", name="D", event=..., context={"library": {"name": "other"}}),
            call("E", userId=..., anonymousId="an-1", properties={"city": "Zürich"}),
        )
        return collector

    def test_filters(self) -> None:
        """Each filter selects the same calls over HTTP and in Python, packed or not."""
        for keep in (None, 100):
            collector = self.filled(keep=keep)
            for filters, wanted in (
                ({}, "ABCDE"),
                ({"type": "page"}, "D"),
                ({"event": "A"}, "A"),
                ({"user": "an-1"}, "E"),
                ({"outcome": "dropped"}, "B"),
                ({"outcome": "accepted"}, "ACDE"),
                ({"outcome": "warned,dropped"}, "BC"),
                ({"source": "other"}, "D"),
                ({"search": "ZÜRICH"}, "E"),
                ({"type": "track", "outcome": "accepted", "search": "@"}, "C"),
            ):
                with self.subTest(keep=keep, filters=filters):
                    query = "&".join(f"{key}={value}" for key, value in filters.items())
                    query = query.replace("Ü", "%C3%9C")
                    found = self.get_json(collector, f"/api/messages?{query}")["arrivals"]
                    self.assertEqual([one["message"]["messageId"] for one in found], list(wanted))
                    told = collector.find(**filters)  # type: ignore[arg-type]
                    self.assertEqual([one.message["messageId"] for one in told], list(wanted))

    def test_wrong_filter(self) -> None:
        """An outcome that does not exist is an error."""
        collector = self.start()
        self.assertEqual(self.ask(collector, "GET", "/api/messages?outcome=lost")[0], 400)
        with self.assertRaisesRegex(ValueError, "use accepted"):
            collector.find(outcome="lost")
        with self.assertRaises(TypeError):
            collector.find(color="red")

    def test_pages_of_a_list(self) -> None:
        """A program that asks for what is after `next` gets everything once."""
        collector = self.filled()
        seen, after = [], 0
        for _ in range(3):
            found = self.get_json(collector, f"/api/messages?after={after}&limit=2")
            seen += [one["number"] for one in found["arrivals"]]
            after = found["next"]
        self.assertEqual(seen, [1, 2, 3, 4, 5])

    def test_one(self) -> None:
        """One message can be read by its number."""
        collector = self.filled(keep=100)
        one = self.get_json(collector, "/api/messages/4")
        self.assertEqual((one["name"], one["type"], one["source"]), ("D", "page", "other"))
        self.assertEqual(one["request"]["path"], "/v1/batch")
        self.assertRegex(one["time"], r"^\d{4}-.*Z$")
        self.assertEqual(self.ask(collector, "GET", "/api/messages/9")[0], 404)

    def test_export(self) -> None:
        """The export has the calls alone, one on each line."""
        collector = self.filled(keep=100)
        _, headers, body = self.ask(collector, "GET", "/api/messages.jsonl?outcome=accepted")
        self.assertEqual(headers["Content-Type"], "application/x-ndjson")
        lines = [json.loads(line) for line in body.splitlines()]
        self.assertEqual([one["messageId"] for one in lines], list("ACDE"))

    def test_counts(self) -> None:
        """The counts have the totals and those of each event, with its properties."""
        collector = self.start()
        for value in (1, 2.5, "x", None):
            self.send(collector, call("Order", properties={"total": value, "id": "a"}))
        self.send(collector, call("Order", userId=...))
        counts = self.get_json(collector, "/api/counts")
        self.assertEqual(counts, collector.counts())
        (event,) = counts.pop("events")
        self.assertEqual(
            counts, {"accepted": 4, "dropped": 1, "refused": 0, "warned": 3, "requests": 5}
        )
        self.assertEqual((event["name"], event["count"], event["dropped"]), ("Order", 5, 1))
        total, order_id = event["properties"]
        self.assertEqual(total["types"], {"number": 2, "string": 1, "null": 1})
        self.assertEqual((total["mixed"], order_id["mixed"]), (True, False))

    def test_clear(self) -> None:
        """After a clear, everything is empty, and numbers continue."""
        collector = self.filled(keep=100)
        self.assertEqual(self.ask(collector, "DELETE", "/api/messages")[0], 200)
        self.assertEqual((collector.arrivals, collector.requests), ([], []))
        self.assertEqual(collector.counts()["events"], [])
        self.send(collector, call("A"))
        (arrival,) = collector.arrivals
        self.assertEqual((arrival.number, arrival.outcome), (6, "accepted"))
        self.assertFalse(any("repeated" in warning for warning in arrival.warnings))

    def test_stream_in_python(self) -> None:
        """The stream yields what is there and what comes, and ends with the collector."""
        collector = self.filled()
        stream = collector.stream(outcome="dropped")
        self.assertEqual(next(stream).message["messageId"], "B")
        Thread(target=self.send, args=(collector, call("F", userId=...))).start()
        self.assertEqual(next(stream).message["messageId"], "F")
        collector.close()
        self.assertEqual(list(stream), [])

    def test_stream(self) -> None:
        """The server-sent events are a hello, and then arrivals with the number of the last."""
        collector = self.filled(keep=100)
        with closing(urlopen(f"{collector.url}/api/stream?type=track", timeout=10)) as stream:
            events = _events(stream)
            hello = next(events)
            self.assertEqual(hello["event"], "hello")
            self.assertEqual(json.loads(hello["data"])["run"], collector.run)
            arrivals = next(events)
            self.assertEqual((arrivals["event"], arrivals["id"]), ("arrivals", "5"))
            names = [json.loads(line)["name"] for line in arrivals["data"].splitlines()]
            self.assertEqual(names, ["A", "B", "C", "E"])
            self.send(collector, call("F\u2028\r\nG"))
            data = next(one["data"] for one in events if one["event"] == "arrivals")
            self.assertEqual(json.loads(data)["name"], "F\u2028\r\nG")
            collector.clear()
            self.assertIn("cleared", (one["event"] for one in events))

    def test_stream_continues(self) -> None:
        """A client continues after its last number, unless that is from another run."""
        collector = self.filled(keep=100)
        for query, wanted in (
            (f"after=4&run={collector.run}", ["E"]),
            ("after=4", ["E"]),
            ("after=4&run=other", ["A", "B", "C", "", "E"]),
        ):
            with (
                self.subTest(query=query),
                closing(urlopen(f"{collector.url}/api/stream?{query}", timeout=10)) as stream,
            ):
                data = next(one["data"] for one in _events(stream) if one["event"] == "arrivals")
                names = [json.loads(line)["message"].get("event", "") for line in data.splitlines()]
                self.assertEqual(names, wanted)

    def test_pretty_json(self) -> None:
        """A call that was sent on several lines is on one line in a stream."""
        collector = self.start(keep=100)
        body = json.dumps({"batch": [call("A\n")]}, indent=2).encode()
        self.post(collector, body, "/v1/batch")
        _, _, exported = self.ask(collector, "GET", "/api/messages.jsonl")
        self.assertEqual(exported.count(b"\n"), 1)


def _events(stream: Any) -> Iterator[dict[str, str]]:
    """Yield the events of a stream, each with its `event`, `id` and `data`."""
    event: dict[str, str] = {}
    while line := stream.readline().decode():
        name, _, value = line.rstrip("\n").partition(": ")
        if name == "data" and "data" in event:
            event["data"] += f"\n{value}"
        elif name in ("event", "id", "data"):
            event[name] = value
        elif event:
            yield event
            event = {}
