"""Two objects as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WHOLE = "library"
"""A key at the top whose object is taken whole: a name beside another's version is neither's."""


def merge(
    lower: Mapping[str, Any] | None, upper: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """Return both as one, merging the objects inside them as well. `upper` wins.

    Neither of the two is changed.
    """
    if not lower or not upper:
        return upper or lower
    merged = _merge_deeply(lower, upper)
    if _WHOLE in upper:
        merged[_WHOLE] = upper[_WHOLE]
    return merged


def _merge_deeply(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(lower.items())
    for key, value in upper.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = _merge_deeply(below, value)
        else:
            merged[key] = value
    return merged
