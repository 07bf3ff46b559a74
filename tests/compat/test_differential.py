"""Sends the same calls through the official SDK and through `compat.analytics`, and compares."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from inspect import Parameter, signature
from typing import Any

from segment.analytics import client as official

from segment_logging.collector import Collector
from segment_logging.compat import analytics


class Plan(Enum):
    PRO = "pro"


COMMON: Mapping[str, Any] = {
    "context": {"ip": "192.0.2.1", "page": {"path": "/"}},
    "timestamp": datetime(2020, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "integrations": {"All": False, "Amplitude": True},
    "message_id": "id-1",
}
VALUES = {
    "text": "é € 😀", "number": 1.5, "large": 1 << 53, "yes": True, "nothing": None,
    "list": [1, "two", None], "tuple": (1, 2), "nested": {"deep": {"er": [{}]}}, "empty": "",
    "decimal": Decimal("0.25"), "enum": Plan.PRO, "bytes": b"text", "date": date(2020, 1, 2),
}  # fmt: skip

CALLS: tuple[tuple[str, tuple[Any, ...], Mapping[str, Any]], ...] = (
    ("track", ("u-1", "Signup"), {}),
    ("track", ("u-1", "Signup", VALUES), COMMON),
    ("track", (17, "Signup"), {"anonymous_id": 1.5}),
    ("track", (True, "Signup"), {}),
    ("track", (), {"anonymous_id": "a-1", "event": "Signup"}),
    ("track", ("u-1", "Signup", None, None, datetime(2014, 9, 3)), {}),
    ("track", ("u-1", "  Sign\tup\n"), {}),
    ("identify", ("u-1",), {}),
    ("identify", ("u-1", VALUES), COMMON),
    ("identify", (), {"anonymous_id": "a-1", "traits": {"plan": "pro"}}),
    ("group", ("u-1", "g-1"), {}),
    ("group", ("u-1", "g-1", VALUES), COMMON),
    ("group", (), {"anonymous_id": "a-1", "group_id": "g-1"}),
    ("alias", ("a-1", "u-1"), {}),
    ("alias", ("a-1", "u-1"), COMMON),
    ("page", ("u-1",), {}),
    ("page", ("u-1", "Docs", "Pricing", VALUES), COMMON),
    ("page", ("u-1", "Docs"), {}),
    ("screen", ("u-1",), {"name": "Home"}),
    ("screen", ("u-1", "Docs", "Pricing", VALUES), COMMON),
)
"""Method, positional and named arguments."""

MADE_UP = ("context", "timestamp", "messageId", "properties", "traits")
"""Fields of results whose values or types may differ, or that other tests compare."""

WRONG: tuple[tuple[str, tuple[Any, ...], Mapping[str, Any]], ...] = (
    ("track", (), {}),
    ("track", ("u-1",), {}),
    ("track", (0, "Signup"), {}),
    ("track", ("u-1", 7), {}),
    ("track", ([1], "Signup"), {}),
    ("track", ("u-1", "Signup", [1]), {}),
    ("track", ("u-1", "Signup"), {"timestamp": "2020-01-02"}),
    ("track", ("u-1", "Signup"), {"context": [1]}),
    ("track", ("u-1", "Signup"), {"integrations": [1]}),
    ("identify", ("u-1", "traits"), {}),
    ("group", ("u-1",), {}),
    ("group", ("u-1", "g-1", "traits"), {}),
    ("alias", ("a-1",), {}),
    ("alias", (None, "u-1"), {}),
    ("page", ("u-1", 7), {}),
    ("screen", ("u-1", None, 7), {}),
    ("track", ("u-1", "Signup", {"text": "x" * 40_000}), {}),
)


def arrived(make: Callable[..., Any]) -> tuple[list[Any], list[tuple[bool, Any]]]:
    """Return the messages that arrive from a client that makes all calls, and the results."""
    with Collector() as collector:
        client = make("key", host=collector.url, upload_interval=0.05)
        results = [getattr(client, name)(*args, **named) for name, args, named in CALLS]
        client.shutdown()
        return list(collector.messages), results


def comparable(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message without what has to differ.

    Those are the library, times and ids that are made up, and fields that are null, which Segment
    does not distinguish from missing ones.
    """
    kept = {key: value for key, value in message.items() if value is not None}
    kept["context"] = {key: kept["context"][key] for key in kept["context"] if key != "library"}
    is_given = kept.pop("messageId") == "id-1"
    moment = datetime.fromisoformat(kept.pop("timestamp"))
    if is_given or moment.year == 2014:
        kept["timestamp"] = moment
    return kept


def kind_of(call: Callable[..., Any], *args: Any, **named: Any) -> type[BaseException] | None:
    try:
        call(*args, **named)
    except Exception as error:
        return type(error)
    return None


class TestDifferential(unittest.TestCase):
    def test_same_messages(self) -> None:
        """The same calls lead to the same messages in the same order, and to the same results."""
        (theirs, their_results), (ours, our_results) = (
            arrived(official.Client), arrived(analytics.Client),
        )  # fmt: skip
        self.assertEqual(len(ours), len(CALLS))
        for call, one, other in zip(CALLS, theirs, ours, strict=True):
            with self.subTest(call=call):
                self.assertEqual(comparable(other), comparable(one))
        for call, (accepted, message), (also, own) in zip(CALLS, their_results, our_results):
            with self.subTest(result=call):
                self.assertEqual(also, accepted)
                self.assertEqual(own.keys(), message.keys())
                given = [name for name in message if name not in MADE_UP]
                self.assertEqual([type(own[name]) for name in given],
                                 [type(message[name]) for name in given])  # fmt: skip

    def test_same_errors(self) -> None:
        """Wrong arguments raise the same types of errors."""
        clients = [made("key", send=False) for made in (official.Client, analytics.Client)]
        for name, args, named in WRONG:
            with self.subTest(name=name, args=str(args)[:60], named=named):
                theirs, ours = (
                    kind_of(getattr(client, name), *args, **named) for client in clients
                )
                self.assertIsNotNone(theirs)
                self.assertEqual(ours, theirs)

    def test_same_settings(self) -> None:
        """The settings, their defaults and the arguments are the same, and ours have three more."""
        for name in vars(official.Client.DefaultConfig):
            if not name.startswith("_"):
                theirs = getattr(official.Client.DefaultConfig, name)
                self.assertEqual(getattr(analytics.Client.DefaultConfig, name), theirs, name)
        code = official.Client.__init__.__code__
        arguments = code.co_varnames[1 : code.co_argcount]
        more = ("journal", "dead_letters", "region")
        self.assertEqual(analytics._SETTINGS, (*arguments, *more))
        for name in more:
            kind = signature(analytics.Client).parameters[name].kind
            self.assertIs(kind, Parameter.KEYWORD_ONLY)


if __name__ == "__main__":
    unittest.main()
