"""The caller's side of the journal: one line, one write, in files of this handler's directory."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from ..._messages.batcher import Batcher
from ..._messages.limits import MAX_BATCH_BYTES, MAX_BATCH_MESSAGES
from ..._process.threads import new_rlock
from .directory import JournalDirectory, JournalFile, seal
from .place import LIMIT_REACHED, Place
from .space import Space
from .stored import on_disk
from .sync import Sync

MAX_FILE_BYTES = MAX_BATCH_BYTES - Batcher().size_bytes  # a newline is as long as a comma
"""The size up to which a file's messages fit into one batch."""

_RETRY_PAUSE = 1.0  # seconds until the next try to make a directory or file


class _TooSoonError(Exception):
    """The next try to make a directory or file is not due yet."""


class Writer:
    """Appends lines to files, each of which makes one batch. Any thread.

    The directory is made with the first line.

    Args:
        place: where the journal is.
        sync: decides when lines are written to the disk.
        max_bytes: the limit on the files of all processes.
        clock: returns the monotonic time in seconds.

    Attributes:
        sealed: the files that nothing more is written to, oldest first.
        size_bytes: the size of all files of this handler. Sealed files count as whole blocks of
            the disk.
        written: how many lines were written, without those that were released.
        trouble: why the last line could not be written, or None if it could.
    """

    _suffix = ""  # of its directory's name

    def __init__(
        self, place: Place, sync: Sync, *, max_bytes: int, clock: Callable[[], float]
    ) -> None:
        self._place = place
        self._sync = sync
        self._space = Space(place, max_bytes, clock=clock)
        self._clock = clock
        self.lock = new_rlock()
        """Held while a file is written to, sealed or released."""
        self._is_writing = False
        self._directory: JournalDirectory | None = None
        self._former: list[JournalDirectory] = []  # removed by somebody, or without their lock
        self._file: JournalFile | None = None
        self.sealed: deque[JournalFile] = deque()
        self.size_bytes = 0
        self.written = 0
        self.trouble: OSError | None = None
        self._not_before = 0.0

    def append(self, line: bytes) -> bool:
        """Append a line, given without its newline. Return False if it is refused."""
        with self.lock:
            if self._is_writing:
                return False  # a signal handler interrupted the lines below
            self._is_writing = True
            try:
                return self._write(line + b"\n")
            except _TooSoonError:
                return False
            except OSError as error:
                self.trouble = error
                self._not_before = self._clock() + _RETRY_PAUSE
                return False
            finally:
                self._is_writing = False

    def _write(self, line: bytes) -> bool:
        """Write a line with one write. Return False if it is refused.

        Raises:
            OSError: if the line is not in the file.
            _TooSoonError: likewise, because the last try to make a file was a moment ago.
        """
        size_bytes = len(line)
        file = self._file
        if (
            file is None
            or file.size_bytes + size_bytes > MAX_FILE_BYTES
            or file.messages == MAX_BATCH_MESSAGES
        ):
            self.seal()
            file = None
        directory = self._directory if file is not None else self._directory_in_place()
        needed_bytes = self.size_bytes + size_bytes
        if needed_bytes > self._space.reserved_bytes:
            assert directory is not None
            if not self._space.reserve(
                directory, lambda: self._measured() + size_bytes, self._former
            ):
                self.trouble = OSError(errno.EDQUOT, LIMIT_REACHED)
                return False
        if file is None:
            assert directory is not None
            file = self._file = directory.new_file()
            self._sync.made_file_in(directory.path)
            self._began_file()
        written = os.write(file.descriptor, line)
        if written != size_bytes:  # a full disk takes as much as fits, and reports no error
            self._undo(file, written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        try:
            self._sync.wrote(file)
        except OSError:
            self._undo(file, written)
            raise
        file.size_bytes += size_bytes
        file.messages += 1
        self.size_bytes += size_bytes
        self.written += 1
        if self.trouble is not None:
            self.trouble, self._not_before = None, 0.0
        return True

    def store(self, lines: Sequence[bytes]) -> JournalFile:
        """Write a batch into a file of its own, which is sealed. The delivery thread only.

        Its lines do not count as written. The lock is not held while they are written, so that
        nobody has to wait who appends a line.

        Raises:
            OSError: they could not be written, and the file is removed.
        """
        content = b"".join(line + b"\n" for line in lines)
        with self.lock:
            if self._is_writing:
                raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            self._is_writing = True
            try:
                self._not_before = 0.0  # that pause is for callers
                directory = self._directory_in_place()
                needed_bytes = self.size_bytes + on_disk(len(content))
                has_room = needed_bytes <= self._space.reserved_bytes
                if not has_room and not self._space.reserve(
                    directory, lambda: needed_bytes, self._former
                ):
                    raise OSError(errno.EDQUOT, LIMIT_REACHED)
                file = directory.new_file()
                file.size_bytes, file.messages = len(content), len(lines)
                self.size_bytes = needed_bytes
            finally:
                self._is_writing = False
        try:
            self._sync.made_file_in(directory.path)
            if os.write(file.descriptor, content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._sync.wrote(file)
        except BaseException:
            with suppress(OSError):
                file.folder.unlink(file.name)
            file.close()
            self.forget(file)
            raise
        seal(file)
        self._sync.done_with(file)
        self.trouble = None
        return file

    def _directory_in_place(self) -> JournalDirectory:
        """Return this handler's directory, which may be a new one.

        Raises:
            OSError: if it cannot be made.
            _TooSoonError: if the last try was a moment ago.
        """
        if self._clock() < self._not_before:
            raise _TooSoonError  # which must not put off the next try, or there would be none
        directory = self._directory
        if directory is not None and not directory.is_in_place:
            # Others cannot see any more that it is owned, or it is gone: its files are still ours.
            self._former.append(directory)
            self._directory = directory = None
            self._close_former()
        if directory is None:
            directory = JournalDirectory.make(self._place, self._suffix)
            self._space.forget()
            self._sync.made_file_in(os.path.dirname(directory.path))
        self._directory = directory
        return directory

    def _measured(self) -> int:
        """Return the size of this handler's files, before more room is reserved."""
        return self.size_bytes

    def _began_file(self) -> None:
        """Note that there is a new file."""

    def _undo(self, file: JournalFile, written: int) -> None:
        """Remove a line that was half written or, if that fails, write nothing after it."""
        try:
            os.ftruncate(file.descriptor, os.fstat(file.descriptor).st_size - written)
        except OSError:
            self.seal()

    def seal(self) -> None:
        """Write nothing more to the current file, so that it can be sent."""
        with self.lock:
            file = self._file
            if file is None:
                return
            self._file = None
            self.size_bytes += on_disk(file.size_bytes) - file.size_bytes
            self.sealed.append(file)  # first, because a signal handler may raise after any call
            seal(file)
            self._sync.done_with(file)

    def forget(self, file: JournalFile) -> None:
        """Free the room of a file that is gone."""
        file.is_unlinked = True
        with self.lock:
            self.size_bytes -= on_disk(file.size_bytes)
            for directory in (self._directory, *self._former):
                if directory is not None and directory.folder is file.folder:
                    directory.unsettled -= 1
            self._close_former()
            if self._directory is not None:
                self._space.give_back(self._directory, self.size_bytes)

    def _close_former(self) -> None:
        """Close the former directories whose files are settled."""
        for former in tuple(self._former):
            if not former.unsettled:
                self._former.remove(former)
                former.close()

    def look_again(self) -> None:
        """Note that there may be room again, because messages were delivered."""
        self._space.look_again()

    def try_at_once(self) -> None:
        """Do not wait for the next try to make a file, because there may be no other."""
        self._not_before = 0.0

    def let_go(self) -> JournalDirectory | None:
        """Return the directory with everything that is in it, or None if there is none."""
        with self.lock:
            self.seal()
            directory, self._directory = self._directory, None
            for former in self._former:
                former.close()
            self._former.clear()
            self.sealed.clear()
            self.size_bytes = 0
            self._space.forget()
            self._sync.finish()
            return directory

    def abandon(self) -> None:
        """In a forked child: close what belongs to the parent, and change none of it."""
        for directory in (self._directory, *self._former):
            if directory is not None:
                directory.close()
        if self._file is not None:
            self._file.close()
        self._sync.abandon()

    @property
    def directory_names(self) -> set[str]:
        """The names of this handler's directories."""
        directories = (self._directory, *self._former)
        return {os.path.basename(one.path) for one in directories if one is not None}

    @property
    def is_empty(self) -> bool:
        """Whether no file of ours waits to be sent."""
        return not self.sealed and self._file is None
