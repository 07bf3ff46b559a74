"""Counts of a handler's messages, by outcome."""

# No `from __future__ import annotations`, for the reason given in `_messages.calls`.

from dataclasses import dataclass

from .._public import public_in


@public_in("segment_logging")
@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The number of a handler's messages in this process, by outcome.

    The counts always add up:
    `accepted == delivered + handed_over + dead_lettered + dropped + pending`.

    Attributes:
        accepted: valid events. With a journal, this includes messages that earlier processes left
            in it.
        delivered: messages that were answered with a 2xx.
        handed_over: with `deliver=False`, messages that are in the journal for another process to
            deliver.
        dead_lettered: messages that were abandoned. They are written to the `dead_letters` file if
            there is one.
        dropped: messages that were lost because the queue was full, or because somebody removed
            them from the journal.
        pending: messages that are not yet settled. Without a journal, those that are pending when
            the process ends are lost.
        ignored: records that were not events or that the options excluded.
        invalid: events that were refused because Segment would have dropped them.
        retried: attempts after the first.
        batches: requests that were answered with a 2xx.
    """

    accepted: int = 0
    delivered: int = 0
    handed_over: int = 0
    dead_lettered: int = 0
    dropped: int = 0
    pending: int = 0
    ignored: int = 0
    invalid: int = 0
    retried: int = 0
    batches: int = 0


def summary_of(counts: Counts, *, hands_over: bool) -> str:
    """Return the counts in words.

    Args:
        counts: the counts.
        hands_over: whether another process delivers the messages.
    """
    handed_over = f"{counts.handed_over} handed over, " if hands_over else ""
    return (
        f"{counts.accepted} accepted, {counts.delivered} delivered, {handed_over}"
        f"{counts.dead_lettered} dead letters, {counts.dropped} dropped, {counts.pending} pending, "
        f"{counts.invalid} invalid"
    )
