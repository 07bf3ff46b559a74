"""What a logger is bound to: merged when it is bound, filled in where a call does not say it.

On a record it lies apart from the extras, under one name, and so makes none an event. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .context import Identity, merge
from .errors import ConfigurationError

BOUND = "_segment_bound"
"""Where a record carries it. Formatters that write extras leave out such names."""

_IDS = ("user_id", "anonymous_id")
_OBJECTS = ("properties", "context", "integrations")

NAMES = frozenset({*_IDS, *_OBJECTS})
"""What can be bound."""


def bind(before: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is bound when more is: names to values, none of them None.

    Raises:
        ConfigurationError: no object where one must be.
    """
    bound = dict(more)
    for name in _OBJECTS:
        value = bound.get(name)
        if value is not None and not isinstance(value, Mapping):
            raise ConfigurationError(
                f"{name} must be an object, not {type(value).__name__}: pass a dict"
            )
    fill_in(before, bound)
    return {name: value for name, value in bound.items() if value is not None}


def fill_in(
    bound: Mapping[str, Any], fields: dict[str, Any], own_keys: Collection[str] = NAMES
) -> None:
    """Put what is bound under what the fields of a call say; only `fields` itself is changed.

    Args:
        bound: what `bind` returned.
        fields: of the call.
        own_keys: names of the fields that such a call has.
    """
    user_id, anonymous_id = fields.get("user_id"), fields.get("anonymous_id")
    if user_id is None and anonymous_id is None:
        fields.update({name: bound[name] for name in _IDS if name in bound})
    else:
        whom = Identity(user_id=bound.get("user_id"), anonymous_id=bound.get("anonymous_id"))
        fields["user_id"], fields["anonymous_id"] = whom.fill_in(user_id, anonymous_id)
    for name in _OBJECTS:
        if name in bound and name in own_keys:
            lower, upper = bound[name], fields.get(name)
            if upper is None:
                fields[name] = lower
            elif isinstance(upper, Mapping):  # what is none is left for the rules to refuse
                deep = name != "properties"  # of which a call's replaces a bound one as a whole
                fields[name] = merge(lower, upper) if deep else {**lower, **dict(upper.items())}
