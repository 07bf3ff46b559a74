"""`segment-logging deliver --prepare`: the directories of a journal, also for a group."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from .._files import Folder, own_path
from .._queues.journal.place import Place, group_name
from .._reports import counted
from .._trust import SHARED_DIRECTORY, NotOurs, Trust, commands_to_share
from ..errors import ConfigurationError


def prepare(directory: str, places: Sequence[Place], trust: Trust) -> None:
    """Make the directories of a journal, and print that they are ready.

    With a group, root also becomes the owner of a write key's directories that a user made. The
    contents keep their owners.

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
    """Raise ConfigurationError if the users of a group cannot share a directory."""
    name = group_name(group)
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


def _take_over(folder: Folder, key_name: str, group: int) -> None:
    """Give the directories of a write key to root and the group, without following links."""
    with folder.folder(key_name, is_ours=False) as of_key:
        _give(of_key, group)
        with of_key.folder("live", is_ours=False) as live:
            _give(live, group)


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
