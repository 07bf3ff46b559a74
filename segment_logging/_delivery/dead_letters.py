"""A file of messages that can never be delivered, as one JSON object per line.

    {"reason": "...", "status": 400, "time": "2026-11-23T08:00:00.123Z", "message": {...}}

`message` is the complete call. Fix the problem that `status` and `reason` describe, and send it
again. Of a message above 256 KiB, only the beginning is kept:

    {"reason": "...", ..., "message": null, "cut": {"size_bytes": 5000000, "beginning": "..."}}

The file has mode 0600, because it contains personal data. Any number of processes may share it. It
is renamed to `<path>.1` when it is half as large as both may become together, which removes the
previous `<path>.1`.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from typing_extensions import override

from .._files import Folder, make_private, open_private
from .._locks import try_lock
from .._messages.encoding import encode
from .._messages.values import write_timestamp
from .._options.delivery import DeliveryOptions
from .._queues.journal.place import trust_in
from .._trust import PRIVATE, Trust
from ..errors import InvalidMessage, SegmentError

_MAX_MESSAGE_BYTES = 262_144  # eight times what Segment takes
_BEGINNING_CHARACTERS = 8_000


class DeadLetters:
    """Appends dead letters to a file. It opens the file for each write, so the file can be rotated.

    Args:
        path: the file's path. The first dead letter creates the file, with mode 0600.
        in_journal: whether the file's directory is a journal, in which other users may have theirs.
        trust: who else may use that journal.
        max_bytes: the limit on the size of this file and its predecessor together, in bytes. None
            means that there is no limit.
        clock: returns the time in seconds since the epoch.
    """

    def __init__(
        self,
        path: str,
        *,
        in_journal: bool = False,
        trust: Trust = PRIVATE,
        max_bytes: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = os.path.abspath(path)
        self._directory, self._name = os.path.split(self.path)
        self._in_journal = in_journal
        self._trust = trust
        self._max_bytes = max_bytes
        self._clock = clock

    def write(self, messages: Sequence[Any], error: SegmentError, *, sync: bool = True) -> int:
        """Append one line for each message.

        Args:
            messages: calls in wire form, as dicts. A message that cannot be encoded as JSON is
                written as null.
            error: the reason why the messages can never be delivered.
            sync: whether to wait until the lines would survive a power cut.

        Returns:
            The size of the oldest dead letters, in bytes, if they were removed to make room.

        Raises:
            OSError: nothing was written. The file is full, for example, or is not only ours.
        """
        told = {
            "reason": str(error),
            "status": getattr(error, "status", None),
            "time": write_timestamp(self._clock()),
        }
        lines = b"".join(_line_of(told, message) for message in messages)
        with self._folder() as folder:
            removed = self._make_room(folder, len(lines))
            is_new = folder.stat_or_none(self._name) is None
            file = folder.open(self._name, os.O_RDWR | os.O_APPEND | os.O_CREAT)
            try:
                # A single write, so that writes of other processes cannot interleave with it. There
                # is no lock, because a stopped process could hold it forever.
                written = os.write(file, lines)
                if written != len(lines):
                    _undo(file, written)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
                if sync:
                    os.fsync(file)
                    if is_new:
                        folder.sync()
                is_gone = os.fstat(file).st_nlink == 0
            finally:
                os.close(file)
        if is_gone:  # somebody has just sent its letters again and removed it
            return self.write(messages, error, sync=sync)
        return removed

    def _folder(self) -> Folder:
        if self._in_journal:
            return Folder.own(self._directory, self._trust, make=True)
        make_private(self._directory)
        if os.open not in os.supports_dir_fd:
            return _ByPath(self._directory)
        return Folder.at(self._directory, is_ours=False)

    def _make_room(self, folder: Folder, size_bytes: int) -> int:
        """Rotate the file if it would become too large. Return the size of what was removed."""
        if self._max_bytes is None:
            return 0
        found = folder.stat_or_none(self._name)
        if found and found.st_size and found.st_size + size_bytes > self._max_bytes // 2:
            with suppress(FileNotFoundError):  # another process has just renamed it
                return self._rotate(folder)
        return 0

    def _rotate(self, folder: Folder) -> int:
        """Rename the file, unless another process has just done that."""
        file = folder.open(self._name, os.O_RDWR)
        try:
            # The lock is only tried, because a stopped process could hold it forever. While another
            # process holds it, the file may become a little too large.
            found = os.fstat(file)
            is_too_large = self._max_bytes is not None and found.st_size > self._max_bytes
            if not _is_locked_by_us(file) and not is_too_large:
                return 0
            in_place = folder.stat_or_none(self._name)
            if in_place is None or not os.path.samestat(found, in_place):
                return 0
            previous = folder.stat_or_none(f"{self._name}.1")
            folder.rename(self._name, folder, f"{self._name}.1")
            return 0 if previous is None else previous.st_size
        finally:
            os.close(file)


def letters_of(options: DeliveryOptions) -> DeadLetters | None:
    """Return where a handler writes its dead letters, or None."""
    path = options.dead_letters_path
    if path is None:
        return None
    in_journal = options.dead_letters is None
    return DeadLetters(
        path,
        in_journal=in_journal,
        trust=trust_in(options.journal_group) if in_journal else PRIVATE,
        max_bytes=options.max_dead_letter_bytes,
    )


class _ByPath(Folder):
    """A directory on Windows, where functions take paths, but no descriptors of directories."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.descriptor = -1

    @override
    def open(self, name: str, flags: int) -> int:
        return open_private(os.path.join(self.path, name), flags)

    @override
    def stat_or_none(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(os.path.join(self.path, name), follow_symlinks=False)
        except FileNotFoundError:
            return None

    @override
    def rename(self, name: str, to: Folder, new_name: str) -> None:
        os.replace(os.path.join(self.path, name), os.path.join(to.path, new_name))

    @override
    def sync(self) -> None:
        """Do nothing, because Windows cannot sync a directory."""


def _is_locked_by_us(file: int) -> bool:
    """Return whether the file is locked now, or the file system has no locks."""
    try:
        return try_lock(file)
    except OSError:
        return True


def _undo(file: int, written: int) -> None:
    """Undo a partial write to a full disk, unless another process has written after it."""
    end = os.lseek(file, 0, os.SEEK_CUR)
    if os.fstat(file).st_size == end:
        os.ftruncate(file, end - written)


def _line_of(told: dict[str, Any], message: Any) -> bytes:
    try:
        line = encode({**told, "message": message})
    except InvalidMessage:
        return encode({**told, "message": None}) + b"\n"
    if len(line) > _MAX_MESSAGE_BYTES:
        text = encode(message)
        beginning = text[: 4 * _BEGINNING_CHARACTERS].decode(errors="ignore")
        cut = {"size_bytes": len(text), "beginning": beginning[:_BEGINNING_CHARACTERS]}
        line = encode({**told, "message": None, "cut": cut})
    return line + b"\n"
