"""Messages that are refused as invalid: counted, reported, and written to the dead letters."""

from __future__ import annotations

import logging

from .._clock import monotonic
from .._reports import CountReports, RefusedReports, counted, were
from ..errors import InvalidMessage
from .own import OwnPipeline


class Refusals:
    """Handles the refused messages from one handler in one process. Thread-safe.

    Args:
        own: the handler's pipeline, which writes the dead letters.
    """

    def __init__(self, own: OwnPipeline) -> None:
        self._own = own
        self._about_nobody = 0
        self._reports = CountReports(_of_nobody)
        self._reasons = RefusedReports()

    def add(self, refusal: InvalidMessage) -> None:
        """Record a message that Segment would drop or that cannot be encoded."""
        if _is_about_nobody(refusal):
            self._about_nobody += 1
            self._reports.report(self._about_nobody, now=monotonic())
        if self._own.has_dead_letters:
            pipeline = self._own.open()
            if pipeline is not None:
                pipeline.refuse(refusal)

    def say(self, record: logging.LogRecord, error: BaseException) -> None:
        """Print why a record was refused, unless the same was printed often in the last minute."""
        self._reasons.say(record, error)

    def tell_at_last(self) -> None:
        """Report refusals that are not reported yet, because there may be no later chance."""
        self._reports.report_at_end(self._about_nobody, at_last=True)
        self._reasons.say_at_last()


def _is_about_nobody(refusal: InvalidMessage) -> bool:
    ids = map((refusal.refused or {}).get, ("userId", "anonymousId"))
    return refusal.field == "user_id" and all(one is None for one in ids)


def _of_nobody(number: int) -> str:
    return (
        f"{counted(number, 'event')} had neither a user_id nor an anonymous_id, and {were(number)} "
        "refused: pass extra={'user_id': ...}, bind an id with identity() or a web framework's "
        "middleware, or do not log events of visitors without an id"
    )
