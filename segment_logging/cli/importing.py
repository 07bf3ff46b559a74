"""Sends a file of messages, one JSON object per line, and remembers its position in the file.

The lines are calls in Segment's form, such as those that `SegmentJsonFormatter` or a journal
writes. A line that can never be delivered becomes a dead letter, and the other lines are still
sent. A bookmark file next to the file, `FILE.imported`, stores how many bytes have been settled. It
is removed when the import is complete. A batch that was sent but not answered is sent again with
the same message ids, so Segment recognises the duplicates.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256

from .._delivery.attempts import Delivery
from .._delivery.dead_letters import DeadLetters
from .._delivery.outcomes import Answered, Kept, TryAgain
from .._messages.batch import Batch
from .._messages.batcher import Batcher
from .._messages.calls import call_of
from .._messages.encoding import decode, encode
from .._messages.limits import MAX_MESSAGE_BYTES
from ..errors import InvalidMessage, MessageTooLarge, SegmentError

_HEAD_BYTES = 4096  # how many bytes at the start of a file identify it


class ChangedFile(SegmentError):
    """The bookmark belongs to another file, or the file has changed."""


@dataclass(slots=True, kw_only=True)
class Imported:
    """The result of an import.

    Attributes:
        delivered: the number of messages that were answered with a 2xx status.
        dead_lettered: the number of lines that are not messages or that Segment refused.
        undated: the number of messages without a timestamp. Segment uses their time of arrival.
        read_bytes: how many bytes of the file have been settled.
        total_bytes: the size of the file.
    """

    delivered: int = 0
    dead_lettered: int = 0
    undated: int = 0
    read_bytes: int = 0
    total_bytes: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether every line has been settled."""
        return self.read_bytes == self.total_bytes


class Bookmark:
    """A file that stores how much of another file has been imported. It has mode 0600.

    Args:
        path: the path of the imported file. The bookmark is stored next to it.
        head: the first 4 KiB of the imported file, which identify it.
    """

    def __init__(self, path: str, head: bytes) -> None:
        self.path = f"{path}.imported"
        self._head = head

    def find(self, total_bytes: int) -> int:
        """Return the offset at which to continue, or 0 if there is no bookmark.

        Raises:
            ChangedFile: the bookmark does not match the file.
        """
        try:
            with open(self.path, "rb") as bookmark:
                fields = decode(bookmark.read())
            offset, head = int(fields["offset"]), fields["head"]
        except FileNotFoundError:
            return 0
        except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
            offset, head = 0, None
        if head != self._mark(offset) or not 0 <= offset <= total_bytes:
            raise ChangedFile(
                f"the bookmark {self.path} belongs to another file, or the file has changed: "
                "remove the bookmark to import the whole file"
            )
        return offset

    def put(self, offset: int) -> None:
        """Store that the file has been imported up to `offset`.

        Raises:
            OSError: the bookmark cannot be written.
        """
        written = f"{self.path}.new"
        bookmark = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(bookmark, "wb") as out:
            out.write(encode({"offset": offset, "head": self._mark(offset)}))
        os.replace(written, self.path)

    def _mark(self, offset: int) -> str:
        return sha256(self._head[: max(0, offset)]).hexdigest()

    def remove(self) -> None:
        """Remove the bookmark after the whole file has been imported."""
        with suppress(FileNotFoundError):
            os.unlink(self.path)


class Importer:
    """Imports one file.

    Args:
        delivery: sends each batch until it is settled, or keeps it if it cannot be delivered now.
        dead_letters: stores the lines that are not messages.
        sleep: called with the number of seconds to wait between two attempts.
        on_progress: called after each batch.
    """

    def __init__(
        self,
        delivery: Delivery,
        dead_letters: DeadLetters,
        *,
        sleep: Callable[[float], None],
        on_progress: Callable[[Imported], object] = lambda imported: None,
    ) -> None:
        self._delivery = delivery
        self._dead_letters = dead_letters
        self._sleep = sleep
        self._on_progress = on_progress
        self._refused: list[tuple[object, InvalidMessage]] = []  # since the last settled batch

    def run(self, path: str) -> Imported:
        """Send the file, starting at the bookmark. Stop if a batch cannot be delivered now.

        If the last line has no newline and is not JSON, it is probably still being written. It is
        then left for the next import.

        Raises:
            ChangedFile: see `Bookmark.find`.
            OSError: the file cannot be read, or the dead letters or the bookmark cannot be written.
        """
        with open(path, "rb") as stream:
            done = Imported(total_bytes=os.fstat(stream.fileno()).st_size)
            bookmark = Bookmark(path, stream.read(_HEAD_BYTES))
            start = done.read_bytes = bookmark.find(done.total_bytes)
            stream.seek(start)
            batcher = Batcher(auto_timestamp=False)
            for line in stream:
                if _is_cut_short(line):
                    break
                encoded = self._encoded(line, start, done)
                if encoded is not None and not batcher.push_line(encoded):
                    if not self._deliver(batcher.take(), done):
                        return done
                    self._answered(bookmark, start, done)
                    batcher.push_line(encoded)
                start += len(line)
        if batcher.is_empty or self._deliver(batcher.take(), done):
            self._answered(bookmark, start, done)
            if done.is_complete:
                bookmark.remove()
        return done

    def _answered(self, bookmark: Bookmark, offset: int, done: Imported) -> None:
        """Record that every line before `offset` has been settled."""
        for found, reason in self._refused:
            self._dead_letters.write([found], reason)
        done.dead_lettered += len(self._refused)
        self._refused.clear()
        done.read_bytes, done.total_bytes = offset, max(offset, done.total_bytes)
        bookmark.put(offset)
        self._on_progress(done)

    def _encoded(self, line: bytes, offset: int, done: Imported) -> bytes | None:
        """Return the message in the line, encoded for sending, or None if there is none."""
        if not line.strip():
            return None
        found: object = line.decode(errors="replace").strip()
        try:
            found = decode(line)
            call = call_of(found)  # type: ignore[arg-type]  # call_of raises for other types
            if not call.has_id:
                # The id is the same in every import of this line. An identical line at another
                # position gets a different id.
                identified = f"{sha256(line).hexdigest()[:40]}-{offset}"
                call = replace(call, message_id=identified)
            encoded = encode(call.wire_form())
            if len(encoded) > MAX_MESSAGE_BYTES:
                raise MessageTooLarge(len(encoded), MAX_MESSAGE_BYTES)
        except Exception as error:  # one bad line must not stop the import
            if not isinstance(error, InvalidMessage):
                error = InvalidMessage("the line is not JSON: write one JSON object per line")
            self._refused.append((found, error))
            return None
        done.undated += call.timestamp is None
        return encoded

    def _deliver(self, batch: Batch, done: Imported) -> bool:
        before = self._delivery.tally
        attempts = self._delivery.attempts_at(batch)
        while not attempts.are_over:
            match attempts.make():
                case Answered(is_set_aside=True) | Kept():
                    return False
                case TryAgain(seconds=seconds):
                    self._sleep(seconds)
                case _:
                    continue
        after = self._delivery.tally
        done.delivered += after.delivered - before.delivered
        done.dead_lettered += after.dead_lettered - before.dead_lettered
        return True


def _is_cut_short(line: bytes) -> bool:
    """Return whether the line is probably still being written."""
    if line.endswith(b"\n") or not line.strip():
        return False
    try:
        decode(line)
    except (ValueError, RecursionError):
        return True
    return False
