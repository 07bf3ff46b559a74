"""What commands print. Text that cannot be printed does not stop a command."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress


def remark(text: str) -> None:
    """Print a line on stderr. Do nothing if stderr is closed or full."""
    if sys.stderr is not None:  # `print` would use stdout instead
        with suppress(OSError, ValueError):
            print(f"segment-logging: {text}", file=sys.stderr, flush=True)


def accept_all_text() -> None:
    """Escape characters on stdout that its encoding does not have, as Python does on stderr."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def flush_stdout(error: OSError | None = None) -> OSError | None:
    """Write what is left to stdout. Return the error if that fails, after giving stdout up.

    Args:
        error: why a command failed. If it may be a full disk below stdout, which does not name
            itself in errors, this function writes a newline to find out.
    """
    try:
        if sys.stdout is not None:
            if error is not None and error.filename is None and error.errno in _FULL:
                sys.stdout.write("\n")
            sys.stdout.flush()
    except OSError as fault:
        _give_up(1)
        return fault
    return None


def flush_stderr() -> None:
    """Write what is left to stderr, or give stderr up."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except ValueError:  # it is closed
        return
    except OSError:
        _give_up(2)


def _give_up(descriptor: int) -> None:
    """Write to nowhere, so that Python does not fail again at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
