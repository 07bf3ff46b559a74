"""The table of options: helpers for defining and using its rows.

A row is a dataclass field with a name, type, default, check and sentence. The rows are in `records`
and `delivery`. The handler's signature and the options page of the documentation are generated from
them, and a test compares the handler's docstring with them.
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
        default: the default value.
        check: returns the value to use, or raises a ConfigurationError.
        sentence: the option's description.
    """
    return field(default=default, metadata={"check": check, "sentence": sentence})


@dataclass(kw_only=True, eq=False, repr=False)  # eq and repr would double the import time
class Options:
    """Options of one kind, checked and converted to plain values.

    Raises:
        ConfigurationError: a value cannot work.
    """

    def __post_init__(self) -> None:
        for row in fields(self):
            value = plain(row.name, getattr(self, row.name))
            setattr(self, row.name, row.metadata["check"](row.name, value))


O = TypeVar("O", bound=Options)  # noqa: E741
F = TypeVar("F", bound=Callable[..., object])


def rows_of(*tables: type[Options]) -> dict[str, Field[Any]]:
    """Return the rows of the tables, by option name."""
    return {row.name: row for table in tables for row in fields(table)}


def chosen(table: type[O], options: Mapping[str, Any]) -> O:
    """Return the options of one table, picked from the options of several tables."""
    return table(**{name: options[name] for name in rows_of(table) if name in options})


def takes_options(*tables: type[Options]) -> Callable[[F], F]:
    """Return a decorator that lists the tables' options in the signature of a function."""
    options = [
        Parameter(row.name, Parameter.KEYWORD_ONLY, default=row.default, annotation=row.type)
        for row in rows_of(*tables).values()
    ]

    def show(function: F) -> F:
        parameters = signature(function).parameters.values()
        own = [one for one in parameters if one.kind is Parameter.POSITIONAL_OR_KEYWORD]
        vars(function)["__signature__"] = Signature([*own, *options])
        # Otherwise, `help` would show the docstring of a base class's method.
        function.__doc__ = function.__doc__ or "See the class's docstring, which lists all options."
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
    """Raise an error for the first unknown name, and suggest the name that was meant.

    Args:
        what: the name of the class or function that was called.
        given: the names of the given arguments.
        known: the names of the existing arguments.
        hint: the advice in the error text if no known name is similar.
        kind: the noun for an argument in the error text.

    Raises:
        UnknownArgument: a name is unknown. It is both a ConfigurationError and a TypeError.
    """
    known = tuple(known)
    for name in given:
        if name not in known:
            near = get_close_matches(_ALSO_CALLED.get(name, name), known, n=1)
            meant = f"did you mean {near[0]}?" if near else hint
            raise UnknownArgument(f"{what} has no {kind} {name!r}: {meant}")


_ALSO_CALLED = {
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
"""Other names of these arguments, in the official SDK and in Segment's API."""
