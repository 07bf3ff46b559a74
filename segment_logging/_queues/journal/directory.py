"""A handler's directory in the journal: who owns it, and what lies in it.

Each handler has one of its own in each process, also where several share the place given as
`journal`.

    DIR/<12 hex digits of sha256(write key)>/live/<time>-<pid>-<random>/
        owner.lock        locked by the operating system for as long as its owner lives
        00000001.jsonl    one file is one batch, one line one message; unlinked once answered

A directory comes into `live` by a rename, with its lock: whoever sees it sees whether it is owned.
Only the owner appends. Whoever finds the lock free may take over the directory of a dead process.
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

from ..._files import make_private, try_lock
from ..._process.clock import seconds_since_epoch
from ..._process.forks import in_forked_child

_LOCK = "owner.lock"
_SUFFIX = ".jsonl"
_MAKING = ".making-"
_MAKING_TRIES = 10
_ABANDONED_AFTER = 3600.0  # seconds after which nobody is still making a directory

_locks: dict[int, int] = {}  # descriptors of locks, with the process that opened them


def live_path(root: str, write_key: str) -> str:
    """Return where the directories of one write key's processes are."""
    return os.path.join(root, hashlib.sha256(write_key.encode()).hexdigest()[:12], "live")


@dataclass(slots=True, eq=False)
class JournalFile:
    """A file of ours: being written to, or sealed and waiting to be sent."""

    path: str
    descriptor: int
    size_bytes: int = 0
    messages: int = 0
    is_unlinked: bool = False
    is_set_aside: bool = False

    def close(self) -> None:
        """Close it, but only once: its descriptor may belong to another file later."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)


class JournalDirectory:
    """One directory that we own: nobody else touches what is in it while this object lives.

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
            # Whoever empties the last directory removes `live` as well, perhaps at this moment.
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
        """Return the directory at `path` as ours, None if its owner lives or it is gone.

        Raises:
            OSError: its lock cannot be opened.
        """
        lock_path = os.path.join(path, _LOCK)
        try:
            lock = _open_lock(lock_path, os.O_RDWR)
        except (FileNotFoundError, NotADirectoryError):
            return None
        with suppress(FileNotFoundError):
            # Between `open` and lock, another adopter may have emptied and removed it.
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
        """Return the paths of the files in it, oldest first; none if it was removed."""
        try:
            names = sorted(name for name in os.listdir(self.path) if name.endswith(_SUFFIX))
        except FileNotFoundError:
            return []
        return [os.path.join(self.path, name) for name in names]

    def give_up(self) -> None:
        """Own it no longer: remove it if it is empty, else leave it for whoever adopts it."""
        with suppress(OSError):
            if not self.files():
                os.unlink(os.path.join(self.path, _LOCK))
                os.rmdir(self.path)
                live = os.path.dirname(self.path)
                os.rmdir(live)
                os.rmdir(os.path.dirname(live))  # of no use either, if it is empty
        self.close()

    def close(self) -> None:
        """Close the lock, which ends this process's ownership (but not its parent's)."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            _close_lock(lock)


@in_forked_child
def _close_inherited_locks() -> None:
    """Close the parent's locks, which would otherwise be held for as long as this child lives.

    Among them may be the lock of a directory that another thread was making or letting go of.
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
    if _locks.pop(lock, None) is not None:  # otherwise it may belong to another file by now
        os.close(lock)


def directories(live: str) -> Iterator[str]:
    """Yield the paths of the directories in `live`, oldest first. Remove what never got there."""
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


def _age(path: str) -> float:
    try:
        return seconds_since_epoch() - os.stat(path).st_mtime
    except OSError:
        return 0.0
