"""Files that belong to us alone: private modes, locks, and nothing that somebody else prepared.

Directories have mode 0700 and files 0600, because they contain personal data. A file is opened
without following links, and used only if it is a regular file with a single name that belongs to
the user of this process. Otherwise a link, a pipe or a file in a directory that others may write
could have us append to a file of theirs, or wait forever.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from ._trust import PRIVATE, SHARED_DIRECTORY, NotOurs, Trust

sync_data = getattr(os, "fdatasync", os.fsync)
"""Write a file's content to the disk, given its descriptor."""

_CAREFULLY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_O_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO


def open_private(
    path: str, flags: int, *, folder: int | None = None, trust: Trust = PRIVATE
) -> int:
    """Open a file of ours, and make it if the flags say so. Return its descriptor.

    A file of ours that others may read or write is made private. `O_TRUNC` takes effect only if the
    file is ours.

    Args:
        path: the file's path, or its name in `folder`.
        flags: as for `os.open`.
        folder: the descriptor of a directory.
        trust: who else may own it or read it.

    Raises:
        NotOurs: if it is not a regular file of a trusted user with one name.
        OSError: if it cannot be opened.
    """
    try:
        file = os.open(path, (flags | _CAREFULLY) & ~os.O_TRUNC, 0o600, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise NotOurs("it is a link", path) from None
        if error.errno == errno.ENXIO:
            raise NotOurs("it is not a regular file", path) from None
        raise
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise NotOurs("it is not a regular file", path)
        trust.check_owner(found, path)
        if found.st_nlink > 1:
            raise NotOurs("it has another name", path)
        is_own = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
        if trust.group is not None:
            trust.share(file, shared_mode(path))
        elif found.st_mode & _OTHERS_MAY and is_own and hasattr(os, "fchmod"):
            os.fchmod(file, stat.S_IMODE(found.st_mode) & ~_OTHERS_MAY)
        if flags & os.O_TRUNC:
            os.ftruncate(file, 0)
    except BaseException:
        os.close(file)
        raise
    return file


def shared_mode(path: str) -> int:
    """Return the mode of a file that a group shares."""
    return 0o660 if path.endswith(".lock") else 0o640


class Folder:
    """An open directory.

    Every operation works on this directory, even if somebody moves it or puts another one in its
    place.

    Args:
        path: the directory's path, for reports.
        descriptor: an open descriptor of it.
        trust: who else may own it or write in it.
        is_ours: whether it must belong to us, or to those that we trust.

    Raises:
        NotOurs: if it belongs to another user, or if others may write in it.
    """

    def __init__(
        self, path: str, descriptor: int, trust: Trust = PRIVATE, *, is_ours: bool = True
    ) -> None:
        self.path = path
        self.descriptor = descriptor
        self.trust = trust
        try:
            found = os.fstat(descriptor)
            if is_ours:
                trust.check_owner(found, path)
                if trust.may_others_write(found):
                    raise NotOurs("others may write in it", path)
        except BaseException:
            os.close(descriptor)
            raise

    @classmethod
    def at(cls, path: str, trust: Trust = PRIVATE, *, is_ours: bool = True) -> Folder:
        """Open the directory at a path, which may lead through links.

        Raises:
            OSError: if it cannot be opened, or is not ours.
        """
        return cls(path, os.open(path, os.O_RDONLY | _O_DIRECTORY), trust, is_ours=is_ours)

    @classmethod
    def own(cls, root: str, trust: Trust = PRIVATE, *, make: bool = False) -> Folder:
        """Open `root`, or the directory for this user in it. See `own_path`.

        Raises:
            FileNotFoundError: if it does not exist, unless `make` is True.
            OSError: if it cannot be opened, or is not ours.
        """
        path = own_path(root, trust)
        if path != root:
            with cls.at(root, trust, is_ours=False) as outer:
                return outer.folder(os.path.basename(path), make=make)
        if make:  # a group must be able to reach it
            make_private(root, parents=0o700 if trust.group is None else 0o755)
        folder = cls.at(root, trust)
        if make:
            trust.share(folder.descriptor, SHARED_DIRECTORY)
        return folder

    def folder(self, name: str, *, make: bool = False, is_ours: bool = True) -> Folder:
        """Open a directory in this one.

        Args:
            name: its name.
            make: whether to make it.
            is_ours: whether it must belong to us, or to those that we trust.

        Raises:
            OSError: if it cannot be opened, or is not ours.
        """
        is_new = False
        if make:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=self.descriptor)
                is_new = True
        path = os.path.join(self.path, name)
        try:
            flags = os.O_RDONLY | _O_DIRECTORY | _CAREFULLY
            descriptor = os.open(name, flags, dir_fd=self.descriptor)
            folder = Folder(path, descriptor, self.trust, is_ours=is_ours)
            if is_new:
                self.trust.share(folder.descriptor, SHARED_DIRECTORY)
            return folder
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EMLINK):
                raise NotOurs("it is a link", path) from None
            raise

    def open(self, name: str, flags: int) -> int:
        """Open a file in it. See `open_private`."""
        try:
            return open_private(name, flags, folder=self.descriptor, trust=self.trust)
        except OSError as error:
            error.filename = os.path.join(self.path, name)
            raise

    def names(self) -> list[str]:
        """Return the names of everything in it, sorted."""
        return sorted(os.listdir(self.descriptor))

    def size_bytes_of(self, name: str) -> int:
        """Return the size of a file in it, without following links."""
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False).st_size

    def stat_or_none(self, name: str) -> os.stat_result | None:
        """Return the status of something in it, without following links. None if nothing is there.

        Raises:
            OSError: if it cannot be examined.
        """
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield the name and size of each regular file in it."""
        with os.scandir(self.descriptor) as entries:
            for entry in entries:
                with suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(found.st_mode):
                        yield entry.name, found.st_size

    def unlink(self, name: str) -> None:
        """Remove a file."""
        os.unlink(name, dir_fd=self.descriptor)

    def rmdir(self, name: str) -> None:
        """Remove an empty directory."""
        os.rmdir(name, dir_fd=self.descriptor)

    def rename(self, name: str, to: Folder, new_name: str) -> None:
        """Move something from here to another directory."""
        os.rename(name, new_name, src_dir_fd=self.descriptor, dst_dir_fd=to.descriptor)

    def sync(self) -> None:
        """Write to the disk which files are in it."""
        os.fsync(self.descriptor)

    def close(self) -> None:
        """Close it, once."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def own_path(root: str, trust: Trust = PRIVATE) -> str:
    """Return the directory that is used: `root`, or one for this user if others may write there.

    Raises:
        NotOurs: if it, or a link in its place, belongs to a user who is neither this one nor root.
        OSError: if it cannot be examined.
    """
    try:
        found, link = os.stat(root), os.lstat(root)
    except FileNotFoundError:
        return root  # it will be made, for us alone
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), root)
    if not hasattr(os, "geteuid"):
        return root
    trusted = (os.geteuid(), 0, *trust.owners)
    if found.st_uid not in trusted or link.st_uid not in trusted:
        raise NotOurs("it belongs to another user", root)
    is_shared = found.st_gid == trust.group
    if (found.st_uid != os.geteuid() and not is_shared) or trust.may_others_write(found):
        return os.path.join(root, f"u{os.geteuid()}")
    return root


def sync_entry(directory: str) -> None:
    """Write to the disk that `directory` contains a new file."""
    if os.name == "posix":
        file = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def make_private(path: str, *, parents: int = 0o700) -> None:
    """Make a directory with mode 0700, and those above it.

    Args:
        path: the directory.
        parents: the mode of those above it.
    """
    parent = os.path.dirname(path)
    if parent and not os.path.isdir(parent):
        make_private(parent, parents=parents)
        if parents != 0o700:
            os.chmod(parent, parents)
    with suppress(FileExistsError):
        os.mkdir(path, mode=0o700)
