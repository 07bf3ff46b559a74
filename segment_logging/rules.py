"""How a single value of a call is checked and written: text, an object, a moment.

Each of these returns a function from a value to what stands on the wire. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum
from numbers import Integral, Real
from typing import Any, NoReturn

from .encoding import utc_text
from .errors import InvalidMessage


def text(name: str, code: str) -> Callable[[Any], str]:
    def write(value: Any) -> str:
        if not isinstance(value, str):
            raise InvalidMessage(
                f"{name} must be text, not {type(value).__name__} ({code}): pass a str", field=name
            )
        if not value:
            raise InvalidMessage(
                f"{name} is empty ({code}): pass some text, or None to leave it out", field=name
            )
        return str.__str__(value)

    return write


def an_id(name: str, code: str, *, at_most: int | None = None) -> Callable[[Any], str]:
    """Ids are text to Segment; numbers and UUIDs are what databases hold, and become text.

    Not so bool and NaN, which would make many users one.
    """
    write_text = text(name, code) if at_most is None else short_text(name, code, at_most)

    def write(value: Any) -> str:
        match value.value if isinstance(value, Enum) else value:
            case bool():
                pass
            case str() as written:
                return write_text(written)
            case Integral() as number:
                return write_text(str(number))
            # By name: who has one has imported `uuid`, which takes 3 ms to find out the platform.
            case other if type(other).__name__ == "UUID" and type(other).__module__ == "uuid":
                return write_text(str(other))
            case Real() | Decimal() as number if math.isfinite(number):
                real = float(number)  # pandas turns a column of 17 into one of 17.0
                return write_text(str(int(real) if real.is_integer() else number))
        raise InvalidMessage(
            f"{name} must be text, a number or a UUID, not {type(value).__name__} ({code}): "
            "pass str() of it",
            field=name,
        )

    return write


def short_text(name: str, code: str, limit: int) -> Callable[[Any], str]:
    write_text = text(name, code)

    def write(value: Any) -> str:
        text = value if type(value) is str and value else write_text(value)
        if len(text) > limit:
            raise InvalidMessage(
                f"{name} has {len(text)} characters, at most {limit} are kept ({code}): "
                "pass a shorter one",
                field=name,
            )
        return text

    return write


def an_object(name: str, code: str) -> Callable[[Any], Mapping[str, Any]]:
    def write(value: Any) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise InvalidMessage(
                f"{name} must be an object, not {type(value).__name__} ({code}): pass a dict",
                field=name,
            )
        return value

    return write


def write_timestamp(value: float | str | datetime) -> str:
    """Return a moment as `2026-11-23T08:00:00.123Z`.

    Args:
        value: a datetime (a naive one is local time), ISO 8601 text, or seconds since the epoch
            as `time.time()` and `LogRecord.created` count them.

    Raises:
        InvalidMessage: not one of these. Segment drops a timestamp it cannot read and takes the
            time of arrival, which is silently wrong.
    """
    global _last_second
    try:
        if type(value) is float and value >= 0.0:
            second = value // 1.0
            cached, text = _last_second
            if second != cached:
                text = _text_of_second(second)
                _last_second = (second, text)
            return text + _MILLISECONDS[int((value - second) * 1000.0)]
        if isinstance(value, str):
            # Before 3.11 fromisoformat does not know `Z`.
            value = datetime.fromisoformat(value[:-1] + "+00:00" if value[-1:] in "Zz" else value)
        if isinstance(value, datetime):
            return utc_text(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if value >= 0:
                return write_timestamp(float(value))
            return utc_text(datetime.fromtimestamp(value, timezone.utc))
    except (ValueError, OverflowError, OSError):
        pass
    of = f"{value:g}" if isinstance(value, (int, float)) else type(value).__name__
    raise InvalidMessage(
        f"timestamp ({of}) is no moment: "
        "pass a datetime, ISO 8601 text or seconds since the epoch, no milliseconds",
        field="timestamp",
    )


# The text of the last whole second: consecutive records share it. One tuple, replaced whole, so
# that a thread never sees the second of one and the text of another.
_last_second: tuple[float, str] = (0.0, "1970-01-01T00:00:00.")
_MILLISECONDS = tuple(f"{number:03d}Z" for number in range(1000))


def _text_of_second(second: float) -> str:
    text = datetime.fromtimestamp(second, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.")
    return text.rjust(20, "0")  # strftime does not fill up the years before 1000


def refuse_absent(name: str, code: str, hint: str) -> Callable[[str], NoReturn]:
    def refuse(call_type: str) -> NoReturn:
        raise InvalidMessage(f"{call_type} needs {name} ({code}): {hint}", field=name)

    return refuse


def empty(call_type: str) -> dict[str, Any]:
    return {}


def shown(value: object) -> str:
    """A value for an error text: a short name whole, anything else by its type only."""
    return repr(value) if isinstance(value, str) and len(value) <= 20 else type(value).__name__
