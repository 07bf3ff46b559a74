"""The place that is given as `journal`, and who may have prepared it.

DIR                                    ours or root's
DIR/u<uid>/                            in its place, if others may write in DIR
    <12 hex digits of sha256(write key)>/
        live/                          one directory for each handler in each process
        adopting.lock                  held by the process that delivers what the dead left
        space.lock                     held while room is reserved
    quarantine/
    dead-letters.jsonl
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress

from ..._files import Folder, own_path


class Place:
    """Where a journal is.

    Args:
        root: the directory given as `journal`.
        write_key: of the Segment source. Each has its own directories.
    """

    def __init__(self, root: str, write_key: str) -> None:
        self._root = os.path.abspath(root)
        self.key_name = hashlib.sha256(write_key.encode()).hexdigest()[:12]

    @property
    def path(self) -> str:
        """The directory that is used, for reports."""
        try:
            return own_path(self._root)
        except OSError:
            return self._root

    @property
    def live_path(self) -> str:
        """The path of the directory that contains the handlers' directories, for reports."""
        return os.path.join(self.path, self.key_name, "live")

    def folder(self, *names: str, make: bool = False) -> Folder:
        """Open a directory in it.

        Raises:
            FileNotFoundError: if it does not exist, unless it is to be made.
            OSError: if it cannot be opened, or is not ours.
        """
        folder = Folder.own(self._root, make=make)
        for name in names:
            with folder as outer:
                folder = outer.folder(name, make=make)
        return folder

    def key_folder(self, *, make: bool = False) -> Folder:
        """Open the directory of the write key."""
        return self.folder(self.key_name, make=make)

    def live(self, *, make: bool = False) -> Folder:
        """Open the directory that contains the handlers' directories."""
        return self.folder(self.key_name, "live", make=make)

    def tidy(self) -> None:
        """Remove the directories of the write key if they are empty."""
        with suppress(OSError), self.key_folder() as folder:
            folder.rmdir("live")
            for name in ("adopting.lock", "space.lock"):
                with suppress(FileNotFoundError):
                    folder.unlink(name)
        with suppress(OSError), self.folder() as folder:
            folder.rmdir(self.key_name)
