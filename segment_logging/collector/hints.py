"""Warnings about probable mistakes in calls that Segment accepts.

They are based on Segment's spec and on the limits of the products that receive the calls (Unify,
Engage, warehouses, destinations). This module uses no clock, thread or socket.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
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
_EMAIL = re.compile(r"[^@\s]{1,100}@[^@\s.]{1,100}(?:\.[^@\s.]{1,100}){1,10}")


def hints_of(message: Mapping[str, Any]) -> list[str]:
    """Return a warning about each probable mistake in an accepted call.

    Args:
        message: the call in wire form, with its batch's context merged in.
    """
    hints: list[str] = []
    warn = hints.append
    # The conditions only avoid calls that would find nothing, for speed.
    message_id = message.get("messageId")
    if message_id.__class__ is not str or not 0 < len(message_id) <= MAX_MESSAGE_ID_CHARACTERS:
        _message_id_hints(message_id, warn)
    timestamp = message.get("timestamp")
    if timestamp is not None and not _is_usual_moment(timestamp):
        _timestamp_hints(timestamp, warn)
    user_id = message.get("userId")
    if message["type"] in ("alias", "group") or (user_id.__class__ is str and "@" in user_id):
        _identity_hints(message, warn)
    _context_hints(message, warn)
    for key in ("properties", "traits"):
        if key in message:
            _fields_hints(key, message[key], warn)
    return hints


def _message_id_hints(message_id: Any, warn: Callable[[str], object]) -> None:
    if message_id is None or message_id == "":
        warn("messageId is missing: Segment cannot recognise duplicates")
    elif not isinstance(message_id, str):
        warn("messageId is not text")
    elif len(message_id) > MAX_MESSAGE_ID_CHARACTERS:
        warn(
            f"messageId has {len(message_id)} characters: Unify drops a message "
            f"with more than {MAX_MESSAGE_ID_CHARACTERS}"
        )


def _timestamp_hints(timestamp: Any, warn: Callable[[str], object]) -> None:
    found = _MOMENT.fullmatch(timestamp) if isinstance(timestamp, str) else None
    if found is None or not _is_moment(found):
        warn("timestamp is not ISO 8601: Segment uses the time of arrival instead")
    elif found[7] is None:
        warn("timestamp has no time zone: Segment assumes UTC")
    elif int(found[1]) < 1970:
        warn("timestamp is before 1970: Unify and Engage may not accept it")


def _is_usual_moment(value: Any) -> bool:
    """Return whether a value is a moment as most libraries write it: 2026-11-23T08:00:00.123Z."""
    if value.__class__ is not str or len(value) != 24 or value[:4] < "1970":
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return value[4] + value[10] + value[19] == "-T." and value.isascii()


def _is_moment(found: re.Match[str]) -> bool:
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    try:
        datetime(year, month, day, hour, minute, min(second, 59))  # 60 is a leap second
    except ValueError:
        return False
    return second <= 60


def _identity_hints(message: Mapping[str, Any], warn: Callable[[str], object]) -> None:
    user_id = message.get("userId")
    if isinstance(user_id, str) and "@" in user_id and _EMAIL.fullmatch(user_id):
        warn("userId looks like an e-mail address: Segment recommends a database id")
    if message.get("type") == "alias" and not message.get("previousId"):
        warn("previousId is missing: there is nothing to alias")
    if message.get("type") == "group":
        group_id = message.get("groupId")
        if not isinstance(group_id, str) or not group_id:
            warn("groupId is missing, empty or not text: Unify drops the call")
        elif len(group_id) > MAX_GROUP_ID_CHARACTERS:
            warn(
                f"groupId has {len(group_id)} characters: Unify drops a call "
                f"with more than {MAX_GROUP_ID_CHARACTERS}"
            )


def _context_hints(message: Mapping[str, Any], warn: Callable[[str], object]) -> None:
    context = message.get("context")
    if context is not None and not isinstance(context, dict):
        warn("context is not an object")
    elif not context or not isinstance(context.get("library"), dict):
        warn("context.library is missing: the sending library is unknown")
    integrations = message.get("integrations")
    if integrations is not None and not isinstance(integrations, dict):
        warn("integrations is not an object")
    elif integrations and "all" in integrations:
        warn('integrations has "all": Segment spells it "All"')


def _fields_hints(key: str, fields: Any, warn: Callable[[str], object]) -> None:
    if not isinstance(fields, dict):
        warn(f"{key} is null, which Segment does not document: send {{}}")
        return
    if len(fields) > MAX_UNIFY_PROPERTIES:
        warn(
            f"{key} has {len(fields)} keys: "
            f"Unify drops a call with more than {MAX_UNIFY_PROPERTIES}"
        )
    if key == "traits":
        return
    for name in ("revenue", "value"):
        number = fields.get(name)
        if not (number is None or number.__class__ is int or number.__class__ is float):
            warn(f"{name} is not a number: destinations will not add it up")
    currency = fields.get("currency")
    if currency is not None and not (
        isinstance(currency, str)
        and len(currency) == 3
        and currency.isascii()
        and currency.isalpha()
    ):
        warn("currency is not a three-letter code (ISO 4217)")
