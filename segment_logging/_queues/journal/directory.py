"""A handler's directory in the journal: who owns it, and the files in it.

Each handler has its own directory in each process.

    live/<time>-<pid>-<random>/
        owner.lock        locked by the operating system for as long as the owner lives
        room              the size up to which the directory may grow
        00000001.jsonl    the messages of one batch, one on each line; removed once settled

A directory comes into `live` by a rename, together with its lock, so whoever sees it can tell
whether it is owned. Only the owner appends. It also holds a lock on the file that it appends to, so
that a directory whose `owner.lock` was removed can be judged by its files.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass

from ..._clock import seconds_since_epoch
from ..._files import Folder
from ..._locks import is_locked as is_file_locked
from ..._locks import try_lock, unlock
from ..._process.forks import in_forked_child
from ..._trust import NotOurs
from .place import Place

OWNER_LOCK = "owner.lock"
ROOM = "room"
"""A file that contains the size up to which the directory may grow."""

HANDED_OVER = "-handed-over"
"""How the name of a directory ends whose files are delivered by `segment-logging deliver`."""

_SUFFIX = ".jsonl"
MAKING = ".making-"  # the prefix of a directory that is not ready
_MAKING_TRIES = 10
_FILE_TRIES = 10
_ABANDONED_AFTER = 3600.0  # seconds after which nobody is still making a directory

_locks: dict[int, int] = {}  # descriptors of locks, with the process that opened them


@dataclass(slots=True, eq=False)
class JournalFile:
    """A file of ours: open for appending, or sealed and waiting to be sent.

    Attributes:
        folder: the directory that it is in.
        name: its name there.
        descriptor: open for appending; below zero once it is closed.
        size_bytes: what was written.
        messages: how many lines that is.
        is_unlinked: whether it was removed.
        is_reported: whether it was reported that it cannot be read or removed.
    """

    folder: Folder
    name: str
    descriptor: int
    size_bytes: int = 0
    messages: int = 0
    is_unlinked: bool = False
    is_reported: bool = False

    @property
    def path(self) -> str:
        """Its path, for reports."""
        return os.path.join(self.folder.path, self.name)

    def close(self) -> None:
        """Close it, once: later, its descriptor may belong to another file."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)


class JournalDirectory:
    """A directory that we own. Nobody else changes it while this object lives.

    Args:
        folder: the open directory.
        lock: the open `owner.lock`.
    """

    def __init__(self, folder: Folder, lock: int) -> None:
        self.folder = folder
        self._lock = lock
        self._number = 0
        self.unsettled = 0
        """How many of its files are not settled yet."""

    @classmethod
    def make(cls, place: Place, suffix: str = "") -> JournalDirectory:
        """Return a new, empty directory.

        Args:
            place: where the journal is.
            suffix: the end of its name.

        Raises:
            OSError: if it cannot be made.
        """
        for _ in range(_MAKING_TRIES - 1):
            # Whoever removes the last directory removes `live` as well, maybe at this moment.
            with suppress(FileNotFoundError):
                return cls._make(place, suffix)
        return cls._make(place, suffix)

    @classmethod
    def _make(cls, place: Place, suffix: str) -> JournalDirectory:
        name = f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}{suffix}"
        with place.live(make=True) as live:
            folder = live.folder(MAKING + name, make=True)
            lock = -1
            try:
                lock = _open_lock(folder, os.O_RDWR | os.O_CREAT | os.O_EXCL)
                if not try_lock(lock):
                    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
                live.rename(MAKING + name, live, name)
            except BaseException:
                if lock >= 0:
                    _close_lock(lock)
                for remove, what in ((folder.unlink, OWNER_LOCK), (live.rmdir, MAKING + name)):
                    with suppress(OSError):
                        remove(what)
                folder.close()
                raise
            folder.path = os.path.join(live.path, name)
        return cls(folder, lock)

    @property
    def path(self) -> str:
        """Its path."""
        return self.folder.path

    @property
    def is_in_place(self) -> bool:
        """Whether others can still see that it is owned."""
        try:
            found = os.stat(os.path.join(self.path, OWNER_LOCK), follow_symlinks=False)
            return found.st_ino == os.fstat(self._lock).st_ino
        except OSError:
            return False

    def new_file(self) -> JournalFile:
        """Return a new file, the last in order, open for appending and locked.

        Raises:
            OSError: if it cannot be made.
        """
        for _ in range(_FILE_TRIES):
            self._number += 1
            name = f"{self._number:08d}{_SUFFIX}"
            try:
                descriptor = self.folder.open(
                    name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
                )
            except FileExistsError:
                continue
            # Until it is locked, somebody may lock it to find out whether it is sealed, or remove
            # it because it is empty.
            if try_lock(descriptor) and os.fstat(descriptor).st_nlink == 1:
                self.unsettled += 1
                return JournalFile(self.folder, name, descriptor)
            os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.path)

    def give_up(self) -> None:
        """Stop owning it. Remove it if it is empty, or leave it for whoever adopts it."""
        with suppress(OSError):
            if not file_names(self.folder):
                _unlink_all(self.folder, ROOM, OWNER_LOCK)
                os.rmdir(self.path)
        self.close()

    def close(self) -> None:
        """Close it, which ends this process's ownership, but not that of its parent."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            _close_lock(lock)
        self.folder.close()


def file_names(folder: Folder) -> list[str]:
    """Return the names of the journal files in a directory, oldest first."""
    return [name for name in folder.names() if name.endswith(_SUFFIX)]


def is_owned(folder: Folder) -> bool:
    """Return whether the owner of a directory lives.

    Raises:
        OSError: if that cannot be found out.
    """
    try:
        lock = folder.open(OWNER_LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return any(is_locked(folder, name) for name in reversed(file_names(folder)))
    try:
        return is_file_locked(lock)
    finally:
        os.close(lock)


def is_locked(folder: Folder, name: str) -> bool:
    """Return whether somebody holds the lock of a file."""
    try:
        file = folder.open(name, os.O_RDONLY)
    except NotOurs:
        return False
    try:
        return is_file_locked(file)
    finally:
        os.close(file)


def is_being_delivered(folder: Folder, name: str) -> bool:
    """Return whether `segment-logging deliver` is sending a file of a dead process."""
    return os.path.basename(folder.path).endswith(HANDED_OVER) and is_locked(folder, name)


def has_messages_of_dead(live: Folder, known: Container[str]) -> bool:
    """Return whether a process that is gone has left messages here.

    Args:
        live: the directory that contains the handlers' directories.
        known: names of directories that do not count.
    """
    for name in directory_names(live):
        if name not in known:
            with suppress(OSError), live.folder(name) as folder:
                if not is_owned(folder) and file_names(folder):
                    return True
    return False


def remove_directory(live: Folder, folder: Folder) -> None:
    """Remove an empty directory of a process that is gone, if nothing else is in it."""
    with suppress(OSError):
        _unlink_all(folder, ROOM, OWNER_LOCK)
        live.rmdir(os.path.basename(folder.path))


def _unlink_all(folder: Folder, *names: str) -> None:
    for name in names:
        with suppress(FileNotFoundError):
            folder.unlink(name)


def seal(file: JournalFile) -> None:
    """Let others read a file, because nothing more is written to it. It may be closed later."""
    unlock(file.descriptor)


def directory_names(live: Folder) -> Iterator[str]:
    """Yield the names of the directories in `live`, oldest first. Remove unfinished ones."""
    for name in live.names():
        if not name.startswith("."):
            yield name
        elif name.startswith(MAKING) and _age(live, name) > _ABANDONED_AFTER:
            with suppress(OSError), live.folder(name) as folder:
                remove_directory(live, folder)


def _age(live: Folder, name: str) -> float:
    try:
        found = os.stat(name, dir_fd=live.descriptor, follow_symlinks=False)
        return seconds_since_epoch() - found.st_mtime
    except OSError:
        return 0.0


@in_forked_child
def _close_inherited_locks() -> None:
    """Close the parent's locks, which would otherwise be held for as long as this child lives.

    One of them may be the lock of a directory that another thread was making or giving up.
    """
    for lock, pid in tuple(_locks.items()):
        if pid != os.getpid():
            with suppress(OSError):
                _close_lock(lock)


def _open_lock(folder: Folder, flags: int) -> int:
    lock = folder.open(OWNER_LOCK, flags)
    _locks[lock] = os.getpid()
    return lock


def _close_lock(lock: int) -> None:
    if _locks.pop(lock, None) is not None:  # otherwise it may belong to another file by now
        os.close(lock)
