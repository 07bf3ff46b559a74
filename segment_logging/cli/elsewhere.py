"""Where a journal's file may be instead, if there is none at the path that was given.

If others may write in DIR, a user's files are in `DIR/u<uid>`. With a group, the dead letters of a
user's programs are in `DIR/dead-letters-u<uid>.jsonl`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from glob import iglob

from .other_users import USER, named

_LETTERS_OF_USER = re.compile(r"(dead-letters)-(u\d+)(\.jsonl)")
_LEVELS = 4  # as in DIR/<hash>/live/<process>/<file>
_LOOKED_AT_MOST = 1000  # names in a directory, because others may make as many as they like


def hint_at_others(given: str, is_there: Callable[[str], bool]) -> str:
    """Return what to add to an error about a file that does not exist, or an empty string.

    Args:
        given: the path that was given.
        is_there: returns whether a path is what the command needs.
    """
    found = dict(_others(os.path.abspath(given), is_there))
    own = f"u{os.geteuid()}" if hasattr(os, "geteuid") else ""
    mine = [path for path, user in found.items() if user == own]
    if mine:
        return f", but there is {mine[0]}: pass that path"
    if not found:
        return ""
    user = "its user" if len(found) == 1 else "the user of one of them"
    return f", but other users have {named([*found])}: run the command as {user}"


def _others(path: str, is_there: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """Yield the paths of such files, each with its user's directory name, nearest first."""
    directory, rest = os.path.split(path)
    for _ in range(_LEVELS):
        names: list[str] = []
        with suppress(OSError):
            names = sorted(name for name in os.listdir(directory) if USER.search(name))
        for name in names[:_LOOKED_AT_MOST]:
            letters = _LETTERS_OF_USER.fullmatch(name)
            if USER.fullmatch(name) and is_there(os.path.join(directory, name, rest)):
                yield os.path.join(directory, name, rest), name
            elif letters is not None and letters[1] + letters[3] == rest:
                yield os.path.join(directory, name), letters[2]
        directory, above = os.path.split(directory)
        rest = os.path.join(above, rest)


def is_file_or_pattern(path: str) -> bool:
    """Return whether a path exists, or is a pattern that matches a path."""
    return os.path.lexists(path) or next(iglob(path), None) is not None
