"""The three ways to sync appended messages to disk, so that they survive a power cut.

They have the same methods, which the journal calls as it writes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from typing_extensions import override

from ..._clock import monotonic
from ..._files import sync_data, sync_entry
from ..._process.bell import Bell
from ..._process.threads import new_rlock, patch_detector, start_daemon
from .directory import JournalFile

INTERVAL = 0.1
"""Seconds from the first unsynced message to the sync."""


class Sync(Protocol):
    """Decides when written data is synced to disk. Any thread may call it."""

    def wrote(self, file: JournalFile) -> None:
        """Record that `file` was written to. If this raises OSError, the data may be lost."""

    def made_file_in(self, directory: str) -> None:
        """Record that a file or directory was created in `directory`."""

    def done_with(self, file: JournalFile) -> None:
        """Close `file`, which will not be written to again."""

    def catch_up(self, *, at_most: float | None = None) -> None:
        """Sync what was written.

        Args:
            at_most: how many seconds to wait for another thread that is syncing; then only the
                file that was written last is synced. None means that everything is synced.
        """

    def finish(self) -> None:
        """Finish all pending work. Nothing more is written for now."""

    def abandon(self) -> None:
        """Close the parent's files in a forked child."""


def sync_of(mode: str) -> Sync:
    """Return the `Sync` for a value of `journal_sync`: "off", "interval" or "emit"."""
    modes: dict[str, type[Sync]] = {"off": NoSync, "interval": SyncSoon, "emit": SyncAtOnce}
    return modes[mode]()


class NoSync:
    """Leaves syncing to the operating system, which does it within about half a minute."""

    def wrote(self, file: JournalFile) -> None:
        """Do nothing."""

    def made_file_in(self, directory: str) -> None:
        """Do nothing."""

    def done_with(self, file: JournalFile) -> None:
        """Close the file."""
        file.close()

    def catch_up(self, *, at_most: float | None = None) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Do nothing."""

    def abandon(self) -> None:
        """Do nothing: `done_with` has already closed its files."""


class SyncAtOnce(NoSync):
    """Syncs each message before `put` returns."""

    @override
    def wrote(self, file: JournalFile) -> None:
        sync_data(file.descriptor)

    @override
    def made_file_in(self, directory: str) -> None:
        sync_entry(directory)


class SyncSoon:
    """Syncs about `INTERVAL` seconds after a write.

    It has its own thread, which starts with the first write and sleeps while there are no writes.
    The listener's thread cannot do this: it may be blocked in a request for many seconds, and the
    power may fail just when the network is down.
    """

    def __init__(self) -> None:
        self._bell = Bell()
        self._syncing = new_rlock()
        self._written: dict[JournalFile, None] = {}
        self._grown: dict[str, None] = {}  # directories with new files
        self._done: list[JournalFile] = []
        self._running = False
        self._stopping = False
        self._was_patched = patch_detector()  # since the thread was started

    def wrote(self, file: JournalFile) -> None:
        """Remember the file. This costs almost nothing if it is already remembered."""
        if file not in self._written:
            self._written[file] = None
            if not self._running or self._was_patched():
                self._start()
            self._bell.ring()

    def made_file_in(self, directory: str) -> None:
        """Remember the directory."""
        self._grown[directory] = None

    def done_with(self, file: JournalFile) -> None:
        """Close the file once it is synced."""
        self._done.append(file)
        self.wrote(file)

    def catch_up(self, *, at_most: float | None = None) -> None:
        """Sync everything, or the last file, in the calling thread."""
        if at_most is None:
            self._sync()
        elif self._syncing.acquire(timeout=at_most):
            try:
                for file in list(self._written)[-1:]:
                    del self._written[file]
                    with suppress(OSError):
                        sync_data(file.descriptor)
            finally:
                self._syncing.release()

    def finish(self) -> None:
        """Sync and close everything in the calling thread, and end the sync thread."""
        self._stopping = True
        self._bell.ring()
        self._sync()

    def _start(self) -> None:
        self._running, self._stopping = True, False
        self._was_patched = patch_detector()
        try:
            start_daemon(self._run, "segment_logging sync")
        except RuntimeError:  # the interpreter is shutting down: `finish` will sync
            self._running = False

    def _run(self) -> None:
        was_patched = patch_detector()
        self._bell.renew()
        while not self._stopping:
            self._bell.wait()
            end = monotonic() + INTERVAL
            while not self._stopping and (left := end - monotonic()) > 0:
                self._bell.wait(left)  # the bell also rings for each new file
            if was_patched():
                return
            self._sync()
        self._running = False

    def _sync(self) -> None:
        with self._syncing:
            done, self._done = self._done, []
            written, self._written = self._written, {}
            # Most files are already acknowledged and unlinked, and need no sync.
            needed = [file for file in written if not file.is_unlinked]
            if needed:
                grown, self._grown = self._grown, {}
                for directory in grown:
                    with suppress(OSError):  # the directory was removed
                        sync_entry(directory)
            for file in needed:
                with suppress(OSError):  # nothing can be done about a broken disk
                    sync_data(file.descriptor)
            for file in done:
                file.close()

    def abandon(self) -> None:
        """Close the parent's files. Take no lock, since the parent's thread may have held it."""
        for file in self._done:
            file.close()
