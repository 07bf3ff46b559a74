"""Messages that were left in another directory, because the mode of the journal was changed.

If others may write in DIR, DIR/u<uid> is used in its place. A change of DIR's mode or owner
therefore leaves messages in the directory that was used before. Kubernetes makes such a change if a
volume has an `fsGroup`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress

from ..._files import Folder, own_path
from ..._reports import Reporter
from ..._trust import PRIVATE, Trust
from .directory import HANDED_OVER, is_owned
from .place import Place, group_name

KEY_NAME = re.compile(r"[0-9a-f]{12}")
"""The name of a write key's directory."""


class LeftBehind:
    """Reports once that a write key's messages are in the directory that is not used.

    Args:
        place: where the journal is.
        reporter: reports them.
    """

    def __init__(self, place: Place, reporter: Reporter) -> None:
        self._place = place
        self._reporter = reporter
        self._has_looked = False

    def look(self) -> None:
        """Look for such messages. Only the first call does anything."""
        if not self._has_looked:
            self._has_looked = True
            place = self._place
            for path in left_in(place.root, place.trust, [place.key_name]):
                self._reporter.once("left behind", text_of_left(path, place.root, place.trust))


def left_in(root: str, trust: Trust = PRIVATE, keys: Iterable[str] | None = None) -> list[str]:
    """Return this user's directories of write keys with messages that nobody sends.

    They are in DIR/u<uid> if DIR is used, and the other way round. With a group, nothing is found
    in DIR, because the directories there belong to root.

    Args:
        root: the directory that was given as the journal.
        trust: who else may own it or write in it.
        keys: the names of the directories to look for. None means those of all write keys.
    """
    if not hasattr(os, "geteuid"):  # there are no directories of users
        return []
    root = os.path.abspath(root)
    try:
        other = root
        if own_path(root, trust) == root:
            other = _of_this_user(root)
        elif trust.group is not None:
            return []
        if keys is None:
            keys = sorted(name for name in os.listdir(other) if KEY_NAME.fullmatch(name))
    except OSError:
        return []
    paths = (os.path.join(other, key) for key in keys)
    return [path for path in paths if _has_messages(path, trust)]


def text_of_left(path: str, root: str, trust: Trust = PRIVATE) -> str:
    """Return the report about a directory that `left_in` has returned.

    Args:
        path: the write key's directory.
        root: the directory that was given as the journal.
        trust: who else may own it or write in it.
    """
    root, other = os.path.abspath(root), os.path.dirname(path)
    if other != root:
        group = "" if trust.group is None else f" --group {group_name(trust.group)}"
        return (
            f"messages in {path} are not sent, because the journal is {root} instead of {other} "
            f"(others may not write in {root}): run `segment-logging journal {other} "
            f"--drain{group}` with their write key"
        )
    way_out, why = "", f"{root} belongs to another user"
    with suppress(OSError):
        if os.stat(root).st_uid == os.geteuid():
            way_out = f"run `chmod -R go-w {root}` or, if others must write in it, "
            why = f"others may write in {root}"
    return (
        f"messages in {path} are not sent, because the journal is {_of_this_user(root)} instead "
        f"of {root} ({why}): {way_out}run `segment-logging import {path}/live/*/*.jsonl` with "
        f"their write key, and remove {path} if that ended with exit code 0 and no process "
        "writes to it"
    )


def has_waiting(live: Folder) -> bool:
    """Return whether a write key has messages that nobody sends, as far as is known."""
    return any(_is_waiting(live, name) for name in live.names() if name[0] != ".")


def _is_waiting(live: Folder, name: str) -> bool:
    """Return whether a process's directory has messages that nobody sends, as far as is known."""
    try:
        with live.folder(name, is_ours=False) as folder:
            if not any(size and file.endswith(".jsonl") for file, size in folder.sizes()):
                return False
            return name.endswith(HANDED_OVER) or not is_owned(folder)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _of_this_user(root: str) -> str:
    return os.path.join(root, f"u{os.geteuid()}")


def _has_messages(path: str, trust: Trust) -> bool:
    with suppress(OSError):
        found = os.lstat(path)
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
            with (
                Folder.at(path, trust, is_ours=False) as folder,
                folder.folder("live", is_ours=False) as live,
            ):
                return has_waiting(live)
    return False
