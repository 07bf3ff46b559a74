"""Values that are bound to a logger, and filled in where a call has none.

On a record, they are kept in a separate attribute and not among the extras, so that they do not
turn the record into an event. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from typing_extensions import override

from ..errors import ConfigurationError
from .merge import copied, merge
from .who import KnownIdentity

LOGGER_BINDING = "_segment_bound"
"""The name of that attribute. Formatters that write extras skip names with a leading underscore."""

_IDS = ("user_id", "anonymous_id")
_OBJECTS = ("properties", "context", "integrations")

NAMES = frozenset({*_IDS, *_OBJECTS})
"""The names of the values that can be bound to a logger."""


class LoggerBinding(dict[str, Any]):
    """The values that are bound to a logger. For other handlers, it is a plain dict.

    Attributes:
        identity: the bound ids and context.
    """

    __slots__ = ("identity",)

    identity: KnownIdentity

    @override
    def __reduce__(self) -> Any:
        return bind_more, ({}, dict(self))


def bind_more(before: Mapping[str, Any], more: Mapping[str, Any]) -> LoggerBinding:
    """Return the values that are bound once `more` is added. Values that are None are left out.

    Objects are copied, so that later changes to them do not change events.

    Raises:
        ConfigurationError: a value that must be an object is not one.
    """
    bound = {name: copied(value) for name, value in more.items()}
    for name in _OBJECTS:
        value = bound.get(name)
        if value is not None and not isinstance(value, Mapping):
            raise ConfigurationError(
                f"{name} must be an object, not {type(value).__name__}: pass a dict"
            )
    fill_in(before, bound)
    binding = LoggerBinding((name, value) for name, value in bound.items() if value is not None)
    binding.identity = KnownIdentity(
        user_id=binding.get("user_id"),
        anonymous_id=binding.get("anonymous_id"),
        context=binding.get("context"),
    )
    return binding


def fill_in(
    bound: Mapping[str, Any], fields: dict[str, Any], own_keys: Collection[str] = NAMES
) -> None:
    """Fill in the fields of a call with bound values. Objects inside `fields` are not changed.

    Args:
        bound: the bound values, as returned by `bind_more`.
        fields: the fields of the call, which take precedence.
        own_keys: the names of the fields that this type of call has.
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
            elif isinstance(upper, Mapping):  # other values are refused later
                # A call's property replaces the bound one of the same name; they are not merged.
                deep = name != "properties"
                fields[name] = merge(lower, upper) if deep else {**lower, **dict(upper.items())}
