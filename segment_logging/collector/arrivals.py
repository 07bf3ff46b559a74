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
        headers: the headers by lower-case name, except for `authorization`.
        write_key: the write key from Basic auth or, if there is none, from the body. None if it is
            missing there, too.
        body_bytes: the size of the body as it was sent.
        verdict: how Segment would handle the request.
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
    """

    status: int | None = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


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
    """

    outcome: str
    message: Any = None
    reason: str | None = None
    warnings: tuple[str, ...] = ()
    number: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the arrival in the form that the web page reads."""
        return {
            "number": self.number,
            "outcome": self.outcome,
            "message": self.message,
            "reason": self.reason,
            "warnings": list(self.warnings),
        }


def arrivals_of(request: Request) -> list[Arrival]:
    """Return the outcome of each call of an answered request."""
    verdict = request.verdict
    if verdict.status != 200:
        return [Arrival(outcome="refused", reason=verdict.reason)]
    if request.status is None or not 200 <= request.status < 300:
        reason = "hung up" if request.status is None else f"answered {request.status}"
        return [
            Arrival(outcome="refused", message=judged.message, reason=reason)
            for judged in verdict.judged
        ]
    if verdict.code is not None:
        return [Arrival(outcome="dropped", reason=verdict.code, warnings=verdict.warnings)]
    return [
        Arrival(
            outcome="accepted" if judged.code is None else "dropped",
            message=judged.message,
            reason=judged.code,
            warnings=(() if index else verdict.warnings) + judged.warnings,
        )
        for index, judged in enumerate(verdict.judged)
    ]
