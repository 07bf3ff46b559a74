"""The body of a batch request. Pure: the time is passed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ..errors import InvalidMessage
from .encoding import encode
from .values import write_timestamp


def batch_body(
    lines: Sequence[bytes],
    fields: Mapping[str, Any] = MappingProxyType({}),
    *,
    sent_at: float,
    also: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the body of one batch request, assembled from encoded calls.

    Args:
        lines: the encoded calls, one JSON object each.
        fields: the batch's other fields; see `batch_fields`.
        sent_at: seconds since the epoch, read anew for every attempt. Segment uses it to correct
            clock skew, so a stale value would shift the time of every event.
        also: additional keys.
    """
    ending = encode({**fields, **(also or {}), "sentAt": write_timestamp(sent_at)})
    return b"".join((b'{"batch":[', b",".join(lines), b"],", ending[1:]))


def batch_fields(
    context: Mapping[str, Any] | None,
    integrations: Mapping[str, Any] | None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a batch's fields other than its calls. Values that are None are left out.

    Args:
        context: merged by Segment into every call's context.
        integrations: merged by Segment into every call's integrations.
        extra: additional top-level keys.

    Raises:
        InvalidMessage: if one of them is not an object, or if `extra` contains one of the batch's
            own keys.
    """
    for name, value in (("context", context), ("integrations", integrations), ("extra", extra)):
        if value is not None and not isinstance(value, Mapping):
            raise InvalidMessage(f"{name} must be an object: pass a dict", field=name)
    own = OWN_KEYS.intersection(extra or ())
    if own:
        raise InvalidMessage(
            f"extra must not contain {min(own)!r}, which is one of the batch's own keys: remove it",
            field="extra",
        )
    fields = {"context": context, "integrations": integrations, **(extra or {})}
    return {key: value for key, value in fields.items() if value is not None}


OWN_KEYS = frozenset({"batch", "context", "integrations", "type", "sentAt"})
"""A batch's own keys, which `extra` must not contain."""
