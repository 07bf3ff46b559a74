"""Messages that are abandoned: written to the dead letters, passed to `on_error`, and reported."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from .._messages.encoding import decode
from .._messages.message import Message
from .._options.delivery import OnError
from .._reports import Reporter, where
from ..errors import SegmentError


class Letters(Protocol):
    """Where dead letters are written. See `DeadLetters`."""

    def write(
        self, messages: Sequence[Any], error: SegmentError, *, sync: bool = True
    ) -> int | None:
        """Append messages with the reason. Raises OSError if they could not be written."""


class Abandoned:
    """Stores messages that are abandoned, and passes them to the user's function. Never raises.

    Args:
        letters: stores the messages, if not None.
        on_error: called with the error and the messages, if not None.
        reporter: reports what goes wrong here.
    """

    def __init__(
        self, letters: Letters | None, on_error: OnError | None, reporter: Reporter
    ) -> None:
        self._letters = letters
        self._on_error = on_error
        self._reporter = reporter

    @property
    def is_wanted(self) -> bool:
        """Whether abandoned messages are stored or passed to a function."""
        return self._letters is not None or self._on_error is not None

    def store(self, messages: Sequence[Any], error: SegmentError, *, sync: bool = True) -> bool:
        """Write messages to the dead letters. Return False if that failed, which is reported.

        Args:
            messages: calls in wire form, as dicts.
            error: the reason why they are abandoned.
            sync: whether to wait until they would survive a power cut.
        """
        if self._letters is None:
            return True
        try:
            removed = self._letters.write(messages, error, sync=sync)
        except OSError as fault:
            self._reporter.once("dead letters", _cannot_write(fault))
            return False
        self._reporter.over("dead letters")
        if removed:
            self._reporter.each("old dead letters", removed, _of_removed)
        return True

    def store_lines(self, lines: Sequence[bytes], error: SegmentError) -> bool:
        """Write encoded messages to the dead letters. See `store`."""
        return self._letters is None or self.store([value_of(line) for line in lines], error)

    def tell(self, lines: Sequence[bytes], error: SegmentError) -> None:
        """Pass encoded messages to `on_error`."""
        if self._on_error is None:
            return
        try:
            self._on_error(error, _readable_of(lines))
        except BaseException as fault:  # sys.exit in on_error would only end this thread
            what = f"{type(fault).__name__} ({where(fault)})"
            self._reporter.once("on_error", f"on_error raised {what}: fix it; delivery continues")


def value_of(line: bytes) -> Any:
    """Return the message that a line encodes, or its text if it was damaged on disk."""
    try:
        return decode(line)
    except (ValueError, RecursionError):
        return line.decode(errors="replace")


def _readable_of(lines: Sequence[bytes]) -> Sequence[Message]:
    """Return the messages, skipping foreign or damaged lines."""
    readable: list[Message] = []
    for line in lines:
        with suppress(ValueError, RecursionError):  # not JSON, or InvalidMessage
            readable.append(Message.from_dict(decode(line)))
    return readable


def _cannot_write(fault: OSError) -> str:
    way_out = f": make the file {fault.filename} writable" if fault.filename else ""
    return f"dead letters cannot be written ({fault.strerror}){way_out}"


def _of_removed(size_bytes: int) -> str:
    return (
        f"the oldest dead letters ({size_bytes:,} bytes) were removed: send them again or move "
        "them away in time, or raise max_dead_letter_bytes"
    )
