"""Where sealed files may be: the directories of other processes, looked at in turn.

At most one process per write key looks for them. The others stand by, and try every second whether
it is their turn. Directories of handlers that deliver for themselves are left to them until they
die. Then only one process at a time adopts them, which is a handler or this one.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress

from ..._files import Folder
from ..._reports import Reporter, counted
from ..._trust import OF_ANOTHER_USER
from .directory import directory_names, file_names, is_owned, remove_directory
from .place import Place
from .sealed import Directory
from .turn import Turn

DELIVER_LOCK = "deliver.lock"
"""A file whose lock is held by the process that delivers. It is in the write key's directory."""

ADOPTING_LOCK = "adopting.lock"
"""A file whose lock is held by the process that sends the messages of dead processes. It is in the
write key's directory."""

_OWNER_EVERY = 5.0  # seconds between two looks whether the owner of a directory lives
_ADOPTION_EVERY = 1.0  # seconds between two looks into a directory while another process adopts


class Sources:
    """The directories that files are taken from: those of the living and those of the dead.

    Args:
        place: where the journal is.
        reporter: reports files and directories that cannot be read.
    """

    def __init__(self, place: Place, reporter: Reporter) -> None:
        self._place = place
        self._reporter = reporter
        self._turn = Turn(place, DELIVER_LOCK, reporter)
        self._adopting = Turn(place, ADOPTING_LOCK, reporter)
        self.live: Folder | None = None
        """The directory that they are in, or None if there is none."""
        self.known: dict[str, Directory] = {}
        """All of them, by name."""
        self._fresh: deque[Directory] = deque()  # of living processes, to look into
        self._old: deque[Directory] = deque()  # of dead ones
        self._is_turn_of_old = False

    @property
    def is_ours(self) -> bool | None:
        """Whether it is this process's turn, or None if it may be nobody's. Any thread."""
        return self._turn.is_ours

    def is_still_ours(self) -> bool:
        """Return whether it is this process's turn, and nobody has removed the lock."""
        return self._turn.is_in_place()

    def take_turn(self) -> bool:
        """Find out whether it is this process's turn, and take it.

        Raises:
            OSError: the lock file cannot be opened.
        """
        if not self._turn.take():
            return False
        if not self._adopting.is_in_place():
            self._adopting.release()
        self._adopting.take()
        return True

    def release(self) -> None:
        """Unlock and forget everything, so that another process can take its turn."""
        for directory in self.known.values():
            directory.release_all()
        self.known.clear()
        self._fresh.clear()
        self._old.clear()
        self._adopting.release()
        self._turn.release()
        self._close_live()

    def look(self, now: float) -> None:
        """Look for directories with something new in them."""
        live = self._live_in_place()
        names = set() if live is None else set(directory_names(live))
        for name in self.known.keys() - names:
            if not self.known[name].taken:
                self.known.pop(name).files.clear()
        if live is None:
            self._fresh.clear()
            self._old.clear()
            return
        for name in sorted(names):
            directory = self.known.get(name)
            if directory is None:
                directory = self.known[name] = Directory(name)
            if directory.is_waiting or now < directory.left_until:
                continue
            with suppress(FileNotFoundError):
                if directory.has_changed(live) or now >= directory.look_at_owner_at:
                    self._line_up(live, directory, now)

    def _line_up(self, live: Folder, directory: Directory, now: float) -> None:
        """Add a directory to those whose files are taken next, if its files may be taken."""
        try:
            with live.folder(directory.name) as folder:
                is_alive = is_owned(folder)
                is_idle = not is_alive and self._adopting.is_ours and not directory.taken
                if is_idle and not file_names(folder):
                    remove_directory(live, folder)
                    self.known.pop(directory.name, None)
                    return
        except FileNotFoundError:
            return
        except OSError as error:
            directory.left_until = now + _OWNER_EVERY
            self.skip(directory, None, "read", error)
            return
        directory.is_unreadable = False
        directory.look_at_owner_at = now + _OWNER_EVERY
        if is_alive and not directory.is_handed_over:
            directory.left_until = now + _OWNER_EVERY
        elif not is_alive and not self._adopting.is_ours:
            directory.left_until = now + _ADOPTION_EVERY
        else:
            directory.is_old = not is_alive
            self.wait(directory)

    def wait(self, directory: Directory) -> None:
        """Add a directory to those whose files are taken next, after the others."""
        directory.is_waiting = True
        (self._old if directory.is_old else self._fresh).append(directory)

    def _live_in_place(self) -> Folder | None:
        """Return the directory of directories, which may have been removed and made again."""
        try:
            found = os.stat(self._place.live_path)
            if self.live is not None and not os.path.samestat(
                found, os.fstat(self.live.descriptor)
            ):
                self._close_live()
            if self.live is None:
                self.live = self._place.live()
        except FileNotFoundError:
            self._close_live()
        return self.live

    def _close_live(self) -> None:
        if self.live is not None:
            self.live.close()
            self.live = None

    def next(self) -> Directory | None:
        """Return the next directory: one of the living and one of the dead in turn."""
        first, second = self._fresh, self._old
        if self._is_turn_of_old:
            first, second = second, first
        self._is_turn_of_old = not self._is_turn_of_old
        directory = first.popleft() if first else second.popleft() if second else None
        if directory is not None:
            directory.is_waiting = False
        return directory

    def skip(self, directory: Directory, name: str | None, what: str, error: OSError) -> None:
        """Report a file or directory that is left where it is, and does not block the others."""
        path = os.path.join(self._place.live_path, directory.name, name or "")
        directory.is_unreadable |= name is None
        why = error.strerror
        thing = "journal directory" if name is None else "journal file"
        number = "directories" if name is None else "files"
        way_out = ""
        if why == OF_ANOTHER_USER and self._place.is_shared:
            way_out = "to send its messages, name that user with --owner; "
        self._reporter.each(
            f"{number} {what}",
            1,
            lambda count: (
                f"{counted(count, thing) if count == 1 else f'{count} journal {number}'} cannot be "
                f"{what} ({why}): {way_out}check {path}"
            ),
        )

    @property
    def is_empty(self) -> bool:
        """Whether there is no directory to look into."""
        return not self._fresh and not self._old

    @property
    def unreadable(self) -> int:
        """How many directories cannot be read, or have files that cannot be read or removed.

        Any thread.
        """
        return sum(one.is_unreadable or bool(one.left) for one in tuple(self.known.values()))

    @property
    def is_abandoned(self) -> bool:
        """Whether no process writes any more, and the files of all are gone."""
        return self.is_ours is True and not any(
            one.is_handed_over or one.is_old for one in self.known.values()
        )
