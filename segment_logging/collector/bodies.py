"""Reads the bodies of requests, up to a maximum size."""

from __future__ import annotations

import zlib
from email.message import Message
from typing import Protocol

from .._messages.limits import MAX_BATCH_BYTES

MAX_BODY_BYTES = 2 * MAX_BATCH_BYTES
"""The maximum size of a body, both compressed and decompressed. It is twice Segment's limit, so
that the rules can report a body that is above that limit."""

_MAX_SKIPPED_BYTES = 16_000_000
_MAX_CHUNK_LINE = 1_000


class Refused(Exception):
    """Raised to answer a request with this status and then close the connection."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class TooLarge(Exception):
    """Raised if a body is larger than `MAX_BODY_BYTES`. It was read to its end, up to a limit."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def readline(self, size: int, /) -> bytes: ...


def has_body(headers: Message) -> bool:
    """Return whether a request has a body."""
    length = headers.get("Content-Length", "0").strip()
    return "Transfer-Encoding" in headers or length.strip("0") != ""


def read_body(headers: Message, file: _Readable) -> bytes:
    """Read and return the body of a request as it was sent.

    Raises:
        Refused: its length is missing or wrong, or the client has stopped sending.
        TooLarge: it is larger than `MAX_BODY_BYTES`.
    """
    encoding = headers.get("Transfer-Encoding")
    lengths = set(headers.get_all("Content-Length", []))
    if encoding is not None:
        if lengths:
            raise Refused(400, "a request has either Content-Length or Transfer-Encoding")
        if encoding.strip().lower() != "chunked":
            raise Refused(501, "the only supported Transfer-Encoding is chunked")
        return _read_chunks(file)
    if not lengths:
        raise Refused(411, "Content-Length is required")
    text = lengths.pop()
    if lengths or not (text.isascii() and text.isdigit() and len(text) < 20):
        raise Refused(400, "Content-Length is not a number")
    size_bytes = int(text)
    if size_bytes > MAX_BODY_BYTES:
        _skip(file, min(size_bytes, _MAX_SKIPPED_BYTES))
        raise TooLarge(f"the body has {size_bytes:,} bytes")
    return _read_exactly(file, size_bytes)


def _read_exactly(file: _Readable, size_bytes: int) -> bytes:
    body = file.read(size_bytes)
    if len(body) < size_bytes:
        raise Refused(400, "the body is shorter than announced")
    return body


def _skip(file: _Readable, left: int) -> None:
    """Read and discard a body, so that the client can read the answer."""
    while left > 0 and (read := file.read(min(left, 65_536))):
        left -= len(read)


def _read_chunks(file: _Readable) -> bytes:
    chunks = []
    total = 0
    while size_bytes := _chunk_size(file):
        total += size_bytes
        if total > _MAX_SKIPPED_BYTES:
            raise TooLarge("the body is too large")
        if total > MAX_BODY_BYTES:
            _skip(file, size_bytes)
        else:
            chunks.append(_read_exactly(file, size_bytes))
        if _line(file):
            raise Refused(400, "a chunk is longer than announced")
    for _ in range(100):
        if not _line(file):
            break
    else:
        raise Refused(400, "there are more than 100 trailers")
    if total > MAX_BODY_BYTES:
        raise TooLarge(f"the body has {total:,} bytes")
    return b"".join(chunks)


def _chunk_size(file: _Readable) -> int:
    text = _line(file).partition(b";")[0].strip()
    if not text or len(text) > 8 or text.strip(b"0123456789abcdefABCDEF"):
        raise Refused(400, "the size of a chunk is not a hexadecimal number")
    return int(text, 16)


def _line(file: _Readable) -> bytes:
    line = file.readline(_MAX_CHUNK_LINE)
    if not line.endswith(b"\n"):
        raise Refused(400, "the body is shorter than announced, or a line in it is too long")
    return line.rstrip(b"\r\n")


def unzipped(body: bytes, encoding: str) -> bytes:
    """Return the body without its Content-Encoding, at most `MAX_BODY_BYTES` + 1 bytes of it.

    Raises:
        Refused: the encoding is unknown, or the body does not have it.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise Refused(400, f"Content-Encoding is {encoding[:40]}: only gzip is supported")
    parts: list[bytes] = []
    left = MAX_BODY_BYTES + 1
    while True:  # a body may consist of several gzip members
        unzip = zlib.decompressobj(wbits=31)
        try:
            part = unzip.decompress(body, left)
        except zlib.error:
            raise Refused(400, "the body is not gzip") from None
        parts.append(part)
        left -= len(part)
        if left <= 0:
            break
        if not unzip.eof:
            raise Refused(400, "the gzip body is cut short")
        body = unzip.unused_data
        if not body:
            break
    return b"".join(parts)
