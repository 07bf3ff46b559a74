"""Two objects as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merge(
    lower: Mapping[str, Any] | None, upper: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """Return both as one, merging the objects inside them as well. `upper` wins.

    Neither of the two is changed.
    """
    if not lower or not upper:
        return upper or lower
    merged = dict(lower.items())
    for key, value in upper.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged
