"""A process's directory in the journal: who owns it, and what lies in it.

    DIR/<12 hex digits of sha256(write key)>/live/<time>-<pid>-<random>/
        owner.lock        locked by the operating system for as long as its owner lives
        00000001.jsonl    one file is one batch, one line is one message; unlinked when answered

A directory comes into `live` by a rename, lock and all: whoever sees it sees whether it is owned.
Only the owner appends; who finds the lock free owns a dead process's directory. Directories are
0700 and files 0600, as they hold personal data.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from ..locks import try_lock

_LOCK = "owner.lock"
_SUFFIX = ".jsonl"
_MAKING = ".making-"
_MAKING_TRIES = 10
_ABANDONED_AFTER = 3600.0  # seconds after which nobody is still making a directory

_locks: dict[int, int] = {}  # open files of locks, with the process that opened them


def live_path(root: str, write_key: str) -> str:
    """Return where the directories of one write key's processes are."""
    return os.path.join(root, hashlib.sha256(write_key.encode()).hexdigest()[:12], "live")


@dataclass(slots=True, eq=False)
class JournalFile:
    """A file of ours: being written, or sealed and waiting to be sent."""

    path: str
    descriptor: int
    size_bytes: int = 0
    messages: int = 0
    is_unlinked: bool = False
    is_set_aside: bool = False

    def close(self) -> None:
        """Close it, once: its descriptor may be another file's by the next time."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)


class JournalDirectory:
    """One directory, owned: nobody else touches what is in it while this object lives.

    Attributes:
        path: of the directory.
    """

    def __init__(self, path: str, lock: int) -> None:
        self.path = path
        self._lock = lock
        self._number = 0

    @classmethod
    def make(cls, live: str) -> JournalDirectory:
        """Return a new, empty directory in `live`.

        Raises:
            OSError: it cannot be made.
        """
        for _ in range(_MAKING_TRIES - 1):
            # Whoever empties the last directory removes `live`, too, perhaps just now.
            with suppress(FileNotFoundError):
                return cls._make(live)
        return cls._make(live)

    @classmethod
    def _make(cls, live: str) -> JournalDirectory:
        make_private(live)
        name = f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}"
        making = os.path.join(live, _MAKING + name)
        path = os.path.join(live, name)
        lock = -1
        try:
            os.mkdir(making, mode=0o700)
            lock = _open_lock(os.path.join(making, _LOCK), os.O_RDWR | os.O_CREAT | os.O_EXCL)
            if not try_lock(lock):
                raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
            os.rename(making, path)
        except OSError:
            if lock >= 0:
                _close_lock(lock)
            for remove, what in ((os.unlink, os.path.join(making, _LOCK)), (os.rmdir, making)):
                with suppress(OSError):
                    remove(what)
            raise
        return cls(path, lock)

    @classmethod
    def adopt(cls, path: str) -> JournalDirectory | None:
        """Return the directory at `path` as ours, None when its owner lives or it is gone.

        Raises:
            OSError: its lock cannot be opened.
        """
        lock_path = os.path.join(path, _LOCK)
        try:
            lock = _open_lock(lock_path, os.O_RDWR)
        except (FileNotFoundError, NotADirectoryError):
            return None
        with suppress(FileNotFoundError):
            # Between open and lock another adopter may have emptied and removed it.
            if try_lock(lock) and os.fstat(lock).st_ino == os.stat(lock_path).st_ino:
                return cls(path, lock)
        _close_lock(lock)
        return None

    def new_file(self) -> JournalFile:
        """Return a new file, the last in order, open for appending.

        Raises:
            OSError: it cannot be made.
        """
        self._number += 1
        path = os.path.join(self.path, f"{self._number:08d}{_SUFFIX}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        return JournalFile(path, os.open(path, flags, 0o600))

    def files(self) -> list[str]:
        """Return the paths of the files in it, oldest first; none when it was removed."""
        try:
            names = sorted(name for name in os.listdir(self.path) if name.endswith(_SUFFIX))
        except FileNotFoundError:
            return []
        return [os.path.join(self.path, name) for name in names]

    def give_up(self) -> None:
        """Own it no longer; removed when it is empty, else left for whoever adopts it."""
        with suppress(OSError):
            if not self.files():
                os.unlink(os.path.join(self.path, _LOCK))
                os.rmdir(self.path)
                live = os.path.dirname(self.path)
                os.rmdir(live)
                os.rmdir(os.path.dirname(live))  # by now of no use either, if it is empty
        self.close()

    def close(self) -> None:
        """Close what is open, and so end the ownership of this process (not its parent's)."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            _close_lock(lock)


def close_inherited_locks() -> None:
    """In a forked child: close its parent's locks, which else were held for as long as it lives.

    Also of a directory that another thread was just making, or letting go of: that is nobody's.
    """
    for lock, pid in tuple(_locks.items()):
        if pid != os.getpid():
            with suppress(OSError):
                _close_lock(lock)


def _open_lock(path: str, flags: int) -> int:
    lock = os.open(path, flags, 0o600)
    _locks[lock] = os.getpid()
    return lock


def _close_lock(lock: int) -> None:
    if _locks.pop(lock, None) is not None:  # else it may be another file's by now
        os.close(lock)


def make_private(path: str) -> None:
    """Make a directory and those above it, each of them 0700."""
    parent = os.path.dirname(path)
    if parent and not os.path.isdir(parent):
        make_private(parent)
    with suppress(FileExistsError):
        os.mkdir(path, mode=0o700)


def directories(live: str) -> Iterator[str]:
    """Yield the paths of the directories in `live`, oldest first; tidy up what never got there."""
    try:
        names = sorted(os.listdir(live))
    except FileNotFoundError:
        return
    for name in names:
        path = os.path.join(live, name)
        if not name.startswith(_MAKING):
            yield path
        elif _age(path) > _ABANDONED_AFTER:
            shutil.rmtree(path, ignore_errors=True)


def size_bytes_of(path: str) -> int:
    """Return the bytes of the files in a directory, 0 when it is gone."""
    try:
        with os.scandir(path) as entries:
            return sum(entry.stat().st_size for entry in entries)
    except OSError:
        return 0


def _age(path: str) -> float:
    try:
        return time.time() - os.stat(path).st_mtime
    except OSError:
        return 0.0
