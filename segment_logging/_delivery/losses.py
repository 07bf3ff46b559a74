"""Reports of messages that were dropped, lost or left in a journal."""

from __future__ import annotations

from collections.abc import Callable

from .._options.delivery import DeliveryOptions
from .._process.shutdown import TIME_AFTER_SIGTERM, exit_clock
from .._queues.admission import Admission
from .._queues.message_queue import MessageQueue
from .._reports import CountReports, counted, printable, report, say, were
from ..errors import SegmentError
from .blame import needs_correction, was_not_made
from .overflowed import advice_on_room


class Losses:
    """Reports lost messages.

    Args:
        queue: the pipeline's queue.
        intake: the pipeline's intake.
        options: the handler's options.
        is_accepting: returns whether the server is still accepting batches.
    """

    def __init__(
        self,
        queue: MessageQueue,
        intake: Admission,
        options: DeliveryOptions,
        *,
        is_accepting: Callable[[], bool] = lambda: False,
    ) -> None:
        self._queue = queue
        self._intake = intake
        self._options = options
        self._is_accepting = is_accepting
        self._drops = CountReports(self._text_of_drops)
        self._said_lost = self._said_kept = 0

    @property
    def advice(self) -> str:
        """What to do about dropped messages, given what has happened so far."""
        return advice_on_room(self._options, self._queue.refusal)

    def _text_of_drops(self, number: int) -> str:
        refusal = self._queue.refusal
        why = "" if refusal is None else f", and {refusal.why}"
        return (
            f"the queue is full{why}: {counted(number, 'message')} {were(number)} dropped; "
            f"{self.advice}"
        )

    def tell_of_drops(self, now: float) -> float | None:
        """Report dropped messages. See `CountReports.report`."""
        return self._drops.report(self._intake.dropped, now=now)

    def tell(self, pending: int, trouble: SegmentError | None, *, at_last: bool = False) -> None:
        """Report at exit how many messages are lost, and how many stay in the journal.

        Report again when a number has doubled. This limits the output if other exit functions keep
        logging. Report every new loss if `at_last`, when `logging.shutdown` closes the handler.

        Args:
            pending: how many messages are not settled.
            trouble: the error of the last attempt.
            at_last: whether this is the last chance to report.
        """
        self._drops.report_at_end(self._intake.dropped, at_last=at_last)
        lost = self._queue.perishable
        if _is_news(lost, self._said_lost, at_last=at_last):
            when = "not delivered before the process ended"
            is_short = exit_clock.is_terminated
            self._tell_lost(lost, when, "lost", trouble, is_short=is_short)
        self._tell_kept(pending - lost, trouble, at_last=at_last)

    def foretell(self, pending: int, trouble: SegmentError | None) -> None:
        """Report what is not delivered when an application shuts down.

        Some servers then end the process by a signal, so that there is no chance to report later.
        Logging still works at this time, so this goes to the logger, like other reports.

        Args:
            pending: how many messages are not settled.
            trouble: the error of the last attempt.
        """
        self._drops.report_at_end(self._intake.dropped)
        lost = self._queue.perishable
        if _is_news(lost, self._said_lost):
            when = "not delivered when the application shut down"
            fate = "lost if the process ends now"
            self._tell_lost(lost, when, fate, trouble, is_short=True, through=report)
        self._tell_kept(pending - lost, trouble, through=report)

    def _tell_lost(
        self,
        lost: int,
        when: str,
        fate: str,
        trouble: SegmentError | None,
        *,
        is_short: bool,
        through: Callable[[str], None] = say,
    ) -> None:
        """Report lost messages.

        `is_short` tells whether there was only the time that is left after a SIGTERM.
        """
        self._said_lost = lost
        why = text_of_trouble(trouble) if trouble else "no answer in time"
        ways_out = [f"raise shutdown_timeout ({self._options.shutdown_timeout:g} s)"]
        if needs_correction(trouble):  # a longer wait would not have helped
            ways_out = []
        if (trouble is None or was_not_made(trouble)) and self._is_accepting():
            limit = self._options.max_shutdown
            is_ours = limit is not None and limit < TIME_AFTER_SIGTERM
            ways_out = [f"raise max_shutdown ({limit:g} s)"] if is_ours or not is_short else []
            why = "the time was up, although batches were still accepted"
        refusal = self._queue.refusal
        if not self._options.keeps:
            ways_out.append("set a journal to keep such messages for the next start")
        elif refusal is None:  # the journal was writing another message
            ways_out.append("log no events in signal handlers")
        else:
            why = f"{why}; {refusal.why}"
            ways_out.insert(0, refusal.way_out)
        way_out = ", or ".join(ways_out)
        through(
            f"{counted(lost, 'message')} {were(lost)} {when}, and {'is' if lost == 1 else 'are'} "
            f"{fate} ({why}): {way_out}"
        )

    def _tell_kept(
        self,
        kept: int,
        trouble: SegmentError | None,
        *,
        at_last: bool = False,
        through: Callable[[str], None] = say,
    ) -> None:
        if self._queue.kept_in is None or not _is_news(kept, self._said_kept, at_last=at_last):
            return
        self._said_kept = kept
        # Earlier processes may have left more, which was not read yet.
        is_exact = not self._queue.has_backlog
        through(text_of_kept(kept, self._queue.kept_in, trouble, is_exact=is_exact))


def text_of_kept(
    kept: int,
    kept_in: str,
    trouble: SegmentError | None,
    *,
    is_exact: bool,
    key_name: str | None = None,
) -> str:
    """Return the report about messages that stay in a journal.

    Args:
        kept: how many messages were counted.
        kept_in: the journal, with its path.
        trouble: the error of the last attempt.
        is_exact: whether everything was counted. If False, there may be more.
        key_name: the beginning of the SHA-256 of their write key, if the report is to contain it.
    """
    at_least = "" if is_exact else "at least "
    of_key = "" if key_name is None else f" of the write key {key_name}"
    condition = ""
    if needs_correction(trouble):
        condition = f", once this is corrected: {text_of_trouble(trouble)}"
    return (
        f"{at_least}{counted(kept, 'message')}{of_key} {'remains' if kept == 1 else 'remain'} in "
        f"{kept_in}: the next process that uses it with the same write key will deliver "
        f"{'it' if kept == 1 else 'them'}{condition}"
    )


def text_of_trouble(trouble: SegmentError | None) -> str:
    """Return an error's text for a report, cut, because a client may raise a very long error."""
    return printable(str(trouble), at_most=500)


def _is_news(number: int, said: int, *, at_last: bool = False) -> bool:
    return number >= (said + 1 if at_last else max(1, 2 * said))
