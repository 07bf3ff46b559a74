"""Convert values of any type to types that JSON has.

The encoders pass all values that they cannot write to `default`. `plain` rewrites a whole value,
for the rare ones that the encoders refuse.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence, Set, ValuesView
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import Any

from .proxies import HONEST, behind


def utc_text(moment: datetime) -> str:
    """Return a datetime as `2026-11-23T08:00:00.123Z`. A naive datetime is local time."""
    if moment.tzinfo is UTC and type(moment) is datetime:
        return moment.isoformat(timespec="milliseconds")[:-6] + "Z"
    if hasattr(moment, "to_pydatetime"):  # pandas does not treat a naive Timestamp as local time
        moment = moment.to_pydatetime(warn=False)  # about nanoseconds, which Segment does not keep
    try:
        moment = moment.astimezone(UTC)
    except (OverflowError, ValueError):  # datetime.min or datetime.max, often used for "never"
        moment = moment.replace(tzinfo=UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def default(value: Any) -> Any:
    """Convert a value that an encoder does not support to something closer to JSON."""
    convert = _CONVERT.get(type(value))
    if convert is not None:
        return convert(value)
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
            return _number_of(value)
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
    for name in _CONTENTS.get(kind.__module__.partition(".")[0], ()):
        if hasattr(kind, name):
            return getattr(value, name)()
    if hasattr(kind, "__attrs_attrs__"):
        return {field.name: getattr(value, field.name) for field in kind.__attrs_attrs__}
    if hasattr(kind, "__pydantic_validator__") and hasattr(kind, "model_dump"):
        return value.model_dump(warnings=False)  # they would show the model's values
    if hasattr(kind, "__fields__") and hasattr(kind, "__validators__"):  # pydantic before 2
        return value.dict()
    if hasattr(kind, "__struct_fields__"):  # msgspec
        return {name: getattr(value, name) for name in kind.__struct_fields__}
    if kind in HONEST:  # UUID
        _CONVERT[kind] = str
    return str(value)


# By package, the methods of scalars, of arrays and tables, and of frames and series.
_CONTENTS = {"pyarrow": ("as_py", "to_pylist"), "polars": ("to_dicts", "to_list")}


def _number_of(value: Decimal) -> float | None:
    if not value.is_finite():
        return None
    number = float(value)
    return number if math.isfinite(number) else None


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


# The most common types, for which `default` does not have to try one type after another.
_CONVERT: dict[type, Callable[[Any], Any]] = {
    datetime: utc_text,
    date: date.isoformat,
    Decimal: _number_of,
    set: _sorted_if_possible,
    frozenset: _sorted_if_possible,
}
