"""The messages that a test expects, and how closely a message matches. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from .._messages.calls import Call
from .._messages.encoding import decode, encode
from .._messages.values import write_timestamp
from .._messages.wire import CALL_TYPES, FIELDS, read_form
from .._options.table import refuse_unknown
from ..errors import InvalidMessage, UnknownArgument


class Difference(NamedTuple):
    """A value in a message that differs from the expected value."""

    where: str
    """The value's path, such as "user_id", "properties.plan" or "properties.items[0].sku"."""
    expected: Any
    actual: Any
    """The value in JSON form, or None if it is missing."""


class Expectation:
    """The type and the fields that a message should have.

    A field that is not named, or whose value is `...`, can have any value. An object must contain
    the named keys and may contain others. None matches null or a missing value. Other values are
    compared with `==`, so `unittest.mock.ANY` and `pytest.approx` work. If they are not equal,
    their JSON forms are compared, so a Decimal, a UUID or a datetime matches the value that was
    logged.

    Args:
        call_type: one of the six call types, such as "track". None means any type.
        fields: the expected values by field name, as in `extra` (`user_id`, `properties`, ...).

    Raises:
        UnknownArgument: there is no such call type, or it does not have this field. This is a
            TypeError.
    """

    def __init__(self, call_type: str | None, fields: Mapping[str, Any]) -> None:
        if call_type is not None and call_type not in CALL_TYPES:
            raise UnknownArgument(
                f"there is no call type {call_type!r}: use one of {', '.join(CALL_TYPES)}"
            )
        known = {name for kind in ([call_type] if call_type else FIELDS) for name in FIELDS[kind]}
        inside = "traits" if "properties" not in known else "properties"
        for name in fields:
            hint = (
                f"its fields are {', '.join(sorted(known))}; "
                f"perhaps you mean {inside}={{{name!r}: ...}}"
            )
            refuse_unknown(call_type or "a call", [name], known, hint, kind="field")
        self.call_type = call_type
        self.fields = {name: value for name, value in fields.items() if value is not ...}
        name_field = "event" if "event" in self.fields else "name"
        self.name = self.fields.get(name_field)
        """The expected name of the event, page or screen, or None if any name matches."""

    def differences(self, call: Call) -> list[Difference]:
        """Return the values that differ from the expected ones, or an empty list for a match."""
        call_type, actual, _ = read_form(call.to_dict())
        found = []
        if self.call_type not in (None, call_type):
            found.append(Difference("type", self.call_type, call_type))
        for name, expected in self.fields.items():
            value = expected
            if name.endswith("_id") and isinstance(value, int):
                value = str(value)  # ids can be logged as numbers, but are sent as strings
            elif name == "timestamp":
                value = _moment(value)
            found.extend(_compare(name, value, actual.get(name)))
        return found

    def distance(self, call: Call) -> float:
        """Return how much the call differs in its type, name and fields: 0.0 or more."""
        found = self.differences(call)
        form = call.to_dict()
        wrong_type = 0.0 if self.call_type in (None, form["type"]) else 1.0
        name = form.get("event", form.get("name", ""))
        unlike = 0.0 if self.name is None else 1.0 - likeness(str(self.name), str(name))
        wrong = len(found) / max(1, sum(1 for _ in _leaves(self.fields)))
        return wrong_type + 2.0 * unlike + min(1.0, wrong)

    def values(self) -> list[tuple[str, Any]]:
        """Return the expected values with their paths, such as ("properties.plan", "pro")."""
        return list(_leaves(self.fields))


def likeness(one: str, other: str) -> float:
    """Return how similar two names are, from 0 to 1, ignoring case."""
    return SequenceMatcher(None, one.casefold(), other.casefold()).ratio()


def _leaves(fields: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _compare(where: str, expected: Any, actual: Any) -> Iterator[Difference]:
    if expected is ...:
        if actual is None:
            yield Difference(where, expected, actual)
    elif isinstance(expected, Mapping) and isinstance(actual, Mapping):
        for key, value in expected.items():
            yield from _compare(f"{where}.{key}", value, actual.get(str(key)))
    elif (
        isinstance(expected, (list, tuple))
        and isinstance(actual, list)
        and len(expected) == len(actual)
    ):
        for index, value in enumerate(expected):
            yield from _compare(f"{where}[{index}]", value, actual[index])
    elif not _is_equal(expected, actual):
        yield Difference(where, expected, actual)


def _is_equal(expected: Any, actual: Any) -> bool:
    if isinstance(actual, bool) and type(expected) in (int, float):
        return False  # 1 equals True in Python, but not in JSON
    if isinstance(expected, bool) and not isinstance(actual, bool):
        return False
    try:
        if expected == actual:
            return True
    except Exception:  # for example, the truth value of a NumPy array is ambiguous
        pass
    try:
        return bool(decode(encode({"value": expected}))["value"] == actual)
    except InvalidMessage:
        return False


def _moment(value: Any) -> Any:
    try:
        return write_timestamp(value)
    except InvalidMessage:
        return value
