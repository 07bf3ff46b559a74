"""A call's arguments, checked as the official SDK checks them, as a message and as a record.

Pure, except that a call without a timestamp has the current time.
"""

from __future__ import annotations

import logging
import numbers
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from ..._messages.ids import new_message_id
from ..._version import __version__

LIBRARY = MappingProxyType({"name": "segment-logging", "version": __version__})

IDS = (numbers.Number, str)

_FRESH = timedelta(seconds=5)


class CallRecord(logging.LogRecord):
    """The record of one call, and its outcome.

    The outcome is in slots, because a record's other attributes may become properties.

    Attributes:
        is_sent: whether the message is to be sent. If not, it is only checked.
        is_sync: whether to send it before the call returns.
        is_accepted: whether it was queued, sent or, if it was not to be sent, found valid.
        error: why it was not sent, or None.
    """

    __slots__ = ("error", "is_accepted", "is_sent", "is_sync")

    is_sent: bool
    is_sync: bool
    is_accepted: bool
    error: BaseException | None


def require(name: str, value: Any, types: type | tuple[type, ...]) -> None:
    """Check a value's type.

    Raises:
        AssertionError: it has another type. The text is the official SDK's, but with the type of
            a value instead of the value, which may be personal data.
    """
    if not isinstance(value, types):
        got = None if value is None else type(value)
        raise AssertionError(f"{name} must have {types}, got: {got}")


def message_of(call_type: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the message that a call returns to its caller.

    Args:
        call_type: the type of the call.
        fields: the call's other fields, under Segment's names.

    Raises:
        AssertionError: a field has the wrong type.
    """
    timestamp = fields["timestamp"]
    message_id = fields["messageId"]
    require("integrations", fields["integrations"], dict)
    if timestamp is not None:
        require("timestamp", timestamp, datetime)
    require("context", fields["context"], dict)
    moment = datetime.now(UTC) if timestamp is None else with_zone(timestamp)
    return {
        **fields,
        "type": call_type,
        "timestamp": moment.isoformat(timespec="milliseconds"),
        "messageId": new_message_id() if message_id is None else str(message_id),
        # A copy: the official SDK writes into the caller's dictionary.
        "context": {**fields["context"], "library": dict(LIBRARY)},
        "userId": _text_or_none(fields.get("userId")),
        "anonymousId": _text_or_none(fields.get("anonymousId")),
    }


def record_of(message: Mapping[str, Any]) -> CallRecord:
    """Return the record that a SegmentHandler turns into this message."""
    context = {name: value for name, value in message["context"].items() if name != "library"}
    fields: dict[str, Any] = {
        ours: value
        for theirs, ours in _OURS.items()
        # The official SDK sends an empty id or name, which Segment treats like a missing one.
        if (value := message.get(theirs)) is not None and (value != "" or theirs == "event")
    }
    fields["context"] = context
    fields["timestamp"] = datetime.fromisoformat(message["timestamp"])
    if message["type"] in ("page", "screen"):
        fields.setdefault("name", None)
    text = message["event"] if message["type"] == "track" else message["type"]
    record = CallRecord("segment", logging.INFO, "", 0, text, (), None)
    record.is_sent, record.is_sync, record.is_accepted, record.error = True, False, False, None
    record.__dict__["segment"] = fields
    return record


def as_sent(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message for `on_error`, with the keys that the official SDK's messages always have.

    This package leaves out what is None or empty.
    """
    return {**_ALWAYS, **_ALWAYS_IN.get(message["type"], {}), **message}


def locate(record: CallRecord) -> None:
    """Note where the program made the call, for a report. To be called during the call."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        frame = frame.f_back
    record.pathname, record.lineno = frame.f_code.co_filename, frame.f_lineno
    record.funcName = frame.f_code.co_name


def with_zone(moment: datetime) -> datetime:
    """Return a time with a zone, which is guessed as the official SDK does if it has none.

    A time that is less than 5 s ago probably comes from `datetime.now()`, so it is local time.
    Others are taken for UTC.
    """
    if moment.tzinfo is not None and moment.utcoffset() is not None:
        return moment
    naive = moment.replace(tzinfo=None)
    is_fresh = datetime.now() - naive < _FRESH
    return naive.astimezone() if is_fresh else naive.replace(tzinfo=UTC)


_OURS = {
    "type": "type",
    "userId": "user_id",
    "anonymousId": "anonymous_id",
    "previousId": "previous_id",
    "groupId": "group_id",
    "event": "event",
    "name": "name",
    "category": "category",
    "properties": "properties",
    "traits": "traits",
    "integrations": "integrations",
    "messageId": "message_id",
}
"""Segment's names of fields, with those of this package."""


_ALWAYS: Mapping[str, Any] = MappingProxyType({"userId": None, "anonymousId": None})

_ALWAYS_IN: Mapping[str, Mapping[str, Any]] = MappingProxyType({
    "page": {"category": None, "name": None},
    "screen": {"category": None, "name": None},
})  # fmt: skip
"""What else the messages of some types always have."""


def _text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)


_PACKAGE = __name__.partition(".")[0]
