"""The directories of other users, beside the one that is used as the journal.

If others may write in DIR, each user has a directory in it, `DIR/u<uid>`. Messages in it are sent
only by a command that runs as that user.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from .._files import Folder
from .._reports import counted
from .._trust import Trust
from .other_keys import other_keys_in

USER = re.compile(r"u\d+")
"""The name of a user's directory."""

_NAMED_AT_MOST = 5
_LOOKED_INTO_AT_MOST = 1000  # others may make as many as they like


def other_users_in(directory: str, path: str) -> list[str]:
    """Return the names of other users' directories that have messages which nobody sends.

    A directory that cannot be read is returned as well, because it may have messages.

    Args:
        directory: the directory that was given.
        path: the directory that is used: the same, or this user's directory in it.

    Raises:
        OSError: the directory cannot be read.
    """
    own = (path, os.path.join(directory, f"u{os.geteuid()}"))
    names = sorted(name for name in os.listdir(directory) if USER.fullmatch(name))
    found = [os.path.join(directory, name) for name in names[:_LOOKED_INTO_AT_MOST]]
    return [os.path.basename(one) for one in found if one not in own and _may_have_messages(one)]


def _may_have_messages(path: str) -> bool:
    try:
        owner = Trust(owners=frozenset([os.stat(path).st_uid]))  # to look at the locks
        with Folder.at(path, owner, is_ours=False) as folder:
            return bool(other_keys_in(folder, ()))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def named(names: Sequence[str]) -> str:
    """Return the names for a report, which are cut short if there are many."""
    shown = ", ".join(names[:_NAMED_AT_MOST])
    if len(names) > _NAMED_AT_MOST:
        shown += f" and {counted(len(names) - _NAMED_AT_MOST, 'other')}"
    return shown


def text_of(names: Sequence[str], directory: str, path: str) -> str:
    """Return the report about directories of other users."""
    return (
        f"{directory} also has directories of other users ({named(names)}), whose messages are not "
        f"sent from {path}: run a command as each user whose programs should be served, or give "
        "the directory to one user"
    )
