"""The body of a batch request. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .encoding import encode
from .values import write_timestamp


def batch_body(
    lines: Sequence[bytes],
    context: Mapping[str, Any] | None = None,
    integrations: Mapping[str, Any] | None = None,
    *,
    sent_at: float,
    also: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the body of one batch request: a join of calls that are already encoded.

    Args:
        lines: the calls, one JSON object each.
        context: merged by Segment into every call's context.
        integrations: merged by Segment into every call's integrations.
        sent_at: seconds since the epoch, taken anew for every attempt. Segment corrects clock skew
            by it, so a stale one would move every event in time.
        also: more keys.
    """
    fields = {**batch_fields(context, integrations), **(also or {})}
    ending = encode({**fields, "sentAt": write_timestamp(sent_at)})
    return b"".join((b'{"batch":[', b",".join(lines), b"],", ending[1:]))


def batch_fields(
    context: Mapping[str, Any] | None, integrations: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what a batch holds besides its calls, without what is None."""
    fields = {"context": context, "integrations": integrations}
    return {key: value for key, value in fields.items() if value is not None}
