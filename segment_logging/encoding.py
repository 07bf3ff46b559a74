"""Values to compact UTF-8 JSON and back, the same with and without the `speed` extra.

Both encoders write only what JSON has; everything else goes through one function, `default`,
so that a value comes out the same whichever is installed. What an encoder refuses (NaN, lone
surrogates, keys that are no text, integers beyond 64 bits) is rewritten by `plain` and encoded
again: a slow path for the rare message, so that the common one pays nothing.

No message, limit or rule is known here.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import sys
from collections import UserString
from collections.abc import Callable, Iterable, Mapping, Sequence, Set, ValuesView
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from json.encoder import c_make_encoder, encode_basestring  # type: ignore[attr-defined]
from types import SimpleNamespace
from typing import Any

from .errors import InvalidMessage

try:
    import orjson

    if tuple(map(int, orjson.__version__.split(".")[:2])) >= (3, 12):
        orjson = None  # type: ignore[assignment]  # crashes on tuples nested some thousand deep
except ImportError:
    orjson = None  # type: ignore[assignment]


def encode(value: object) -> bytes:
    """Return `value` as compact UTF-8 JSON.

    Written as: datetime in UTC with milliseconds and `Z` (a naive one is local time), date and
    time in ISO 8601, timedelta as seconds, Decimal as a number, UUID and Path as text, an Enum as
    its value, a set as a list (sorted when it can be), bytes as text if they are UTF-8 and
    base64 if not, dataclass, Mapping, attrs and pydantic models as an object, NumPy values as what
    they hold, NaN and the infinities as null, an exception as `"ValueError: text"`, any other
    object as `str()`.

    Raises:
        InvalidMessage: a cycle, nesting deeper than the recursion limit, or a `__str__` that
            raises. The cause is chained; the text holds no value.
    """
    try:
        return _encode(value)
    except Exception:
        return _encode_carefully(value)


def decode(data: bytes | str) -> Any:
    """Return the value of a JSON text. Raises ValueError when it is not one."""
    return json.loads(data)


def utc_text(moment: datetime) -> str:
    """Return `2026-11-23T08:00:00.123Z`: UTC, milliseconds. A naive datetime is local time."""
    if hasattr(moment, "to_pydatetime"):  # pandas refuses to take a naive one for local time
        moment = moment.to_pydatetime()
    try:
        moment = moment.astimezone(timezone.utc)
    except (OverflowError, ValueError):  # the first and last moments: people's "never"
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def default(value: Any) -> Any:
    """Return something nearer to JSON for a value that an encoder does not know."""
    match value:
        case Enum():
            return value.value
        # Subclasses of what JSON has: the standard encoder writes them itself, orjson asks.
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
            return utc_text(value) if _is_itself(value) else None
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
        case UserString():  # a sequence of itself
            return str(value)
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
    # By the type: a mock has whatever attribute it is asked for.
    kind = type(value)
    if hasattr(kind, "dtype") and hasattr(kind, "tolist"):  # NumPy, pandas, CuPy, JAX
        return _listed(value)
    if hasattr(kind, "__attrs_attrs__"):
        return {field.name: getattr(value, field.name) for field in kind.__attrs_attrs__}
    if hasattr(kind, "__pydantic_validator__") and hasattr(kind, "model_dump"):
        return value.model_dump()
    return str(value)


def _listed(value: Any) -> Any:
    """Return what an array or scalar of NumPy's kind holds."""
    if type(value).__module__ != "numpy":  # pandas and others have moments of their own
        return value.tolist()
    about = value.dtype.str
    if about.endswith(("[ns]", "[ps]", "[fs]", "[as]")):  # finer than datetime: a bare number
        value = value.astype(f"{about[1:3]}[us]")
    listed = value.tolist()
    if type(listed) is type(value):  # longdouble
        return float(value) if value.dtype.kind == "f" else str(value)
    return listed


def plain(value: Any) -> Any:
    """Return `value` made of dict, list, str, int, finite float, bool and None only."""
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


def _is_itself(value: Any) -> bool:
    return bool(value == value)  # noqa: PLR0124  # pandas.NaT, a datetime, is not


def _key(key: Any) -> str:
    """Return the name that `key` has in JSON, as JavaScript and `json` spell it."""
    match key:
        case str() if not isinstance(key, Enum):
            return _whole_text(str.__str__(key))
        case None | bool() | int() | float() if not isinstance(key, Enum):
            return json.dumps(key)
    written = plain(key)
    return written if isinstance(written, str) else json.dumps(written)


def _whole_text(text: str) -> str:
    """Return `text` with lone surrogates, which UTF-8 does not have, as U+FFFD."""
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


# allow_nan=False: `NaN` is not JSON, and Segment answers 400 to the whole batch that holds one.
_standard = json.JSONEncoder(
    ensure_ascii=False,
    allow_nan=False,
    separators=(",", ":"),
    default=default,
)
# The objects around the one being written. Before 3.12 the interpreter's own limit ends a cycle
# soon enough; since then not so, in a thread of 1 MiB of stack, as musl gives it.
_around: dict[int, object] | None = {} if sys.version_info >= (3, 12) else None
# What `_standard` makes anew for each text: making it takes a fifth of the time of an event.
_chunks_of: Callable[[object, int], Iterable[str]] | None = c_make_encoder and c_make_encoder(
    _around, default, encode_basestring, None, ":", ",", False, False, False
)


def encode_standard(value: object) -> bytes:
    """Encode with the standard library only; raises whatever its encoder raises.

    Also, now and then, for what another thread or a `__str__` that logs is just writing, too:
    then both are written carefully.
    """
    if _chunks_of is None:  # an interpreter without the accelerator
        return _standard.encode(value).encode()
    try:
        return "".join(_chunks_of(value, 0)).encode()
    except BaseException:
        if _around:
            _around.clear()
        raise


def _encode_carefully(value: object) -> bytes:
    try:
        return encode_standard(value)  # it nests deeper than orjson, and has longer integers
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
"""Encode with the `speed` extra, None without it; raises whatever its encoder raises."""

if orjson is not None:
    _OPTIONS = (
        orjson.OPT_PASSTHROUGH_DATETIME
        | orjson.OPT_PASSTHROUGH_DATACLASS
        | orjson.OPT_PASSTHROUGH_SUBCLASS
    )

    def _encode_orjson(value: object) -> bytes:
        # A kept result holds its 4 KiB work buffer: joining copies it to its own size.
        return b"".join((orjson.dumps(value, default, _OPTIONS), b""))

    encode_fast = _encode_orjson

_encode = encode_standard if encode_fast is None else encode_fast
