"""How a single value of a call is checked and written: text, an object, a moment.

Each of these returns a function from a value to what stands on the wire. Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from numbers import Integral, Real
from typing import Any, NoReturn

from .encoding import utc_text
from .errors import InvalidMessage

_OR_NONE = ", or None to leave it out"


def text(name: str, code: str, *, is_needed: bool = False) -> Callable[[Any], str]:
    def write(value: Any) -> str:
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
) -> Callable[[Any], str]:
    """Ids are text to Segment; numbers and UUIDs are what databases hold, and become text.

    Not so bool and NaN, which would make many users one.
    """
    write_text = text(name, code, is_needed=is_needed)

    def write(value: Any) -> str:
        written = value if type(value) is str and value else write_text(_id_text_of(value))
        if at_most is not None and len(written) > at_most:
            raise InvalidMessage(
                f"{name} has {len(written)} characters, at most {at_most} are kept ({code}): "
                "pass a shorter one",
                field=name,
            )
        return written

    def _id_text_of(value: Any) -> str:
        match value.value if isinstance(value, Enum) else value:
            case bool():
                pass
            case str() as written:
                return written
            case Integral() as number if may_be_number:
                return str(number)
            # By name: who has one has imported `uuid`, which takes 3 ms to find out the platform.
            case other if type(other).__name__ == "UUID" and type(other).__module__ == "uuid":
                return str(other)
            case Real() | Decimal() as number if may_be_number and math.isfinite(number):
                # pandas turns a column of 17 into one of 17.0; a float of a Decimal would round.
                whole = int(number)  # type: ignore[arg-type]  # every one there is has it
                return str(whole if whole == number else number)
        raise InvalidMessage(
            f"{name} must be text{', a number' * may_be_number} or a UUID, "
            f"not {type(value).__name__} ({code}): "
            "pass str() of it",
            field=name,
        )

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
            # Half a microsecond more, as 0.123 of a second this year is a float of 0.1229999.
            return text + _MILLISECONDS[int((value - second) * 1000.0 + 0.0005)]
        if isinstance(value, str):
            value = read_iso(value)
        if isinstance(value, datetime):
            return utc_text(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if value >= 0:
                return write_timestamp(float(value))
            return utc_text(datetime.fromtimestamp(value, timezone.utc))
    except (ValueError, OverflowError, OSError):
        pass
    is_short = isinstance(value, (int, float)) and -1e20 < value < 1e20
    of = f"{value:g}" if is_short else type(value).__name__
    raise InvalidMessage(
        f"timestamp ({of}) is no moment: "
        "pass a datetime, ISO 8601 text or seconds since the epoch, no milliseconds",
        field="timestamp",
    )


def read_iso(text: str) -> datetime:
    """Return the moment of ISO 8601 text. Raises ValueError.

    Every Python reads what 3.11 does: before, its own function knows no `Z`, no basic format, and
    fractions of three or six digits only.
    """
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        match = _ISO.fullmatch(text)
        if match is None:
            raise
    date = match["date"].replace("-", "")
    time = match["time"].replace(":", "")
    zone = (match["zone"] or "").upper().replace("Z", "+00:00")
    moment = datetime.strptime(f"{date}T{time:0<6}", "%Y%m%dT%H%M%S").replace(
        microsecond=int(f"{match['fraction'] or '':0<6}"[:6])
    )
    if zone:
        sign = -1 if zone[0] == "-" else 1
        minutes = int(zone[1:3]) * 60 + int(zone[-2:] if len(zone) > 3 else 0)
        moment = moment.replace(tzinfo=timezone(sign * timedelta(minutes=minutes)))
    return moment


_ISO = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d|\d{8})[Tt ](?P<time>\d\d(?::?\d\d(?::?\d\d)?)?)"
    r"(?:[.,](?P<fraction>\d+))?(?P<zone>[Zz]|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)

# The text of the last whole second: consecutive records share it. One tuple, replaced whole, so
# that a thread never sees the second of one and the text of another.
_last_second: tuple[float, str] = (0.0, "1970-01-01T00:00:00.")
_MILLISECONDS = (*(f"{number:03d}Z" for number in range(1000)), "999Z")


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
