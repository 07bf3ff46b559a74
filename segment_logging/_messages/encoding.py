"""Encode values as compact UTF-8 JSON, and decode them.

The result is the same with and without the `speed` extra. Both encoders write only the types that
JSON has, and pass all other values to the same function, `default`. If an encoder refuses a message
(because of NaN, lone surrogates, keys that are not text, or integers beyond 64 bits), `plain`
rewrites the message and it is encoded again. Only these rare messages take the slow path.

Nothing here depends on messages, limits or rules.
"""

from __future__ import annotations

import json
import json.encoder
import sys
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

from ..errors import InvalidMessage
from .conversions import default, plain

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]
else:
    if not hasattr(orjson, "Fragment"):  # before 3.9; the program has it for something else
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
    - NumPy, PyArrow and Polars values as the values that they contain
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


def quoting(module: object) -> Callable[[str], str]:
    """Return the function that writes a text as JSON, without a search for its type.

    Args:
        module: `json.encoder`.
    """
    try:
        quote: Callable[[str], str] = module.encode_basestring  # type: ignore[attr-defined]
        tried = 'a"\\\n\x00é\u2028'
        return quote if quote(tried) == _standard.encode(tried) else _standard.encode
    except Exception:
        return _standard.encode


quote = quoting(json.encoder)
"""Writes a text as JSON. The text may still contain lone surrogates."""


def text_standard(value: object) -> str:
    """Return the JSON of `encode_standard` as a str."""
    if _chunks_of is None:
        return _standard.encode(value)
    try:
        return "".join(_chunks_of(value, 0))
    except BaseException:
        if _around:
            _around.clear()
        raise


def encode_standard(value: object) -> bytes:
    """Encode with the standard library only. Errors from its encoder are not caught.

    It can also raise if another thread, or a `__str__` that logs, is encoding the same value at the
    same time. Both then fall back to `_encode_carefully`.
    """
    return text_standard(value).encode()


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


_CONTAINERS = frozenset({dict, list, tuple})
_MOST_LEVELS = 100


def guarded(encode: Callable[..., bytes]) -> Callable[..., bytes]:
    """Return an encoder that refuses deep nesting, which `encode` cannot refuse itself.

    Values that `default` returns are rebuilt without tuples, so that `encode` counts their levels.
    """

    def encode_guarded(
        value: object, default: Callable[[Any], Any] = _default_without_tuples
    ) -> bytes:
        if type(value) in _CONTAINERS and not _is_shallow(value, _MOST_LEVELS):
            raise ValueError("the nesting is too deep")
        return encode(value, default)

    return encode_guarded


def _default_without_tuples(value: Any) -> Any:
    converted = default(value)
    return plain(converted) if type(converted) in _CONTAINERS else converted


def _is_shallow(value: Any, levels: int) -> bool:
    """Return whether lists, tuples and dicts are nested in at most this many levels."""
    for item in value.values() if type(value) is dict else value:
        kind = type(item)
        if kind is str or kind not in _CONTAINERS:
            continue
        if levels == 1 or not _is_shallow(item, levels - 1):
            return False
    return True


encode_fast: Callable[..., bytes] | None = None
"""Encodes with the `speed` extra; None without it. Errors from its encoder are not caught.

A second argument replaces `default`.
"""
encoded: Callable[[bytes], Any] | None = None
"""Returns an object that `encode_fast` writes as this JSON."""

if orjson is not None:
    _OPTIONS = (
        orjson.OPT_PASSTHROUGH_DATETIME
        | orjson.OPT_PASSTHROUGH_DATACLASS
        | orjson.OPT_PASSTHROUGH_SUBCLASS
    )
    encoded = orjson.Fragment
    _dumps, _join = orjson.dumps, b"".join

    def _encode_orjson(value: object, default: Callable[[Any], Any] = default) -> bytes:
        # orjson's result keeps a work buffer of 4 KiB alive. A join copies it to its exact size.
        return _join((_dumps(value, default, _OPTIONS), b""))

    # Since 3.12, orjson does not count the levels of tuples, and from about 1,500 levels on, it
    # writes beyond the end of its buffer.
    _counts_tuples = tuple(map(int, orjson.__version__.split(".")[:2])) < (3, 12)
    encode_fast = _encode_orjson if _counts_tuples else guarded(_encode_orjson)

_encode = encode_standard if encode_fast is None else encode_fast
