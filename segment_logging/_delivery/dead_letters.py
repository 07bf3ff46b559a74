"""A file of messages that can never be delivered, as one JSON object per line.

    {"reason": "...", "status": 400, "time": "2026-11-23T08:00:00.123Z", "message": {...}}

`message` is the complete call. Fix the problem that `status` and `reason` describe, and send it
again. The file has mode 0600, because it contains personal data. Any number of processes may share
it.
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
    """Appends dead letters to a file. It opens the file for each write, so the file can be rotated.

    Args:
        path: the file's path. The first dead letter creates the file, with mode 0600.
        clock: returns the time in seconds since the epoch.
    """

    def __init__(self, path: str, *, clock: Callable[[], float] = time.time) -> None:
        self.path = os.path.abspath(path)
        self._clock = clock

    def write(self, messages: Sequence[Any], error: SegmentError, *, sync: bool = True) -> None:
        """Append one line for each message.

        Args:
            messages: calls in wire form, as dicts. A message that cannot be encoded as JSON is
                written as null.
            error: the reason why the messages can never be delivered.
            sync: whether to wait until the lines would survive a power cut.

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
            # A single write, so that writes of other processes cannot interleave with it. There is
            # no lock, because a stopped process could hold it forever.
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
    """Undo a partial write to a full disk, unless another process has written after it."""
    end = os.lseek(file, 0, os.SEEK_CUR)
    if os.fstat(file).st_size == end:
        os.ftruncate(file, end - written)


def _line_of(told: dict[str, Any], message: Any) -> bytes:
    try:
        return encode({**told, "message": message}) + b"\n"
    except InvalidMessage:
        return encode({**told, "message": None}) + b"\n"
