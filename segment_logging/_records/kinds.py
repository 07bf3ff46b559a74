"""What the names of a record's extras decide, whatever their values are.

A place in a program that logs passes the same names each time. They decide which call it is, which
extras are its fields, and where the others go. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from .._identity.logger_bindings import LOGGER_BINDING
from .._messages.wire import FIELDS
from .attributes import KEPT_IDENTITY, KEYS
from .dialects import REPEATED

_APART = frozenset({LOGGER_BINDING, KEPT_IDENTITY})  # not extras of the caller's
_TITLES = ("event", "name", "group_id", "previous_id")
_NEEDED = {"group": "group_id", "alias": "previous_id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of event.

    Attributes:
        call_type: the call's type.
        given: the names of the fields that the event has, and of the bindings on its record.
        is_told: whether `type` determines the call. Otherwise, its fields do, and if one of those
            is None, the reference decides.
        loose: the names of the extras that become properties or traits.
        foreign: those of them that are fields of other calls. None counts as absent.
        repeated: those of them in which structlog may repeat values of the record.
        group_id_in_context: whether the group id belongs in the context.
        traits_in_context: whether the traits belong in the context.
    """

    call_type: str
    given: frozenset[str]
    is_told: bool
    loose: tuple[str, ...]
    foreign: tuple[str, ...]
    repeated: tuple[str, ...]
    group_id_in_context: bool
    traits_in_context: bool

    @property
    def title_name(self) -> str:
        """The name of the field that the call's type requires or that names it, or empty text."""
        fields = FIELDS[self.call_type]
        return next((name for name in _TITLES if name in fields), "")

    @property
    def object_name(self) -> str:
        """The name of the field that takes loose extras, or empty text for an alias."""
        fields = FIELDS[self.call_type]
        return next((name for name in ("traits", "properties") if name in fields), "")

    @property
    def is_plain(self) -> bool:
        """Whether that field contains all properties or traits, unless its value is unusual."""
        is_bound = LOGGER_BINDING in self.given
        return self.object_name in self.given and not self.loose and not is_bound


def kind_of(
    names: Iterable[str],
    call_type: str | None = None,
    *,
    include_extras: bool = True,
) -> Kind | None:
    """Return the kind of an event with these names.

    Args:
        names: the names of the extras, excluding `type`.
        call_type: the value of `type`; None if there is none.
        include_extras: the handler's option.

    Returns:
        None if the call is refused, or if a name needs more care.
    """
    names = tuple(names)
    told = call_type is not None
    call_type = call_type or _call_type_of(names)
    fields = FIELDS.get(call_type, ())
    own = frozenset(names) & {*fields, *_APART}
    others = [name for name in names if name not in own]
    moved = {name for name in ("group_id", "traits") if name in others}
    loose = tuple(name for name in others if name not in moved and (include_extras or name in KEYS))
    if call_type == "alias":
        loose = ()
    repeated = tuple(name for name in REPEATED if name in others)
    if (
        not fields
        or _NEEDED.get(call_type) not in (None, *own)
        or not {"type", "segment", "extra"}.isdisjoint(names)
        or any(type(name) is not str for name in names)
        # Whether structlog rendered the time depends on `level`, which is only read if it is loose.
        or ("level" in repeated and "timestamp" in own and not loose)
    ):
        return None
    return Kind(
        call_type=call_type,
        given=own,
        is_told=told,
        loose=loose,
        foreign=tuple(name for name in loose if name in KEYS),
        repeated=repeated,
        group_id_in_context="group_id" in moved,
        traits_in_context="traits" in moved,
    )


def _call_type_of(names: Collection[str]) -> str:
    """Return the type of a call with these fields, none of which is None."""
    if "previous_id" in names:
        return "alias"
    if "event" in names or "properties" in names:
        return "track"
    if "traits" in names:
        return "group" if "group_id" in names else "identify"
    return "track"
