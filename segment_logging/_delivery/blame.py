"""What a failed attempt at a batch is due to: the messages, the settings or the network. Pure."""

from __future__ import annotations

from .._client.answers import Fault, fault_of
from .._messages.batch import Batch
from ..errors import Cause, DeliveryError, SegmentError
from .abandoned import value_of


def whose_fault(error: SegmentError) -> Fault:
    """Return what an error is due to."""
    if isinstance(error, DeliveryError):
        return fault_of(error.status, retryable=error.retryable)
    return Fault.MESSAGE  # InvalidMessage from the client


def needs_correction(error: SegmentError | None) -> bool:
    """Return whether nothing can be delivered until somebody corrects the configuration."""
    return error is not None and whose_fault(error) is Fault.CONFIGURATION


def is_too_slow(error: SegmentError) -> bool:
    """Return whether the time was over before all of the request was sent."""
    return isinstance(error, DeliveryError) and error.cause is Cause.UPLOAD


def was_not_made(error: SegmentError) -> bool:
    """Return whether there was no attempt, because the time for delivery was already over."""
    return isinstance(error, DeliveryError) and error.cause is Cause.NO_TIME


def may_be_to_blame(error: SegmentError) -> bool:
    """Return False if the server was not reached, or asked to wait. The batch is not to blame."""
    if not isinstance(error, DeliveryError):
        return True
    return error.cause is not Cause.CONNECTION and error.status != 429 and not error.retry_after


def refused_lines(batch: Batch, error: DeliveryError) -> dict[str, list[bytes]]:
    """Return the lines of the messages that a server refused, by its words."""
    found: dict[str, list[bytes]] = {}
    for line in batch.lines:
        value = value_of(line)
        message_id = value.get("messageId") if isinstance(value, dict) else None
        if isinstance(message_id, str) and message_id in error.refused:
            found.setdefault(error.refused[message_id], []).append(line)
    return found
