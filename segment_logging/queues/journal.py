"""The queue on disk: every message is in a file before `put` returns.

A file is a batch, and unlinking it is the acknowledgement: no offsets, no states, no compaction,
and a full disk can still be acknowledged. A crash between the answer and the unlink sends the
batch again, with the same message ids, which Segment recognises: at least once, in order.

`put` holds a lock, unlike in memory: the listener must not seal a file under a writer's feet.
A signal handler that logs in the middle of a `put` is turned away, for the memory queue to serve.
"""

from __future__ import annotations

import errno
import os
import time
from collections import deque
from collections.abc import Callable
from threading import RLock

from ..batch import Batch
from ..batching import Batcher, batches_of
from ..limits import MAX_BATCH_BYTES, MAX_BATCH_MESSAGES
from ..reports import report
from .adoption import Adoption
from .directory import JournalDirectory, JournalFile, live_path
from .quarantine import Quarantine, looks_whole
from .sync import sync_of

_MAX_FILE_BYTES = MAX_BATCH_BYTES - Batcher().size_bytes  # a newline is as long as a comma
_NEVER = 1 << 62
_RETRY_PAUSE = 1.0  # seconds until another try to make a directory or file


class Journal:
    """Encoded messages in files of this process's directory, and in those of dead processes.

    Makes its directory with the first message. Listener's side: see `MessageQueue`.

    Args:
        root: the directory given as `journal`, shared by any number of processes.
        write_key: of the Segment source; each has its own directories.
        wake: wakes the listener; called when it asked for that by `watch`.
        max_bytes: of all files below `root` for this write key; more are refused.
        sync: "off", "interval" or "emit".
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        root: str,
        write_key: str,
        wake: Callable[[], None],
        *,
        max_bytes: int,
        sync: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._live = live_path(os.path.abspath(root), write_key)
        self._wake = wake
        self._max_bytes = max_bytes
        self._clock = clock
        self._sync = sync_of(sync)
        self._quarantine = Quarantine(root)
        self.adoption = Adoption(self._live, self._quarantine)
        self._writing = RLock()
        self._is_writing = False
        self._directory: JournalDirectory | None = None
        self._file: JournalFile | None = None
        self._sealed: deque[JournalFile] = deque()
        self._size_bytes = 0  # of all files of ours
        self._not_before = 0.0
        self._ring_at = 0
        self._put = 0
        # The listener's:
        self._taken: Batch | None = None
        self._is_adopted = False  # what was taken
        self._batches: deque[Batch] = deque()  # of the first sealed file
        self._put_back = False
        self._acknowledged = 0
        self.lost = 0
        """Messages whose files somebody removed."""
        self.trouble: OSError | None = None
        """Why messages could not be written last; None when they can."""

    def put(self, line: bytes) -> bool:
        with self._writing:
            if self._is_writing:
                return False  # a signal handler in the middle of the lines below
            self._is_writing = True
            try:
                is_in = self._append(line + b"\n")
            except OSError as error:
                self.trouble = error
                self._not_before = self._clock() + _RETRY_PAUSE
                return False
            finally:
                self._is_writing = False
        if is_in and self._size_bytes >= self._ring_at:
            self._ring_at = _NEVER
            try:
                self._wake()
            except BaseException:  # Ctrl-C in the middle: let the next message wake it
                self._ring_at = 0
                raise
        return is_in

    def _append(self, line: bytes) -> bool:
        """Write a line with one write; False when it is refused.

        Raises:
            OSError: it is not in the file.
        """
        size_bytes = len(line)
        if self._size_bytes + self.adoption.size_bytes + size_bytes > self._max_bytes:
            self.trouble = OSError(errno.EDQUOT, "max_journal_bytes is reached")
            return False
        file = self._file
        if (
            file is None
            or file.size_bytes + size_bytes > _MAX_FILE_BYTES
            or file.messages == MAX_BATCH_MESSAGES
        ):
            file = self._next_file()
        written = os.write(file.descriptor, line)
        if written != size_bytes:  # a full disk takes what fits, and says so only here
            self._undo(file, written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        try:
            self._sync.wrote(file)
        except OSError:
            self._undo(file, written)
            raise
        file.size_bytes += size_bytes
        file.messages += 1
        self._size_bytes += size_bytes
        self._put += 1
        if self.trouble is not None:
            self.trouble = None
        return True

    def _next_file(self) -> JournalFile:
        self._seal()
        if self._clock() < self._not_before:
            raise self.trouble or OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        if self._directory is None:
            self._directory = self._make_directory()
        try:
            self._file = self._directory.new_file()
        except FileNotFoundError:  # somebody removed the directory
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
        """Take a half-written line out again; failing that, write nothing after it."""
        try:
            os.ftruncate(file.descriptor, os.fstat(file.descriptor).st_size - written)
        except OSError:
            self._seal()

    def _seal(self) -> None:
        file = self._file
        if file is None:
            return
        self._file = None
        self._sealed.append(file)  # first: a signal handler may raise after any call
        self._sync.done_with(file)

    # The listener's side. -----------------------------------------------------------------------

    def watch(self, *, collecting: bool) -> None:
        self._ring_at = self._size_bytes + _MAX_FILE_BYTES if collecting else 0

    def take(self) -> Batch | None:
        self._ring_at = _NEVER
        if not self._put_back:
            self._is_adopted = True
            self._taken = self.adoption.take()
            if self._taken is None:
                self._is_adopted = False
                self._taken = self._take_own()
        self._put_back = False
        return self._taken

    def _take_own(self) -> Batch | None:
        if not self._sealed:
            with self._writing:
                self._seal()
        while self._sealed and not self._batches:
            self._batches.extend(batches_of(self._read(self._sealed[0])))
            if not self._batches:
                self._forget_file()
        return self._batches[0] if self._batches else None

    def _read(self, file: JournalFile) -> list[bytes]:
        """Return the lines of a sealed file. Raises OSError: to be tried again."""
        lines, _ = self._quarantine.lines_of(file.path, looks_whole)
        # A signal handler that raised in the middle of `put` left a line uncounted; what is
        # missing, somebody else took away.
        missing, file.messages = file.messages - len(lines), len(lines)
        if missing > 0:
            self.lost += missing
            self._acknowledged += missing
        else:
            with self._writing:
                self._put -= missing
        return lines

    def acknowledge(self, *, set_aside: bool = False) -> None:
        assert self._taken is not None
        if self._is_adopted:
            self.adoption.acknowledge(set_aside=set_aside)
        else:
            self._sealed[0].is_set_aside |= set_aside
            self._acknowledged += len(self._batches.popleft())
            if not self._batches:
                self._forget_file()
        self._taken = None

    def _forget_file(self) -> None:
        file = self._sealed.popleft()
        try:
            self._quarantine.remove(file.path, set_aside=file.is_set_aside)
        except FileNotFoundError:
            pass
        except OSError as error:
            report(f"a file of the journal cannot be removed ({error.strerror}): mend {file.path}")
        file.is_unlinked = True
        with self._writing:
            self._size_bytes -= file.size_bytes

    def put_back(self) -> None:
        self._put_back = True

    def look_around(self) -> None:
        """Adopt the directories of processes that died. Listener's thread, now and then."""
        own = self._directory
        self.adoption.look_around(own.path if own is not None else None)

    def release(self) -> None:
        """Let go of the directory, for whoever comes to deliver what is left in it."""
        with self._writing:
            self._seal()
            directory, self._directory = self._directory, None
            self._sealed.clear()
            self._size_bytes = 0
            self._put_back = False
            self._batches.clear()
            self._sync.finish()
            if directory is not None:
                left = self._put - self._acknowledged
                self.adoption.expect(directory.path, left)  # first: rather twice than not at all
                self._put -= left
        self.adoption.release()
        if directory is not None:
            directory.give_up()

    def abandon(self) -> None:
        """In a forked child: close what is the parent's, and touch nothing of it."""
        if self._directory is not None:
            self._directory.close()
        if self._file is not None:
            self._file.close()
        self._sync.abandon()
        self.adoption.abandon()

    @property
    def is_empty(self) -> bool:
        has_own = self._put_back or bool(self._sealed) or self._file is not None
        return not has_own and self.adoption.is_empty

    @property
    def has_full_batch(self) -> bool:
        return self._put_back or bool(self._sealed) or not self.adoption.is_empty

    @property
    def has_backlog(self) -> bool:
        return self.adoption.has_backlog

    perishable = 0

    @property
    def lanes(self) -> tuple[tuple[int, int], ...]:
        adopted = (self.adoption.accepted, self.adoption.acknowledged)
        return ((self._put, self._acknowledged), adopted)

    @property
    def accepted(self) -> int:
        return self._put + self.adoption.accepted

    @property
    def acknowledged(self) -> int:
        return self._acknowledged + self.adoption.acknowledged
