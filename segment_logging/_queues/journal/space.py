"""How much all processes together may keep in a journal.

`max_journal_bytes` applies to the disk space, in whole blocks, of all processes that share a write
key. With `deliver=False`, a file may contain a single event, so the blocks can be many times the
contents. To keep the limit, each process would have to look at the files of all processes before it
writes. Instead, a process reserves some room at a time, and notes in its directory up to which size
the directory may grow. The sum of what all processes have reserved is in `space.lock`, so that a
short-lived process need not look at the directories of thousands of others. The sum is never too
small. Only if it leaves no room are all directories measured again, under a lock, and at most once
a second if there is no room. Delivered messages make room at once, also for other processes,
because a process gives back what it has reserved and no longer needs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress

from ..._clock import seconds_since_epoch
from ..._files import Folder
from ..._locks import try_lock, unlock
from ..._process.threads import sleep
from .directory import ROOM, JournalDirectory, directory_names
from .place import Place
from .stored import BLOCK_BYTES, MAX_STORED_BYTES, on_disk

_SHARE = 100  # a process reserves this part of the limit at a time
_OF_DIRECTORY_BYTES = 2 * BLOCK_BYTES  # the directory itself and `room`
_LEAST_BYTES = 65_536  # or this much, which is at least one message
_RETRY_PAUSE = 1.0  # seconds until the next look, if there was no room
_PAUSE_FACTOR = 10  # or this many times as long as the look took, if there are very many files
_LOCK_TRIES, _LOCK_PAUSE = 20, 0.001  # seconds
_SUM_LASTS = 600.0  # seconds until all directories are measured again, in case others wrote to them


class Space:
    """The room that this handler may use.

    Args:
        place: where the journal is.
        max_bytes: the limit for all processes.
        clock: returns the monotonic time in seconds.
    """

    def __init__(self, place: Place, max_bytes: int, *, clock: Callable[[], float]) -> None:
        self._place = place
        self._max_bytes = max_bytes
        self._clock = clock
        self._not_before = 0.0
        self.reserved_bytes = 0
        """The size up to which this handler's directory may grow."""

    def reserve(
        self,
        directory: JournalDirectory,
        measure: Callable[[], int],
        former: Iterable[JournalDirectory] = (),
    ) -> bool:
        """Reserve more room. Return False if there is none.

        Args:
            directory: this handler's directory.
            measure: returns the size that it has to grow to, together with `former`.
            former: this handler's other directories.

        Raises:
            OSError: if that cannot be found out.
        """
        began = self._clock()
        if began < self._not_before:
            return False
        needed_bytes = measure()
        # The first share is small, because a short-lived process never gives back what it reserved.
        share = (
            max(self._max_bytes // _SHARE, _LEAST_BYTES) if self.reserved_bytes else _LEAST_BYTES
        )
        wanted = needed_bytes + share
        with self._place.key_folder(make=True) as folder:
            lock = folder.open("space.lock", os.O_RDWR | os.O_CREAT)
            try:
                is_locked = _lock_soon(lock)
                total, counted_at = _read_sum(lock)
                others = total - self.reserved_bytes
                if seconds_since_epoch() - counted_at < _SUM_LASTS and (
                    others + wanted <= self._max_bytes
                ):
                    self._note(directory, wanted)
                else:
                    counted_at = seconds_since_epoch()
                    others = self._used_by_others(directory, *former)
                    reserved = min(wanted, self._max_bytes - others)
                    if reserved >= needed_bytes:
                        self._note(directory, reserved)
                if is_locked:
                    _write_sum(lock, others + self.reserved_bytes, counted_at)
            finally:
                unlock(lock)  # also for children that were forked meanwhile
                os.close(lock)
        if self.reserved_bytes >= needed_bytes:
            return True
        ended = self._clock()
        self._not_before = ended + max(_RETRY_PAUSE, _PAUSE_FACTOR * (ended - began))
        return False

    def give_back(self, directory: JournalDirectory, used_bytes: int) -> None:
        """Reserve less, if much more is reserved than is used. Not during a logging call.

        Args:
            directory: this handler's directory.
            used_bytes: the size of this handler's files.
        """
        share = max(self._max_bytes // _SHARE, _LEAST_BYTES)
        surplus = self.reserved_bytes - used_bytes - share
        if surplus < share:
            return
        with suppress(OSError), self._place.key_folder() as folder:
            lock = folder.open("space.lock", os.O_RDWR)
            try:
                if try_lock(lock):
                    total, counted_at = _read_sum(lock)
                    self._note(directory, self.reserved_bytes - surplus)
                    _write_sum(lock, max(0, total - surplus), counted_at)
            finally:
                unlock(lock)
                os.close(lock)

    def look_again(self) -> None:
        """Note that there may be room again."""
        self._not_before = 0.0

    def forget(self) -> None:
        """Start over, because the directory was given up."""
        self.reserved_bytes = 0

    def _note(self, directory: JournalDirectory, reserved: int) -> None:
        file = directory.folder.open(ROOM, os.O_WRONLY | os.O_CREAT)
        try:
            os.write(file, b"%020d" % reserved)
        finally:
            os.close(file)
        self.reserved_bytes = reserved

    def _used_by_others(self, *own: JournalDirectory) -> int:
        """Return what the directories of other handlers hold or may grow to."""
        used = 0
        names_of_own = {os.path.basename(one.path) for one in own}
        with self._place.live() as live:
            for name in directory_names(live):
                if name not in names_of_own:
                    with suppress(OSError), live.folder(name, is_ours=False) as folder:
                        used += _size_bytes_of(folder, may_grow=_is_alive(name))
        return used


def _read_sum(file: int) -> tuple[int, float]:
    """Return what all processes have reserved, and when that was counted, since the epoch."""
    with suppress(OSError, ValueError):
        total, counted_at = os.pread(file, 100, 0).split()
        return int(total), int(counted_at)
    return 0, 0.0


def _write_sum(file: int, total: int, counted_at: float) -> None:
    with suppress(OSError):  # the disk is full: all directories are measured next time
        os.pwrite(file, b"%020d %020d" % (total, counted_at), 0)


def _lock_soon(lock: int) -> bool:
    """Lock a file, which another process holds for a millisecond, unless it was stopped.

    Without the lock, two processes may reserve the same room. The journal may then exceed its limit
    by as much, which is better than a message that is not in the journal.
    """
    for _ in range(_LOCK_TRIES):
        if try_lock(lock):
            return True
        sleep(_LOCK_PAUSE)
    return False


def _size_bytes_of(folder: Folder, *, may_grow: bool) -> int:
    # A larger file is not ours. If it is sparse, it takes up no room on the disk.
    size_bytes = sum(
        on_disk(size) for name, size in folder.sizes() if name != ROOM and size <= MAX_STORED_BYTES
    )
    if may_grow:
        size_bytes = max(size_bytes, _room_of(folder))
    return size_bytes + _OF_DIRECTORY_BYTES


def _room_of(folder: Folder) -> int:
    with suppress(OSError, ValueError):
        file = folder.open(ROOM, os.O_RDONLY)
        try:
            return int(os.read(file, 20))
        finally:
            os.close(file)
    return 0


def _is_alive(name: str) -> bool:
    """Return whether the process that a directory is named after is there, as far as is known."""
    with suppress(ValueError, IndexError, OverflowError):
        pid = int(name.split("-")[1])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True
    return True
