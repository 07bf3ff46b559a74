"""Helpers for private files: permissions, locks, and syncing to disk.

Directories have mode 0700 and files have mode 0600, because they contain personal data. Locks use
`flock`, which the operating system releases when the owner dies. Only local file systems are
supported, because locks are not reliable on NFS and other network file systems.
"""

from __future__ import annotations

import os
from contextlib import suppress

try:
    import fcntl
except ImportError:  # on Windows, where journals are not supported
    fcntl = None  # type: ignore[assignment]

sync_data = getattr(os, "fdatasync", os.fsync)
"""Sync a file's contents to disk, given its descriptor."""


def sync_entry(directory: str) -> None:
    """Sync a directory to disk, so that a new file in it survives a power cut."""
    if os.name == "posix":
        file = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def try_lock(file: int) -> bool:
    """Lock an open file until it is closed. Return False if another process holds the lock."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def make_private(path: str) -> None:
    """Create a directory and its missing parents, all with mode 0700."""
    parent = os.path.dirname(path)
    if parent and not os.path.isdir(parent):
        make_private(parent)
    with suppress(FileExistsError):
        os.mkdir(path, mode=0o700)


def size_bytes_of(path: str) -> int:
    """Return the total size of the files in a directory, or 0 if the directory does not exist."""
    try:
        with os.scandir(path) as entries:
            return sum(entry.stat().st_size for entry in entries)
    except OSError:
        return 0
