"""The part of a refused message that is kept for the dead letters: readable and limited in size.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._messages.encoding import decode, encode
from .._messages.limits import MAX_MESSAGE_BYTES
from .._reports import where
from ..errors import InvalidMessage

_DEEPEST = 3  # how many levels are searched for values that cannot be written
_MOST_FAULTS = 100  # how many such values are described, because each takes up to 0.1 ms
_MOST_BYTES = 8 * MAX_MESSAGE_BYTES  # so that a message that is too large can be shortened
_LONGEST_KEY = 200  # in characters


def remains_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values converted to JSON types.

    A value that cannot be written, or that is much larger than a message may be, is replaced with a
    short description. If there are too many such values, or if the result would be much larger than
    a message, the rest is left out.
    """
    return _Remains().of_items(values, _DEEPEST)


class _Remains:
    """Converts the values of one message, to all of which the limits apply together."""

    def __init__(self) -> None:
        self._faults_left = _MOST_FAULTS
        self._bytes_left = _MOST_BYTES

    def of_items(self, values: Mapping[Any, Any], levels: int) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, value in values.items():
            if self._faults_left <= 0 or self._bytes_left <= 0:
                kept["..."] = "<more values, omitted>"
                break
            kept[self._key_of(key)] = self._of(value, levels)
        return kept

    def _of(self, value: Any, levels: int) -> Any:
        kind = type(value)
        try:
            data = encode(value)
        except Exception:
            self._faults_left -= 1
            if levels and issubclass(kind, dict):
                try:
                    return self.of_items(value, levels - 1)
                except Exception:
                    pass  # its class has its own `items`
            text = f"<{kind.__name__} that cannot be written as JSON>"
        else:
            if len(data) <= self._bytes_left:
                self._bytes_left -= len(data)
                return decode(data)
            text = f"<{kind.__name__} of {len(data):,} bytes, omitted>"
        self._bytes_left -= len(text)
        return text

    def _key_of(self, key: Any) -> str:
        """Return a key as it would be on the wire, or a short description."""
        written = self._of({key: 0}, 0)
        text = next(iter(written)) if isinstance(written, dict) else f"<{type(key).__name__}>"
        return text if len(text) <= _LONGEST_KEY else f"{text[:_LONGEST_KEY]}..."


def unreadable(error: Exception) -> InvalidMessage:
    """Return an InvalidMessage for an event that could not be read because of another error."""
    return InvalidMessage(
        f"the event cannot be read because it raised {type(error).__name__} ({where(error)}): "
        "pass plain values, or fix the value that raises"
    )
