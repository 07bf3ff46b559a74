"""The meaning of answers. Pure: no clock, no thread, no socket.

Segment's own server SDKs agree on these statuses:

    2xx                                              delivered
    408, 410, 429, 460, 5xx except 501 and 505       may succeed later
    400, 413                                         the request is at fault
    3xx, 401, 403, 404, other 4xx, 501, 505          the configuration is at fault
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import NamedTuple

from .._messages.limits import MAX_RETRY_AFTER
from ..errors import DeliveryError


class Answer(NamedTuple):
    """A server's answer: status, case-insensitive headers, and the first 4 KiB of the body."""

    status: int
    headers: Mapping[str, str]
    start: bytes


class Fault(Enum):
    """The cause of a failed attempt."""

    NETWORK = auto()
    """The network or the server: the same request may succeed later."""
    MESSAGE = auto()
    """A message in the request: the other messages can be delivered without it."""
    CONFIGURATION = auto()
    """The write key, the host or a proxy: nothing can be delivered until it is fixed."""


def fault_of(status: int | None, *, retryable: bool = False) -> Fault:
    """Return the fault that a status indicates. If there is no status, `retryable` decides."""
    if status is None:
        return Fault.NETWORK if retryable else Fault.CONFIGURATION
    if status in (408, 410, 429, 460) or (status >= 500 and status not in (501, 505)):
        return Fault.NETWORK
    if status in (400, 413):
        return Fault.MESSAGE
    return Fault.CONFIGURATION


def check_answer(base: str, answer: Answer, *, now: float) -> None:
    """Raise an error unless the answer means that the request was delivered.

    Args:
        base: the host that answered, for the error text.
        answer: the host's answer.
        now: seconds since the epoch, for a Retry-After that is a date.

    Raises:
        DeliveryError: the request was not delivered.
    """
    status = answer.status
    if 200 <= status < 300:
        if answer.start.lstrip(_BEFORE_TEXT)[:1] == b"<":
            raise DeliveryError(
                f"{base} answered {status} with a web page, which Segment never does: "
                "check for a captive portal or a proxy"
            )
        return
    try:
        phrase = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = str(status)
    fault = fault_of(status)
    retry_after = None
    if fault is Fault.NETWORK:
        retry_after = parse_retry_after(answer.headers.get("Retry-After"), now=now)
    raise DeliveryError(
        f"{base} answered {phrase}: {_WAY_OUT[fault]}",
        status=status,
        retry_after=retry_after,
        retryable=fault is Fault.NETWORK,
    )


_BEFORE_TEXT = b"\xef\xbb\xbf \t\r\n"  # a byte order mark and whitespace

_WAY_OUT = {
    Fault.NETWORK: "the same request may succeed later",
    Fault.MESSAGE: "part of the request is invalid, so check its contents",
    Fault.CONFIGURATION: "check the write key, the region and the host",
}


def parse_retry_after(value: str | None, *, now: float) -> float | None:
    """Return the wait that a Retry-After header requests, in seconds and at most 300.

    Return None if the header is missing or malformed, or if the wait would not be above zero.

    Args:
        value: the header: a whole or fractional number of seconds, or an HTTP date.
        now: seconds since the epoch, for a header that is a date.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
            if moment.tzinfo is None:  # no zone, or `-0000`: HTTP dates are in UTC
                moment = moment.replace(tzinfo=UTC)
            seconds = moment.timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    if math.isnan(seconds) or seconds <= 0:
        return None
    return min(seconds, MAX_RETRY_AFTER)
