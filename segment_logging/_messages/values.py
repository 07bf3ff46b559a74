"""Checks and conversions for the values of a call: text, ids, objects and timestamps.

`text`, `an_id` and `an_object` each return a function that converts a value to its wire form. That
function returns None for None, and for a proxy without a value. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from numbers import Real
from typing import Any, NoReturn

from ..errors import InvalidMessage
from .conversions import listed, utc_text
from .proxies import behind

_OR_NONE = ", or None to leave it out"


def text(name: str, code: str, *, is_needed: bool = False) -> Callable[[Any], str | None]:
    def write(value: Any) -> str | None:
        value = behind(value)
        if value is None:
            return None
        if not isinstance(value, str):
            raise InvalidMessage(
                f"{name} must be text, not {type(value).__name__} ({code}): pass a str", field=name
            )
        plain = str.__str__(value)  # a subclass may define its own methods
        if not plain:
            raise InvalidMessage(
                f"{name} is empty ({code}): pass some text{'' if is_needed else _OR_NONE}",
                field=name,
            )
        return plain

    return write


def an_id(
    name: str,
    code: str,
    *,
    at_most: int | None = None,
    is_needed: bool = False,
    may_be_number: bool = True,
) -> Callable[[Any], str | None]:
    """Return a function that converts an id to text.

    Segment requires ids to be text. Databases use numbers and UUIDs, so these are converted. A bool
    or NaN is refused, because it would merge many users into one.
    """
    write_text = text(name, code, is_needed=is_needed)

    def write(value: Any) -> str | None:
        written = value if type(value) is str and value else write_text(_id_text_of(value))
        if at_most is not None and written is not None and len(written) > at_most:
            raise InvalidMessage(
                f"{name} has {len(written)} characters, but Segment allows at most {at_most} "
                f"({code}): pass a shorter one",
                field=name,
            )
        return written

    def _id_text_of(value: Any) -> str | None:
        if type(value) is int and may_be_number:  # the usual number, at a fifth of the cost
            try:
                return str(value)
            except ValueError:  # thousands of digits, which are refused below
                pass
        value = behind(value)
        advice = "convert it with str()"
        match behind(value.value) if isinstance(value, Enum) else value:
            case bool():
                advice = "pass the id itself"  # str() would make one user of many
            case None | str() as written:
                return written
            case Real() | Decimal() as number if may_be_number:
                # NaN, the infinities, NumPy's durations and thousands of digits are not ids.
                with suppress(ValueError, OverflowError, TypeError):
                    return _text_of_number(number)
            case other if _is_uuid(other):
                return str(other)
        missing = _missing(value)
        if missing is not None:
            raise InvalidMessage(
                f"{name} is {missing}, which is not an id ({code}): log no events without "
                "an id, and do not convert it with str()",
                field=name,
            )
        raise InvalidMessage(
            f"{name} must be text{', a number' * may_be_number} or a UUID, "
            f"not {type(value).__name__} ({code}): {advice}",
            field=name,
        )

    return write


def _missing(value: Any) -> str | None:
    """Return "NaN" or "infinite" if that is what this number is, or None."""
    if isinstance(value, Decimal):
        return "NaN" if value.is_nan() else "infinite" if value.is_infinite() else None
    with suppress(ValueError, OverflowError, TypeError):
        number = float(value) if isinstance(value, Real) else 0.0
        return "NaN" if math.isnan(number) else "infinite" if math.isinf(number) else None
    return None


def _is_uuid(value: object) -> bool:
    # By name, because importing `uuid`, which looks up the platform, would take 3 ms.
    return any(kind.__name__ == "UUID" for kind in type(value).__mro__)


def _text_of_number(number: Any) -> str:
    if isinstance(number, int):
        return str(int.__int__(number))  # a subclass may define its own methods
    if isinstance(number, float):
        number = float.__float__(number)
    if isinstance(number, Decimal) and number.is_finite() and number.adjusted() >= 40:
        return str(number)  # as an int, it could have enough digits to exhaust memory
    whole = int(number)  # pandas may turn a column of integers into floats, such as 17.0
    return str(whole if whole == number else number)  # converting a Decimal to float would round


def an_object(name: str, code: str) -> Callable[[Any], Mapping[str, Any] | None]:
    def write(value: Any) -> Mapping[str, Any] | None:
        value = behind(value)
        if value is not None and not isinstance(value, Mapping):
            raise InvalidMessage(
                f"{name} must be an object, not {type(value).__name__} ({code}): pass a dict",
                field=name,
            )
        return value

    return write


def write_timestamp(value: Any) -> str:
    """Return a timestamp as `2026-11-23T08:00:00.123Z`.

    Args:
        value: a datetime (a naive one is local time), ISO 8601 text (UTC if it has no zone, which
            is how Segment reads it), a date (midnight UTC), or seconds since the epoch as a number
            of any type.

    Raises:
        InvalidMessage: if it is none of these. Segment would silently replace an unreadable
            timestamp with the time of arrival.
    """
    global _last_second
    second, text = _last_second
    # Add half a microsecond: for current dates, .123 seconds may be .1229999 as a float.
    if type(value) is float and 0.0 <= value - second < 1.0:
        return text + _MILLISECONDS[int((value - second) * 1000.0 + 0.0005)]
    try:
        if type(value) is float and value >= 0.0:
            second = value // 1.0
            _last_second = second, _text_of_second(second)
            return write_timestamp(value)
        if type(value) is datetime:
            return utc_text(value)
        return _text_of_moment(_moment_of(value))
    except (ValueError, OverflowError, OSError):
        pass
    is_short = isinstance(value, (int, float)) and -1e20 < value < 1e20
    of = f"{value:g}" if is_short else type(value).__name__
    raise InvalidMessage(
        f"timestamp ({of}) is not a valid time: "
        "pass a datetime, ISO 8601 text or seconds since the epoch, not milliseconds",
        field="timestamp",
    )


def _moment_of(value: Any) -> Any:
    """Return a datetime, or a float of seconds since the epoch. Return anything else unchanged."""
    value = behind(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    if hasattr(type(value), "dtype") and hasattr(type(value), "tolist"):
        value = listed(value)  # NumPy datetimes and numbers; whole days and years become dates
    if isinstance(value, str):
        moment = read_iso(value)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if isinstance(value, (Real, Decimal)) and not isinstance(value, bool):
        return float(value)
    return value


def _text_of_moment(moment: Any) -> str:
    if isinstance(moment, datetime):
        return utc_text(moment)
    if type(moment) is not float:
        raise ValueError
    return write_timestamp(moment) if moment >= 0 else utc_text(datetime.fromtimestamp(moment, UTC))


def read_iso(text: str) -> datetime:
    """Return the datetime for ISO 8601 text, which may be in lower case, as RFC 3339 allows.

    A zone may follow a space and be called UTC, as in the exports of databases.

    Raises:
        ValueError: if it is not ISO 8601.
    """
    text = text.upper()
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        moment, _, zone = text.rpartition(" ")
        if ":" not in moment:
            raise
        return datetime.fromisoformat(moment + ("Z" if zone == "UTC" else zone))


# The last whole second and its text, which consecutive records share. They are replaced together as
# one tuple, so that no thread combines one second with another second's text.
_last_second: tuple[float, str] = (0.0, "1970-01-01T00:00:00.")
_MILLISECONDS = (*(f"{number:03d}Z" for number in range(1000)), "999Z")


def _text_of_second(second: float) -> str:
    # `strftime` would import a module, which fails during interpreter shutdown.
    return datetime.fromtimestamp(second, UTC).isoformat()[:19] + "."


def refuse_absent(name: str, code: str, hint: str) -> Callable[[str], NoReturn]:
    def refuse(call_type: str) -> NoReturn:
        raise InvalidMessage(f"{call_type} needs {name} ({code}): {hint}", field=name)

    return refuse


def empty(call_type: str) -> dict[str, Any]:
    return {}


def shown(value: object) -> str:
    """Return a description for an error text: the repr of short text, otherwise the type's name."""
    return repr(value) if isinstance(value, str) and len(value) <= 20 else type(value).__name__
