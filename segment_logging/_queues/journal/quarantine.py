"""The quarantine, where a journal keeps undeliverable lines and files for inspection.

    DIR/quarantine/damaged-lines           lines that are not messages, unchanged
    DIR/quarantine/<directory>-<file>      files whose dead letters could not be written

Its size is limited. It never holds up messages that can be delivered. Everything here runs in the
listener's thread.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence

from ..._files import make_private, size_bytes_of
from ..._messages.encoding import decode
from ..._messages.limits import MAX_MESSAGE_BYTES
from ..._reports import counted, report, were

MAX_DAMAGED_LINES_BYTES = 16 * 1024 * 1024
"""Maximum size of `damaged-lines`. Beyond it, damaged lines are only counted."""
MAX_QUARANTINE_BYTES = 256 * 1024 * 1024
"""Maximum size of the quarantine. Beyond it, files stay in the journal and are tried again."""


class Quarantine:
    """Keeps damaged lines, and files that are set aside.

    Args:
        root: the `journal` option.
    """

    def __init__(self, root: str) -> None:
        self._path = os.path.join(os.path.abspath(root), "quarantine")

    def lines_of(self, path: str, is_whole: Callable[[bytes], bool]) -> tuple[list[bytes], int]:
        """Return the messages of a journal file and the number of damaged lines in it.

        Damaged lines are reported, and kept as long as there is room. Bytes after the last newline
        were never accepted, but they may show what happened, so they count as a damaged line. A
        file that was removed has no messages.

        Raises:
            OSError: the file cannot be read.
        """
        try:
            with open(path, "rb") as stream:
                *lines, torn = stream.read().split(b"\n")
        except FileNotFoundError:
            return [], 0
        whole = [line for line in lines if is_whole(line)]
        damaged = [line for line in lines if not is_whole(line)] if len(whole) < len(lines) else []
        if torn:
            damaged.append(torn)
        if damaged:
            self._keep(damaged)
        return whole, len(damaged)

    def _keep(self, lines: Sequence[bytes]) -> None:
        told = "kept in the journal's quarantine"
        try:
            make_private(self._path)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            file = os.open(os.path.join(self._path, "damaged-lines"), flags, 0o600)
            try:
                if os.fstat(file).st_size < MAX_DAMAGED_LINES_BYTES:
                    os.write(file, b"\n".join(lines) + b"\n")
                else:
                    told = "not kept, as the quarantine is full: empty it"
            finally:
                os.close(file)
        except OSError as error:
            told = f"not kept: {error.strerror}"
        lines_are = f"{counted(len(lines), 'journal line')} {were(len(lines))}"
        report(f"{lines_are} damaged and cannot be sent ({told})")

    def remove(self, path: str, *, set_aside: bool) -> None:
        """Remove a file that is settled, or move it into the quarantine, which needs no space.

        Raises:
            OSError: the file could not be removed or moved. It was emptied if possible.
        """
        if not set_aside:
            try:
                os.unlink(path)
            except PermissionError:
                os.truncate(path, 0)  # so that it is not sent again
                raise
            return
        make_private(self._path)
        if size_bytes_of(self._path) > MAX_QUARANTINE_BYTES:
            raise OSError(errno.EDQUOT, "the quarantine is full")
        directory, name = os.path.split(path)
        os.rename(path, os.path.join(self._path, f"{os.path.basename(directory)}-{name}"))


def is_message(line: bytes) -> bool:
    """Return whether a line that anyone may have written is a message."""
    if len(line) > MAX_MESSAGE_BYTES:
        return False
    try:
        return isinstance(decode(line), dict)
    except (ValueError, RecursionError):
        return False


def looks_whole(line: bytes) -> bool:
    """Return whether a line that this process wrote looks undamaged.

    The check costs next to nothing. If a damaged line passes it, Segment refuses only that line.
    """
    return len(line) <= MAX_MESSAGE_BYTES and line.startswith(b"{") and line.endswith(b"}")
