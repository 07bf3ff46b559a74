"""Random records, options and bindings, in all shapes that the package reads."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from operator import itemgetter
from types import MappingProxyType
from typing import Any
from zlib import crc32

from hypothesis import strategies as st

from segment_logging import SegmentLogger, Track
from segment_logging._identity.binding import current_binding, identity, only_identity
from segment_logging._identity.who import KnownIdentity
from segment_logging._messages.wire import CONSENT_EVENT
from segment_logging._options.records import RecordOptions
from segment_logging._records.attributes import KEPT_IDENTITY
from segment_logging._records.once import MESSAGE_ID
from segment_logging.contrib.visitor import Visitor


class Plan(str, Enum):
    """Text that is also an Enum."""

    PRO = "pro"


class Text(str):
    """Text of another class."""


class Dict(dict[str, Any]):
    """A dict of another class."""


def _rare(usual: st.SearchStrategy[Any], *rare: Any) -> st.SearchStrategy[Any]:
    odd = st.sampled_from(rare)
    return st.integers(0, 19).flatmap(lambda number: odd if number == 19 else usual)


ODD: tuple[Any, ...] = (
    None, "", 0, 7, True, 1.5, float("nan"), float("inf"), 10**30, "\ud800", b"\xff", (), [], {},
    (1, (2, {"pin": 3})), Decimal("9.90"), Decimal("NaN"), uuid.UUID(int=7), Plan.PRO, Text("t"),
    Dict(a=1), MappingProxyType({"a": 1}), datetime(2026, 11, 23, tzinfo=UTC), date(2026, 11, 23),
    {"a", "b"}, {1: 2}, {None: 1}, object, ValueError("x"), "x" * 600, {"note": {"pin": "1"}},
    {"Pin": "A", "a.pin": 2, "card": {"number": [{"pin": 1.0}, float("nan")]}},
)  # fmt: skip
words = st.sampled_from(["a", "é", "Signup", "Order 1", "Debug x", '"\\\n', CONSENT_EVENT])
ids = _rare(st.sampled_from(["u-1", "u-2", 17, 17.0, uuid.UUID(int=7)]), *ODD)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    _rare(words | numbers | st.booleans(), *ODD),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["pin", "note", "number", "card", "k"]), inner, max_size=3
        )
    ),
    max_leaves=4,
)
pages = _rare(
    st.fixed_dictionaries(
        {},
        optional={
            "url": st.sampled_from(["https://h/a?token=1&utm_source=2", "https://h/", "/a?q=1"]),
            "search": st.sampled_from(["?token=1", "q=1&gclid=2"]),
            "referrer": st.sampled_from(["https://n:p@h/?code=1#a=b", "https://h/"]),
            "path": st.just("/"),
        },
    ),
    *ODD,
)
objects = _rare(
    st.dictionaries(
        st.sampled_from(["pin", "note", "card", "library", "app", "message", "plan", "traits"]),
        values,
        max_size=4,
    ),
    *ODD,
)
moments = _rare(
    st.sampled_from([datetime(2026, 11, 23, tzinfo=UTC), "2026-11-23T08:00:00Z", 1e9]),
    "2026-11-23 08:00:00",
    *ODD,
)
contexts_of_events = objects | st.builds(lambda page: {"page": page}, pages)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "user_id": ids, "anonymous_id": ids, "group_id": ids, "previous_id": ids, "message_id": ids,
    "event": _rare(words, Plan.PRO, *ODD), "category": _rare(words, *ODD), "properties": objects,
    "traits": objects, "context": contexts_of_events, "integrations": objects, "timestamp": moments,
    "type": _rare(st.sampled_from(["track", "identify", "page", "screen", "group", "alias"]), *ODD),
}  # fmt: skip
LOOSE: dict[str, st.SearchStrategy[Any]] = {
    "plan": values, "pin": values, "note": values, "task_id": values, "_private": values,
    "level": _rare(values, "info"), "level_number": _rare(values, 20),
    "logger": _rare(values, "app"),
}  # fmt: skip


def _some(extra: dict[str, Any]) -> dict[str, Any]:
    """Return at most five of the extras, because almost all calls with many fields are refused."""
    names = sorted(extra, key=lambda name: crc32(f"{name}{len(extra)}".encode()))[:5]
    return {name: extra[name] for name in names}


flat = st.fixed_dictionaries(
    {},
    optional={
        **FIELDS,
        **LOOSE,
        KEPT_IDENTITY: st.fixed_dictionaries(
            {"user_id": ids, "anonymous_id": ids, "context": st.none() | st.just({"ip": "1"})}
        ),
    },
).map(_some)
nested = st.fixed_dictionaries({}, optional={**FIELDS, **LOOSE, "name": _rare(words, *ODD)}).map(
    _some
)
extras = flat | st.builds(
    lambda around, inner: {**around, "segment": inner},
    st.fixed_dictionaries({}, optional={"plan": values, "user_id": ids, "type": FIELDS["type"]}),
    _rare(nested, True, False, *ODD),
)
messages = _rare(
    st.sampled_from([("Signup", ()), ("Order %s", (1,)), ("Debug x", ())]),
    ("%s %s", (1,)), ("", ()), (7, ()), ("\ud800", ()), (Text("Signup"), ()),
    (CONSENT_EVENT, ()), ({"event": "x", "user_id": 1}, ()),
)  # fmt: skip
inner = st.fixed_dictionaries(
    {},
    optional={
        **FIELDS, **LOOSE, "name": _rare(words, *ODD), "thread": values, "exc_info": values,
        "timestamp": _rare(moments, "2026-11-23 08:00:00", "2026-11-23T08:00:00", "08:00", "Z"),
        "positional_args": _rare(st.just(()), (1,)), "segment": _rare(st.just(True), {"plan": 1}),
    },
).map(_some)  # fmt: skip
_dialects = st.one_of(
    st.tuples(_rare(inner, *ODD)),  # loguru's
    st.tuples(inner, inner, _rare(st.sampled_from(["event", "msg"]), "message", "text")),
)


dialects = st.integers(0, 4).flatmap(lambda number: _dialects if number == 4 else st.none())


def _in_dialect(dialect: Any, text: Any, extra: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return a text and extras as loguru or structlog passes them."""
    match dialect:
        case (bound,):
            return text, {**extra, "extra": bound}
        case (before, after, key):
            before = {name: before[name] for name in before if name != key}
            after = {name: after[name] for name in after if name not in before}
            return {**before, key: text, **after}, {**extra, "_logger": None, "_name": "app"}
    return text, extra


def _change(message: Any) -> Any:
    message.context.pop("consent", None)
    if isinstance(message, Track):
        if "plan" in (message.properties or {}):
            return None
        return replace(message, event=f"{message.event}!")
    return message


def _agreed() -> Mapping[str, bool]:
    return {"ads": True}


options = st.fixed_dictionaries(
    {},
    optional={
        "capture": st.just("all"),
        "context": st.sampled_from(
            [
                {"app": {"name": "shop"}},
                {"at": date(2026, 11, 23)},
                {"page": {"search": "?token=1", "path": "/"}},
            ]
        ),
        "page_query": st.sampled_from(["all", ["q"]]),
        "integrations": st.just({"All": True}),
        "include_extras": st.just(False),
        "exclude_extras": st.just(["note"]),
        "keep_extras": st.just(["task_id"]),
        "before_send": st.sampled_from([lambda message: message, _change, lambda message: 1 / 0]),
        "redact": st.sampled_from([["pin"], ["card.*"], ["context.ip", "p?n"], ["*.pin", "note"]]),
        "hashed": st.sampled_from([["note"], ["card.number", "email"], ["pin"]]),
        "allow_events": st.just(["Order *", "Signup", "a"]),
        "deny_events": st.just(["Debug *"]),
        "sample_rate": st.sampled_from([0.0, 0.5]),
        "consent": st.sampled_from([_agreed(), _agreed, lambda: None, lambda: 1 / 0]),
    },
).map(lambda chosen: RecordOptions(**dict(list(chosen.items())[-3:])))
contexts = st.sampled_from(
    [None, {}, {"ip": "192.0.2.1", "pin": 1}, {"traits": {"email": "e"}, "app": {"version": "1"}},
     {"library": {"name": "other"}}, {"at": date(2026, 11, 23)},
     {"page": {"url": "https://h/?token=1", "referrer": "https://h/?gclid=1"}}]
)  # fmt: skip
whoever = st.fixed_dictionaries({"user_id": ids, "anonymous_id": ids, "context": contexts})
bindings = st.none() | st.tuples(st.sampled_from(["known", "visitor", "over a visitor"]), whoever)
loggers = st.none() | st.fixed_dictionaries(
    {}, optional={"user_id": ids, "anonymous_id": ids, "context": contexts,
                  "properties": contexts, "integrations": st.just({"All": False})}
)  # fmt: skip


def within(binding: Any) -> Any:
    if binding is None:
        return only_identity(current_binding.get())
    way, who = binding
    if way == "known":
        return identity(**who)
    visitor = Visitor(
        who,
        itemgetter("user_id"),
        lambda _: KnownIdentity(anonymous_id=who["anonymous_id"], context=who["context"]),
    )
    if way == "over a visitor":
        with only_identity(visitor), identity(user_id="u-1", context={"app": {"build": 1}}):
            return only_identity(current_binding.get())
    return only_identity(visitor)


def record_of(
    message: tuple[Any, Any], extra: Mapping[str, Any], logger: Any, dialect: Any
) -> logging.LogRecord:
    text, arguments = message
    if logger is not None:
        bound = SegmentLogger("app", **logger)
        extra = bound.process("", {"extra": extra})[1]["extra"] or {}
    text, extra = _in_dialect(dialect, text, extra)
    record = logging.getLogger("app").makeRecord(
        "app", logging.INFO, __file__, 7, text, arguments, None, "a_function", extra
    )
    record.created = 1e9
    record.__dict__[MESSAGE_ID] = ("m-1",)
    return record
