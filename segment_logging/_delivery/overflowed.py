"""Messages for which the queue had no room: kept for the dead letters and `on_error`.

Callers only append to a list in memory. Writing is done later, in the delivery thread or at exit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .._options.delivery import DeliveryOptions
from .._queues.message_queue import Refusal
from ..errors import DeliveryError
from .abandoned import Abandoned

_MAX_MESSAGES = 10_000
_MAX_BYTES = 8_388_608
_AT_ONCE = 500  # messages written with one sync


class Overflowed:
    """Holds a bounded number of dropped messages until they are written. Any thread may use it.

    Args:
        abandoned: stores the messages.
        ring: called when there is something to write.
        advice: returns what to do about a full queue.
    """

    def __init__(
        self, abandoned: Abandoned, ring: Callable[[], None], advice: Callable[[], str]
    ) -> None:
        self._abandoned = abandoned
        self._ring = ring
        self._advice = advice
        self._lines: deque[bytes] = deque(maxlen=_MAX_MESSAGES)
        self._size_bytes = 0  # about: it is changed without a lock

    def add(self, line: bytes) -> None:
        """Hold a dropped message. If too many are held already, it is only counted."""
        if (
            not self._abandoned.is_wanted
            or len(self._lines) >= _MAX_MESSAGES
            or self._size_bytes + len(line) > _MAX_BYTES
        ):
            return
        is_first = not self._lines
        self._size_bytes += len(line)
        self._lines.append(line)
        if is_first:
            self._ring()

    def write_out(self) -> None:
        """Write the messages that are held."""
        while lines := self._next():
            error = DeliveryError(f"the queue was full: {self._advice()}", retryable=True)
            self._abandoned.store_lines(lines, error)
            self._abandoned.tell(lines, error)

    def _next(self) -> list[bytes]:
        lines: list[bytes] = []
        try:
            while len(lines) < _AT_ONCE:
                lines.append(self._lines.popleft())
        except IndexError:
            self._size_bytes = 0
        return lines


def advice_on_room(options: DeliveryOptions, refusal: Refusal | None = None) -> str:
    """Return what to do if a handler with these options drops messages, for reports.

    It does not advise what has been done already, such as setting a journal.

    Args:
        options: the handler's options.
        refusal: why its journal did not store messages, or None.
    """
    if not options.deliver:
        return "start `segment-logging deliver`, or raise max_journal_bytes"
    advice = []
    if refusal is not None:  # why messages are in memory
        advice.append(refusal.way_out)
    advice.append("raise max_queue_messages and max_queue_bytes")
    if options.overflow == "block":
        advice.append(f"raise block_timeout ({options.block_timeout:g} s)")
    else:
        advice.append("set overflow to 'block'")
    if not options.keeps:
        advice.append("set a journal")
    return f"{', '.join(advice[:-1])}, or {advice[-1]}"
