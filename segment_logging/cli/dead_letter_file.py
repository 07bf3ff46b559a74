"""A file of dead letters that are sent again while handlers may be appending to it.

Handlers open the file for each write, so it can be renamed at any time. Letters that were settled
leave it like this:

1. The file is renamed to `FILE.replayed`. From now on, handlers append to a new `FILE`.
2. After a moment, in which a handler that had opened the old file writes to it, the letters that
   are not settled are appended to the new file.
3. The old file is removed.

If the process is killed in between, the next one continues. Settled letters are those before the
bookmark, `FILE.replaying`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from .._delivery.dead_letters import DeadLetters
from .._files import open_private, sync_entry
from .._locks import try_lock
from .._messages.encoding import decode
from ..errors import ConfigurationError, InvalidMessage, SegmentError
from .bookmark import Bookmark, Place
from .forms import Ready
from .importer import Refused
from .lines import Source
from .repeats import reason_for_repeat

_PIECE_BYTES = 1 << 20
_MODE_WITH_GROUP = 0o640
"""The mode of a journal's dead letters if the journal has a group."""

_SETTLING = 0.2
"""Seconds in which a handler that has opened the file also writes to it."""


def files_of(path: str) -> list[str]:
    """Return the files with the dead letters of a path, oldest first: an older file, and it."""
    return [one for one in (f"{path}.1", path) if os.path.exists(one) or _is_left(one)]


def _is_left(path: str) -> bool:
    return os.path.exists(_aside(path))


def _aside(path: str) -> str:
    return f"{path}.replayed"


def bookmark_of(path: str, head: bytes) -> Bookmark:
    """Return the bookmark of a file of dead letters."""
    return Bookmark(path, head, suffix=".replaying")


class LettersAgain:
    """Stores the letters that are refused again: at the end of the file they came from.

    Args:
        path: the file's path.
        source: the same file, from which lines are read.
    """

    def __init__(self, path: str, source: Source) -> None:
        self.path = path
        self._letters = DeadLetters(path)
        self._source = source

    def write(self, messages: Sequence[Any], error: SegmentError, *, sync: bool = True) -> None:
        """Append messages with the new reason.

        Raises:
            OSError: they could not be written.
        """
        with self._same_mode():
            self._letters.write(messages, error, sync=sync)

    def refuse(self, lines: Sequence[Refused]) -> None:
        """Append lines that are not messages, unchanged, and letters with another message's id.

        The reason of such a letter is replaced. Otherwise, the next replay, which cannot know the
        other message, would send it.

        Raises:
            OSError: they could not be written.
        """
        with self._same_mode():
            file = open_private(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            try:
                for one in lines:
                    message = one.reason.found
                    if isinstance(message, Ready):
                        why = InvalidMessage(reason_for_repeat(message.message_id))
                        self._letters.write([decode(message.encoded)], why, sync=False)
                        continue
                    _copy(self._source.descriptor, one.line.start, one.line.end, file)
                    if not one.line.is_ended:
                        os.write(file, b"\n")
            finally:
                os.close(file)

    @contextmanager
    def _same_mode(self) -> Iterator[None]:
        """Let the group of a journal read the file again, which `open_private` prevents."""
        found = os.fstat(self._source.descriptor)
        try:
            yield
        finally:
            _share_like(found, self._source.descriptor)


def remove_settled(path: str, source: Source, place: Place, sleep: Callable[[float], None]) -> None:
    """Remove the letters before a position from their file.

    Args:
        path: the file's path.
        source: the open file, which the caller has locked.
        place: the position.
        sleep: waits for a number of seconds.

    Raises:
        OSError: it is not possible. The letters are still in the file, and so is the bookmark.
    """
    now_at = _path_now(path, source.descriptor)
    bookmark = bookmark_of(path, source.head)
    if place.offset and now_at is not None:
        if now_at != path:  # a handler has renamed it, because it was full
            bookmark.remove()
            bookmark = bookmark_of(now_at, source.head)
        bookmark.put(place)
        os.rename(now_at, _aside(now_at))
        sleep(_SETTLING)
        _put_back(now_at, source.descriptor, bookmark, place)
    bookmark.remove()


def recover(path: str, sleep: Callable[[float], None]) -> None:
    """Finish what a process that was killed has begun in `remove_settled`.

    Raises:
        ConfigurationError: another process is doing it.
        OSError: it is not possible.
    """
    if not _is_left(path):
        return
    source = Source(_aside(path))
    try:
        if os.name == "posix" and not try_lock(source.descriptor):
            raise ConfigurationError(
                f"another process is replaying {path}: wait until it has ended"
            )
        bookmark = bookmark_of(path, source.head)
        place = bookmark.find() or Place()
        sleep(_SETTLING)
        _put_back(path, source.descriptor, bookmark, place)
        bookmark.remove()
    finally:
        source.close()


def _put_back(path: str, old: int, bookmark: Bookmark, place: Place) -> None:
    """Append what is left of the old file to the new one, and remove the old one."""
    offset = place.offset
    while (size := os.fstat(old).st_size) > offset:
        file = open_private(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            _copy(old, offset, size, file)
            _share_like(os.fstat(old), file)
            os.fsync(file)
        finally:
            os.close(file)
        offset = size
        bookmark.put(place._replace(offset=offset))
    os.unlink(_aside(path))
    with suppress(OSError):
        sync_entry(os.path.dirname(os.path.abspath(path)))


def _copy(old: int, start: int, end: int, new: int) -> None:
    """Append a part of a file to another, in writes that end with a line if possible.

    Handlers may append to the same file, and must not do so in the middle of a line.
    """
    while start < end:
        piece = os.pread(old, min(_PIECE_BYTES, end - start), start)
        if not piece:
            return
        if start + len(piece) < end:
            piece = piece[: piece.rfind(b"\n") + 1] or piece
        start += len(piece)
        while piece:
            piece = piece[os.write(new, piece) :]


def _share_like(found: os.stat_result, file: int) -> None:
    """Let a file's group read it if the group could read the previous file."""
    if hasattr(os, "fchmod") and stat.S_IMODE(found.st_mode) == _MODE_WITH_GROUP:
        with suppress(OSError):
            if os.fstat(file).st_gid == found.st_gid:
                os.fchmod(file, _MODE_WITH_GROUP)


def _path_now(path: str, descriptor: int) -> str | None:
    """Return where an open file is now, because a handler may have renamed it."""
    found = os.fstat(descriptor)
    for one in (path, f"{path}.1"):
        with suppress(FileNotFoundError):
            if os.path.samestat(os.stat(one), found):
                return one
    return None
