"""Things that somebody else may put in the place of a file or directory of ours.

Each function makes one thing at a path. `bait` is a file that must stay as it is.
"""

from __future__ import annotations

import os
import socket
import stat
import unittest
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

Planter = Callable[[Path, Path], None]

STRANGER = 40_001
"""The id of a user who owns nothing else here."""

GIANT_BYTES = 100 * 1024**3


def a_link(path: Path, bait: Path) -> None:
    path.symlink_to(bait)


def a_dangling_link(path: Path, bait: Path) -> None:
    path.symlink_to(bait.with_name("nothing"))


def a_link_to_a_directory(path: Path, bait: Path) -> None:
    path.symlink_to(bait.parent, target_is_directory=True)


def a_hard_link(path: Path, bait: Path) -> None:
    path.hardlink_to(bait)


def a_pipe(path: Path, bait: Path) -> None:
    os.mkfifo(path, 0o666)


def a_socket(path: Path, bait: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        before = Path.cwd()  # the path of a socket has at most 107 bytes
        os.chdir(path.parent)
        try:
            server.bind(path.name)
        finally:
            os.chdir(before)


def a_device(path: Path, bait: Path) -> None:
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        raise unittest.SkipTest("needs the right to make devices") from None


def a_directory(path: Path, bait: Path) -> None:
    path.mkdir(0o700)


def a_file(path: Path, bait: Path) -> None:
    path.touch(0o600)


def a_giant(path: Path, bait: Path) -> None:
    path.touch(0o600)
    try:
        os.truncate(path, GIANT_BYTES)
    except OSError:
        raise unittest.SkipTest("needs a file system with large sparse files") from None


def a_strangers_file(path: Path, bait: Path) -> None:
    path.write_text('{"type":"track","event":"planted"}\n')
    path.chmod(0o666)
    give_away(path)


def a_strangers_directory(path: Path, bait: Path) -> None:
    path.mkdir()
    path.chmod(0o777)
    give_away(path)


def a_wide_directory(path: Path, bait: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


def give_away(path: Path) -> None:
    """Make a path belong to a stranger."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        raise unittest.SkipTest("needs root")
    os.chown(path, STRANGER, STRANGER, follow_symlinks=False)


IN_PLACE_OF_FILES: tuple[Planter, ...] = (
    a_link, a_dangling_link, a_link_to_a_directory, a_hard_link, a_pipe, a_socket, a_device,
    a_directory, a_strangers_file,
)  # fmt: skip
"""What is never used as a file of ours."""

IN_PLACE_OF_DIRECTORIES: tuple[Planter, ...] = (
    a_link, a_dangling_link, a_link_to_a_directory, a_hard_link, a_pipe, a_socket, a_device,
    a_file, a_strangers_directory, a_wide_directory,
)  # fmt: skip
"""What is never used as a directory of ours."""


class Bait:
    """A file with a directory of its own, and what it was like at first.

    Args:
        directory: where to make them.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(0o755)
        self.path = directory / "bait"
        self.path.write_text("bait\n")
        self.path.chmod(0o644)
        self._before = self._state()

    def _state(self) -> object:
        found = self.path.stat()
        return self.path.read_bytes(), found.st_mode, sorted(os.listdir(self.path.parent))

    @property
    def is_untouched(self) -> bool:
        """Whether the file has the same content and mode, and is still alone."""
        return self._state() == self._before


def remove(path: Path) -> None:
    """Remove whatever is at a path, if that is possible without its content."""
    with suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
