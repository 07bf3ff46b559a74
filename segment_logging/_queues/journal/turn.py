"""Lock files, of which one process holds the lock while the others stand by."""

from __future__ import annotations

import os

from ..._locks import is_locked, try_lock, unlock
from ..._reports import Reporter
from .place import Place


class Turn:
    """The lock of a file in the write key's directory, which at most one process holds.

    Args:
        place: where the journal is.
        name: the file's name.
        reporter: reports if locks do not work there.
    """

    def __init__(self, place: Place, name: str, reporter: Reporter) -> None:
        self._place = place
        self._name = name
        self._reporter = reporter
        self._lock = -1
        self.is_ours: bool | None = None
        """Whether this process holds the lock, or False if another one held it at the last try.

        None if that is not known, because there was no try yet, or the last one failed.
        """

    def take(self) -> bool:
        """Take the lock unless another process holds it. Return whether it is held.

        Raises:
            OSError: if the file cannot be opened.
        """
        if self._lock >= 0:
            return True
        is_ours = None
        try:
            with self._place.key_folder(make=True) as folder:
                # Locking needs no permission to write, and the file may belong to another user.
                lock = folder.open(self._name, os.O_RDONLY | os.O_CREAT)
                try:
                    if not try_lock(lock):
                        is_ours = False
                    elif self._excludes(folder.open(self._name, os.O_RDONLY)):
                        self._lock, lock = lock, -1
                        is_ours = True
                finally:
                    if lock >= 0:
                        os.close(lock)
        finally:
            self.is_ours = is_ours
        return is_ours is True

    def _excludes(self, again: int) -> bool:
        """Return whether our lock keeps others out. If it does not, that is reported."""
        try:
            works = is_locked(again)
        finally:
            os.close(again)
        if works:
            self._reporter.over("locks")
        else:
            self._reporter.once(
                "locks",
                f"file locks do not work in {self._place.path}, so the messages in the "
                "journal are not sent: use a local file system",
            )
        return works

    def is_in_place(self) -> bool:
        """Return whether the lock is held, and other processes try the same file."""
        if self._lock < 0:
            return False
        try:
            with self._place.key_folder() as folder:
                found = os.stat(self._name, dir_fd=folder.descriptor, follow_symlinks=False)
                return os.path.samestat(found, os.fstat(self._lock))
        except FileNotFoundError:
            return False
        except OSError:  # too many open files, for example: that says nothing about the lock
            return True

    def release(self) -> None:
        """Let another process take its turn."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            self.is_ours = None
            unlock(lock)
            os.close(lock)
