"""Counts of calls by name, with the properties in each and their types.

The memory is bounded, whatever arrives. This module uses no clock, thread or socket.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

_MAX_NAMES = 1_000  # calls with other names are counted together
_MAX_SHAPES = 2_000
_MAX_SHAPE_KEYS = 60
_MAX_PROPERTIES = 20_000  # for all names
_MAX_KEY = 100  # characters of a property's name

_TYPES = {str: "string", int: "number", float: "number", bool: "boolean", dict: "object",
          list: "array", type(None): "null"}  # fmt: skip

Shape = tuple[str, str, str, tuple[str, ...], tuple[type, ...]]
"""The type, name and outcome of calls, and their properties with the types of the values."""


def shape_of(call_type: str, name: str, message: Any, outcome: str) -> Shape:
    """Return the shape of a call.

    Args:
        call_type: the call's type.
        name: the name of the event or page, or the group's id.
        message: the call.
        outcome: "accepted", "warned", "dropped" or "refused".
    """
    fields = None
    if isinstance(message, dict):
        fields = message.get("properties") or message.get("traits")
    if not isinstance(fields, dict):
        return call_type, name, outcome, (), ()
    return call_type, name, outcome, tuple(fields), tuple(map(type, fields.values()))


class _Event:
    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.properties: defaultdict[str, Counter[str]] = defaultdict(Counter)  # JSON types


class EventCounts:
    """Counts calls by type and name. Not thread-safe.

    Most calls of an event have the same properties with the same types: the same shape. Counting
    shapes is therefore cheap. The other counts are made from them when they are read.
    """

    def __init__(self) -> None:
        self._shapes: dict[Shape, int] = {}
        self._events: dict[tuple[str, str], _Event] = {}  # without the calls in `_shapes`
        self._others = _Event()
        self._property_count = 0

    def add(self, shape: Shape, count: int = 1) -> None:
        """Count calls that have the same shape."""
        if shape in self._shapes:
            self._shapes[shape] += count
        else:
            self._add_new(shape, count)

    def _add_new(self, shape: Shape, count: int) -> None:
        call_type, name, outcome, keys, types = shape
        event = self._events.get((call_type, name))
        if event is None:
            if len(self._events) >= _MAX_NAMES:
                self._others.outcomes[outcome] += count
                return
            event = self._events[call_type, name] = _Event()
        if (
            len(self._shapes) < _MAX_SHAPES
            and len(keys) <= _MAX_SHAPE_KEYS
            and all(len(key) <= _MAX_KEY for key in keys)
        ):
            self._shapes[shape] = count
            return
        event.outcomes[outcome] += count
        for key, one in zip(keys, types):
            short_key = key[:_MAX_KEY]
            if short_key not in event.properties:
                if self._property_count >= _MAX_PROPERTIES:
                    continue
                self._property_count += 1
            event.properties[short_key][_TYPES[one]] += count

    def to_list(self) -> list[dict[str, Any]]:
        """Return the counts, with the most frequent names first.

        Each item has `type`, `name`, `count`, `accepted`, `warned` (accepted, with a warning),
        `dropped`, `refused` and `properties`: a list of objects with `name`, `count`, `types` (the
        number of values of each JSON type) and `mixed` (whether there are several types besides
        null). Names beyond the first 1,000 are counted in an item whose name is null.
        """
        events = {key: _Event() for key in self._events}
        for (call_type, name, outcome, keys, types), count in self._shapes.items():
            event = events[call_type, name]
            event.outcomes[outcome] += count
            for key, one in zip(keys, types):
                event.properties[key][_TYPES[one]] += count
        for named, rare in self._events.items():
            events[named].outcomes.update(rare.outcomes)
            for key, counted in rare.properties.items():
                events[named].properties[key].update(counted)
        listed = [
            {**_outcomes(event.outcomes), "type": call_type, "name": name, **_properties(event)}
            for (call_type, name), event in events.items()
        ]
        others = _outcomes(self._others.outcomes)
        if others["count"]:
            listed.append({**others, "type": None, "name": None, "properties": []})
        return sorted(listed, key=lambda item: -item["count"])


def _outcomes(outcomes: Mapping[str, int]) -> dict[str, Any]:
    return {
        "count": sum(outcomes.values()),
        "accepted": outcomes["accepted"] + outcomes["warned"],
        **{outcome: outcomes[outcome] for outcome in ("warned", "dropped", "refused")},
    }


def _properties(event: _Event) -> dict[str, Any]:
    return {
        "properties": [
            {
                "name": key,
                "count": types.total(),
                "types": dict(types.most_common()),
                "mixed": len(types.keys() - {"null"}) > 1,
            }
            for key, types in event.properties.items()
        ]
    }
