"""The data that the collector stores: requests, answers, and the outcome of each call.

This module uses no clock, thread or socket.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .rules import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A POST request that arrived.

    Attributes:
        path: the path, such as "/v1/batch".
        headers: the headers by lower-case name, except for `authorization` and `cookie`.
        write_key: the write key from Basic auth or, if there is none, from the body. None if it is
            missing there, too.
        body_bytes: the size of the body as it was sent.
        verdict: how Segment would handle the request. A collector with a limit on what it keeps
            stores it without the calls, which are in the arrivals.
        status: the status of the answer, or None if the connection was closed without an answer.
            While an `answer` function handles the request, it is the status that Segment would
            answer with.
    """

    path: str
    headers: Mapping[str, str]
    write_key: str | None = field(repr=False)
    body_bytes: int
    verdict: Verdict
    status: int | None

    @property
    def retry_count(self) -> int | None:
        """The value of X-Retry-Count, or None if it is missing or not a number."""
        text = self.headers.get("x-retry-count", "")
        return int(text) if re.fullmatch("[0-9]{1,18}", text) else None

    @property
    def content_encoding(self) -> str | None:
        """The value of Content-Encoding, or None if it is missing."""
        return self.headers.get("content-encoding")

    @property
    def sent_at(self) -> Any:
        """The unchanged `sentAt` of the body, or None if it is missing."""
        return self.verdict.sent_at

    @property
    def message_count(self) -> int:
        """The number of calls in the request, including dropped and refused calls."""
        return self.verdict.message_count


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request.

    Attributes:
        status: the HTTP status. None closes the connection without an answer.
        headers: additional headers, such as `{"Retry-After": "2"}`.
        body: the body. None means the body that Segment sends, such as `{"success": true}` with a
            2xx status.
        delay: the seconds to wait before the answer. `math.inf` waits until the client gives up.
    """

    status: int | None = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """The outcome of a call, or of a request that contains no readable call.

    Attributes:
        outcome: "accepted"; "dropped" if Segment would answer 200 and drop the call; or "refused"
            if the request was not answered with a 2xx status.
        message: the call as Segment would store it, or None if the request cannot be read.
        reason: the discard code or the reason for the refusal. None if the call was accepted.
        warnings: probable mistakes that Segment accepts.
        number: the number of the arrival, starting at 1.
        time: the time of arrival, such as "2026-11-23T08:00:00.123Z".
        source: the library that sent the call: the name in `context.library`, or else the
            request's user agent without its version.
        request: the request's `path`, `status`, `body_bytes`, `encoding`, `retry_count` and
            `user_agent`.
    """

    outcome: str
    message: Any = None
    reason: str | None = None
    warnings: tuple[str, ...] = ()
    number: int = 0
    time: str = ""
    source: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the arrival as the collector's JSON has it, except for its short columns."""
        return {
            "number": self.number,
            "time": self.time,
            "outcome": self.outcome,
            "reason": self.reason,
            "warnings": list(self.warnings),
            "source": self.source,
            "request": dict(self.request),
            "message": self.message,
        }
