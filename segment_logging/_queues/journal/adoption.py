"""The directories of processes that are gone: their messages are sent, and they are removed.

What they contain was accepted by a process that can no longer send it. Only one process at a time
adopts directories, the one that holds `adopting.lock`. So nobody needs to hold a lock of each, and
the messages of thousands of them fit into one batch. The delivery thread only.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from contextlib import suppress
from functools import partial

from ..._files import Folder
from ..._locks import is_locked, try_lock, unlock
from ..._reports import Reporter, counted
from ..outgoing import Portion
from .directory import directory_names, file_names, is_being_delivered, is_owned, remove_directory
from .place import Place
from .quarantine import Quarantine
from .stored import Adopted, Collection, StoredFile, is_message, is_passing

LANE = 1
"""The lane of these messages."""


class Adoption:
    """The directories that this process takes over, oldest first.

    Args:
        place: where the journal is.
        quarantine: keeps what is damaged.
        reporter: reports what cannot be read or removed.
    """

    def __init__(self, place: Place, quarantine: Quarantine, reporter: Reporter) -> None:
        self._place = place
        self._quarantine = quarantine
        self._reporter = reporter
        self._lock = -1
        self._live: Folder | None = None  # open while the lock is held
        self._names: deque[str] = deque()  # of directories that were not looked into yet
        self._current: Adopted | None = None
        self._unsettled: dict[str, Adopted] = {}
        self._collected = Collection(LANE)
        self._pending: set[str] = set()  # all directories in the above
        self._unread: set[str] = set()  # directories with something that cannot be read
        self._reported: set[str] = set()  # paths of what cannot be read or removed
        self.left: set[str] = set()
        """Directories with nothing but files that were sent and cannot be removed."""
        self._sent: set[tuple[str, str]] = set()  # files that were sent and cannot be removed
        # By directory: messages of files that are not read yet, but already counted as accepted.
        self._expected: dict[str, int] = {}
        self.accepted = 0
        """How many messages were found."""
        self.damaged = 0
        """How many lines were not messages."""

    def expect(self, name: str, messages: int) -> None:
        """Count what this process has released in a directory until somebody else takes it."""
        if messages:
            self._expected[name] = self._expected.get(name, 0) + messages
            self.accepted += messages

    def look_around(self, own: set[str]) -> None:
        """Find the directories whose owners may be gone.

        Args:
            own: the names of this handler's directories.

        Raises:
            OSError: if they cannot be listed.
        """
        try:
            self._open()
            if self._live is None:
                with self._place.live() as live:
                    found = list(directory_names(live))
            else:
                found = list(directory_names(self._live))
        except FileNotFoundError:
            found = []
        for name in self._expected.keys() - set(found):  # others have sent it
            self.accepted -= self._expected.pop(name)
        if self._lock >= 0:
            self._add(found, own)
        self._close_if_done()

    def _add(self, found: list[str], own: set[str]) -> None:
        """Add the directories that are not known yet."""
        self._unread.clear()  # that may have changed
        known = own | self._pending | self.left
        new = [name for name in found if name not in known]
        self._pending.update(new)
        self._names.extend(new)

    def _open(self) -> None:
        """Take the lock, unless another process holds it."""
        if self._lock >= 0:
            return
        with self._place.key_folder() as folder:
            live = folder.folder("live")  # raises, if there is nothing to adopt
            lock = folder.open("adopting.lock", os.O_RDWR | os.O_CREAT)
        try:
            if try_lock(lock):
                self._prove(lock)
                self._lock, self._live = lock, live
        finally:
            if self._lock < 0:
                os.close(lock)
                live.close()

    def _prove(self, lock: int) -> None:
        """Check that nobody else can take the lock that we hold. Otherwise nothing is adopted.

        Raises:
            OSError: if somebody else can.
        """
        with self._place.key_folder() as folder:
            again = folder.open("adopting.lock", os.O_RDWR | os.O_CREAT)
        try:
            if os.path.samestat(os.fstat(lock), os.fstat(again)) and is_locked(again):
                return
        finally:
            os.close(again)
        raise OSError(errno.ENOLCK, "file locks do not work here, or the lock file was replaced")

    def collect(self) -> Portion | None:
        """Return the next batch, as full as possible, or None if nothing is left."""
        self._collect()
        portion = self._collected.take()
        if portion is None:
            self._close_if_done()
        return portion

    def _collect(self) -> None:
        while not self._collected.is_full and (name := self._next_file()) is not None:
            assert self._current is not None and self._live is not None
            directory = self._current
            try:
                with self._live.folder(directory.name) as folder:
                    if is_being_delivered(folder, name):
                        directory.files.clear()
                        continue
                    lines, damaged = self._quarantine.lines_of(folder, name, is_message)
            except FileNotFoundError:
                directory.files.popleft()
                continue
            except OSError as error:
                if is_passing(error):
                    raise
                directory.files.popleft()
                self._skip(directory, name, "read", error)
                continue
            directory.files.popleft()
            self.damaged += damaged
            self._count(directory.name, len(lines))
            self._unsettled[directory.name] = directory
            file = StoredFile(len(lines), partial(self._remove, directory, name))
            directory.stored[name] = file
            if lines:
                self._collected.add(file, lines)
            else:
                file.settle(0, set_aside=False)

    def _next_file(self) -> str | None:
        """Return the name of the next file of the current directory, which may be another one."""
        while self._current is None or not self._current.files:
            if self._current is not None:
                self._finish(self._current)
            self._current = None
            if self._live is None or not self._names:
                return None
            self._look_into(self._live, self._names.popleft())
        return self._current.files[0]

    def _look_into(self, live: Folder, name: str) -> None:
        try:
            with live.folder(name) as folder:
                if not is_owned(folder):
                    files = (file for file in file_names(folder) if (name, file) not in self._sent)
                    self._current = Adopted(name, files)
                    return
        except FileNotFoundError:
            pass
        except OSError as error:
            if is_passing(error):
                self._names.appendleft(name)
                raise
            self._skip(None, name, "read", error)
        self._pending.discard(name)

    def _count(self, directory: str, messages: int) -> None:
        counted_before = min(messages, self._expected.get(directory, 0))
        if counted_before:
            self._expected[directory] -= counted_before
        self.accepted += messages - counted_before

    def _remove(self, directory: Adopted, name: str, is_set_aside: bool) -> None:
        """Remove a file that is settled, and its directory after the last file."""
        del directory.stored[name]
        try:
            if self._live is not None:
                with self._live.folder(directory.name) as folder:
                    self._quarantine.remove(folder, name, set_aside=is_set_aside)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._sent.add((directory.name, name))
            self._skip(directory, name, "removed", error)
        self._finish(directory)
        self._close_if_done()

    def _finish(self, directory: Adopted) -> None:
        """Remove a directory once everything in it is settled."""
        if directory.files or directory.stored:
            return
        self._unsettled.pop(directory.name, None)
        self.accepted -= self._expected.pop(directory.name, 0)
        if directory.is_left:
            if directory.name not in self._unread:
                self.left.add(directory.name)
        elif self._live is not None:
            with suppress(OSError), self._live.folder(directory.name) as folder:
                if not file_names(folder):
                    remove_directory(self._live, folder)
        self._pending.discard(directory.name)  # last, because others go by it

    def _skip(self, directory: Adopted | None, name: str, what: str, error: OSError) -> None:
        """Leave a file or directory where it is. What follows does not have to wait for it."""
        path = os.path.join(self._place.live_path, name)
        if directory is not None:
            directory.is_left = True
            path = os.path.join(self._place.live_path, directory.name, name)
        if what == "read":
            self._unread.add(name if directory is None else directory.name)
        if path in self._reported:
            return
        self._reported.add(path)
        why = error.strerror
        self._reporter.each(
            f"skipped {what}",
            1,
            lambda count: (
                f"{counted(count, 'journal file')} cannot be {what} ({why}): check {path}"
            ),
        )

    def release(self) -> None:
        """Release the directories, for whoever adopts them next."""
        for directory in self._unsettled.values():
            left = sum(file.left for file in directory.stored.values())
            self._expected[directory.name] = self._expected.get(directory.name, 0) + left
        self._unsettled.clear()
        self._collected = Collection(LANE)
        self._close()

    def _close_if_done(self) -> None:
        """Release the lock once everything is settled."""
        if self.is_empty and not self._unsettled:
            self._close()

    def _close(self) -> None:
        self._names.clear()
        self._pending.clear()
        self._current = None
        if self._live is not None:
            self._live.close()
            self._live = None
        lock, self._lock = self._lock, -1
        if lock >= 0:
            unlock(lock)  # also for children that were forked meanwhile
            os.close(lock)
            self._place.tidy()

    def abandon(self) -> None:
        """In a forked child: close what belongs to the parent."""
        if self._live is not None:
            self._live.close()
        if self._lock >= 0:
            os.close(self._lock)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to collect."""
        return not self._names and self._collected.is_empty and not self._has_files

    @property
    def _has_files(self) -> bool:
        return self._current is not None and bool(self._current.files)

    @property
    def has_backlog(self) -> bool:
        """Whether something is left to send, as far as is known, or cannot be read."""
        return bool(self._pending) or bool(self._unread)
