"""What the collector remembers: requests, their answers, and what became of each call.

Pure: no clock, no thread, no socket.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .rules import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One POST as it arrived.

    Attributes:
        path: such as "/v1/batch".
        headers: maps lower-case names to values; `authorization` is left out.
        write_key: from Basic auth, else from the body; None if neither has one.
        body_bytes: the size of the body as it was sent.
        verdict: what Segment would say to the request.
        status: the status that was answered; None if the collector hung up. While an `answer`
            function looks at the request, it is the status that Segment would answer.
    """

    path: str
    headers: Mapping[str, str]
    write_key: str | None = field(repr=False)
    body_bytes: int
    verdict: Verdict
    status: int | None

    @property
    def retry_count(self) -> int | None:
        """The value of X-Retry-Count; None if there is none, or it is not a number."""
        text = self.headers.get("x-retry-count", "")
        return int(text) if re.fullmatch("[0-9]{1,18}", text) else None

    @property
    def content_encoding(self) -> str | None:
        """The value of Content-Encoding; None if there is none."""
        return self.headers.get("content-encoding")

    @property
    def sent_at(self) -> Any:
        """The body's `sentAt` as it was sent; None if there is none."""
        return self.verdict.sent_at

    @property
    def message_count(self) -> int:
        """How many calls the request carried, whatever became of them."""
        return self.verdict.message_count


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer to one request.

    Attributes:
        status: the HTTP status; None hangs up without an answer.
        headers: added to the usual ones, such as `{"Retry-After": "2"}`.
        body: None for the body that Segment sends: `{"success": true}` with a 2xx.
    """

    status: int | None = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What became of one call, or of a request in which no call could be found.

    Attributes:
        outcome: "accepted"; "dropped", if Segment would answer 200 and drop it; or "refused", if
            the request was not answered with a 2xx.
        message: the call as Segment would keep it; None for a request that cannot be read.
        reason: the discard code, or why it was refused; None if it was accepted.
        warnings: what is accepted although it is probably a mistake.
        number: the number of this arrival, counted from 1.
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
    """Return what became of a request's calls, once its answer is known."""
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
