"""Adoption of the journal directories of dead processes.

A directory whose lock is free belongs to a dead process. This process takes it over, sends the
messages in it and removes it. A line that is not a message is moved to the quarantine, and the
lines after it are still sent. Everything here runs in the listener's thread.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterator

from ..._files import size_bytes_of
from ..._messages.batch import Batch
from ..._messages.batcher import batches_of
from ..._reports import report
from .directory import JournalDirectory, directories
from .quarantine import Quarantine, is_message

_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN)
_MAX_ADOPTED = 8  # directories at a time, because each uses a file descriptor


class Adoption:
    """The directories that this process has taken over, oldest first.

    Args:
        live: the write key's `live` directory. See `directory`.
        quarantine: receives damaged lines, and files that are set aside.
    """

    def __init__(self, live: str, quarantine: Quarantine) -> None:
        self._live = live
        self._quarantine = quarantine
        self._adopted: deque[JournalDirectory] = deque()
        self._files: deque[str] = deque()  # files of the first directory
        self._batches: deque[Batch] = deque()  # batches of the first file
        self._set_aside = False  # whether to set the first file aside
        self._sent: set[str] = set()  # files to skip: they could not be read or removed
        self._has_seen_all = False
        self._left: set[str] = set()  # directories that contain only such files
        # For each directory, the number of messages that are counted as accepted but not read yet.
        self._expected: dict[str, int] = {}
        self.size_bytes = 0
        """Total size of the other directories in `live`, as of the last look."""
        self.accepted = 0
        """Number of messages found."""
        self.acknowledged = 0
        """Number of messages found that were acknowledged."""
        self.damaged = 0
        """Number of lines that were not messages."""

    def expect(self, path: str, messages: int) -> None:
        """Keep counting the messages of a released directory until another process adopts it."""
        self._expected[path] = self._expected.get(path, 0) + messages
        self.accepted += messages

    def look_around(self, own: str | None) -> None:
        """Take over directories in `live` whose owners are dead, a few at a time.

        Args:
            own: the path of this handler's directory, or None if it has none.

        Raises:
            OSError: a directory could not be opened, for example for lack of file descriptors.
        """
        size_bytes = 0
        adopted = {directory.path for directory in self._adopted}
        taken_by_others = self._expected.keys() - adopted
        has_seen_all = True
        trouble: OSError | None = None
        for path in directories(self._live):
            if path == own:
                continue
            size_bytes += size_bytes_of(path)
            if path in adopted or path in self._left:
                continue
            if len(self._adopted) == _MAX_ADOPTED:
                has_seen_all = False
                taken_by_others.discard(path)
                continue
            try:
                directory = JournalDirectory.adopt(path)
            except OSError as error:  # raised below, after trying the others
                trouble = error
                # Try again if descriptors ran out, but not if the directory is another user's.
                if error.errno in _PASSING:
                    has_seen_all = False
                    taken_by_others.discard(path)
                continue
            if directory is not None:
                self._adopted.append(directory)
                taken_by_others.discard(path)
        for path in taken_by_others:
            self.accepted -= self._expected.pop(path)
        self.size_bytes = size_bytes
        self._has_seen_all = has_seen_all
        if trouble is not None:
            raise trouble

    def take(self) -> Batch | None:
        """Return the oldest batch, or None if there is none."""
        while not self._batches and self._adopted:
            if not self._files:
                found = self._adopted[0].files()
                self._files.extend(path for path in found if path not in self._sent)
            if self._files:
                try:
                    self._batches.extend(self._read(self._files[0]))
                except OSError as error:
                    if error.errno in _PASSING:
                        raise
                    # The file stays where it is, and the next file is read.
                    self._pass_over(self._files.popleft(), "read", error)
                    if self._files:
                        continue
            self._tidy()
        return self._batches[0] if self._batches else None

    def acknowledge(self, messages: int, *, set_aside: bool) -> None:
        """Forget messages of the last batch taken. See `MessageQueue`."""
        self._set_aside |= set_aside
        self.acknowledged += messages
        left = self._batches[0].without(messages)
        if left is not None:
            self._batches[0] = left
            return
        self._batches.popleft()
        self._tidy()

    def _tidy(self) -> None:
        """Remove the first file once it is settled, and the directory after its last file."""
        if self._batches:
            return
        if self._files:
            path = self._files.popleft()
            try:
                self._quarantine.remove(path, set_aside=self._set_aside)
            except FileNotFoundError:
                pass
            except OSError as error:
                self._pass_over(path, "removed", error)
            self._set_aside = False
        if not self._files:
            directory = self._adopted.popleft()
            self.accepted -= self._expected.pop(directory.path, 0)
            if not self._sent.isdisjoint(directory.files()):
                self._left.add(directory.path)
            directory.give_up()

    def _pass_over(self, path: str, what: str, error: OSError) -> None:
        if path not in self._sent:
            self._sent.add(path)
            report(f"a journal file cannot be {what} ({error.strerror}): check {path}")

    def _read(self, path: str) -> Iterator[Batch]:
        whole, damaged = self._quarantine.lines_of(path, is_message)
        self.damaged += damaged
        yield from batches_of(whole)
        directory = os.path.dirname(path)
        counted = min(len(whole), self._expected.get(directory, 0))
        if counted:
            self._expected[directory] -= counted
        self.accepted += len(whole) - counted

    def release(self) -> None:
        """Release the directories, so that another process can take them over."""
        if self._batches:
            self._expected.setdefault(self._adopted[0].path, 0)
            self._expected[self._adopted[0].path] += sum(map(len, self._batches))
        while self._adopted:
            self._adopted.popleft().give_up()
        self._files.clear()
        self._batches.clear()
        self._has_seen_all = self._set_aside = False

    def abandon(self) -> None:
        """Close the parent's locks in a forked child."""
        for directory in self._adopted:
            directory.close()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing left to take."""
        return not self._adopted

    @property
    def has_backlog(self) -> bool:
        """Whether there are, or may be, messages left to send."""
        return bool(self._adopted) or not self._has_seen_all

    @property
    def wants_to_look(self) -> bool:
        """Whether there may be more directories to take over, and there is room for them."""
        return not self._adopted and not self._has_seen_all
