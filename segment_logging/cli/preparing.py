"""`segment-logging deliver --prepare`: the directories of a journal, also for a group."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress

from .._files import Folder, own_path, shared_mode
from .._queues.journal.left_behind import KEY_NAME
from .._queues.journal.place import Place, group_name
from .._reports import counted
from .._trust import SHARED_DIRECTORY, NotOurs, Trust, commands_to_share
from ..errors import ConfigurationError
from .other_users import named

_OF_A_JOURNAL = re.compile(r"quarantine|dead-letters.*|u\d+|lost\+found")


def prepare(directory: str, places: Sequence[Place], trust: Trust) -> None:
    """Make the directories of a journal, and print that they are ready.

    With a group, root also becomes the owner of a write key's directories that a user made. The
    contents keep their owners, and the group gets access to them.

    Args:
        directory: the directory that is given as the journal.
        places: the journal's parts, one for each write key.
        trust: who else may own it or write in it.

    Raises:
        ConfigurationError: it cannot be shared by the group.
        OSError: a directory cannot be made, or is not ours.
    """
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if trust.group is not None and is_root:
        _check_directory(directory, trust, trust.group)
        _make_directory(directory, trust, trust.group)
    for place in places:
        if trust.group is not None and is_root:
            with suppress(FileNotFoundError), place.folder() as folder:
                _take_over(folder, place.key_name, trust.group)
        try:
            place.live(make=True).close()
        except NotOurs as error:
            if trust.group is None or is_root:
                raise
            raise ConfigurationError(
                f"{error.filename} cannot be prepared ({error.strerror}): run this command as root"
            ) from None
    print(f"{places[0].path} is ready for {counted(len(places), 'write key')}")


def _check_directory(directory: str, trust: Trust, group: int) -> None:
    """Raise ConfigurationError if a directory cannot be shared, or has other files in it."""
    name = group_name(group)
    with suppress(FileNotFoundError), Folder.at(directory, is_ours=False) as folder:
        others = [] if is_prepared(folder, 0, group) else _other_names_in(directory)
        if others:
            raise ConfigurationError(
                f"{directory} cannot be shared by the group {name}, because that would change who "
                f"may use the other files in it ({named(others)}): name a directory that is only "
                "for the journal"
            )
    commands = f"`chown root:{name} {directory}` and `chmod 2770 {directory}`"
    try:
        why = None if own_path(directory, trust) == directory else "others may write in it"
    except NotOurs as error:
        why, commands = error.strerror, commands_to_share(directory, name)
    if why is not None:
        raise ConfigurationError(
            f"{directory} cannot be shared by the group {name} ({why}): name another directory, or "
            f"run {commands}, and then this command again"
        )


def _other_names_in(directory: str) -> list[str]:
    """Return the names of everything in a directory that does not belong to a journal."""
    with os.scandir(directory) as entries:
        return sorted(
            entry.name
            for entry in entries
            if not _OF_A_JOURNAL.fullmatch(entry.name)
            and not (KEY_NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False))
        )


def _make_directory(directory: str, trust: Trust, group: int) -> None:
    """Make the directory for the group, or give it to the group, which is printed.

    The quarantine is in it, which all users of the group need as well.
    """
    before = os.stat(directory) if os.path.isdir(directory) else None
    with Folder.own(directory, trust, make=True) as folder:
        after = os.fstat(folder.descriptor)
        _make_quarantine(folder, group)
    if before is not None and (before.st_gid, before.st_mode) != (after.st_gid, after.st_mode):
        print(
            f"{directory} now belongs to the group {group_name(group)} and has mode "
            f"{stat.S_IMODE(after.st_mode):04o}; before, it belonged to the group "
            f"{group_name(before.st_gid)} and had mode {stat.S_IMODE(before.st_mode):04o}"
        )


def _make_quarantine(folder: Folder, group: int) -> None:
    """Make the quarantine, or give it to root and the group if a user made it."""
    _share_directory(folder, "quarantine", group)
    with folder.folder("quarantine", make=True, is_ours=False) as quarantine:
        _give(quarantine, group)


def _take_over(folder: Folder, key_name: str, group: int) -> None:
    """Give the directories of a write key to root and the group, without following links.

    The locks and the handlers' directories in them keep their owners, and the group gets the access
    that it has to new ones.
    """
    with folder.folder(key_name, is_ours=False) as of_key:
        for name in of_key.names():
            if name.endswith(".lock"):
                _share_file(of_key, name)
        _give(of_key, group)
        with of_key.folder("live", is_ours=False) as live:
            _give(live, group)
            number = sum(_share_directory(live, name, group) for name in live.names())
            if number:
                print(
                    f"the group {group_name(group)} can now use what was in {live.path} "
                    f"({counted(number, 'handler')})"
                )


def _share_directory(outer: Folder, name: str, group: int) -> bool:
    """Give the group access to a directory of files. Return whether anything was changed."""
    # Links and files are left alone, and processes may remove their directories at any moment.
    with (
        suppress(NotADirectoryError, NotOurs, FileNotFoundError),
        outer.folder(name, is_ours=False) as folder,
    ):
        is_changed = sum(_share_file(folder, one) for one in folder.names()) > 0
        if not is_prepared(folder, os.fstat(folder.descriptor).st_uid, group):
            folder.trust.share(folder.descriptor, SHARED_DIRECTORY, of_others=True)
            is_changed = True
        return is_changed
    return False


def _share_file(folder: Folder, name: str) -> bool:
    """Give the group access to a regular file with one name. Return whether it was changed.

    It must belong to the owner of its directory. Otherwise a user could have moved another user's
    private file there.
    """
    mode = shared_mode(name)
    found = folder.stat_or_none(name)
    if found is None or not stat.S_ISREG(found.st_mode):
        return False
    if found.st_gid == folder.trust.group and stat.S_IMODE(found.st_mode) == mode:
        return False
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with suppress(FileNotFoundError):
        file = os.open(name, flags, dir_fd=folder.descriptor)
        try:
            found, owner = os.fstat(file), os.fstat(folder.descriptor).st_uid
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid == owner:
                folder.trust.share(file, mode, of_others=True)
                return True
        finally:
            os.close(file)
    return False


def _give(folder: Folder, group: int) -> None:
    if not is_prepared(folder, 0, group):
        os.fchown(folder.descriptor, 0, group)
        folder.trust.share(folder.descriptor, SHARED_DIRECTORY)
        print(f"{folder.path} now belongs to root and the group {group_name(group)}")


def is_prepared(folder: Folder, owner: int, group: int) -> bool:
    """Return whether all users of a group can use a directory.

    Args:
        folder: the open directory.
        owner: the id of the journal's owner. The directory may also belong to root.
        group: the id of the group.
    """
    found = os.fstat(folder.descriptor)
    is_open = found.st_mode & 0o777 == SHARED_DIRECTORY & 0o777
    return found.st_uid in (0, owner) and found.st_gid == group and is_open
