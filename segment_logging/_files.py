"""Files that are ours alone: private modes, locks that end with their owner, what survives a crash.

Directories are made 0700 and files 0600, as they hold personal data. Locks are POSIX `flock`, which
the operating system releases when the owner dies. Local file systems only: nobody can say what a
lock means over NFS and the like.
"""

from __future__ import annotations

import os
from contextlib import suppress

try:
    import fcntl
except ImportError:  # Windows: everything works there but a journal
    fcntl = None  # type: ignore[assignment]

sync_data = getattr(os, "fdatasync", os.fsync)
"""Put a file's content on disk, by its descriptor."""


def sync_entry(directory: str) -> None:
    """Put on disk that `directory` holds a new file."""
    if os.name == "posix":
        file = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def try_lock(file: int) -> bool:
    """Lock an open file until it is closed. False if somebody else holds the lock."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def make_private(path: str) -> None:
    """Make a directory and those above it, each of them 0700."""
    parent = os.path.dirname(path)
    if parent and not os.path.isdir(parent):
        make_private(parent)
    with suppress(FileExistsError):
        os.mkdir(path, mode=0o700)


def size_bytes_of(path: str) -> int:
    """Return the size of the files in a directory, 0 if it is gone."""
    try:
        with os.scandir(path) as entries:
            return sum(entry.stat().st_size for entry in entries)
    except OSError:
        return 0
