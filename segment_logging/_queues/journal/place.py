"""The place that is given as `journal`, and who may have prepared it.

DIR                                    ours or root's
DIR/u<uid>/                            in its place, if others may write in DIR
    <12 hex digits of sha256(write key)>/
        live/                          one directory for each handler in each process
        adopting.lock                  held by the process that delivers what the dead left
        deliver.lock                   held by the `segment-logging deliver` that delivers
        space.lock                     held while room is reserved
    quarantine/
    dead-letters.jsonl
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import suppress

from ..._broker.bundles import key_name_of
from ..._files import Folder, own_path
from ..._trust import NOT_PREPARED, OF_ANOTHER_USER, PRIVATE, NotOurs, Trust, group_id
from ..message_queue import Refusal

LIMIT_REACHED = "max_journal_bytes is reached"
"""The text of the error that is not the operating system's."""

_RAISE_LIMIT = "raise max_journal_bytes"
_CORRECT_OWNER = "correct the journal's owner and permissions"
_RAISE_OPEN_FILES = "raise the limit on open files"
_WAYS_OUT: dict[int | None, str] = {
    errno.ENOSPC: "free disk space",
    errno.EDQUOT: "free disk space",
    errno.EACCES: _CORRECT_OWNER,
    errno.EPERM: _CORRECT_OWNER,
    errno.EROFS: "make the journal's file system writable",
    errno.EMFILE: _RAISE_OPEN_FILES,
    errno.ENFILE: _RAISE_OPEN_FILES,
}


class Place:
    """Where a journal is.

    Args:
        root: the directory given as `journal`.
        write_key: of the Segment source. Each has its own directories.
        trust: who else may own it or write in it.
    """

    def __init__(self, root: str, write_key: str, trust: Trust = PRIVATE) -> None:
        self.root = os.path.abspath(root)
        self.trust = trust
        self.key_name = key_name_of(write_key)

    @property
    def path(self) -> str:
        """The directory that is used, for reports."""
        try:
            return own_path(self.root, self.trust)
        except OSError:
            return self.root

    @property
    def is_shared(self) -> bool:
        """Whether a group shares it, so that it can have directories of several users."""
        return self.trust.group is not None

    @property
    def live_path(self) -> str:
        """The path of the directory that contains the handlers' directories, for reports."""
        return os.path.join(self.path, self.key_name, "live")

    def text_of(self, trouble: OSError) -> str:
        """Return the report that nothing can be written there."""
        return (
            f"the journal in {self.live_path} cannot be written to ({trouble.strerror}): until it "
            f"can, messages wait in memory only; {self.way_out_of(trouble)}"
        )

    def way_out_of(self, trouble: OSError) -> str:
        """Return what can be done if nothing can be written there, for reports."""
        if trouble.strerror == LIMIT_REACHED:
            return f"{_RAISE_LIMIT}, or find out with `segment-logging journal` what waits"
        group = self.trust.group
        if group is not None and trouble.strerror in (NOT_PREPARED, OF_ANOTHER_USER):
            return (
                f"as root, run `segment-logging deliver {self.root} --prepare --group "
                f"{group_name(group)} --write-key-file FILE`, where FILE has this write key"
            )
        return _WAYS_OUT.get(trouble.errno, "check the journal's directory and its file system")

    def refusal_of(self, trouble: OSError) -> Refusal:
        """Return why messages are not stored there, and the main way out, for reports."""
        is_full = trouble.strerror == LIMIT_REACHED
        return Refusal(
            f"the journal in {self.live_path} could not be written to: "
            f"{trouble.strerror or type(trouble).__name__}",
            _RAISE_LIMIT if is_full else self.way_out_of(trouble),
        )

    def folder(self, *names: str, make: bool = False) -> Folder:
        """Open a directory in it.

        Raises:
            FileNotFoundError: if it does not exist, unless it is to be made.
            OSError: if it cannot be opened, or is not ours.
        """
        folder = Folder.own(self.root, self.trust, make=make)
        for name in names:
            with folder as outer:
                folder = outer.folder(name, make=make)
        return folder

    def key_folder(self, *, make: bool = False) -> Folder:
        """Open the directory of the write key. See `live`."""
        return self._for_all_users(self.key_name, make=make)

    def live(self, *, make: bool = False) -> Folder:
        """Open the directory that contains the handlers' directories.

        Raises:
            NotOurs: if it does not exist and only root may make it, or if it is not ours.
            FileNotFoundError: if it does not exist, unless it is to be made.
            OSError: if it cannot be opened.
        """
        return self._for_all_users(self.key_name, "live", make=make)

    def _for_all_users(self, *names: str, make: bool) -> Folder:
        folder = Folder.own(self.root, self.trust, make=make)
        for name in names:
            with folder as outer:
                may_make = make and self.trust.may_prepare(os.fstat(outer.descriptor))
                try:
                    folder = outer.folder(name, make=may_make)
                except FileNotFoundError:
                    if may_make or not make:
                        raise
                    raise NotOurs(NOT_PREPARED, os.path.join(outer.path, name)) from None
        return folder

    def tidy(self) -> None:
        """Remove the directories of the write key if they are empty.

        A group keeps them, because its members may not be able to make them again.
        """
        if self.is_shared:
            return
        with suppress(OSError), self.key_folder() as folder:
            folder.rmdir("live")
            for name in ("adopting.lock", "space.lock"):
                with suppress(FileNotFoundError):
                    folder.unlink(name)
        with suppress(OSError), self.folder() as folder:
            folder.rmdir(self.key_name)


def group_name(group: int) -> str:
    """Return the name of a group, or its number if it has none."""
    with suppress(ImportError, KeyError):
        import grp  # noqa: PLC0415  # not available on Windows

        return grp.getgrgid(group).gr_name
    return str(group)


def trust_in(group: str | None, owners: Iterable[int] = ()) -> Trust:
    """Return whom to trust, given the name or number of a group and the ids of users.

    Raises:
        KeyError: there is no such group.
    """
    if group is None:
        return Trust(owners=frozenset(owners))
    return Trust(group_id(group), frozenset(owners))
