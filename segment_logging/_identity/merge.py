"""The merging of two objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WHOLE = "library"
"""A top-level key that is not merged, so that a library's name never gets another's version."""


def merge(
    lower: Mapping[str, Any] | None, upper: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """Return the two objects merged, including the objects inside them. `upper` wins.

    Neither object is changed.
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
        if below is not None and isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = _merge_deeply(below, value)
        else:
            merged[key] = value
    return merged
