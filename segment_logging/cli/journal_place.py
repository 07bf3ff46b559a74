"""Where a journal is, and who else may own its files, for commands."""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Iterable

from .._files import own_path
from .._queues.journal.place import group_name, trust_in
from .._trust import Trust
from ..errors import ConfigurationError


def add_group_option(parser: argparse._ActionsContainer) -> None:
    """Add `--group`."""
    parser.add_argument(
        "--group",
        metavar="NAME",
        help="the group that shares the journal, by name or number, as in the programs' "
        "journal_group",
    )


def user_id(text: str) -> int:
    """Return the id of a user, given as a number or a name.

    Raises:
        ValueError: there is no such user.
    """
    if text.isdecimal():
        return int(text)
    import pwd  # noqa: PLC0415  # not available on Windows

    try:
        return pwd.getpwnam(text).pw_uid
    except KeyError:
        raise ValueError from None


user_id.__name__ = "user"  # argparse shows it


def trust_of(group: str | None, owners: Iterable[int] = ()) -> Trust:
    """Return whom to trust, given `--group` and `--owner`.

    Raises:
        ConfigurationError: there is no such group.
    """
    try:
        return trust_in(group, owners)
    except (KeyError, ImportError):
        raise ConfigurationError(
            f"--group {group!r} is not a group on this host: create it, pass a group's number, "
            "or omit the option"
        ) from None


def journal_in(directory: str, trust: Trust) -> str:
    """Return the directory that is used as the journal.

    Raises:
        ConfigurationError: it does not exist, and the journal seems to be shared by a group.
        OSError: it belongs to another user, or cannot be examined.
    """
    path = own_path(directory, trust)
    group = group_of_shared(directory, path)
    if group is not None:
        raise ConfigurationError(
            f"{path} does not exist, and the group {group!r} may write in {directory}: if the "
            f"journal is shared by that group, pass --group {group}"
        )
    return path


def group_of_shared(directory: str, path: str) -> str | None:
    """Return the name of the group that seems to share a journal that is used without a group.

    Args:
        directory: the directory that was given.
        path: the directory that would be used.
    """
    if path == directory or os.path.exists(path):
        return None
    found = os.stat(directory)
    if not found.st_mode & stat.S_IWGRP or found.st_mode & stat.S_IWOTH:
        return None
    return group_name(found.st_gid)
