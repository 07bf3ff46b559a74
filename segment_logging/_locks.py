"""Locks of files: POSIX `flock`, which the operating system releases when their owner dies.

They work on local file systems only.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

try:
    import fcntl
except ImportError:  # Windows: everything works there except a journal
    fcntl = None  # type: ignore[assignment]


def try_lock(file: int) -> bool:
    """Lock an open file until it is closed. Return False if somebody else holds the lock.

    Raises:
        OSError: if the file system has no locks.
    """
    if fcntl is None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(file: int) -> None:
    """Release the lock of an open file, also for children that were forked while it was held."""
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)


def is_locked(file: int) -> bool:
    """Return whether somebody else holds the lock of an open file.

    Raises:
        OSError: if the file system has no locks.
    """
    if not try_lock(file):
        return True
    unlock(file)  # not just by closing it: a child that is forked now would keep the lock
    return False
