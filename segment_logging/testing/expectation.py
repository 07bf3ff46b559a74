"""Which messages a test expects, and how far a message is from that. Pure."""

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
    """One value of a message that is not as expected."""

    where: str
    """Such as "user_id", "properties.plan" or "properties.items[0].sku"."""
    expected: Any
    actual: Any
    """The value as JSON holds it; None if there is none."""


class Expectation:
    """What a message should be like.

    A field that is not named, or is `...`, may be anything. An object must hold the keys that are
    named, and may hold more. None expects null or no value. Other values are compared by `==`, so
    that `unittest.mock.ANY` and `pytest.approx` work. If that fails, they are compared as JSON
    would hold them, so that a Decimal, a UUID or a datetime can be expected as it was logged.

    Args:
        call_type: "track", or another of the six; None for any.
        fields: maps names as in `extra` (`user_id`, `properties`, ...) to what is expected there.

    Raises:
        UnknownArgument: there is no such call, or it has no such field. This is a TypeError.
    """

    def __init__(self, call_type: str | None, fields: Mapping[str, Any]) -> None:
        if call_type is not None and call_type not in CALL_TYPES:
            raise UnknownArgument(
                f"there is no call {call_type!r}: use one of {', '.join(CALL_TYPES)}"
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
        """The name of the event, page or screen that is expected; None for any."""

    def differences(self, call: Call) -> list[Difference]:
        """Return which values of the call are not as expected; an empty list if it matches."""
        call_type, actual, _ = read_form(call.to_dict())
        found = []
        if self.call_type not in (None, call_type):
            found.append(Difference("type", self.call_type, call_type))
        for name, expected in self.fields.items():
            value = expected
            if name.endswith("_id") and isinstance(value, int):
                value = str(value)  # an id may be a number, and arrives as text
            elif name == "timestamp":
                value = _moment(value)
            found.extend(_compare(name, value, actual.get(name)))
        return found

    def distance(self, call: Call) -> float:
        """Return how far a call's type, name and fields are from what is expected: 0 or more."""
        found = self.differences(call)
        form = call.to_dict()
        wrong_type = 0.0 if self.call_type in (None, form["type"]) else 1.0
        name = form.get("event", form.get("name", ""))
        unlike = 0.0 if self.name is None else 1.0 - likeness(str(self.name), str(name))
        wrong = len(found) / max(1, sum(1 for _ in _leaves(self.fields)))
        return wrong_type + 2.0 * unlike + min(1.0, wrong)

    def values(self) -> list[tuple[str, Any]]:
        """Return the expected values one by one, such as ("properties.plan", "pro")."""
        return list(_leaves(self.fields))


def likeness(one: str, other: str) -> float:
    """Return how alike two names are, from 0 to 1. Case does not count."""
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
    except Exception:  # a NumPy array, for one, refuses to be a truth value
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
