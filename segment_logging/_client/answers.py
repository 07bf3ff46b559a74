"""What an answer means. Pure: no clock, no thread, no socket.

The table of statuses, which Segment's own server SDKs agree on:

    2xx                                              delivered, unless its JSON says it failed
    408, 410, 429, 460, 5xx except 501 and 505       may succeed later
    400, 413                                         a message of the request is at fault
    3xx, 401, 403, 404, other 4xx, 501, 505          the configuration is at fault
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, NamedTuple

from .._messages.limits import MAX_RETRY_AFTER
from .._reports import counted
from ..errors import DeliveryError
from .bodies import Words, json_of, may_name_failed, refused_in, says_any_failed, says_failed

MAX_BODY_BYTES = 65_536
"""How much of an answer's body is read. Segment's has 17 bytes."""


class Answer(NamedTuple):
    """What a server answered.

    Attributes:
        status: the HTTP status.
        headers: by names in any case.
        body: the body, or its beginning.
        is_complete: whether that is all of the body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_complete: bool = True


class Fault(Enum):
    """Whose fault a failed attempt is."""

    NETWORK = auto()
    """Nobody's here: the same request may succeed later."""
    MESSAGE = auto()
    """A message in the request: the others can be delivered without it."""
    CONFIGURATION = auto()
    """The write key, the host or a proxy: nothing can be delivered until it is corrected."""


def fault_of(status: int | None, *, retryable: bool = False) -> Fault:
    """Return whose fault a failed attempt is.

    Args:
        status: the status of the answer; None if there was none.
        retryable: decides if there is no status.
    """
    if status is None:
        return Fault.NETWORK if retryable else Fault.CONFIGURATION
    if status < 300 or status in (408, 410, 429, 460):
        return Fault.NETWORK
    if status >= 500 and status not in (501, 505):
        return Fault.NETWORK
    if status in (400, 413):
        return Fault.MESSAGE
    return Fault.CONFIGURATION


def check_answer(
    base: str,
    answer: Answer,
    *,
    ids: Callable[[], Collection[str]] = frozenset,
    secrets: Callable[[], Sequence[str]] = tuple,
    now: float,
) -> None:
    """Return if the answer says that the request was delivered.

    Args:
        base: the host that answered, for the error's text.
        answer: its answer.
        ids: returns the message ids of the request, which is called only if the server refused
            some of it.
        secrets: returns texts from the request's headers, which the error must not contain.
        now: seconds since the epoch, to read a Retry-After that is a date.

    Raises:
        DeliveryError: the request was not delivered, or not all of it.
    """
    status = answer.status
    if 200 <= status < 300:
        _check_success(base, answer, ids, secrets, now)
        return
    fault = fault_of(status)
    words = words_of(answer, secrets())
    raise DeliveryError(
        f"{base} answered {_phrase(status)}{words}: {_way_out(status, fault)}",
        status=status,
        retry_after=wait_asked_for(answer, now) if fault is Fault.NETWORK else None,
        retryable=fault is Fault.NETWORK,
    )


def words_of(answer: Answer, secrets: Sequence[str]) -> str:
    """Return the code and the message that a server gives for a refusal, like ` (too old)`.

    Args:
        answer: the server's answer.
        secrets: texts from the request, which must not be shown.
    """
    words = Words(secrets)
    told = _json_of(answer)
    found = words.reason_in(told)
    if told is None and answer.headers.get("Content-Type", "").lower().startswith("text/plain"):
        found = words.shown(answer.body.decode(errors="replace").strip())
    return f" ({found})" if found else ""


def _check_success(
    base: str,
    answer: Answer,
    ids: Callable[[], Collection[str]],
    secrets: Callable[[], Sequence[str]],
    now: float,
) -> None:
    """Raise DeliveryError if a 2xx is not a success."""
    status = answer.status
    is_page = answer.body.lstrip(_BEFORE_TEXT)[:1] == b"<"
    if is_page or answer.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise DeliveryError(
            f"{base} answered {status} with a web page, which Segment never does: "
            "check for a captive portal or a proxy in between"
        )
    told = _json_of(answer)
    if told == _SUCCESS and status != 207:
        return
    is_failed = status == 207 or says_any_failed(told)
    if not is_failed and not may_name_failed(told):
        return
    sent, words = frozenset(ids()), Words(secrets())
    found = words.reason_in(told)
    refused = refused_in(told, sent, words, is_failed=is_failed)
    if refused:
        raise DeliveryError(
            f"{base} answered {status}, but refused {len(refused)} of "
            f"{counted(len(sent), 'message')}{found and f' ({found})'}: look at what they hold",
            status=status,
            refused=refused,
        )
    if says_any_failed(told) if status == 207 else says_failed(told):
        raise DeliveryError(
            f"{base} answered {status}, but its body says that it failed"
            f"{found and f' ({found})'}: the same request may succeed later",
            status=status,
            retry_after=wait_asked_for(answer, now),
        )


_SUCCESS = {"success": True}
"""What Segment answers. Another body is searched for words that say otherwise."""


def _json_of(answer: Answer) -> Any:
    return json_of(answer.body) if answer.is_complete else None


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _way_out(status: int, fault: Fault) -> str:
    return _WAY_OUT_OF_STATUS.get(status) or _WAY_OUT[fault]


_BEFORE_TEXT = b"\xef\xbb\xbf \t\r\n"  # a byte order mark and white space

_WAY_OUT = {
    Fault.NETWORK: "the same request may succeed later",
    Fault.MESSAGE: "something in the request cannot be read, so look at what it holds",
    Fault.CONFIGURATION: "check the write key, the region and the host",
}
_WAY_OUT_OF_STATUS = {
    407: "the proxy wants a user name and a password, so put them into its URL, as in "
    "http://name:password@proxy:8080",
    413: "the request is too large for this server, so send fewer or shorter values",
    511: "log in to the network",
}


def wait_asked_for(answer: Answer, now: float) -> float | None:
    """Return the seconds that an answer asks to wait, or None if it does not.

    A date is compared with the answer's own Date, because the clocks may differ.
    """
    sent_at = moment_of(answer.headers.get("Date"))
    now = now if sent_at is None else sent_at
    wait = parse_retry_after(answer.headers.get("Retry-After"), now=now)
    if wait is None and answer.status == 429:  # many gateways add it to every answer
        # Segment documents both as a number of seconds (HTTP API, "Rate limits").
        wait = parse_retry_after(answer.headers.get("X-RateLimit-Reset"), now=now)
    return wait


def parse_retry_after(value: str | None, *, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks to wait, at most 300.

    Args:
        value: the header: whole or fractional seconds, or an HTTP date. The longest of several
            headers counts, which arrive separated by commas. None, garbage, a date in the past and
            anything that is not above zero give None.
        now: seconds since the epoch, for the date.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        moment = moment_of(value)
        seconds = _longest_of(value.split(",")) if moment is None else moment - now
    if _FIRST_MOMENT < seconds < math.inf:  # some servers send the moment in this form
        seconds -= now
    if math.isnan(seconds) or seconds <= 0:
        return None
    return min(seconds, MAX_RETRY_AFTER)


def _longest_of(texts: Sequence[str]) -> float:
    """Return the highest of the numbers among some texts, or NaN if there are none."""
    numbers = []
    for text in texts:
        with suppress(ValueError):
            numbers.append(float(text))
    return max((one for one in numbers if not math.isnan(one)), default=math.nan)


_FIRST_MOMENT = 1e9  # seconds since the epoch, in 2001


def moment_of(value: str | None) -> float | None:
    """Return an HTTP date as seconds since the epoch, None if it is not one."""
    try:
        moment = parsedate_to_datetime(value or "")
        if moment.tzinfo is None:  # no zone, or `-0000`: HTTP has only UTC
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
