"""Counts of calls by name, with the properties in each and their types.

The memory is bounded, whatever arrives. This module uses no clock, thread or socket.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

_MAX_NAMES = 1_000  # calls with other names are counted together
_MAX_SHAPES = 2_000
_MAX_SHAPE_KEYS = 60
_MAX_PROPERTIES = 20_000  # for all names
_MAX_KEY = 100  # characters of a property's name

_TYPES = {str: "string", int: "number", float: "number", bool: "boolean", dict: "object",
          list: "array", type(None): "null"}  # fmt: skip

_Shape = tuple[tuple[str, ...], tuple[type, ...]]


class _Event:
    def __init__(self) -> None:
        self.outcomes = {"accepted": 0, "warned": 0, "dropped": 0, "refused": 0}
        self.shapes: dict[_Shape, int] = {}
        self.properties: dict[str, Counter[type]] = {}


class EventCounts:
    """Counts calls by type and name. Not thread-safe.

    Most calls of an event have the same properties with the same types: the same shape. Counting
    shapes is therefore cheap, and the counts of the properties follow from them.
    """

    def __init__(self) -> None:
        self._events: dict[tuple[str, str], _Event] = {}
        self._others = _Event()
        self._shape_count = self._property_count = 0

    def add(self, call_type: str, name: str, message: Any, outcome: str) -> None:
        """Count a call.

        Args:
            call_type: the call's type.
            name: the name of the event or page, or the group's id.
            message: the call.
            outcome: "accepted", "warned", "dropped" or "refused".
        """
        event = self._events.get((call_type, name))
        if event is None:
            if len(self._events) >= _MAX_NAMES:
                self._others.outcomes[outcome] += 1
                return
            event = self._events[call_type, name] = _Event()
        event.outcomes[outcome] += 1
        if not isinstance(message, dict):
            return
        fields = message.get("properties") or message.get("traits")
        if isinstance(fields, dict):
            self._add_fields(event, fields)

    def _add_fields(self, event: _Event, fields: Mapping[str, Any]) -> None:
        shape = (tuple(fields), tuple(map(type, fields.values())))
        count = event.shapes.get(shape)
        if count is not None:
            event.shapes[shape] = count + 1
        elif (
            self._shape_count < _MAX_SHAPES
            and len(fields) <= _MAX_SHAPE_KEYS
            and all(len(key) <= _MAX_KEY for key in fields)
        ):
            event.shapes[shape] = 1
            self._shape_count += 1
        else:
            for key, value in fields.items():
                types = event.properties.get(key[:_MAX_KEY])
                if types is None:
                    if self._property_count >= _MAX_PROPERTIES:
                        continue
                    self._property_count += 1
                    types = event.properties[key[:_MAX_KEY]] = Counter()
                types[type(value)] += 1

    def to_list(self) -> list[dict[str, Any]]:
        """Return the counts, with the most frequent names first.

        Each item has `type`, `name`, `count`, `accepted`, `warned` (accepted, with a warning),
        `dropped`, `refused` and `properties`: a list of objects with `name`, `count`, `types` (the
        number of values of each JSON type) and `mixed` (whether there are several types besides
        null). Names beyond the first 1,000 are counted in an item whose name is null.
        """
        listed = [
            {**_outcomes(event.outcomes), "type": call_type, "name": name, **_properties(event)}
            for (call_type, name), event in self._events.items()
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
    found: dict[str, Counter[str]] = {}
    for (keys, types), count in event.shapes.items():
        for key, one in zip(keys, types):
            found.setdefault(key, Counter())[_TYPES[one]] += count
    for key, counted in event.properties.items():
        for one, count in counted.items():
            found.setdefault(key, Counter())[_TYPES[one]] += count
    return {
        "properties": [
            {
                "name": key,
                "count": types.total(),
                "types": dict(types.most_common()),
                "mixed": len(types.keys() - {"null"}) > 1,
            }
            for key, types in found.items()
        ]
    }
