"""A file that stores how much of another file has been imported."""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from typing import NamedTuple

from .._files import open_private
from .._messages.encoding import decode, encode
from .._trust import NotOurs
from ..errors import SegmentError

_MAX_BYTES = 4096
_OTHERS_MAY_WRITE = 0o022


class ChangedFile(SegmentError):
    """The bookmark belongs to another file, or the file has changed."""


class Place(NamedTuple):
    """A position in a file.

    Attributes:
        offset: how many bytes of the uncompressed content have been settled.
        line: how many lines that is.
        salt: what new message ids are made from, or "" if messages keep their ids.
    """

    offset: int = 0
    line: int = 0
    salt: str = ""


class Bookmark:
    """Stores a position next to a file, such as in `FILE.imported`, with mode 0600.

    Args:
        path: the path of the imported file.
        head: the first 4 KiB of its content, which identify it.
        suffix: what is added to the path.
    """

    def __init__(self, path: str, head: bytes, *, suffix: str = ".imported") -> None:
        self.path = f"{path}{suffix}"
        self._head = head

    def find(self) -> Place | None:
        """Return the position at which to continue, or None if there is no bookmark.

        Raises:
            ChangedFile: the bookmark does not match the file.
            NotOurs: somebody else may have written it.
            OSError: it cannot be read.
        """
        try:
            file = open_private(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            if os.fstat(file).st_mode & _OTHERS_MAY_WRITE:
                raise NotOurs("others may write to it", self.path)
            found = os.read(file, _MAX_BYTES)
        finally:
            os.close(file)
        try:
            fields = decode(found)
            place = Place(int(fields["offset"]), int(fields.get("line", 0)),
                          str(fields.get("salt", "")))  # fmt: skip
            is_same = fields["head"] == self._mark(place.offset) and min(place[:2]) >= 0
        except (ValueError, TypeError, LookupError, OverflowError, RecursionError, AttributeError):
            is_same, place = False, Place()
        if not is_same:
            raise ChangedFile(
                f"the bookmark {self.path} belongs to another file, or the file has changed: "
                "remove the bookmark to import the whole file"
            )
        return place

    def put(self, place: Place) -> None:
        """Store a position.

        Raises:
            OSError: the bookmark cannot be written.
        """
        written = f"{self.path}.new"
        bookmark = open_private(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            with open(bookmark, "wb") as out:
                out.write(encode({**place._asdict(), "head": self._mark(place.offset)}))
            os.replace(written, self.path)
        except OSError:  # the disk is full
            with suppress(OSError):
                os.unlink(written)
            raise

    def _mark(self, offset: int) -> str:
        return sha256(self._head[: max(0, offset)]).hexdigest()

    def remove(self) -> None:
        """Remove the bookmark after the whole file has been imported."""
        with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
            os.unlink(self.path)
