"""The directories of dead processes: found by their free locks, sent, removed.

What they hold was accepted by somebody who cannot send it any more. A line that is no message
goes to the quarantine, and what follows it is sent all the same. Listener's thread only.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterator

from ..batch import Batch
from ..batching import batches_of
from ..encoding import decode
from ..limits import MAX_MESSAGE_BYTES
from ..reports import report
from .directory import JournalDirectory, directories, make_private, size_bytes_of

_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN)
_MAX_ADOPTED = 8  # directories at a time: each holds a file descriptor of the application's
MAX_QUARANTINE_BYTES = 16 * 1024 * 1024
"""Bytes of damaged lines to keep; more are only counted."""
MAX_SET_ASIDE_BYTES = 256 * 1024 * 1024
"""Bytes of the whole quarantine beyond which files stay where they are, for another try."""


class Adoption:
    """The directories that this process took over, oldest first.

    Args:
        live: where the directories of one write key's processes are.
        quarantine: path of the file for damaged lines; made with the first.
    """

    def __init__(self, live: str, quarantine: str) -> None:
        self._live = live
        self._quarantine = quarantine
        self._adopted: deque[JournalDirectory] = deque()
        self._files: deque[str] = deque()  # of the first directory
        self._batches: deque[Batch] = deque()  # of the first file
        self._set_aside = False  # the first file is
        self._sent: set[str] = set()  # files that were answered for and cannot be removed
        self._has_seen_all = False
        self._released = 0  # let go of; still counted until somebody may have found it again
        self.size_bytes = 0
        """Bytes in `live` that are not this process's own, when it looked last."""
        self.accepted = 0
        """Messages found."""
        self.acknowledged = 0
        """Messages found that were answered for."""
        self.damaged = 0
        """Lines that were no messages."""

    def look_around(self, own: str | None) -> None:
        """Take over the directories in `live` whose owners are gone, a few at a time.

        Args:
            own: path of this process's directory.

        Raises:
            OSError: one cannot be opened just now, as when file descriptors run out.
        """
        self.accepted -= self._released
        self._released = 0
        size_bytes = 0
        adopted = {directory.path for directory in self._adopted}
        has_seen_all = True
        trouble: OSError | None = None
        for path in directories(self._live):
            if path == own:
                continue
            size_bytes += size_bytes_of(path)
            if path in adopted:
                continue
            if len(self._adopted) == _MAX_ADOPTED:
                has_seen_all = False
                continue
            try:
                directory = JournalDirectory.adopt(path)
            except OSError as error:  # the others are not its hostages
                trouble = error
                # Another user's will never be ours; else, as without descriptors, try again.
                has_seen_all = has_seen_all and isinstance(error, PermissionError)
                continue
            if directory is not None:
                self._adopted.append(directory)
        self.size_bytes = size_bytes
        self._has_seen_all = has_seen_all
        if trouble is not None:
            raise trouble

    def take(self) -> Batch | None:
        """Return the oldest batch, None when there is none."""
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
                    # It stays where it is; what follows is not its hostage.
                    self._pass_over(self._files.popleft(), "read", error)
                    if self._files:
                        continue
            self._tidy()
        return self._batches[0] if self._batches else None

    def acknowledge(self, *, set_aside: bool) -> None:
        """Forget the batch taken last; see `MessageQueue`."""
        self._set_aside |= set_aside
        self.acknowledged += len(self._batches.popleft())
        self._tidy()

    def _tidy(self) -> None:
        """Remove the first file when it holds nothing more, and the directory after its last."""
        if self._batches:
            return
        if self._files:
            path = self._files.popleft()
            try:
                self.remove(path, set_aside=self._set_aside)
            except FileNotFoundError:
                pass
            except OSError as error:
                self._pass_over(path, "removed", error)
            self._set_aside = False
        if not self._files:
            self._adopted.popleft().give_up()

    def remove(self, path: str, *, set_aside: bool) -> None:
        """Remove a file that was answered for, or move it to the quarantine, which takes no space.

        Raises:
            OSError: it is still where it was.
        """
        if not set_aside:
            os.unlink(path)
            return
        quarantine = os.path.dirname(self._quarantine)
        make_private(quarantine)
        if size_bytes_of(quarantine) > MAX_SET_ASIDE_BYTES:
            raise OSError(errno.EDQUOT, "the quarantine is full")
        directory, name = os.path.split(path)
        os.rename(path, os.path.join(quarantine, f"{os.path.basename(directory)}-{name}"))

    def _pass_over(self, path: str, what: str, error: OSError) -> None:
        if path not in self._sent:
            self._sent.add(path)
            report(f"a file of the journal cannot be {what} ({error.strerror}): mend {path}")

    def _read(self, path: str) -> Iterator[Batch]:
        try:
            with open(path, "rb") as stream:
                *lines, torn = stream.read().split(b"\n")
        except FileNotFoundError:  # somebody removed it
            return
        whole: list[bytes] = []
        damaged: list[bytes] = []
        for line in lines:
            (whole if _is_message(line) else damaged).append(line)
        if torn:  # without a newline it was never accepted, but it may tell what happened
            damaged.append(torn)
        if damaged:
            self._put_away(damaged)
        yield from batches_of(whole)
        self.accepted += len(whole)

    def _put_away(self, lines: list[bytes]) -> None:
        self.damaged += len(lines)
        told = "kept in the journal's quarantine"
        try:
            make_private(os.path.dirname(self._quarantine))
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            file = os.open(self._quarantine, flags, 0o600)
            try:
                if os.fstat(file).st_size < MAX_QUARANTINE_BYTES:
                    os.write(file, b"\n".join(lines) + b"\n")
                else:
                    told = "not kept, as the quarantine is full: empty it"
            finally:
                os.close(file)
        except OSError as error:
            told = f"not kept ({error.strerror})"
        report(f"{len(lines)} lines of the journal are damaged and cannot be sent; {told}")

    def release(self) -> None:
        """Let go of the directories, for whoever comes next."""
        while self._adopted:
            self._adopted.popleft().give_up()
        self._files.clear()
        self._batches.clear()
        self._has_seen_all = self._set_aside = False
        self._released = self.accepted - self.acknowledged

    def abandon(self) -> None:
        """In a forked child: close what is the parent's."""
        for directory in self._adopted:
            directory.close()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to take."""
        return not self._adopted

    @property
    def has_backlog(self) -> bool:
        """Whether something is left to send, as far as is known."""
        return bool(self._adopted) or not self._has_seen_all

    @property
    def wants_to_look(self) -> bool:
        """Whether there may be directories to take over, and room for them."""
        return not self._adopted and not self._has_seen_all


def _is_message(line: bytes) -> bool:
    if len(line) > MAX_MESSAGE_BYTES:
        return False
    try:
        return isinstance(decode(line), dict)
    except (ValueError, RecursionError):
        return False
