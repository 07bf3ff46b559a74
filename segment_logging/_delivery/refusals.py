"""What is refused before the queue: counted, told, and written to the dead letters."""

from __future__ import annotations

from .._process.clock import monotonic
from .._reports import CountReports, counted, were
from ..errors import InvalidMessage
from .own import OwnPipeline


class Refusals:
    """The refused messages of one handler, in one process. Any thread.

    Args:
        own: has the dead letters.
    """

    def __init__(self, own: OwnPipeline) -> None:
        self._own = own
        self._about_nobody = 0
        self._reports = CountReports(_of_nobody)

    def add(self, refusal: InvalidMessage) -> None:
        """Take note of a message that Segment would drop, or that cannot even be written."""
        if _is_about_nobody(refusal):
            self._about_nobody += 1
            self._reports.report(self._about_nobody, now=monotonic())
        if self._own.has_dead_letters:
            pipeline = self._own.open()
            if pipeline is not None:
                pipeline.refuse(refusal)

    def tell_at_last(self) -> None:
        """Tell what is not told yet, as there may be no later chance."""
        self._reports.report_at_end(self._about_nobody, at_last=True)


def _is_about_nobody(refusal: InvalidMessage) -> bool:
    has_id = not {"userId", "anonymousId"}.isdisjoint(refusal.refused or ())
    return refusal.field == "user_id" and not has_id


def _of_nobody(number: int) -> str:
    return (
        f"{counted(number, 'event')} had neither a user_id nor an anonymous_id, and {were(number)} "
        "refused: bind who it is with identity() or the middleware of a web framework, or pass "
        "extra={'user_id': ...}"
    )
