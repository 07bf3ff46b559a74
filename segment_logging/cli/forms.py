"""From a line of a file to a message that can be sent, or to the reason why it is not one. Pure.

A line is a message in Segment's form, a message from one of Segment's archives, which contains what
Segment's servers have added, or a dead letter.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from typing_extensions import override

from .._messages.encoding import decode, encode
from .._messages.limits import MAX_MESSAGE_BYTES
from .._messages.wire import read_form, wire_form
from .._reports import printable
from ..errors import InvalidMessage, MessageTooLarge, SegmentError
from .lines import MAX_LINE_BYTES, Line


class BadLine(SegmentError):
    """A line without a message that can be sent.

    Attributes:
        kind: the reason, without anything that the line contains. Lines with the same problem have
            the same kind.
        detail: where in the line, or "".
        found: what the line contains, for the dead letters.
    """

    def __init__(self, kind: str, found: Any, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.found = found
        self.detail = detail

    @override
    def __str__(self) -> str:
        return f"{self.kind} ({self.detail})" if self.detail else self.kind


class Ready(NamedTuple):
    """A message to send.

    Attributes:
        encoded: the message as JSON.
        call_type: its type.
        is_dated: whether it has a timestamp.
        message_id: its id.
    """

    encoded: bytes
    call_type: str
    is_dated: bool
    message_id: str


def ready(
    line: Line, new_id: Callable[[], str], *, replace_id: bool = False, call_type: str = ""
) -> Ready:
    """Return the message in a line.

    Args:
        line: the line.
        new_id: returns a message id for a message without one.
        replace_id: whether every message gets a new id.
        call_type: the type of messages that do not have one.

    Raises:
        BadLine: there is no message that can be sent.
    """
    if line.is_too_long:
        raise BadLine(_TOO_LONG, None, f"{line.size_bytes:,} bytes")
    form = _message_in(_value_of(line.content))
    try:
        if not _SERVER_FIELDS.isdisjoint(form) or "context" in form:
            form = as_sent(form)
        if call_type and form.get("type") is None:
            form = {"type": call_type, **{k: v for k, v in form.items() if k != "type"}}
        found_type, fields, extra = read_form(form)
        if replace_id or fields.get("message_id") is None:
            fields["message_id"] = new_id()
        written = wire_form(found_type, fields, extra)
        encoded = encode(written)
    except Exception as error:  # one bad line must not stop the others
        raise BadLine(kind_of(error), form) from None
    if len(encoded) > MAX_MESSAGE_BYTES:
        detail = f"{len(encoded):,} bytes"
        raise BadLine(_TOO_LARGE, form, detail)
    return Ready(encoded, found_type, "timestamp" in written, written["messageId"])


def as_sent(form: dict[str, Any]) -> dict[str, Any]:
    """Return a message of an archive without what Segment's servers have added.

    Without this, history would move to the time of the import: Segment computes a message's time
    from `timestamp`, `sentAt` and the time of arrival. See "Historical import" in Segment's HTTP
    API. A message without a `timestamp` keeps the time that the servers stored.
    """
    sent = {key: value for key, value in form.items() if key not in _SERVER_FIELDS}
    if sent.get("timestamp") is None:
        times = (form.get(key) for key in _TIMES)
        time = next((one for one in times if one is not None), None)
        if time is not None:
            sent["timestamp"] = time
    context = sent.get("context")
    if isinstance(context, dict) and not _IN_CONTEXT.isdisjoint(context):
        sent["context"] = {k: v for k, v in context.items() if k not in _IN_CONTEXT}
    return sent


def kind_of(error: Exception) -> str:
    """Return why a message cannot be sent, without values of the message."""
    if isinstance(error, MessageTooLarge):
        return _TOO_LARGE
    if not isinstance(error, InvalidMessage):
        return f"cannot be read ({type(error).__name__})"
    if error.field == "type":
        return "not one of Segment's calls: its type is missing or unknown"
    if error.field == "timestamp":
        return "its timestamp is not a valid time"
    return printable(str(error).partition(": ")[0])


def _value_of(content: bytes) -> Any:
    try:
        text = content.removeprefix(_MARK).decode()
    except UnicodeDecodeError as error:
        found = content.decode(errors="replace")
        raise BadLine("not UTF-8", found, f"byte {error.start + 1}") from None
    if not text.lstrip().startswith(_BEGINNINGS):  # the usual junk, at a third of the cost
        raise BadLine("not JSON", text.strip(), "column 1: Expecting value")
    try:
        return decode(text)
    except json.JSONDecodeError as error:
        where = f"column {error.pos + 1}: {error.msg}"
        raise BadLine("not JSON", text.strip(), where) from None
    except RecursionError:
        raise BadLine("nested too deeply", text.strip()) from None
    except ValueError:  # Python limits the number of digits
        raise BadLine("contains a number with too many digits", text.strip()) from None


def _message_in(value: Any) -> dict[str, Any]:
    found = value
    for _ in range(_LAYERS):
        if not is_dead_letter(found):
            break
        found = found["message"]
        if found is None:
            raise BadLine("a dead letter without its message", value)
        if not isinstance(found, dict):
            raise BadLine(f"a dead letter whose message is {_json_name(found)}", found)
    if not isinstance(found, dict):
        raise BadLine(f"{_json_name(found)}, not an object", found)
    if isinstance(found.get("batch"), list) and "type" not in found:
        raise BadLine("a whole batch, not a single message", found)
    return found


def is_dead_letter(value: Any) -> bool:
    """Return whether a JSON value is a dead letter, as this package writes them."""
    if not isinstance(value, dict) or "message" not in value or "reason" not in value:
        return False
    return value.keys().isdisjoint(("type", "event", "userId", "anonymousId"))


def _json_name(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    return _NAMES.get(type(value), "a number")


_NAMES = {str: "text", list: "an array", type(None): "null"}
_BEGINNINGS = ("{", "[", '"', "-", "N", "I", "t", "f", "n", *"0123456789")
_LAYERS = 4
"""How many dead letters may be wrapped in each other."""

_MARK = b"\xef\xbb\xbf"  # some editors and exports begin a file with a byte order mark
_TOO_LARGE = f"larger than Segment's limit of {MAX_MESSAGE_BYTES:,} bytes"
_TOO_LONG = f"longer than {MAX_LINE_BYTES:,} bytes"

_TIMES = ("originalTimestamp", "original_timestamp", "receivedAt", "received_at", "sentAt",
          "sent_at")  # fmt: skip
"""Where a stored message has its time, if not in `timestamp`, best first."""

_IN_CONTEXT = frozenset((*_TIMES, "projectId", "project_id", "writeKey", "write_key", "_metadata"))
_SERVER_FIELDS = _IN_CONTEXT | {"version"}
"""Fields that Segment's servers set. In its context, `version` would be the caller's own."""
