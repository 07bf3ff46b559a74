"""Sends the messages in a file, and remembers the position in the file.

Everything before the bookmark is settled: each line was delivered, or is a dead letter. A batch
that was sent but not answered is sent again with the same message ids, so Segment recognises the
duplicates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple, Protocol

from .._messages.batcher import Batcher
from .bookmark import Bookmark, Place
from .forms import BadLine, ready
from .lines import DamagedFile, Line, Source
from .progress import Progress
from .repeats import REPEATED, Repeats, is_kept_repeat
from .sender import Sender
from .stopping import Signals

MAX_KINDS = 50
"""How many different reasons are counted on their own."""

_MAX_BAD_LINES = 10_000  # that wait to be written to the dead letters
_MAX_BAD_BYTES = 1 << 20


@dataclass(slots=True, kw_only=True)
class Imported:
    """The totals of an import.

    Attributes:
        delivered: the number of messages that were answered with a 2xx status.
        dead_lettered: the number of lines that are not messages or that Segment refused.
        undated: the number of messages without a timestamp. Segment uses their time of arrival.
        repeats: finds messages with the id of another message.
        is_complete: whether every line has been settled.
        reasons: the number of lines that are not messages, by reason.
        trouble: why the file could not be read to its end, or "".
    """

    delivered: int = 0
    dead_lettered: int = 0
    undated: int = 0
    repeats: Repeats = field(default_factory=Repeats)
    is_complete: bool = True
    reasons: Counter[str] = field(default_factory=Counter)
    trouble: str = ""

    def count_reason(self, kind: str, number: int = 1) -> None:
        """Count lines that are not messages."""
        kept = kind if kind in self.reasons or len(self.reasons) < MAX_KINDS else "other reasons"
        self.reasons[kept] += number


class Refusals(Protocol):
    """Stores the lines of a file that are not messages."""

    def refuse(self, lines: Sequence[Refused]) -> None: ...


class Refused(NamedTuple):
    """A line that is not a message."""

    line: Line
    reason: BadLine


class Importer:
    """Imports one file.

    Args:
        sender: sends batches.
        refusals: stores lines that are not messages.
        progress: shows how far the import is.
        signals: what may interrupt it.
        say: prints a line about the file.
        show: called with each line that is not a message.
        keeps_repeats: whether a message with the id of another message is refused instead of sent.
    """

    def __init__(
        self,
        sender: Sender,
        refusals: Refusals,
        *,
        progress: Progress,
        signals: Signals,
        say: Callable[[str], object],
        show: Callable[[Refused], object],
        keeps_repeats: bool = False,
    ) -> None:
        self._sender = sender
        self._refusals = refusals
        self._progress = progress
        self._signals = signals
        self._say = say
        self._show = show
        self._keeps_repeats = keeps_repeats
        self.totals = Imported()
        self.place = Place()
        """Everything before it is settled."""

    def run(
        self,
        source: Source,
        bookmark: Bookmark | None,
        place: Place,
        *,
        end: int | None = None,
    ) -> bool:
        """Send the lines of a file from a position on. Return whether all of them are settled.

        If the last line of a regular file has no newline and is not JSON, it is probably still
        being written. It is then left for the next import.

        Args:
            source: the file.
            bookmark: where to store the position, or None.
            place: where to begin. If it has a salt, every message gets a new id made from it.
            end: where to stop, or None for the end of the file.

        Raises:
            OSError: the file cannot be read.
            Stopped: a signal has arrived. What was settled before has been stored.
        """
        self.place = place
        self._bookmark = bookmark
        self._batcher = Batcher(auto_timestamp=False)
        self._ends: list[tuple[int, int]] = []  # for each message of the batch: offset and line
        self._undated: list[bool] = []
        self._refused: list[Refused] = []  # since the last settled message
        self._refused_bytes = 0
        self._source = source
        start = source.read_bytes if source.is_compressed else place.offset
        self._progress.begin(start, source.total_bytes)
        self._delivered_before = self._sender.delivered
        last: tuple[int, int] = place[:2]
        try:
            for line in source.lines(place.offset, place.line, end):
                if self._is_unfinished(line):
                    self._say("the last line is not complete, and is left for the next import")
                    return self._settle_all(last) and False
                if not self._take(line, last):
                    return False
                last = line.end, line.number
        except DamagedFile as error:
            self.totals.trouble = str(error)
            return self._settle_all(last) and False
        return self._settle_all(last)

    def _is_unfinished(self, line: Line) -> bool:
        """Return whether a line is probably still being written."""
        if line.is_ended or self._source.is_compressed or not self._source.is_resumable:
            return False
        if line.is_too_long or line.is_blank:
            return False
        try:
            ready(line, str)
        except BadLine as error:
            return error.kind in ("not JSON", "not UTF-8") and "Extra data" not in error.detail
        return False

    def _take(self, line: Line, before: tuple[int, int]) -> bool:
        """Add a line to the batch, or to the refused ones. Return False if delivery must stop."""
        if line.is_blank:
            return True
        try:
            salt = self.place.salt
            message = ready(line, lambda: self._id_of(line), replace_id=bool(salt))
            if self._keeps_repeats and is_kept_repeat(line.content, message):
                raise BadLine(REPEATED, None)
            if self.totals.repeats.add(message) and self._keeps_repeats:
                raise BadLine(REPEATED, message)
        except BadLine as error:
            self._refused.append(Refused(line, error))
            self._refused_bytes += len(line.content)
            if len(self._refused) < _MAX_BAD_LINES and self._refused_bytes < _MAX_BAD_BYTES:
                return True
            return self._settle_all((line.end, line.number))
        is_full = len(self._ends) >= self._sender.max_messages
        if is_full or not self._batcher.push_line(message.encoded):
            if not self._settle_all(before):
                return False
            self._batcher.push_line(message.encoded)
        self._ends.append((line.end, line.number))
        self._undated.append(not message.is_dated)
        return True

    def _id_of(self, line: Line) -> str:
        """Return a message id for a line: the same in every run, but not that of an equal line."""
        if self.place.salt:
            return sha256(f"{self.place.salt}-{line.start}".encode()).hexdigest()[:40]
        return f"{sha256(line.content).hexdigest()[:40]}-{line.start}"

    def _settle_all(self, until: tuple[int, int]) -> bool:
        """Send the batch. Return whether everything before `until` is settled."""
        is_sent = True
        if not self._batcher.is_empty:
            before = self._sender.delivered, self._sender.refused
            try:
                is_sent = self._sender.send(self._batcher.take(), self._settle_first)
            finally:
                self.totals.delivered += self._sender.delivered - before[0]
                self.totals.dead_lettered += self._sender.refused - before[1]
                if self._ends:
                    self._ends.clear()
                    self._undated.clear()
        if is_sent and until[0] > self.place.offset:
            self._settle_until(until)
        return is_sent

    def _settle_first(self, messages: int) -> None:
        """Note that the next messages of the batch are settled."""
        if not messages:
            return
        until = self._ends[messages - 1]
        self.totals.undated += sum(self._undated[:messages])
        del self._ends[:messages], self._undated[:messages]
        self._settle_until(until)

    def _settle_until(self, until: tuple[int, int]) -> None:
        refused = [one for one in self._refused if one.line.end <= until[0]]
        with self._signals.held():
            if refused:
                self._refusals.refuse(refused)
                del self._refused[: len(refused)]
                self._refused_bytes = sum(len(one.line.content) for one in self._refused)
                self.totals.dead_lettered += len(refused)
                for one in refused:
                    self.totals.count_reason(one.reason.kind)
                    self._show(one)
            self.place = self.place._replace(offset=until[0], line=until[1])
            self._store()
        read = self._source.read_bytes if self._source.is_compressed else until[0]
        self._progress.settled(self._sender.delivered - self._delivered_before, read)

    def _store(self) -> None:
        if self._bookmark is None:
            return
        try:
            self._bookmark.put(self.place)
        except OSError as error:
            self._say(not_resumable(error))
            self._bookmark = None


def not_resumable(error: OSError) -> str:
    """Return what to say if a bookmark cannot be written."""
    return (
        f"this import cannot be resumed, because its bookmark cannot be written ({error.strerror})"
    )
