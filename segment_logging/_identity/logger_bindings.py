"""What a logger is bound to: merged when it is bound, filled in where a call leaves it out.

On a record it lies apart from the extras, under one name of its own, so that it makes no record an
event. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..errors import ConfigurationError
from .merge import merge
from .who import KnownIdentity

LOGGER_BINDING = "_segment_bound"
"""Where a record carries it. Formatters that write extras leave out names of this kind."""

_IDS = ("user_id", "anonymous_id")
_OBJECTS = ("properties", "context", "integrations")

NAMES = frozenset({*_IDS, *_OBJECTS})
"""What can be bound to a logger."""


def bind_more(before: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is bound once `more` is: names to values, none of which is None.

    Raises:
        ConfigurationError: a value is not an object where one must be.
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
    """Put what is bound under what the fields of a call say. Only `fields` itself is changed.

    Args:
        bound: what `bind_more` returned.
        fields: of the call.
        own_keys: names of the fields that this type of call has.
    """
    ids = fields.get("user_id"), fields.get("anonymous_id")
    context = bound.get("context")
    if ids[0] is None and ids[1] is None:
        fields.update({name: bound[name] for name in _IDS if name in bound})
    else:
        whom = KnownIdentity(
            user_id=bound.get("user_id"), anonymous_id=bound.get("anonymous_id"), context=context
        ).of(*ids)
        fields["user_id"], fields["anonymous_id"] = whom.user_id, whom.anonymous_id
        context = whom.context
    for name in _OBJECTS:
        lower = context if name == "context" else bound.get(name)
        if lower is not None and name in own_keys:
            upper = fields.get(name)
            if upper is None:
                fields[name] = lower
            elif isinstance(upper, Mapping):  # anything else is left for the rules to refuse
                # A call's properties replace bound ones of the same name as a whole.
                deep = name != "properties"
                fields[name] = merge(lower, upper) if deep else {**lower, **dict(upper.items())}
