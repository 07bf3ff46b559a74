"""The directories of other processes, and the sealed files in them.

A file is sealed when nobody holds its lock. A process that takes a file holds its lock until the
file is removed.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress

from ..._clock import seconds_since_epoch
from ..._files import Folder
from ..._locks import is_locked, try_lock, unlock
from .directory import HANDED_OVER, file_names, is_owned

_CERTAIN_AFTER_NS = 2_000_000_000
"""A change within this time of the last one may leave a directory's modification time as it is."""

_CAREFULLY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Directory:
    """A directory in `live`, as far as it is known.

    Attributes:
        name: its name.
        is_handed_over: whether others may take sealed files while its owner lives.
        files: the names of files that were not taken yet, oldest first.
        taken: the names of files that were taken and are not settled, with their locks and the
            times at which they were written, in seconds since the epoch.
        left: the names of files that cannot be read or removed.
        is_unreadable: whether the directory could not be read at the last look.
        is_old: whether its owner is dead.
        is_waiting: whether its files are about to be taken.
        look_at_owner_at: when to find out again whether its owner lives.
        left_until: the time until which it is left alone.
    """

    __slots__ = (
        "_changed_ns", "_is_certain", "_locked", "files", "is_handed_over", "is_old",
        "is_unreadable", "is_waiting", "left", "left_until", "look_at_owner_at", "name", "taken",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_handed_over = name.endswith(HANDED_OVER)
        self.files: deque[str] = deque()
        self.taken: dict[str, tuple[int, float]] = {}
        self.left: set[str] = set()
        self.is_old = self.is_unreadable = self.is_waiting = False
        self.look_at_owner_at = self.left_until = 0.0
        self._changed_ns = -1
        self._is_certain = False
        self._locked: str | None = None  # the file at which the last look ended

    def has_changed(self, live: Folder) -> bool:
        """Return whether there may be something new in it: one `stat`, and one lock to try.

        Raises:
            OSError: it is gone, for example.
        """
        found = os.stat(self.name, dir_fd=live.descriptor, follow_symlinks=False)
        if not self._is_certain or found.st_mtime_ns != self._changed_ns:
            return True
        return self._locked is not None and not _is_locked(live, f"{self.name}/{self._locked}")

    def look_into(self, folder: Folder) -> None:
        """List the files that can be taken, after those that were."""
        changed_ns = os.fstat(folder.descriptor).st_mtime_ns
        now_ns = int(seconds_since_epoch() * 1e9)
        self._changed_ns = changed_ns
        self._is_certain = changed_ns + _CERTAIN_AFTER_NS < now_ns
        self._locked = None
        self.files = deque(
            name for name in file_names(folder) if name not in self.taken and name not in self.left
        )

    def take(self, folder: Folder, name: str) -> bool:
        """Lock the next file, if it is sealed and has content. Return False otherwise.

        A file that somebody else has locked is not sealed yet. Nothing after it is taken, because
        the messages of a process stay in order.

        Raises:
            OSError: the file cannot be opened, or is gone.
        """
        file = folder.open(name, os.O_RDONLY)
        try:
            if not try_lock(file):
                self._locked = name
                self.files.clear()
                return False
            found = os.fstat(file)
            if not found.st_nlink:
                unlock(file)
                return False
            if not found.st_size:  # its maker has not locked it yet, or was killed before that
                unlock(file)  # or its own lock would look like that of a living owner
                with suppress(OSError):
                    if not is_owned(folder):
                        folder.unlink(name)
                return False
            self.taken[name], file = (file, found.st_mtime), -1
            return True
        finally:
            if file >= 0:
                os.close(file)

    def release(self, name: str) -> None:
        """Unlock a file that was taken."""
        file, _ = self.taken.pop(name, (-1, 0.0))
        if file >= 0:
            unlock(file)
            os.close(file)

    @property
    def times(self) -> list[float]:
        """When the files that were taken were written."""
        return [written_at for _, written_at in tuple(self.taken.values())]

    def release_all(self) -> None:
        """Unlock all files that were taken."""
        for name in tuple(self.taken):
            self.release(name)


def _is_locked(live: Folder, path: str) -> bool:
    """Return whether somebody holds the lock of a file. It need not be one of ours."""
    try:
        file = os.open(path, os.O_RDONLY | _CAREFULLY, dir_fd=live.descriptor)
    except OSError:
        return False
    try:
        return is_locked(file)
    finally:
        os.close(file)
