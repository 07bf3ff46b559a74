"""The caller's side of the journal, which appends lines to files in this handler's directory."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable

from ..._messages.batcher import Batcher
from ..._messages.limits import MAX_BATCH_BYTES, MAX_BATCH_MESSAGES
from ..._process.threads import new_rlock
from .directory import JournalDirectory, JournalFile
from .sync import Sync

MAX_FILE_BYTES = MAX_BATCH_BYTES - Batcher().size_bytes  # a newline is as long as a comma
"""Maximum size of a file, so that it fits in one batch."""

_RETRY_PAUSE = 1.0  # seconds before trying again to create a directory or file


class Writer:
    """Appends lines to files, each of which becomes one batch. Any thread may call it.

    The directory is created with the first line.

    Args:
        live: the write key's `live` directory. See `directory`.
        sync: decides when lines are synced to disk.
        max_bytes: the maximum total size of all files in `live`.
        clock: returns the monotonic time in seconds.

    Attributes:
        sealed: the files that are ready to be sent, oldest first.
        size_bytes: the total size of our own files.
        written: the number of lines written, excluding those that were released.
        trouble: the error of the last write, or None if it succeeded.
    """

    def __init__(
        self, live: str, sync: Sync, *, max_bytes: int, clock: Callable[[], float]
    ) -> None:
        self._live = live
        self._sync = sync
        self._max_bytes = max_bytes
        self._clock = clock
        self.lock = new_rlock()
        """Held while a file is written to, sealed or released."""
        self._is_writing = False
        self._directory: JournalDirectory | None = None
        self._file: JournalFile | None = None
        self.sealed: deque[JournalFile] = deque()
        self.size_bytes = 0
        self.written = 0
        self.trouble: OSError | None = None
        self._not_before = 0.0

    def append(self, line: bytes, others_bytes: int) -> bool:
        """Append a line. Return False if it is refused.

        Args:
            line: the line, without its newline.
            others_bytes: the total size of other processes' files.
        """
        with self.lock:
            if self._is_writing:
                return False  # a signal handler is interrupting the lines below
            self._is_writing = True
            try:
                return self._write(line + b"\n", others_bytes)
            except OSError as error:
                self.trouble = error
                self._not_before = self._clock() + _RETRY_PAUSE
                return False
            finally:
                self._is_writing = False

    def _write(self, line: bytes, others_bytes: int) -> bool:
        """Append a line with a single write. Return False if it is refused.

        Raises:
            OSError: the line could not be written.
        """
        size_bytes = len(line)
        if self.size_bytes + others_bytes + size_bytes > self._max_bytes:
            self.trouble = OSError(errno.EDQUOT, "max_journal_bytes is reached")
            return False
        file = self._file
        if (
            file is None
            or file.size_bytes + size_bytes > MAX_FILE_BYTES
            or file.messages == MAX_BATCH_MESSAGES
        ):
            file = self._next_file()
        written = os.write(file.descriptor, line)
        if written != size_bytes:  # a full disk stores what fits, without an error
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
            self.trouble = None
        return True

    def _next_file(self) -> JournalFile:
        self.seal()
        if self._clock() < self._not_before:
            raise self.trouble or OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        if self._directory is None:
            self._directory = self._make_directory()
        try:
            self._file = self._directory.new_file()
        except FileNotFoundError:  # someone removed the directory
            self._directory.close()
            self._directory = self._make_directory()
            self._file = self._directory.new_file()
        self._sync.made_file_in(self._directory.path)
        return self._file

    def _make_directory(self) -> JournalDirectory:
        directory = JournalDirectory.make(self._live)
        self._sync.made_file_in(self._live)
        return directory

    def _undo(self, file: JournalFile, written: int) -> None:
        """Remove a partly written line. If that fails, write nothing after it."""
        try:
            os.ftruncate(file.descriptor, os.fstat(file.descriptor).st_size - written)
        except OSError:
            self.seal()

    def seal(self) -> None:
        """Stop writing to the current file, so that it can be sent."""
        with self.lock:
            file = self._file
            if file is None:
                return
            self._file = None
            self.sealed.append(file)  # first, as a signal handler may raise after any call
            self._sync.done_with(file)

    def forget(self, file: JournalFile) -> None:
        """Record that a file was removed, which makes room for others."""
        file.is_unlinked = True
        with self.lock:
            self.size_bytes -= file.size_bytes

    def let_go(self) -> JournalDirectory | None:
        """Hand over the directory and its files to the caller. Return None if there is none."""
        with self.lock:
            self.seal()
            directory, self._directory = self._directory, None
            self.sealed.clear()
            self.size_bytes = 0
            self._sync.finish()
            return directory

    def abandon(self) -> None:
        """Close the parent's files in a forked child, without changing them."""
        if self._directory is not None:
            self._directory.close()
        if self._file is not None:
            self._file.close()
        self._sync.abandon()

    @property
    def path(self) -> str | None:
        """The path of this handler's directory, or None if there is none."""
        directory = self._directory
        return None if directory is None else directory.path

    @property
    def is_empty(self) -> bool:
        """Whether none of our own files is waiting to be sent."""
        return not self.sealed and self._file is None
