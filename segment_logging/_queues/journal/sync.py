"""When appended messages survive a power cut: never for sure, at once, or soon.

The three have the same methods. The journal calls them as it writes, whichever was chosen.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from typing_extensions import override

from ..._files import sync_data, sync_entry
from ..._process.bell import Bell
from ..._process.clock import monotonic
from ..._process.threads import new_rlock, start_daemon
from .directory import JournalFile

INTERVAL = 0.1
"""Seconds that the first unsynced message waits for others."""


class Sync(Protocol):
    """When what the journal writes is put on disk. Any thread."""

    def wrote(self, file: JournalFile) -> None:
        """Something was written to `file`. May raise OSError: then it may be lost."""

    def made_file_in(self, directory: str) -> None:
        """A file or directory was made in `directory`."""

    def done_with(self, file: JournalFile) -> None:
        """Nothing more is written to `file`: close it."""

    def finish(self) -> None:
        """Nothing more is written for now."""

    def abandon(self) -> None:
        """In a forked child: close what is the parent's."""


def sync_of(mode: str) -> Sync:
    """Return what the option `journal_sync` names: "off", "interval" or "emit"."""
    modes: dict[str, type[Sync]] = {"off": NoSync, "interval": SyncSoon, "emit": SyncAtOnce}
    return modes[mode]()


class NoSync:
    """Leave it to the operating system, which takes half a minute or so."""

    def wrote(self, file: JournalFile) -> None:
        """Nothing."""

    def made_file_in(self, directory: str) -> None:
        """Nothing."""

    def done_with(self, file: JournalFile) -> None:
        """Close it."""
        file.close()

    def finish(self) -> None:
        """Nothing."""

    def abandon(self) -> None:
        """Nothing: files that nothing more is written to are closed."""


class SyncAtOnce(NoSync):
    """On disk before the caller goes on."""

    @override
    def wrote(self, file: JournalFile) -> None:
        sync_data(file.descriptor)

    @override
    def made_file_in(self, directory: str) -> None:
        sync_entry(directory)


class SyncSoon:
    """On disk about `INTERVAL` seconds later.

    It has a thread of its own, which starts with the first write and sleeps while there is none.
    The listener's will not do: it may sit in a request for many seconds, and the power may fail
    just when the network is down.
    """

    def __init__(self) -> None:
        self._bell = Bell()
        self._syncing = new_rlock()
        self._written: dict[JournalFile, None] = {}
        self._grown: dict[str, None] = {}  # directories with new files
        self._done: list[JournalFile] = []
        self._running = False
        self._stopping = False

    def wrote(self, file: JournalFile) -> None:
        """Remember it; nearly free if it is remembered already."""
        if file not in self._written:
            self._written[file] = None
            if not self._running:
                self._start()
            self._bell.ring()

    def made_file_in(self, directory: str) -> None:
        """Remember it."""
        self._grown[directory] = None

    def done_with(self, file: JournalFile) -> None:
        """Close it once it is synced."""
        self._done.append(file)
        self.wrote(file)

    def finish(self) -> None:
        """Sync and close everything in the calling thread, and end the other thread."""
        self._stopping = True
        self._bell.ring()
        self._sync()

    def _start(self) -> None:
        self._running, self._stopping = True, False
        try:
            start_daemon(self._run, "segment_logging sync")
        except RuntimeError:  # the interpreter is shutting down: `finish` will sync
            self._running = False

    def _run(self) -> None:
        while not self._stopping:
            self._bell.wait()
            end = monotonic() + INTERVAL
            while not self._stopping and (left := end - monotonic()) > 0:
                self._bell.wait(left)  # it rings for each new file, too
            self._sync()
        self._running = False

    def _sync(self) -> None:
        with self._syncing:
            done, self._done = self._done, []
            written, self._written = self._written, {}
            # Most are answered and unlinked by now, and then the disk need not hear of them.
            needed = [file for file in written if not file.is_unlinked]
            if needed:
                grown, self._grown = self._grown, {}
                for directory in grown:
                    with suppress(OSError):  # removed by now
                        sync_entry(directory)
            for file in needed:
                with suppress(OSError):  # what a broken disk keeps is not in our hands
                    sync_data(file.descriptor)
            for file in done:
                file.close()

    def abandon(self) -> None:
        """Close the parent's files. Without the lock, which its other thread may hold for ever."""
        for file in self._done:
            file.close()
