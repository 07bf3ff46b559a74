"""The text of a failed assertion, with the captured messages, nearest first. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .._messages.calls import Call
from .._messages.wire import read_form
from .._reports import counted
from .expectation import Difference, Expectation, likeness

SHOWN_MESSAGES = 5
SHOWN_DIFFERENCES = 5
SHOWN_CHARACTERS = 60
"""The length at which a value is cut. Properties and traits are cut at twice that length."""

_NO_RECORDS = (
    "nothing was captured, because no record reached a handler since the capture began: check "
    "whether it begins too late, the loggers' levels, and whether dictConfig disabled the loggers "
    "(disable_existing_loggers)"
)
_NO_COMMIT = (
    "; in Django's TestCase, functions passed to transaction.on_commit are only called inside "
    "captureOnCommitCallbacks(execute=True)"
)
_IN_EVERY_MESSAGE = ("timestamp", "message_id", "context", "integrations")


class PassedOver(NamedTuple):
    """A record that did not become a message."""

    text: str
    """The text that was logged, before its arguments are merged in."""
    place: str
    """The file and the line of the logging call."""
    reason: str
    """Why it did not become a message."""


def no_match(
    expectation: Expectation,
    times: int | None,
    messages: Sequence[Call],
    passed_over: Sequence[PassedOver],
    *,
    has_django: bool = False,
) -> str:
    """Return the text of a failed assertion that expected certain messages.

    If the program uses Django's transactions, they are named as a possible cause.
    """
    count = sum(1 for call in messages if not expectation.differences(call))
    lines = [f"{_title(expectation)} was {_times(count)}"]
    if times is not None:
        lines[0] += f", expected {'once' if times == 1 else f'{times} times'}"
    if messages:
        distances = [expectation.distance(call) for call in messages]
        order = sorted(range(len(messages)), key=lambda index: distances[index])
        lines.append(f"captured {counted(len(messages), 'message')}, nearest first:")
        for index in order[:SHOWN_MESSAGES]:
            lines.append(f"  [{index}] {title_of(messages[index])}")
            lines.extend(_difference_lines(expectation.differences(messages[index])))
        lines.extend(_rest(len(messages) - SHOWN_MESSAGES, "  "))
    else:
        nothing = _NO_RECORDS + _NO_COMMIT * has_django
        lines.append("nothing was captured" if passed_over else nothing)
    return "\n".join([*lines, *_passed_over_lines(expectation, messages, passed_over)])


def unwanted(expectation: Expectation, messages: Sequence[Call]) -> str:
    """Return the text of a failed assertion that expected no such messages."""
    found = [
        f"  [{index}] {title_of(call)}"
        for index, call in enumerate(messages)
        if not expectation.differences(call)
    ]
    lines = [
        f"{_title(expectation)} was {_times(len(found))}, expected never:",
        *found[:SHOWN_MESSAGES],
    ]
    return "\n".join([*lines, *_rest(len(found) - SHOWN_MESSAGES, "  ")])


def refused(records: Sequence[PassedOver]) -> str:
    """Return the text for a test that logged events that Segment would drop."""
    lines = ["Segment would drop these events:", *_record_lines(records[:SHOWN_MESSAGES])]
    return "\n".join([*lines, *_rest(len(records) - SHOWN_MESSAGES, "  ")])


def title_of(call: Call) -> str:
    """Describe a message in one line, such as `track 'Signup' user_id='u-17' properties={...}`."""
    call_type, fields, _ = read_form(call.to_dict())
    parts = [call_type]
    if "event" in fields:
        parts.append(_short(fields["event"]))
    for name, value in fields.items():
        if value != {} and name != "event" and name not in _IN_EVERY_MESSAGE:
            parts.append(f"{name}={_short(value)}")
    return " ".join(parts)


def _title(expectation: Expectation) -> str:
    parts = [expectation.call_type or "message"]
    values = expectation.values()
    if "event" in expectation.fields:
        parts.append(_short(expectation.name))
        values = [(name, value) for name, value in values if name != "event"]
    if values:
        parts.append("with " + ", ".join(f"{name}={_expected(value)}" for name, value in values))
    return " ".join(parts)


def _times(count: int) -> str:
    return {0: "not captured", 1: "captured once"}.get(count, f"captured {count} times")


def _difference_lines(differences: Sequence[Difference]) -> list[str]:
    shown = [
        f"      ! {where}: expected {_expected(expected)}, got {_actual(actual, expected)}"
        for where, expected, actual in differences[:SHOWN_DIFFERENCES]
    ]
    return [*shown, *_rest(len(differences) - SHOWN_DIFFERENCES, "      ")]


def _passed_over_lines(
    expectation: Expectation, messages: Sequence[Call], passed_over: Sequence[PassedOver]
) -> list[str]:
    """Return lines about the records that the test was probably looking for.

    These are the records whose text resembles the expected name. If the test expects no particular
    name, or if nothing matches and nothing was captured, all records are included.
    """
    name = expectation.name
    meant = [
        one for one in passed_over if name is None or likeness(str(name), one.text) >= 0.6
    ] or ([] if messages else list(passed_over))
    if not meant:
        return []
    return ["records that did not become messages:", *_record_lines(meant[-SHOWN_MESSAGES:])]


def _record_lines(records: Sequence[PassedOver]) -> list[str]:
    return [
        line
        for one in records
        for line in (f"  {_short(one.text)} at {one.place}", f"      ! {one.reason}")
    ]


def _rest(count: int, indent: str) -> list[str]:
    return [f"{indent}and {count} more"] if count > 0 else []


def _expected(value: Any) -> str:
    if value is ...:
        return "anything"
    return "nothing" if value is None else _short(value)


def _actual(actual: Any, expected: Any) -> str:
    """Return the value, shortened so that the difference from the expected value is visible."""
    if actual is None:
        return "nothing"
    if isinstance(actual, str) and isinstance(expected, str):
        same = next(
            (i for i, (one, other) in enumerate(zip(actual, expected)) if one != other),
            min(len(actual), len(expected)),
        )
        if same > SHOWN_CHARACTERS // 2:
            return f"{_short(actual[same:])} after {same} identical characters"
    return _short(actual)


def _short(value: Any) -> str:
    limit = SHOWN_CHARACTERS * (2 if isinstance(value, (dict, list)) else 1)
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 10]}...{text[-7:]}"
