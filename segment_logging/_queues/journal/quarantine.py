"""What a journal cannot deliver, kept for people to look at.

    DIR/quarantine/damaged-lines           lines that are not messages, as they were found; with a
                                           group, each user has damaged-lines-u<uid>
    DIR/quarantine/damaged-lines.1         older ones
    DIR/quarantine/<directory>-<file>      files whose dead letters could not be written

It has a limit, beyond which the oldest files are removed. The delivery thread only.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import suppress

from ..._files import Folder
from ..._reports import Reporter, counted, were
from .place import Place
from .stored import read_lines

_TOO_LARGE = "not kept, because they are larger than a tenth of max_journal_bytes"


class Quarantine:
    """Keeps damaged lines, and files that could not be settled.

    Args:
        place: where the journal is.
        max_bytes: the limit on what is kept.
        reporter: reports damaged lines.
    """

    def __init__(self, place: Place, max_bytes: int, reporter: Reporter) -> None:
        self._place = place
        self._damaged = f"damaged-lines-u{os.geteuid()}" if place.is_shared else "damaged-lines"
        self._max_bytes = max_bytes
        self._reporter = reporter

    def lines_of(
        self, folder: Folder, name: str, is_whole: Callable[[bytes], bool]
    ) -> tuple[list[bytes], int]:
        """Return the messages of a journal file, and how many of its lines are damaged.

        Damaged lines are reported, and kept while there is room. What follows the last newline was
        never accepted, but it may show what happened, so it counts as a damaged line.

        Raises:
            OSError: if the file cannot be read.
        """
        lines, torn = read_lines(folder, name)
        whole = [line for line in lines if is_whole(line)]
        damaged = [line for line in lines if not is_whole(line)] if len(whole) < len(lines) else []
        if torn:
            damaged.append(torn)
        if damaged:
            self._keep(damaged)
        return whole, len(damaged)

    def _keep(self, lines: Sequence[bytes]) -> None:
        try:
            outcome = self._append(b"\n".join(lines) + b"\n")
        except OSError as error:
            outcome = f"not kept ({error.strerror})"
        number = len(lines)
        self._reporter.each(
            "damaged",
            number,
            lambda count: (
                f"{counted(count, 'line')} of the journal {were(count)} damaged and cannot be "
                f"sent; {outcome}"
            ),
        )

    def _append(self, content: bytes) -> str:
        size_bytes = len(content)
        if size_bytes > self._max_bytes:
            return _TOO_LARGE
        with self._place.folder("quarantine", make=True) as folder:
            found = folder.stat_or_none(self._damaged)
            if found is not None and found.st_size + size_bytes > self._max_bytes // 2:
                folder.rename(self._damaged, folder, f"{self._damaged}.1")
            self._make_room(folder, size_bytes)
            file = folder.open(self._damaged, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            try:
                if os.write(file, content) != size_bytes:  # a full disk takes as much as fits
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(file)
        return "kept in the journal's quarantine"

    def remove(self, folder: Folder, name: str, *, set_aside: bool) -> None:
        """Remove a file that is settled, or move it here, which takes no space on the disk.

        Raises:
            OSError: if it is still where it was, but empty if that was possible.
        """
        if set_aside:
            size_bytes = folder.size_bytes_of(name)
            if size_bytes <= self._max_bytes:
                with self._place.folder("quarantine", make=True) as own:
                    self._make_room(own, size_bytes)
                    folder.rename(name, own, f"{os.path.basename(folder.path)}-{name}")
                return
        try:
            folder.unlink(name)
        except PermissionError:
            with suppress(OSError):  # so that nobody sends it again
                file = folder.open(name, os.O_WRONLY | os.O_TRUNC)
                os.close(file)
            raise

    def _make_room(self, folder: Folder, needed_bytes: int) -> None:
        """Remove the oldest files until there is room for more."""
        sizes = dict(folder.sizes())
        used = sum(sizes.values())
        if used + needed_bytes <= self._max_bytes:
            return
        found = [(name, folder.stat_or_none(name)) for name in sizes]
        oldest_first = sorted((one.st_mtime_ns, name) for name, one in found if one is not None)
        for _, name in oldest_first:
            if used + needed_bytes <= self._max_bytes:
                break
            with suppress(OSError):
                folder.unlink(name)
                used -= sizes[name]
