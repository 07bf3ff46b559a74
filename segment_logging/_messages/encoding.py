"""Encode values as compact UTF-8 JSON, and decode them.

The result is the same with and without the `speed` extra. Both encoders write only the types that
JSON has, and pass all other values to the same function, `default`. If an encoder refuses a message
(because of NaN, lone surrogates, keys that are not text, or integers beyond 64 bits), `plain`
rewrites the message and it is encoded again. Only these rare messages take the slow path.

Nothing here depends on messages, limits or rules.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import json.encoder
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence, Set, ValuesView
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import Any

from ..errors import InvalidMessage
from .proxies import HONEST, behind

try:
    import orjson

    if tuple(map(int, orjson.__version__.split(".")[:2])) >= (3, 12):
        orjson = None  # type: ignore[assignment]  # 3.12+ crashes on tuples nested thousands deep
except ImportError:
    orjson = None  # type: ignore[assignment]


def encode(value: object) -> bytes:
    """Return `value` as compact UTF-8 JSON.

    Types that JSON does not have are written as follows:

    - a datetime in UTC with milliseconds and `Z` (a naive one is local time)
    - a date or time in ISO 8601, and a timedelta in seconds
    - a Decimal as a number, a UUID or Path as text, and an Enum as its value
    - a set as a list, which is sorted if possible
    - bytes as text if they are valid UTF-8, otherwise as base64
    - a dataclass, a Mapping, or an attrs, msgspec or pydantic model as an object
    - NumPy values as the values that they contain
    - NaN, the infinities, pandas' NA and NaT, and msgspec's UNSET as null
    - a proxy as the value behind it
    - an exception as `"ValueError: text"`
    - any other object as its `str()`

    Raises:
        InvalidMessage: if there is a cycle, if the nesting is deeper than the recursion limit, or
            if a `__str__` raises. The cause is chained. The error's text contains no values.
    """
    try:
        return _encode(value)
    except Exception:
        return _encode_carefully(value)


def decode(data: bytes | str) -> Any:
    """Return the value of a JSON text. Raise ValueError if it is not JSON."""
    return json.loads(data)


def utc_text(moment: datetime) -> str:
    """Return a datetime as `2026-11-23T08:00:00.123Z`. A naive datetime is local time."""
    if hasattr(moment, "to_pydatetime"):  # pandas does not treat a naive Timestamp as local time
        moment = moment.to_pydatetime(warn=False)  # about nanoseconds, which Segment does not keep
    try:
        moment = moment.astimezone(UTC)
    except (OverflowError, ValueError):  # datetime.min or datetime.max, often used for "never"
        moment = moment.replace(tzinfo=UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def default(value: Any) -> Any:
    """Convert a value that an encoder does not support to something closer to JSON."""
    if type(value) not in HONEST:
        value = behind(value)
    match value:
        case Enum():
            return value.value
        # Subclasses of JSON's types. The standard encoder writes them itself. orjson calls this.
        case str():
            return str.__str__(value) if type(value) is not str else value
        case bool() | None:
            return value
        case int():
            return int.__int__(value)
        case float():
            number = float.__float__(value)
            return number if math.isfinite(number) else None
        case datetime():
            return utc_text(value)
        case date() | time():
            return value.isoformat()
        case timedelta():
            return default(value.total_seconds())
        case Decimal():
            return default(float(value)) if value.is_finite() else None
        case bytes() | bytearray() | memoryview():
            return _text_of(bytes(value))
        case Mapping():
            return dict(value.items())
        case Set():
            return _sorted_if_possible(value)
        case Sequence() | ValuesView():
            return list(value)
        case SimpleNamespace():
            return vars(value)
        case BaseException():
            return f"{type(value).__name__}: {value}"
        case type():
            return value.__name__
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    # Check the type and not the value, because a mock has every attribute.
    kind = type(value)
    if hasattr(kind, "dtype") and hasattr(kind, "tolist"):  # NumPy, pandas, CuPy, JAX
        return listed(value)
    if hasattr(kind, "__attrs_attrs__"):
        return {field.name: getattr(value, field.name) for field in kind.__attrs_attrs__}
    if hasattr(kind, "__pydantic_validator__") and hasattr(kind, "model_dump"):
        return value.model_dump(warnings=False)  # they would show the model's values
    if hasattr(kind, "__fields__") and hasattr(kind, "__validators__"):  # pydantic before 2
        return value.dict()
    if hasattr(kind, "__struct_fields__"):  # msgspec
        return {name: getattr(value, name) for name in kind.__struct_fields__}
    return str(value)


def listed(value: Any) -> Any:
    """Return the contents of an array or scalar from NumPy or a similar library."""
    if type(value).__module__ != "numpy":  # pandas and others have their own datetimes
        return value.tolist()
    about = value.dtype.str
    if about.endswith(
        ("[ns]", "[ps]", "[fs]", "[as]")
    ):  # finer than datetime, so `tolist` would return a bare number
        value = value.astype(f"{about[1:3]}[us]")
    held = value.tolist()
    if type(held) is type(value):  # longdouble
        return float(value) if value.dtype.kind == "f" else str(value)
    return held


def plain(value: Any) -> Any:
    """Return `value` rebuilt from dict, list, str, int, finite float, bool and None only."""
    value = behind(value)
    match value:
        case None | bool():
            return value
        case Enum():
            return plain(value.value)
        case str():
            return _whole_text(str.__str__(value))
        case int():
            return int.__int__(value)
        case float():
            return default(value)
        case Mapping():
            return {_key(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
    return plain(default(value))


def _key(key: Any) -> str:
    """Return `key` as the key of a JSON object, with the spelling that `json` uses."""
    key = behind(key)
    match key:
        case str() if not isinstance(key, Enum):
            return _whole_text(str.__str__(key))
        case None | bool() | int() | float() if not isinstance(key, Enum):
            return json.dumps(key)
    written = plain(key)
    return written if isinstance(written, str) else json.dumps(written)


def _whole_text(text: str) -> str:
    """Return `text` with U+FFFD in place of lone surrogates, which UTF-8 cannot encode."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _text_of(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return base64.b64encode(data).decode()


def _sorted_if_possible(values: Set[Any]) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:
        return list(values)


# allow_nan=False: `NaN` is not JSON, and Segment answers 400 to a whole batch that contains it.
_standard = json.JSONEncoder(
    ensure_ascii=False,
    allow_nan=False,
    separators=(",", ":"),
    default=default,
)
# The containers that are being written, so that the encoder detects cycles. Before 3.12, the
# interpreter's recursion limit stops a cycle early enough. Since 3.12, the stack would overflow
# first in a thread with only 1 MiB of stack, as on musl.
_around: dict[int, object] | None = {} if sys.version_info >= (3, 12) else None


def accelerated(module: object) -> Callable[[object, int], Iterable[str]] | None:
    """Return the C encoder that `_standard` creates for each text, or None if it is unavailable.

    Creating it takes a fifth of the time of an event, so it is created once. It is private to the
    standard library, so it is used only here and only if it passes a test. Otherwise, `_standard`
    does the work.

    Args:
        module: `json.encoder`.
    """
    try:
        make: Any = module.c_make_encoder  # type: ignore[attr-defined]
        text_of: Any = module.encode_basestring  # type: ignore[attr-defined]
        chunks_of: Callable[[object, int], Iterable[str]]
        chunks_of = make(_around, default, text_of, None, ":", ",", False, False, False)
        tried = {"a": [None, True, 1, 0.5, 'é"', date(1970, 1, 1)]}
        return chunks_of if "".join(chunks_of(tried, 0)) == _standard.encode(tried) else None
    except Exception:
        return None


_chunks_of = accelerated(json.encoder)


def encode_standard(value: object) -> bytes:
    """Encode with the standard library only. Errors from its encoder are not caught.

    It can also raise if another thread, or a `__str__` that logs, is encoding the same value at the
    same time. Both then fall back to `_encode_carefully`.
    """
    if _chunks_of is None:
        return _standard.encode(value).encode()
    try:
        return "".join(_chunks_of(value, 0)).encode()
    except BaseException:
        if _around:
            _around.clear()
        raise


def _encode_carefully(value: object) -> bytes:
    try:
        return encode_standard(value)  # accepts deeper nesting and longer integers than orjson
    except Exception:
        pass
    try:
        return encode_standard(plain(value))
    except Exception as error:
        raise InvalidMessage(
            f"message cannot be written as JSON ({type(error).__name__}): "
            "pass plain values without cycles, or objects whose str() works"
        ) from error


encode_fast: Callable[[object], bytes] | None = None
"""Encodes with the `speed` extra; None without it. Errors from its encoder are not caught."""

if orjson is not None:
    _OPTIONS = (
        orjson.OPT_PASSTHROUGH_DATETIME
        | orjson.OPT_PASSTHROUGH_DATACLASS
        | orjson.OPT_PASSTHROUGH_SUBCLASS
    )

    def _encode_orjson(value: object) -> bytes:
        # orjson's result keeps a work buffer of 4 KiB alive. A join copies it to its exact size.
        return b"".join((orjson.dumps(value, default, _OPTIONS), b""))

    encode_fast = _encode_orjson

_encode = encode_standard if encode_fast is None else encode_fast
