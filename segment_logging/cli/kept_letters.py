"""The dead letters that are in a journal's directory."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from .._files import Folder
from .._reports import counted
from .._trust import PRIVATE, Trust

_NAME = re.compile(r"dead-letters(-u\d+)?\.jsonl(\.1)?")
_COUNTED_BYTES = 1 << 24  # in all files together; the size of the others is shown
_FILES_AT_MOST = 1000  # others may make as many as they like
_NAMED_AT_MOST = 5
_PIECE_BYTES = 1 << 18
_O_CAREFULLY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLetters:
    """A file of dead letters.

    Attributes:
        file: its path.
        size_bytes: its size.
        letters: how many letters it has, or None if it is too large to count them, or cannot be
            read.
    """

    file: str
    size_bytes: int
    letters: int | None


def letters_in(path: str, trust: Trust = PRIVATE) -> list[KeptLetters]:
    """Return the files of dead letters in a journal, except empty ones.

    Args:
        path: the directory that is used as the journal.
        trust: who else may own its files.
    """
    found = []
    left = _COUNTED_BYTES
    with suppress(OSError), Folder.at(path, trust) as folder:
        names = [name for name in folder.names() if _NAME.fullmatch(name)]
        for name in names[:_FILES_AT_MOST]:
            with suppress(OSError):
                about = os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False)
                if stat.S_ISREG(about.st_mode) and about.st_size:
                    size, letters = about.st_size, None
                    if size <= left:
                        letters = _count(folder, name, size)
                        left -= size
                    file = os.path.join(path, name)
                    found.append(KeptLetters(file=file, size_bytes=size, letters=letters))
    return found


def _count(folder: Folder, name: str, size_bytes: int) -> int | None:
    """Return the number of lines in the first bytes of a file, or None if it cannot be read.

    Unlike `Folder.open`, this does not change the file's mode.
    """
    lines = 0
    try:
        file = os.open(name, os.O_RDONLY | _O_CAREFULLY, dir_fd=folder.descriptor)
        try:
            while size_bytes > 0 and (piece := os.read(file, min(size_bytes, _PIECE_BYTES))):
                lines += piece.count(b"\n")
                size_bytes -= len(piece)
        finally:
            os.close(file)
    except OSError:
        return None
    return lines


def text_of_letters(found: Sequence[KeptLetters]) -> str:
    """Return the line about the files, which names only some of them if there are many."""
    shown = [
        f"{f'{one.size_bytes:,} bytes' if one.letters is None else one.letters} in {one.file}"
        for one in found[:_NAMED_AT_MOST]
    ]
    if len(found) > _NAMED_AT_MOST:
        shown.append(counted(len(found) - _NAMED_AT_MOST, "more file"))
    return (
        f"dead letters: {', '.join(shown)}; correct what was wrong, and send them with "
        "`segment-logging replay`"
    )
