"""`Journal`: the queue on disk. Every message is in a file before `put` returns.

A file is a batch, and unlinking the file acknowledges the batch. There are no offsets, no states
and no compaction, and batches can be acknowledged even when the disk is full. If the process
crashes between the answer and the unlink, the batch is sent again. Its message ids are the same, so
Segment recognises the duplicates. Delivery is therefore at least once, and in order.

Unlike the memory queue's `put`, this one holds a lock, because the listener must not seal a file
that is being written to. If a signal handler logs in the middle of a `put`, its message is refused
here and goes to the memory queue.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

from ..._messages.batch import Batch
from ..._messages.batcher import batches_of
from ..._process.clock import monotonic
from ..._reports import report
from .adoption import Adoption
from .directory import JournalFile, live_path
from .quarantine import Quarantine, looks_whole
from .sync import sync_of
from .upkeep import Upkeep
from .writer import MAX_FILE_BYTES, Writer

_NEVER = 1 << 62


class Journal:
    """A queue of encoded messages in this handler's directory and those of dead processes.

    See `MessageQueue`.

    Args:
        root: the `journal` option. Any number of processes may share this directory.
        write_key: the write key of the Segment source. Each write key has its own directories.
        max_bytes: the maximum total size of this write key's files below `root`.
        sync: "off", "interval" or "emit".
        clock: returns the monotonic time in seconds.
    """

    perishable = 0

    def __init__(
        self,
        root: str,
        write_key: str,
        *,
        max_bytes: int,
        sync: str,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.kept_in = f"the journal {root}"
        self.live = live_path(os.path.abspath(root), write_key)
        """The path of the write key's `live` directory."""
        self._quarantine = Quarantine(root)
        self.adoption = Adoption(self.live, self._quarantine)
        self._writer = Writer(self.live, sync_of(sync), max_bytes=max_bytes, clock=clock)
        self._upkeep = Upkeep(self)
        self._ring: Callable[[], None] | None = None
        self._ring_at = _NEVER
        # Used by the listener's thread only:
        self._taken_from: Adoption | None = None  # source of the last batch; None: our own
        self._batches: deque[Batch] = deque()  # batches of the first sealed file
        self._was_put_back = False
        self._acknowledged = 0
        self.lost = 0
        """Number of messages whose files were removed or damaged by someone else."""

    def put(self, line: bytes) -> bool:
        writer = self._writer
        is_in = writer.append(line, self.adoption.size_bytes)
        if is_in and writer.size_bytes >= self._ring_at and self._ring is not None:
            self._ring_at = _NEVER
            try:
                self._ring()
            except BaseException:  # interrupted by Ctrl-C: ring at the next message instead
                self._ring_at = 0
                raise
        return is_in

    def watch(self, ring: Callable[[], None], *, collecting: bool) -> None:
        self._ring = ring
        self._ring_at = self._writer.size_bytes + MAX_FILE_BYTES if collecting else 0

    def take(self) -> Batch | None:
        self._ring_at = _NEVER
        if not self._was_put_back:
            batch = self.adoption.take()
            self._taken_from = None if batch is None else self.adoption
        self._was_put_back = False
        return self._take_own() if self._taken_from is None else self._taken_from.take()

    def _take_own(self) -> Batch | None:
        sealed = self._writer.sealed
        if not sealed:
            self._writer.seal()
        while sealed and not self._batches:
            self._batches.extend(batches_of(self._read(sealed[0])))
            if not self._batches:
                self._forget_file()
        return self._batches[0] if self._batches else None

    def _read(self, file: JournalFile) -> list[bytes]:
        """Return the lines of a sealed file. On an OSError, the caller tries again later."""
        lines, _ = self._quarantine.lines_of(file.path, looks_whole)
        # There are more lines than were counted if a signal handler raised an exception in the
        # middle of a `put`. There are fewer if someone else removed some.
        missing, file.messages = file.messages - len(lines), len(lines)
        if missing > 0:
            self.lost += missing
            self._acknowledged += missing
        else:
            with self._writer.lock:
                self._writer.written -= missing
        return lines

    def acknowledge(self, messages: int, *, set_aside: bool = False) -> None:
        if self._taken_from is not None:
            self._taken_from.acknowledge(messages, set_aside=set_aside)
            return
        self._writer.sealed[0].is_set_aside |= set_aside
        self._acknowledged += messages
        left = self._batches[0].without(messages)
        if left is not None:
            self._batches[0] = left
            return
        self._batches.popleft()
        if not self._batches:
            self._forget_file()

    def _forget_file(self) -> None:
        file = self._writer.sealed.popleft()
        try:
            self._quarantine.remove(file.path, set_aside=file.is_set_aside)
        except FileNotFoundError:
            pass
        except OSError as error:
            report(f"a journal file cannot be removed ({error.strerror}): check {file.path}")
        self._writer.forget(file)

    def put_back(self) -> None:
        self._was_put_back = True

    def tend(self, now: float) -> float:
        return self._upkeep.tend(now)

    def look_around(self) -> None:
        """Adopt the directories of dead processes. Called periodically in the listener's thread."""
        self.adoption.look_around(self._writer.path)

    def release(self) -> None:
        """Release the directory, so that another process can deliver what remains in it."""
        with self._writer.lock:
            directory = self._writer.let_go()
            self._was_put_back = False
            self._taken_from = None
            self._batches.clear()
            if directory is not None:
                left = self._writer.written - self._acknowledged
                # First, because counting messages twice for a moment is better than not at all.
                self.adoption.expect(directory.path, left)
                self._writer.written -= left
        self.adoption.release()
        if directory is not None:
            directory.give_up()

    def abandon(self) -> None:
        """Close the parent's files in a forked child, without changing them."""
        self._writer.abandon()
        self.adoption.abandon()

    @property
    def trouble(self) -> OSError | None:
        """The error of the last write, or None if it succeeded."""
        return self._writer.trouble

    @property
    def is_empty(self) -> bool:
        has_own = self._was_put_back or not self._writer.is_empty
        return not has_own and self.adoption.is_empty

    @property
    def has_full_batch(self) -> bool:
        return self._was_put_back or bool(self._writer.sealed) or not self.adoption.is_empty

    @property
    def has_backlog(self) -> bool:
        return self.adoption.has_backlog

    @property
    def lanes(self) -> tuple[tuple[int, int], ...]:
        adopted = (self.adoption.accepted, self.adoption.acknowledged)
        return ((self._writer.written, self._acknowledged), adopted)

    @property
    def accepted(self) -> int:
        return self._writer.written + self.adoption.accepted

    @property
    def damaged(self) -> int:
        return self.adoption.damaged
