"""The body of a batch request. Pure."""

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
    """Return the body of one batch request: a join of calls that are already encoded.

    Args:
        lines: the calls, one JSON object each.
        fields: what the batch holds besides its calls; see `batch_fields`.
        sent_at: seconds since the epoch, taken anew for every attempt. Segment corrects clock skew
            by it, so a stale one would move every event in time.
        also: more keys.
    """
    ending = encode({**fields, **(also or {}), "sentAt": write_timestamp(sent_at)})
    return b"".join((b'{"batch":[', b",".join(lines), b"],", ending[1:]))


def batch_fields(
    context: Mapping[str, Any] | None,
    integrations: Mapping[str, Any] | None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what a batch holds besides its calls, without what is None.

    Args:
        context: merged by Segment into every call's context.
        integrations: merged by Segment into every call's integrations.
        extra: more top-level keys.

    Raises:
        InvalidMessage: one of them is not an object, or an extra key is one of a batch's own.
    """
    for name, value in (("context", context), ("integrations", integrations), ("extra", extra)):
        if value is not None and not isinstance(value, Mapping):
            raise InvalidMessage(f"{name} must be an object: pass a dict", field=name)
    own = OWN_KEYS.intersection(extra or ())
    if own:
        raise InvalidMessage(
            f"extra must not hold {min(own)!r}, which a batch has of its own", field="extra"
        )
    fields = {"context": context, "integrations": integrations, **(extra or {})}
    return {key: value for key, value in fields.items() if value is not None}


OWN_KEYS = frozenset({"batch", "context", "integrations", "type", "sentAt"})
"""What no extra key of a batch may be called."""
