"""The table of options: how a row is written, and what follows from it.

A row is a field of a dataclass: name, type, default, check and sentence. Those about records are in
`records`, those about delivery in `delivery`. The handler's signature is made from them, and its
docstring and the documentation are compared with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from inspect import Parameter, Signature, signature
from typing import Any, TypeVar

from ..errors import UnknownArgument
from .checks import Check, plain


def option(default: Any, check: Check, sentence: str) -> Any:
    """Return a row of the table.

    Args:
        default: its value unless another is given.
        check: returns a value as it is to be used, or raises a ConfigurationError.
        sentence: what it means.
    """
    return field(default=default, metadata={"check": check, "sentence": sentence})


@dataclass(kw_only=True, eq=False, repr=False)  # these would double the time of the import
class Options:
    """Options of one kind, checked and with plain values.

    Raises:
        ConfigurationError: a value that cannot work.
    """

    def __post_init__(self) -> None:
        for row in fields(self):
            value = plain(row.name, getattr(self, row.name))
            setattr(self, row.name, row.metadata["check"](row.name, value))


O = TypeVar("O", bound=Options)  # noqa: E741
F = TypeVar("F", bound=Callable[..., object])


def rows_of(*tables: type[Options]) -> dict[str, Field[Any]]:
    """Return the rows of some tables by the names of their options."""
    return {row.name: row for table in tables for row in fields(table)}


def chosen(table: type[O], options: Mapping[str, Any]) -> O:
    """Return the options of a table, picked from those of several."""
    return table(**{name: options[name] for name in rows_of(table) if name in options})


def takes_options(*tables: type[Options]) -> Callable[[F], F]:
    """Return a decorator for a function with `**options`: its signature shows those of tables."""
    options = [
        Parameter(row.name, Parameter.KEYWORD_ONLY, default=row.default, annotation=row.type)
        for row in rows_of(*tables).values()
    ]

    def show(function: F) -> F:
        parameters = signature(function).parameters.values()
        own = [one for one in parameters if one.kind is Parameter.POSITIONAL_OR_KEYWORD]
        vars(function)["__signature__"] = Signature([*own, *options])
        return function

    return show


def refuse_unknown(
    what: str,
    given: Iterable[str],
    known: Iterable[str],
    hint: str = "see its documentation",
    *,
    kind: str = "argument",
) -> None:
    """Raise an error for the first name that is not known, with the one that was probably meant.

    Args:
        what: takes the arguments.
        given: names of the arguments.
        known: names that there are.
        hint: what to do if none of them is near.
        kind: what these names are names of.

    Raises:
        UnknownArgument: a name is not known; a ConfigurationError and a TypeError.
    """
    known = tuple(known)
    for name in given:
        if name not in known:
            near = get_close_matches(_ALSO_CALLED.get(name, name), known, n=1)
            meant = f"did you mean {near[0]}?" if near else hint
            raise UnknownArgument(f"{what} has no {kind} {name!r}: {meant}")


_ALSO_CALLED = {  # by the official SDK, and by Segment itself
    "max_queue_size": "max_queue_messages",
    "max_retries": "max_attempts",
    "upload_interval": "flush_interval",
    "thread_timeout": "shutdown_timeout",
    "userId": "user_id",
    "anonymousId": "anonymous_id",
    "groupId": "group_id",
    "previousId": "previous_id",
    "messageId": "message_id",
}
"""Other names of arguments, by which people know them from elsewhere."""
