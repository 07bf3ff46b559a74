"""How a single value of a call is checked and written: text, an id, an object, a moment.

`text`, `an_id` and `an_object` each return a function that turns a value into what stands on the
wire, or None if it is a proxy that stands for nothing. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from numbers import Integral, Real
from typing import Any, NoReturn

from ..errors import InvalidMessage
from .encoding import listed, utc_text
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
        if not value:
            raise InvalidMessage(
                f"{name} is empty ({code}): pass some text{'' if is_needed else _OR_NONE}",
                field=name,
            )
        return str.__str__(value)

    return write


def an_id(
    name: str,
    code: str,
    *,
    at_most: int | None = None,
    is_needed: bool = False,
    may_be_number: bool = True,
) -> Callable[[Any], str | None]:
    """Ids are text to Segment. Databases hold numbers and UUIDs, so these become text.

    A bool or NaN does not: it would turn many users into one.
    """
    write_text = text(name, code, is_needed=is_needed)

    def write(value: Any) -> str | None:
        written = value if type(value) is str and value else write_text(_id_text_of(value))
        if at_most is not None and written is not None and len(written) > at_most:
            raise InvalidMessage(
                f"{name} has {len(written)} characters, and Segment keeps at most {at_most} "
                f"({code}): pass a shorter one",
                field=name,
            )
        return written

    def _id_text_of(value: Any) -> str | None:
        value = behind(value)
        match behind(value.value) if isinstance(value, Enum) else value:
            case bool():
                pass
            case None | str() as written:
                return written
            case Integral() as number if may_be_number:
                return str(int(number))
            case other if _is_uuid(other):
                return str(other)
            case Real() | Decimal() as number if may_be_number:
                with suppress(ValueError, OverflowError):  # neither NaN nor infinity is an id
                    return _text_of_number(number)
        raise InvalidMessage(
            f"{name} must be text{', a number' * may_be_number} or a UUID, "
            f"not {type(value).__name__} ({code}): "
            "pass str() of it",
            field=name,
        )

    return write


def _is_uuid(value: object) -> bool:
    # By name: importing `uuid`, which looks up the platform, would take 3 ms.
    return any(kind.__name__ == "UUID" for kind in type(value).__mro__)


def _text_of_number(number: Any) -> str:
    if isinstance(number, Decimal) and number.is_finite() and number.adjusted() >= 40:
        return str(number)  # its digits could fill the memory
    whole = int(number)  # pandas turns a column of 17 into one of 17.0
    return str(whole if whole == number else number)  # a float of a Decimal would round


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
    """Return a moment as `2026-11-23T08:00:00.123Z`.

    Args:
        value: a datetime (a naive one is local time), ISO 8601 text (without a zone it is UTC, as
            for Segment), or seconds since the epoch as `time.time()` and `LogRecord.created` count
            them: a number of any kind.

    Raises:
        InvalidMessage: it is none of these. Segment replaces a timestamp that it cannot read by
            the time of arrival, which is silently wrong.
    """
    global _last_second
    try:
        if type(value) is float and value >= 0.0:
            second = value // 1.0
            cached, text = _last_second
            if second != cached:
                text = _text_of_second(second)
                _last_second = (second, text)
            # Half a microsecond more: this year, 0.123 of a second is a float of 0.1229999.
            return text + _MILLISECONDS[int((value - second) * 1000.0 + 0.0005)]
        return _text_of_moment(_moment_of(value))
    except (ValueError, OverflowError, OSError):
        pass
    is_short = isinstance(value, (int, float)) and -1e20 < value < 1e20
    of = f"{value:g}" if is_short else type(value).__name__
    raise InvalidMessage(
        f"timestamp ({of}) is not a moment: "
        "pass a datetime, ISO 8601 text or seconds since the epoch, not milliseconds",
        field="timestamp",
    )


def _moment_of(value: Any) -> Any:
    """Return a datetime, or seconds since the epoch as a float. Anything else as it is."""
    value = behind(value)
    if hasattr(type(value), "dtype") and hasattr(type(value), "tolist"):
        value = listed(value)  # NumPy's moments and numbers
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
    """Return the moment of ISO 8601 text, in lower case, too, as RFC 3339 allows.

    Raises ValueError.
    """
    return datetime.fromisoformat(text.upper())


# The text of the last whole second, which consecutive records share. One tuple, replaced whole, so
# that no thread ever sees the second of one and the text of another.
_last_second: tuple[float, str] = (0.0, "1970-01-01T00:00:00.")
_MILLISECONDS = (*(f"{number:03d}Z" for number in range(1000)), "999Z")


def _text_of_second(second: float) -> str:
    text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
    return text.rjust(20, "0")  # strftime does not pad the years before 1000


def refuse_absent(name: str, code: str, hint: str) -> Callable[[str], NoReturn]:
    def refuse(call_type: str) -> NoReturn:
        raise InvalidMessage(f"{call_type} needs {name} ({code}): {hint}", field=name)

    return refuse


def empty(call_type: str) -> dict[str, Any]:
    return {}


def shown(value: object) -> str:
    """Return a value for an error text: a short text as it is, anything else by its type."""
    return repr(value) if isinstance(value, str) and len(value) <= 20 else type(value).__name__
