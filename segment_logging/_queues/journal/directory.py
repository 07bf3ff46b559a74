"""A handler's directory in the journal: its owner and its files.

In each process, each handler has its own directory, even if several handlers have the same
`journal` option.

    DIR/<12 hex digits of sha256(write key)>/live/<time>-<pid>-<random>/
        owner.lock        lock that the operating system releases when the owner dies
        00000001.jsonl    one batch, with one message per line; unlinked once it is acknowledged

A directory is created under a temporary name, locked, and then renamed. Any process that sees the
final name can therefore tell from the lock whether the directory has an owner. Only the owner
appends to its files. A process that finds the lock free may take over the directory, because
its owner is dead.
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
_ABANDONED_AFTER = 3600.0  # seconds after which an unfinished directory is abandoned

_locks: dict[int, int] = {}  # lock descriptors, with the id of the process that opened them


def live_path(root: str, write_key: str) -> str:
    """Return the path of a write key's `live` directory."""
    return os.path.join(root, hashlib.sha256(write_key.encode()).hexdigest()[:12], "live")


@dataclass(slots=True, eq=False)
class JournalFile:
    """A file in our own directory, either being written to or sealed and ready to be sent."""

    path: str
    descriptor: int
    size_bytes: int = 0
    messages: int = 0
    is_unlinked: bool = False
    is_set_aside: bool = False

    def close(self) -> None:
        """Close the file, but only once, because its descriptor may be reused afterwards."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)


class JournalDirectory:
    """A directory that this process owns. No other process changes its files.

    Attributes:
        path: the directory's path.
    """

    def __init__(self, path: str, lock: int) -> None:
        self.path = path
        self._lock = lock
        self._number = 0

    @classmethod
    def make(cls, live: str) -> JournalDirectory:
        """Create an empty directory in `live` and return it.

        Raises:
            OSError: the directory cannot be created.
        """
        for _ in range(_MAKING_TRIES - 1):
            # A process that removes the last directory in `live` also removes `live` itself.
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
        """Take over the directory at `path`. Return None if its owner is alive or it is gone.

        Raises:
            OSError: the lock cannot be opened.
        """
        lock_path = os.path.join(path, _LOCK)
        try:
            lock = _open_lock(lock_path, os.O_RDWR)
        except (FileNotFoundError, NotADirectoryError):
            return None
        with suppress(FileNotFoundError):
            # Another process may have removed the directory after we opened the lock.
            if try_lock(lock) and os.fstat(lock).st_ino == os.stat(lock_path).st_ino:
                return cls(path, lock)
        _close_lock(lock)
        return None

    def new_file(self) -> JournalFile:
        """Create the directory's next file and open it for appending.

        Raises:
            OSError: the file cannot be created.
        """
        self._number += 1
        path = os.path.join(self.path, f"{self._number:08d}{_SUFFIX}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        return JournalFile(path, os.open(path, flags, 0o600))

    def files(self) -> list[str]:
        """Return the paths of its files, oldest first, or an empty list if it was removed."""
        try:
            names = sorted(name for name in os.listdir(self.path) if name.endswith(_SUFFIX))
        except FileNotFoundError:
            return []
        return [os.path.join(self.path, name) for name in names]

    def give_up(self) -> None:
        """Give up ownership. Remove the directory if it is empty, else leave it to be adopted."""
        with suppress(OSError):
            if not self.files():
                os.unlink(os.path.join(self.path, _LOCK))
                os.rmdir(self.path)
                live = os.path.dirname(self.path)
                os.rmdir(live)
                os.rmdir(os.path.dirname(live))  # the write key's directory, if it is empty too
        self.close()

    def close(self) -> None:
        """Close the lock. This ends the ownership, unless a parent process still holds the lock."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            _close_lock(lock)


@in_forked_child
def _close_inherited_locks() -> None:
    """Close the parent's locks, which this child would otherwise hold until it exits.

    One of them may be for a directory that another thread was creating or releasing during the
    fork.
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
    if _locks.pop(lock, None) is not None:  # if it is missing, the descriptor may already be reused
        os.close(lock)


def directories(live: str) -> Iterator[str]:
    """Yield the paths of the directories in `live`, oldest first. Remove unfinished ones."""
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
