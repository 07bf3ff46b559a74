"""Encode a call from its checked values, without checking or collecting them again.

`wire.wire_form` with `encoding.encode` is the reference: it checks every value and accepts values
of any type. The functions here are for ordinary values. They raise an exception for everything that
needs more care, such as lone surrogates or integers beyond 64 bits.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .encoding import encode_fast, encoded, quote, text_standard

PLAIN = frozenset({str, int, float, bool, type(None)})
"""The types of JSON, except for those that contain others."""


def plain_copy(value: Any) -> Any:
    """Return a copy of a value that consists of JSON's types, or a tuple of such values.

    Raises:
        ValueError: if any other value is inside, or a number that JSON does not have.
    """
    kind = type(value)
    if kind is dict:
        copy = {}
        for key, item in value.items():
            if type(key) is not str:
                raise ValueError
            copy[key] = item if type(item) is str else plain_copy(item)
        return copy
    if kind is list or kind is tuple:
        return [plain_copy(item) for item in value]
    if kind not in PLAIN or (kind is float and not math.isfinite(value)):
        raise ValueError
    return value


@dataclass(frozen=True, slots=True, eq=False)
class LineEncoder:
    """A way to encode calls.

    Attributes:
        put_together: takes the values of a call, as `form_of` does.
        finish: encodes its result. None if that is encoded already, or if it is to stay a dict.
        written: encodes an object that is part of many calls. The result takes the place of the
            object in `put_together`. If it contains a value that JSON does not have, and that could
            be written differently later, the object is returned unchanged.
        extended: takes the result of `written` and another object without common keys, and returns
            both together. None if encoding both again is cheaper.
    """

    put_together: Callable[..., Any]
    finish: Callable[[Any], bytes] | None
    written: Callable[[Mapping[str, Any]], Any]
    extended: Callable[[str, Mapping[str, Any]], str] | None = None


def form_of(
    call_type: str,
    title_key: str,
    object_key: str,
    user_id: str | None,
    anonymous_id: str | None,
    title: str | None,
    category: str | None,
    content: dict[str, Any] | None,
    timestamp: str,
    message_id: str,
    context: Any,
    integrations: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return a call in wire form. Values that are None are left out.

    Args:
        call_type: the call's type.
        title_key: the key of `title`: "event", "name", "groupId" or "previousId".
        object_key: the key of `content`: "properties" or "traits".
        user_id: the user's id.
        anonymous_id: the visitor's id.
        title: what the call's type requires besides the user.
        category: the category of a page or screen.
        content: the properties or traits.
        timestamp: the time, as `write_timestamp` returns it.
        message_id: the message's id.
        context: the context, or what `written` returned for it.
        integrations: the integrations.
    """
    form: dict[str, Any] = {
        "type": call_type,
        "timestamp": timestamp,
        "messageId": message_id,
        "context": context,
    }
    if user_id is not None:
        form["userId"] = user_id
    if anonymous_id is not None:
        form["anonymousId"] = anonymous_id
    if title is not None:
        form[title_key] = title
    if category is not None:
        form["category"] = category
    if content is not None:
        form[object_key] = content
    if integrations is not None:
        form["integrations"] = integrations
    return form


def _write_standard(
    call_type: str,
    title_key: str,
    object_key: str,
    user_id: str | None,
    anonymous_id: str | None,
    title: str | None,
    category: str | None,
    content: dict[str, Any] | None,
    timestamp: str,
    message_id: str,
    context: Any,
    integrations: Mapping[str, Any] | None,
) -> bytes:
    """Return a call as JSON in UTF-8.

    The standard encoder spends as much time on the outermost object as on all others together, so
    only the objects inside it are passed to the encoder.
    """
    user = "" if user_id is None else f',"userId":{quote(user_id)}'
    if anonymous_id is not None:
        user += f',"anonymousId":{quote(anonymous_id)}'
    what = "" if title is None else f',"{title_key}":{quote(title)}'
    if category is not None:
        what += f',"category":{quote(category)}'
    about = "" if content is None else f',"{object_key}":{text_standard(content)}'
    if integrations is not None:
        about += f',"integrations":{text_standard(integrations)}'
    return (
        f'{{"type":"{call_type}","timestamp":"{timestamp}","messageId":{quote(message_id)}'
        f'{user}{what}{about},"context":'
        f"{context if type(context) is str else text_standard(context)}}}"
    ).encode()


def _refuse(value: object) -> None:
    raise TypeError


_strict = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_refuse
)


def _written_standard(value: Mapping[str, Any]) -> Any:
    try:
        return _strict.encode(value)
    except Exception:
        return value


def _extended_standard(written: str, upper: Mapping[str, Any]) -> str:
    return f"{written[:-1]},{text_standard(upper)[1:]}"


UNENCODED = LineEncoder(form_of, None, lambda value: value)
"""For calls that are not encoded yet."""

STANDARD = LineEncoder(_write_standard, None, _written_standard, _extended_standard)
"""The encoder that needs only the standard library."""

FAST: LineEncoder | None = None
"""The encoder that needs the `speed` extra; None without it."""

if encode_fast is not None and encoded is not None:
    _encode, _encoded = encode_fast, encoded

    def _written_fast(value: Mapping[str, Any]) -> Any:
        try:
            return _encoded(_encode(value, _refuse))
        except Exception:
            return value

    FAST = LineEncoder(form_of, _encode, _written_fast)

BEST = FAST or STANDARD
