"""Who may own our files and directories, or write in them."""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import NamedTuple

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_HIGHEST_ID = 0xFFFF_FFFE  # the next number means "unchanged"


OF_ANOTHER_USER = "it belongs to another user"
"""The reason if a file or directory belongs to a user whom we do not trust."""

NOT_PREPARED = "it is not prepared"
"""The reason if a directory that all users of a journal need does not exist."""


class NotOurs(OSError):
    """A file or directory that is not used, because somebody else may have prepared it."""

    def __init__(self, why: str, path: str) -> None:
        super().__init__(errno.EPERM, why, path)


class Trust(NamedTuple):
    """Who else may own our files and directories, or write in them.

    Attributes:
        group: the id of a group. Its members may read files, write in directories that belong to
            it, and share its lock files. Directories of root are then used as well, because root
            prepares them.
        owners: the ids of other users whose files are used.
    """

    group: int | None = None
    owners: frozenset[int] = frozenset()

    def check_owner(self, found: os.stat_result, path: str) -> None:
        """Raise NotOurs if a file or directory belongs to a user whom we do not trust."""
        if hasattr(os, "geteuid") and found.st_uid not in (os.geteuid(), *self.owners):
            is_shared = self.group is not None and (
                (stat.S_ISDIR(found.st_mode) and found.st_uid == 0)
                or (path.endswith(".lock") and found.st_gid == self.group)
            )
            if not is_shared:
                raise NotOurs(OF_ANOTHER_USER, path)

    def may_others_write(self, found: os.stat_result) -> bool:
        """Return whether users whom we do not trust may write in a directory."""
        others = _OTHERS_MAY_WRITE
        if found.st_gid == self.group:
            others &= ~stat.S_IWGRP
        return bool(found.st_mode & others)

    def may_prepare(self, found: os.stat_result) -> bool:
        """Return whether we may make a directory in this one for all users of the journal.

        With a group, only root and the owner may. If another user made it, the owner and the other
        members would not use it.
        """
        return self.group is None or os.geteuid() in (0, found.st_uid)

    def share(self, descriptor: int, mode: int, *, of_others: bool = False) -> None:
        """Give the group access to a file or directory of ours.

        Args:
            descriptor: of the open file or directory.
            mode: its new mode.
            of_others: whether to do that as well if it belongs to another user, as root.
        """
        found = os.fstat(descriptor)
        if self.group is not None and (of_others or found.st_uid == os.geteuid()):
            if found.st_gid != self.group:
                os.fchown(descriptor, -1, self.group)
            if stat.S_IMODE(found.st_mode) != mode or found.st_gid != self.group:
                _change_mode(descriptor, mode)


def _change_mode(descriptor: int, mode: int) -> None:
    """Change the mode of a file or directory, without the setgid bit if that is refused.

    systemd's RestrictSUIDSGID= refuses it. Without the bit, new files have the group of their
    process at first, and `Trust.share` changes it.
    """
    try:
        os.fchmod(descriptor, mode)
    except PermissionError:
        if not mode & stat.S_ISGID:
            raise
        os.fchmod(descriptor, mode & ~stat.S_ISGID)


PRIVATE = Trust()
"""Trusts nobody else."""

SHARED_DIRECTORY = 0o2770
"""The mode of a directory that a group may write in. What is made in it belongs to the group."""


def group_id(group: str) -> int:
    """Return the id of a group, given as a name or, if no group has that name, as a number.

    Raises:
        KeyError: there is no such group.
        ImportError: on Windows.
    """
    import grp  # noqa: PLC0415  # not available on Windows

    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        if re.fullmatch("[0-9]{1,10}", group) is None or int(group) > _HIGHEST_ID:
            raise
        return int(group)


def commands_to_share(path: str, group: str) -> str:
    """Return the commands that let a group share a user's journal, for error messages.

    The files in it keep their owners. Their group may be wrong, too, if systemd changed the owner.
    """
    return f"`chgrp -R {group} {path}`, `chown root {path}` and `chmod 2770 {path}`"


def way_to_share(path: str, group: str) -> str:
    """Return how to let a group share a user's journal, for error messages."""
    return (
        f"as root, run {commands_to_share(path, group)}, and then "
        f"`segment-logging deliver {path} --prepare --group {group} --write-key-file FILE`"
    )
