"""Locks of others: those of processes, on files, and the one of `logging`.

A file's is released by the operating system when its owner dies: POSIX `flock`, on Windows
`msvcrt.locking`, and the one place that knows of the difference. Local file systems only: over
NFS and the like nobody can promise what a lock means.
"""

from __future__ import annotations

import logging
import os
import sys

if sys.platform == "win32":
    import msvcrt

    def try_lock(file: int) -> bool:
        """Lock an open file until it is closed; False when somebody else holds it."""
        try:
            os.lseek(file, 0, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def try_lock(file: int) -> bool:
        """Lock an open file until it is closed; False when somebody else holds it."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def holds_logging_lock() -> bool:
    """Whether the calling thread is inside dictConfig or the like: it must not wait for others."""
    is_owned = getattr(getattr(logging, "_lock", None), "_is_owned", None)
    return bool(is_owned()) if callable(is_owned) else False
