"""A file of what can never be delivered, with the reason: one JSON object a line.

    {"reason": "...", "status": 400, "time": "2026-11-23T08:00:00.123Z", "message": {...}}

`message` is the call as it was to be sent, so that people can mend what `status` and `reason` say
and send it again. The file has mode 0600, as it holds personal data. Any number of processes may
share it.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from .._files import make_private, sync_entry
from .._messages.encoding import encode
from .._messages.values import write_timestamp
from ..errors import InvalidMessage, SegmentError


class DeadLetters:
    """Appends to the file at `path`, which it opens anew each time, so that it may be rotated.

    Args:
        path: of the file; the first dead letter makes it, with mode 0600.
        clock: seconds since the epoch.
    """

    def __init__(self, path: str, *, clock: Callable[[], float] = time.time) -> None:
        self.path = os.path.abspath(path)
        self._clock = clock

    def write(self, messages: Sequence[Any], error: SegmentError, *, sync: bool = True) -> None:
        """Append one line for each message.

        Args:
            messages: calls in wire form, as dicts. What cannot be written as JSON becomes null.
            error: why they can never be delivered.
            sync: return only when they survive a power cut.

        Raises:
            OSError: nothing was written.
        """
        told = {
            "reason": str(error),
            "status": getattr(error, "status", None),
            "time": write_timestamp(self._clock()),
        }
        lines = b"".join(_line_of(told, message) for message in messages)
        directory = os.path.dirname(self.path)
        make_private(directory)
        is_new = not os.path.exists(self.path)
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # One write, which other processes' writes cannot cut into. No lock, which a process
            # that is stopped would hold for ever.
            written = os.write(file, lines)
            if written != len(lines):
                _undo(file, written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
            if sync:
                _sync(file)
                if is_new:
                    sync_entry(directory)
        finally:
            os.close(file)


def _sync(file: int) -> None:
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # pipes, /dev/null: nothing to sync
            raise


def _undo(file: int, written: int) -> None:
    """Take back what a full disk took of a write, unless somebody has written after it."""
    end = os.lseek(file, 0, os.SEEK_CUR)
    if os.fstat(file).st_size == end:
        os.ftruncate(file, end - written)


def _line_of(told: dict[str, Any], message: Any) -> bytes:
    try:
        return encode({**told, "message": message}) + b"\n"
    except InvalidMessage:
        return encode({**told, "message": None}) + b"\n"
