"""How Segment would handle a request: the answer, the calls it would silently drop, and warnings.

This module is based only on Segment's documentation and does not use the rules in `wire`. It
therefore checks the package's own rules against a second, independent reading of the same pages.

This module uses no clock, thread or socket.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._identity.merge import merge
from .._messages.limits import MAX_BATCH_BYTES, MAX_BATCH_MESSAGES, MAX_MESSAGE_BYTES
from .._messages.wire import CALL_TYPES, CONSENT_EVENT
from .hints import hints_of
from .reading import read_form

_SHORT_PATHS = {
    "t": "track", "p": "page", "i": "identify", "g": "group", "a": "alias", "s": "screen",
    "b": "batch", "import": "batch",
}  # fmt: skip
"""The paths of analytics.js, and the older name of a batch."""

TYPE_MISSING = "type_missing"
TYPE_UNKNOWN = "type_unknown"
TOO_MANY = "too_many_messages"
"""Our own codes for calls that Segment drops without a published discard code."""


@dataclass(slots=True)  # not frozen, which would take four times as long to create
class Judged:
    """A call and its outcome.

    Attributes:
        message: the call as Segment would store it, with `type` first and the batch's context
            merged in. A value that is not an object is unchanged.
        code: Segment's discard code, or None if the call is accepted.
        warnings: probable mistakes that Segment accepts.
        text: the JSON of the message as it was sent. None if the message differs from what was
            sent, or was the whole body.
    """

    message: Any
    code: str | None = None
    warnings: tuple[str, ...] = ()
    text: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How Segment would handle a request.

    Attributes:
        status: 200, even if calls are dropped; 400 if the request cannot be read or is too large;
            404 if the path does not exist.
        reason: the reason for a status other than 200, or None.
        judged: the calls in order. It is empty unless the status is 200.
        code: the discard code for the whole request (`empty_batch`), or None.
        warnings: warnings about the whole request.
        sent_at: the unchanged `sentAt` of the request, or None.
        message_count: the number of calls in the request, including dropped calls.
        write_key: the body's `writeKey`, or None.
    """

    status: int = 200
    reason: str | None = None
    judged: tuple[Judged, ...] = ()
    code: str | None = None
    warnings: tuple[str, ...] = ()
    sent_at: Any = None
    message_count: int = 0
    write_key: str | None = field(default=None, repr=False)


def judge(
    path: str, body: bytes, *, has_seen: Callable[[str], bool] = lambda message_id: False
) -> Verdict:
    """Return how Segment would handle a POST request.

    Args:
        path: the path, such as "/v1/track" or "/v1/batch". "/v1/import" is the same as "/v1/batch",
            and "/v1/t" is the same as "/v1/track".
        body: the decompressed body.
        has_seen: returns whether a call with this message id has already arrived. A repeated id
            leads to a warning.
    """
    kind = path.rstrip("/").removeprefix("/v1/")
    kind = _SHORT_PATHS.get(kind, kind)
    if kind not in (*CALL_TYPES, "batch"):
        return Verdict(status=404, reason=f"Segment has no endpoint {path}")
    if len(body) > MAX_BATCH_BYTES:
        return _refusal(
            f"the body has {len(body):,} bytes: Segment accepts at most {MAX_BATCH_BYTES:,}"
        )
    try:
        form, texts = read_form(body)
        if not isinstance(form, dict):
            return _refusal(f"the body must be an object, not {type(form).__name__}")
        return _judge_form(kind, form, texts, body, has_seen)
    except RecursionError:
        return _refusal("the body is nested too deeply")
    except ValueError as error:
        return _refusal(f"the body is not JSON: {error}")


def _refusal(reason: str, message_count: int = 0) -> Verdict:
    return Verdict(status=400, reason=reason, message_count=message_count)


def _judge_form(
    kind: str,
    form: dict[str, Any],
    texts: list[str] | None,
    body: bytes,
    has_seen: Callable[[str], bool],
) -> Verdict:
    write_key = form.pop("writeKey", None)
    sent_at = form.pop("sentAt", None)
    if kind == "batch":
        items = form.get("batch")
        calls: list[Any] = items if isinstance(items, list) else []
        too_large = len(body) > MAX_MESSAGE_BYTES and any(
            6 * len(text) > MAX_MESSAGE_BYTES and _size_of(call) > MAX_MESSAGE_BYTES
            for call, text in zip(calls, texts or ())
        )
    else:
        calls = [{"type": kind, **{key: form[key] for key in form if key != "type"}}]
        too_large = len(body) > MAX_MESSAGE_BYTES
    if too_large:
        return _refusal(f"a call has more than {MAX_MESSAGE_BYTES:,} bytes", len(calls))
    if len(calls) > MAX_BATCH_MESSAGES:
        judged = tuple(Judged(call, TOO_MANY) for call in calls)
    else:
        judged = _judge_calls(calls, texts or [], form if kind == "batch" else {}, has_seen)
    return Verdict(
        judged=judged,
        code=None if calls else "empty_batch",
        warnings=() if sent_at else ("sentAt is missing: Segment cannot correct clock skew",),
        sent_at=sent_at,
        message_count=len(calls),
        write_key=write_key if isinstance(write_key, str) else None,
    )


def _size_of(call: Any) -> int:
    """Return the size of a call in bytes when it is encoded as compact JSON."""
    text = json.dumps(call, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "surrogatepass"))


def _judge_calls(
    calls: list[Any],
    texts: list[str],
    batch: Mapping[str, Any],
    has_seen: Callable[[str], bool],
) -> tuple[Judged, ...]:
    judged = []
    ids: set[str] = set()
    has_shared = isinstance(batch.get("context"), dict) or isinstance(
        batch.get("integrations"), dict
    )
    for index, call in enumerate(calls):
        if not isinstance(call, dict):
            judged.append(Judged(call, discard_code(call)))
            continue
        text = texts[index] if texts and not has_shared and "writeKey" not in call else None
        message = call if text is not None else _with_batch_fields(call, batch)
        code = discard_code(message)
        warnings = hints_of(message) if code is None else []
        message_id = message.get("messageId")
        if isinstance(message_id, str) and message_id:
            if message_id in ids or has_seen(message_id):
                warnings.append("messageId is repeated: Segment keeps only the first")
            ids.add(message_id)
        judged.append(Judged(message, code, tuple(warnings), text))
    return tuple(judged)


def _with_batch_fields(call: dict[str, Any], batch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the call with the batch's context and integrations merged in, as Segment does."""
    message = {key: value for key, value in call.items() if key != "writeKey"}
    for key in ("context", "integrations"):
        below, value = batch.get(key), call.get(key)
        if isinstance(below, dict) and (value is None or isinstance(value, dict)):
            merged = merge(below, value)
            if merged is not None:
                message[key] = merged
    return message


# Discard codes: "Failed on ingest" in the delivery overview. ------------------------------------


def discard_code(call: Any) -> str | None:
    """Return the discard code if Segment would answer 200 and drop the call, or None.

    JSON null counts as missing, because the official SDKs send it for a missing id or name.
    """
    if not isinstance(call, dict):
        return TYPE_MISSING
    call_type = call.get("type")
    if call_type is None:
        return TYPE_MISSING
    if call_type not in CALL_TYPES:
        return TYPE_UNKNOWN
    code = _id_code(call)
    if code is None and call_type == "track":
        code = _event_code(call)
    if code is None and call_type in ("page", "screen"):
        code = _name_code(call)
    return code or _object_code(call_type, call)


def _id_code(call: Mapping[str, Any]) -> str | None:
    user_id, anonymous_id = call.get("userId"), call.get("anonymousId")
    if user_id is None and anonymous_id is None:
        return "no_user_anon_id"
    for one in (user_id, anonymous_id):
        if one is not None and not (isinstance(one, str) and one):
            return "id_not_string"
    return None


def _event_code(call: Mapping[str, Any]) -> str | None:
    event = call.get("event")
    if event is None or event == "":
        return "event_not_defined"
    if not isinstance(event, str):
        return "event_not_string"
    return _consent_code(call) if event == CONSENT_EVENT else None


def _name_code(call: Mapping[str, Any]) -> str | None:
    for key in ("name", "category"):
        value = call.get(key)
        if value is not None and not (isinstance(value, str) and value):
            return f"{key}_not_string"
    return None


_OBJECT_OF = {"identify": "traits", "group": "traits", "alias": None}
"""The field of a call that must be an object, if it is not `properties`."""


def _object_code(call_type: str, call: Mapping[str, Any]) -> str | None:
    key = _OBJECT_OF.get(call_type, "properties")
    if key is not None:
        value = call.get(key)
        if value is not None and not isinstance(value, dict):
            return f"{key}_not_object"
    return None


def _consent_code(call: Mapping[str, Any]) -> str | None:
    context = _object(call.get("context"))
    consent = _object(context.get("consent"))
    choices = consent.get("categoryPreferences")
    if choices is None:
        return "consent_categorypreferences_should_exist"
    if not isinstance(choices, dict):
        return "consent_categorypreferences_should_be_object"
    if not all(isinstance(choice, bool) for choice in choices.values()):
        return "consent_categorypreferences_fields_should_be_bool"
    version = consent.get("version")
    if version is not None and (isinstance(version, bool) or not isinstance(version, (int, float))):
        return "consent_version_should_be_number"
    advertising_id = _object(context.get("device")).get("advertisingId")
    if advertising_id is not None and not isinstance(advertising_id, str):
        return "device_advertisingid_should_be_string"
    return None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
