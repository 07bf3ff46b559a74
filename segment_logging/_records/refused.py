"""What is kept of a refused message for the dead letters: readable, and bounded. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._messages.encoding import decode, encode
from .._messages.limits import MAX_MESSAGE_BYTES
from .._reports import where
from ..errors import InvalidMessage

_DEEPEST = 3  # levels into which it is looked for what cannot be written


def remains_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON holds them.

    In place of what cannot be written, and of what is larger than a message may be, stands a text
    that says so.
    """
    return {str(key): _readable(value, _DEEPEST) for key, value in values.items()}


def _readable(value: Any, levels: int) -> Any:
    try:
        data = encode(value)
    except Exception:
        if levels and isinstance(value, dict):
            return {str(key): _readable(item, levels - 1) for key, item in value.items()}
        return f"<{type(value).__name__}, which cannot be written>"
    if len(data) > MAX_MESSAGE_BYTES:
        return f"<{type(value).__name__} of {len(data):,} bytes, which was left out>"
    return decode(data)


def unreadable(error: Exception) -> InvalidMessage:
    """Return the refusal of an event in which some other error was raised."""
    return InvalidMessage(
        f"the event cannot be read, as it raised {type(error).__name__} ({where(error)}): "
        "pass plain values, or mend those"
    )
