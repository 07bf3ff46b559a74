"""Reads the lines of a file, a pipe or stdin, compressed or not, in a bounded amount of memory.

Only pieces of a file are held, never all of it, and never all of a line that is too long. Offsets
are those of the uncompressed content.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from ..errors import ConfigurationError, SegmentError

MAX_LINE_BYTES = 1 << 20
"""The longest line that is read. Segment's limit for a message is 32,000 bytes, but escapes, white
space and the fields that are left out can make a line several times as long."""

STDIN = "-"
"""The name that stands for stdin."""

_PIECE_BYTES = 1 << 18
_HEAD_BYTES = 4096


class DamagedFile(SegmentError):
    """Compressed data that is damaged or that ends too early."""


class Line(NamedTuple):
    """One line.

    Attributes:
        number: the line's number, from 1.
        start: the offset of its first byte.
        end: the offset after its newline.
        content: the line without its newline; empty if it is too long.
        size_bytes: its length without the newline.
        is_ended: whether it ends with a newline.
    """

    number: int
    start: int
    end: int
    content: bytes
    size_bytes: int
    is_ended: bool

    @property
    def is_too_long(self) -> bool:
        """Whether it is longer than what is read."""
        return self.size_bytes > len(self.content)

    @property
    def is_blank(self) -> bool:
        """Whether it contains nothing but white space."""
        return not (self.content and self.content.strip()) and not self.is_too_long


class Source:
    """An open file of lines.

    Args:
        path: the file's path, or "-" for stdin.

    Attributes:
        name: the name for reports.
        is_resumable: whether the file can be read from another position, so not a pipe.
        is_compressed: whether it contains gzip data. It is recognised by its content.
        head: up to 4 KiB of the content's beginning, to recognise the file.

    Raises:
        ConfigurationError: it is not a file of lines.
        OSError: it cannot be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = "stdin" if path == STDIN else path
        if path == STDIN and sys.stdin is None:
            raise ConfigurationError("stdin is closed: pass a file, or use a pipe")
        self.descriptor = os.dup(0) if path == STDIN else os.open(path, os.O_RDONLY)
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        found = os.fstat(self.descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise ConfigurationError(f"{self.name} is a directory: pass a file")
        is_pipe = stat.S_ISFIFO(found.st_mode) or stat.S_ISSOCK(found.st_mode)
        if not (stat.S_ISREG(found.st_mode) or is_pipe or self.path == STDIN):
            raise ConfigurationError(f"{self.name} is a device: pass a file")
        self.is_resumable = stat.S_ISREG(found.st_mode) and self.path != STDIN
        self._first = os.read(self.descriptor, _PIECE_BYTES)
        self._read_bytes = len(self._first)
        while is_pipe and len(self._first) < _HEAD_BYTES:
            more = os.read(self.descriptor, _PIECE_BYTES)
            if not more:
                break
            self._first += more
            self._read_bytes += len(more)
        for magic, what in _NOT_LINES.items():
            if self._first.startswith(magic):
                raise ConfigurationError(f"{self.name} {what}, one JSON object per line")
        self.is_compressed = self._first.startswith(_GZIP)
        self.head = self._first[:_HEAD_BYTES]
        if self.is_compressed:
            with suppress(zlib.error):
                self.head = zlib.decompressobj(31).decompress(self._first, _HEAD_BYTES)
        if shape := _shape_of(self.head):
            raise ConfigurationError(f"{self.name} {shape}")

    @property
    def total_bytes(self) -> int | None:
        """The size of the file on the disk now, or None for a pipe."""
        return os.fstat(self.descriptor).st_size if self.is_resumable else None

    @property
    def read_bytes(self) -> int:
        """How much of the file on the disk has been read."""
        return self._read_bytes

    def lines(self, offset: int = 0, number: int = 0, end: int | None = None) -> Iterator[Line]:
        """Yield the lines from an offset on. Call this once.

        Args:
            offset: where to begin, which must be the start of a line.
            number: the number of lines before it.
            end: where to stop, or None for the end of the file.

        Raises:
            DamagedFile: the compressed data is damaged. The lines before it have been yielded.
            OSError: the file cannot be read.
        """
        if self.is_compressed:
            pieces = _from(offset, _decompressed(self._pieces(), self.name))
        elif self.is_resumable:
            self._read_bytes = os.lseek(self.descriptor, offset, os.SEEK_SET)
            self._first = b""
            pieces = self._pieces(None if end is None else end - offset)
        else:
            pieces = self._pieces()
        yield from lines_in(pieces, offset, number)

    def _pieces(self, at_most: int | None = None) -> Iterator[bytes]:
        piece, self._first = self._first, b""
        if piece:
            yield piece
        while at_most is None or at_most > 0:
            size = _PIECE_BYTES if at_most is None else min(_PIECE_BYTES, at_most)
            piece = os.read(self.descriptor, size)
            if not piece:
                return
            self._read_bytes += len(piece)
            at_most = None if at_most is None else at_most - len(piece)
            yield piece

    def close(self) -> None:
        """Close the file, which also releases its lock."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def lines_in(
    pieces: Iterator[bytes], offset: int = 0, number: int = 0, *, longest: int = MAX_LINE_BYTES
) -> Iterator[Line]:
    """Yield the lines in pieces of a file. A line that is too long has no content."""
    rest = b""
    skipped = 0  # bytes of a line that is too long
    for piece in pieces:
        *ended, rest = (rest + piece).split(b"\n")
        for content in ended:
            size_bytes = skipped + len(content)
            number += 1
            end = offset + size_bytes + 1
            kept = content if size_bytes <= longest else b""
            yield Line(number, offset, end, kept, size_bytes, True)
            offset, skipped = end, 0
        if skipped or len(rest) > longest:
            skipped += len(rest)
            rest = b""
    if rest or skipped:
        size_bytes = skipped + len(rest)
        kept = rest if size_bytes <= longest else b""
        yield Line(number + 1, offset, offset + size_bytes, kept, size_bytes, False)


def _from(offset: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if offset < len(piece):
            yield piece[offset:]
        offset = max(0, offset - len(piece))


def _decompressed(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield the content of gzip data, which may have several members, as `cat` makes them."""
    inflater = zlib.decompressobj(31)  # 31 selects the gzip format
    has_begun = False
    for piece in pieces:
        left = piece
        is_full = False  # whether there may be more output without more input
        while left or is_full:
            if inflater.eof:
                left = left.lstrip(b"\0")  # padding
                inflater, has_begun, is_full = zlib.decompressobj(31), False, False
                continue
            has_begun = True
            try:
                content = inflater.decompress(left, _PIECE_BYTES)
            except zlib.error:
                raise DamagedFile(f"the compressed data in {name} is damaged") from None
            if content:
                yield content
            is_full = len(content) == _PIECE_BYTES and not inflater.eof
            left = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
    if has_begun and not inflater.eof:
        raise DamagedFile(f"the compressed data in {name} ends too early")


def _shape_of(head: bytes) -> str | None:
    """Return what is wrong with a file of JSON that is not one object per line, or None."""
    first, newline, _ = head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")
    first = first.rstrip()
    if not newline and re.search(rb"\}\s*\r\s*\{", first):
        return "has carriage returns between its lines: convert them to newlines"
    if first.startswith(b"[") and (not first.endswith(b"]") if newline else b"{" in first[:99]):
        return "is a JSON array: convert it to one object per line, for example with jq -c '.[]'"
    if first == b"{" and newline:
        return "spans several lines: convert it to one object per line, for example with jq -c ."
    return None


_GZIP = b"\x1f\x8b"
_UNCOMPRESS = "is compressed with {}: uncompress it, or compress it with gzip; it must contain text"
_NOT_LINES = {
    b"\x28\xb5\x2f\xfd": _UNCOMPRESS.format("zstd"),
    b"BZh": _UNCOMPRESS.format("bzip2"),
    b"\xfd7zXZ\0": _UNCOMPRESS.format("xz"),
    b"PK\x03\x04": "is a zip archive: unpack it, and pass files of text",
    b"PAR1": "is a Parquet file: export it as text",
    b"\xff\xfe": "is encoded in UTF-16: convert it to UTF-8",
    b"\xfe\xff": "is encoded in UTF-16: convert it to UTF-8",
    b"{\0": "is encoded in UTF-16: convert it to UTF-8",
    b"\0{": "is encoded in UTF-16: convert it to UTF-8",
}
