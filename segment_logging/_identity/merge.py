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
    if type(lower) is dict and type(upper) is dict and lower.keys().isdisjoint(upper):
        return {**lower, **upper}
    merged = _merge_deeply(lower, upper)
    if _WHOLE in upper:
        merged[_WHOLE] = upper[_WHOLE]
    return merged


def _merge_deeply(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(lower.items())
    for key, value in upper.items():
        below = merged.get(key)
        if below is not None and _is_object(below) and _is_object(value):
            merged[key] = _merge_deeply(below, value)
        else:
            merged[key] = value
    return merged


def _is_object(value: object) -> bool:
    # Most values are of these types, and the question whether they are a Mapping is expensive.
    return type(value) is dict or (type(value) is not str and isinstance(value, Mapping))


def copied(value: Any) -> Any:
    """Return a copy of an object, including the dicts and lists in it, so that it cannot change.

    Other values are not copied. If the nesting is too deep to copy, the object itself is returned.
    """
    try:
        return _copied(value, {})
    except RecursionError:
        return value


def _copied(value: Any, known: dict[int, Any]) -> Any:
    kind = type(value)
    if kind is not dict and kind is not list:
        return value
    if id(value) in known:  # also for cycles
        return known[id(value)]
    if kind is list:
        items: list[Any] = []
        known[id(value)] = items
        items.extend(_copied(item, known) for item in value)
        return items
    copy: dict[Any, Any] = {}
    known[id(value)] = copy
    copy.update((key, _copied(item, known)) for key, item in value.items())
    return copy
