"""Warnings about probable mistakes in calls that Segment accepts.

They are based on Segment's spec and on the limits of the products that receive the calls (Unify,
Engage, warehouses, destinations). This module uses no clock, thread or socket.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from .._messages.limits import MAX_GROUP_ID_CHARACTERS, MAX_MESSAGE_ID_CHARACTERS

MAX_UNIFY_PROPERTIES = 300
"""The maximum number of properties or traits in a call (Unify limits). Unify silently drops a call
with more."""

_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d+)?)?(Z|[+-]\d\d(?::?\d\d)?)?)?",
    re.IGNORECASE | re.ASCII,
)


def hints_of(message: Mapping[str, Any]) -> Iterator[str]:
    """Yield a warning about each probable mistake in an accepted call.

    Args:
        message: the call in wire form, with its batch's context merged in.
    """
    yield from _message_id_hints(message.get("messageId"))
    yield from _timestamp_hints(message.get("timestamp"))
    yield from _identity_hints(message)
    yield from _context_hints(message)
    for key in ("properties", "traits"):
        if key in message:
            yield from _fields_hints(key, message[key])


def _message_id_hints(message_id: Any) -> Iterator[str]:
    if message_id is None or message_id == "":
        yield "messageId is missing: Segment cannot recognise duplicates"
    elif not isinstance(message_id, str):
        yield "messageId is not text"
    elif len(message_id) > MAX_MESSAGE_ID_CHARACTERS:
        yield (
            f"messageId has {len(message_id)} characters: Unify drops a message "
            f"with more than {MAX_MESSAGE_ID_CHARACTERS}"
        )


def _timestamp_hints(timestamp: Any) -> Iterator[str]:
    if timestamp is None:
        return
    found = _MOMENT.fullmatch(timestamp) if isinstance(timestamp, str) else None
    if found is None or not _is_moment(found):
        yield "timestamp is not ISO 8601: Segment uses the time of arrival instead"
    elif found[7] is None:
        yield "timestamp has no time zone: Segment assumes UTC"
    elif int(found[1]) < 1970:
        yield "timestamp is before 1970: Unify and Engage may not accept it"


def _is_moment(found: re.Match[str]) -> bool:
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    try:
        datetime(year, month, day, hour, minute, min(second, 59))  # 60 is a leap second
    except ValueError:
        return False
    return second <= 60


def _identity_hints(message: Mapping[str, Any]) -> Iterator[str]:
    user_id = message.get("userId")
    if isinstance(user_id, str) and re.fullmatch(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+", user_id):
        yield "userId looks like an e-mail address: Segment recommends a database id"
    if message.get("type") == "alias" and not message.get("previousId"):
        yield "previousId is missing: there is nothing to alias"
    if message.get("type") == "group":
        group_id = message.get("groupId")
        if not isinstance(group_id, str) or not group_id:
            yield "groupId is missing, empty or not text: Unify drops the call"
        elif len(group_id) > MAX_GROUP_ID_CHARACTERS:
            yield (
                f"groupId has {len(group_id)} characters: Unify drops a call "
                f"with more than {MAX_GROUP_ID_CHARACTERS}"
            )


def _context_hints(message: Mapping[str, Any]) -> Iterator[str]:
    context = message.get("context")
    if context is not None and not isinstance(context, dict):
        yield "context is not an object"
    elif not isinstance((context or {}).get("library"), dict):
        yield "context.library is missing: the sending library is unknown"
    integrations = message.get("integrations")
    if integrations is not None and not isinstance(integrations, dict):
        yield "integrations is not an object"
    elif "all" in (integrations or {}):
        yield 'integrations has "all": Segment spells it "All"'


def _fields_hints(key: str, fields: Any) -> Iterator[str]:
    if not isinstance(fields, dict):
        yield f"{key} is null, which Segment does not document: send {{}}"
        return
    if len(fields) > MAX_UNIFY_PROPERTIES:
        yield (
            f"{key} has {len(fields)} keys: "
            f"Unify drops a call with more than {MAX_UNIFY_PROPERTIES}"
        )
    if key == "traits":
        return
    for name in ("revenue", "value"):
        number = fields.get(name)
        if number is not None and (
            isinstance(number, bool) or not isinstance(number, (int, float))
        ):
            yield f"{name} is not a number: destinations will not add it up"
    currency = fields.get("currency")
    if currency is not None and not (
        isinstance(currency, str) and re.fullmatch(r"[A-Za-z]{3}", currency)
    ):
        yield "currency is not a three-letter code (ISO 4217)"
