"""What became of a handler's messages, in numbers."""

# No `from __future__ import annotations`, for the reason that `_messages.calls` gives.

from dataclasses import dataclass

from .._public import public_in


@public_in("segment_logging")
@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of a handler's messages in this process.

    It always adds up: `accepted == delivered + dead_lettered + dropped + pending`.

    Attributes:
        accepted: messages that were valid events; with a journal, also those that processes which
            are gone have left in it.
        delivered: answered with a 2xx.
        dead_lettered: given up, with a reason: in the `dead_letters` file if there is one.
        dropped: lost, because the queue was full or because the process ended first.
        pending: not answered for yet.
        ignored: records that were not events.
        invalid: events that Segment would have dropped, refused before the queue.
        retried: attempts after the first.
        batches: requests answered with a 2xx.
    """

    accepted: int = 0
    delivered: int = 0
    dead_lettered: int = 0
    dropped: int = 0
    pending: int = 0
    ignored: int = 0
    invalid: int = 0
    retried: int = 0
    batches: int = 0
