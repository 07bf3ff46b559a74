"""The stored form of an arrival, which costs little more memory than its JSON.

This module uses no clock, thread or socket.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from .._messages.encoding import decode, encode
from ..errors import InvalidMessage
from .arrivals import Arrival, Request
from .rules import Judged

_MAX_COLUMN = 300  # characters of a type, user, name or source
_MAX_HEADER = 300  # characters of a request header
_OVERHEAD_BYTES = 400  # of the objects around an entry's JSON

GOOD, WARNED, DROPPED = "good", "warned", "dropped"
"""The kinds of arrivals. Each is kept apart, so that many of one kind remove none of another."""

KINDS = (GOOD, WARNED, DROPPED)


class Entry:
    """An arrival in the store.

    Attributes:
        number: the number of the arrival, which the store sets.
        kind: one of `KINDS`.
        type: the call's type, user and so on as short texts.
        message: the call, or None if only its JSON is kept.
        size_bytes: about how much memory the entry needs, or 0 if it is not packed.
    """

    __slots__ = (
        "_json", "_text", "kind", "message", "name", "number", "outcome", "reason", "request",
        "size_bytes", "source", "type", "user", "warnings",
    )  # fmt: skip

    def __init__(
        self, judged: Judged, outcome: str, reason: str | None, request: RequestHead
    ) -> None:
        message = judged.message
        self.number = self.size_bytes = 0
        self.outcome = outcome
        self.reason = reason
        self.warnings = judged.warnings
        self.request = request
        self.message = message
        self.kind = DROPPED if outcome != "accepted" else WARNED if judged.warnings else GOOD
        self._json: bytes | None = None
        self._text = judged.text
        if isinstance(message, dict):
            self.type = _column(message.get("type"))
            self.user = _column(message.get("userId") or message.get("anonymousId"))
            self.name = _column(
                message.get("event")
                or message.get("name")
                or message.get("groupId")
                or message.get("previousId")
            )
            self.source = _source_of(message) or request.source
        else:
            self.type = self.user = self.name = ""
            self.source = request.source

    def pack(self) -> None:
        """Keep only the JSON of the message."""
        self._json = self.json
        self.message = self._text = None
        columns = len(self.type) + len(self.user) + len(self.name) + len(self.source)
        self.size_bytes = len(self._json) + 4 * columns + _OVERHEAD_BYTES

    @property
    def json(self) -> bytes:
        """The JSON of the message on one line."""
        if self._json is not None:
            return self._json
        text = self._text
        if text is None or "\n" in text or "\r" in text:
            text = _json_of(self.message)
        return text.encode()

    @property
    def line(self) -> bytes:
        """The arrival as JSON on one line. `message` is the last key."""
        warnings = ",".join(map(quoted, self.warnings))
        reason = "null" if self.reason is None else quoted(self.reason)
        head = (
            f'{{"number":{self.number},{self.request.json},"outcome":"{self.outcome}",'
            f'"reason":{reason},"warnings":[{warnings}],"type":{quoted(self.type)},'
            f'"user":{quoted(self.user)},"name":{quoted(self.name)},"source":{quoted(self.source)}'
        )
        return b'%b,"message":%b}' % (head.encode(), self.json)

    def arrival(self) -> Arrival:
        """Return the arrival as a value for programs."""
        message = self.message if self._json is None else _message_in(self._json)
        return Arrival(
            outcome=self.outcome,
            message=message,
            reason=self.reason,
            warnings=self.warnings,
            number=self.number,
            time=self.request.time,
            source=self.source,
            request=self.request.fields,
        )


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What each arrival of a request tells about that request.

    Attributes:
        time: the time of arrival, such as "2026-11-23T08:00:00.123Z".
        fields: see `Arrival.request`.
        json: the time and the fields as members of a JSON object.
        source: the user agent without its version, or "unknown".
    """

    time: str
    fields: Mapping[str, Any]
    json: str
    source: str


def head_of(request: Request, time: str) -> RequestHead:
    """Return what each arrival of a request tells about that request."""
    agent = request.headers.get("user-agent", "")[:_MAX_HEADER]
    encoding = request.content_encoding
    fields = {
        "path": request.path[:_MAX_HEADER],
        "status": request.status,
        "body_bytes": request.body_bytes,
        "encoding": None if encoding is None else encoding[:_MAX_HEADER],
        "retry_count": request.retry_count,
        "user_agent": agent or None,
    }
    source = agent.partition(" ")[0].partition("/")[0] or "unknown"
    text = json.dumps({"time": time, "request": fields}, separators=(",", ":"))[1:-1]
    return RequestHead(time, fields, text, source)


def entries_of(request: Request, time: str) -> Iterator[Entry]:
    """Yield an entry for each call of an answered request, or one for the whole request."""
    verdict = request.verdict
    head = head_of(request, time)
    if verdict.status != 200:
        yield Entry(Judged(None), "refused", verdict.reason, head)
    elif verdict.code is not None and _is_success(request.status):
        yield Entry(Judged(None, None, verdict.warnings), "dropped", verdict.code, head)
    elif not _is_success(request.status):
        reason = "hung up" if request.status is None else f"answered {request.status}"
        for judged in verdict.judged or (Judged(None),):
            yield Entry(judged, "refused", reason, head)
    else:
        warnings = verdict.warnings
        for judged in verdict.judged:
            if warnings:
                judged = replace(judged, warnings=warnings + judged.warnings)  # noqa: PLW2901
                warnings = ()
            outcome = "accepted" if judged.code is None else "dropped"
            yield Entry(judged, outcome, judged.code, head)


def _json_of(message: Any) -> str:
    try:
        return encode(message).decode()
    except InvalidMessage:  # it could be parsed, but is nested too deeply for the encoder
        return '"(nested too deeply)"'


def _message_in(json: bytes) -> Any:
    try:
        return decode(json)
    except RecursionError:  # the caller has less of the stack left than the thread that parsed it
        return "(nested too deeply)"


def _is_success(status: int | None) -> bool:
    return status is not None and 200 <= status < 300


def _column(value: Any) -> str:
    if value.__class__ is str:
        return value if len(value) <= _MAX_COLUMN else value[:_MAX_COLUMN]
    return "" if value is None else _json_of(value)[:_MAX_COLUMN]


def _source_of(message: Mapping[str, Any]) -> str:
    context = message.get("context")
    library = context.get("library") if isinstance(context, dict) else None
    name = library.get("name") if isinstance(library, dict) else None
    return _column(name) if isinstance(name, str) else ""
