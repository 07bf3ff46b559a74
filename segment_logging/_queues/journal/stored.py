"""Journal files that are read and sent: their messages, and their removal."""

from __future__ import annotations

import errno
import json
import os
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

from ..._files import Folder
from ..._messages.batch import Batch
from ..._messages.batcher import Batcher
from ..._messages.limits import MAX_BATCH_BYTES, MAX_BATCH_MESSAGES, MAX_MESSAGE_BYTES
from ..outgoing import Portion

MAX_STORED_BYTES = 4 * 1024 * 1024
"""The size above which a file is not one of ours, which have half a megabyte. It is not read."""


BLOCK_BYTES = 4096
"""The size of a block of the disk. A file takes up whole blocks."""


def on_disk(size_bytes: int) -> int:
    """Return how much of the disk a file of this size takes up, as whole blocks."""
    return size_bytes + -size_bytes % BLOCK_BYTES


def is_passing(error: OSError) -> bool:
    """Return whether an error is about this process or moment, and not about the file."""
    return error.errno in _PASSING


_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN)


class StoredFile:
    """A file whose messages are being sent. See `Piece`.

    Args:
        messages: how many messages it contains.
        on_settled: called when all of them are settled; its argument says whether the file is to
            be set aside.
        directory: the name of the directory that it is in, if somebody may adopt it.
    """

    __slots__ = ("_is_set_aside", "_on_settled", "directory", "left")

    def __init__(
        self, messages: int, on_settled: Callable[[bool], None], *, directory: str = ""
    ) -> None:
        self.directory = directory
        self.left = messages
        """How many messages are not settled yet."""
        self._on_settled = on_settled
        self._is_set_aside = False

    def settle(self, messages: int, *, set_aside: bool) -> None:
        self._is_set_aside |= set_aside
        self.left -= messages
        if self.left == 0:
            self._on_settled(self._is_set_aside)


class Collection:
    """The messages of several files, collected into a batch.

    A file is taken as a whole if it fits. Only one that is larger than a batch is split.

    Args:
        lane: of the messages.
        max_messages: the largest number of messages in a batch.
    """

    def __init__(self, lane: int, *, max_messages: int = MAX_BATCH_MESSAGES) -> None:
        self._lane = lane
        self._max_messages = max_messages
        self._batcher = Batcher(auto_timestamp=False)
        self._pieces: list[tuple[StoredFile, int]] = []
        self._rest: tuple[StoredFile, list[bytes]] | None = None  # did not fit

    def add(self, file: StoredFile, lines: list[bytes]) -> bool:
        """Add the messages of a file. Return False if they do not all fit any more."""
        size_bytes = sum(map(len, lines)) + len(lines)
        fits = (
            self._batcher.size_bytes + size_bytes <= MAX_BATCH_BYTES
            and len(self._batcher) + len(lines) <= self._max_messages
        )
        if not fits and not self._batcher.is_empty:
            self._rest = (file, lines)
            return False
        before = len(self._batcher)
        self._batcher.fill(islice(lines, self._max_messages))
        taken = len(self._batcher) - before
        self._pieces.append((file, taken))
        if taken == len(lines):
            return True
        self._rest = (file, lines[taken:])
        return False

    def take(self) -> Portion | None:
        """Return what was collected, and start over with what did not fit."""
        if self._batcher.is_empty and self._rest is not None:
            self._add_rest()
        if self._batcher.is_empty:
            return None
        batch: Batch = self._batcher.take()
        portion = Portion(batch, list(self._pieces), self._lane)
        self._pieces.clear()
        self._add_rest()
        return portion

    def _add_rest(self) -> None:
        rest, self._rest = self._rest, None
        if rest is not None:
            self.add(*rest)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is collected."""
        return self._batcher.is_empty and self._rest is None

    @property
    def is_full(self) -> bool:
        """Whether nothing more can be added before `take`."""
        return self._rest is not None


def read_lines(folder: Folder, name: str) -> tuple[list[bytes], bytes]:
    """Return the lines of a journal file, and what follows the last newline.

    Raises:
        OSError: if it cannot be read, is not ours, or is too large to be one of ours.
    """
    file = folder.open(name, os.O_RDONLY)
    try:
        size_bytes = os.fstat(file).st_size
        if size_bytes > MAX_STORED_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), os.path.join(folder.path, name))
        content = os.read(file, size_bytes)
    finally:
        os.close(file)
    *lines, torn = content.split(b"\n")
    return lines, torn


def is_message(line: bytes) -> bool:
    """Return whether a line, which anybody may have written, is a message.

    The line becomes part of a body unchanged. `json.loads` also accepts UTF-16, byte order marks,
    encoded surrogates and NaN, with any of which Segment would refuse the whole body.
    """
    if len(line) > MAX_MESSAGE_BYTES:
        return False
    try:
        return isinstance(_decode(line.decode()), dict)
    except (ValueError, RecursionError):
        return False


def _refuse(constant: str) -> None:
    raise ValueError(constant)


_decode = json.JSONDecoder(parse_constant=_refuse).decode


def looks_whole(line: bytes) -> bool:
    """Return whether a line of our own can be the message that we wrote.

    This check costs next to nothing. If a line passes it and is not a message, Segment refuses that
    line, and nothing else.
    """
    return len(line) <= MAX_MESSAGE_BYTES and line.startswith(b"{") and line.endswith(b"}")


class Adopted:
    """A directory of a process that is gone.

    Attributes:
        name: its name in `live`.
        files: the names of files that were not read yet, oldest first.
        stored: the files that were read and are not settled yet.
        is_left: whether it contains something that cannot be read or removed.
    """

    __slots__ = ("files", "is_left", "name", "stored")

    def __init__(self, name: str, files: Iterable[str]) -> None:
        self.name = name
        self.files = deque(files)
        self.stored: dict[str, StoredFile] = {}
        self.is_left = False
