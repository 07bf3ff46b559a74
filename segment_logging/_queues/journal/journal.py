"""`Journal`: the queue on disk. Every message is in a file before `put` returns.

Removing a file is the acknowledgement, so there are no offsets, no states and no compaction, and
even a full disk can be acknowledged. A crash between the response and the removal sends the file
again, with the same message ids, by which Segment detects duplicates: at least once, in order.

Unlike in memory, `put` holds a lock, because the delivery thread must not seal a file that is being
written to. If a signal handler logs in the middle of a `put`, its message is refused here and goes
to the memory queue.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from ..._clock import monotonic
from ..._messages.batch import Batch
from ..._reports import Reporter, counted
from ..outgoing import Outgoing, Portion
from .adoption import Adoption
from .directory import JournalFile, has_messages_of_dead
from .place import Place, trust_in
from .quarantine import Quarantine
from .stored import Collection, StoredFile, is_passing, looks_whole
from .sync import sync_of
from .upkeep import Upkeep
from .writer import MAX_FILE_BYTES, Writer

_NEVER = 1 << 62
_OWN = 0  # the lane of this handler's own messages


class Journal:
    """Encoded messages in this handler's files, and in those of processes that are gone.

    The two take turns. See `MessageQueue`.

    Args:
        root: the directory given as `journal`, which any number of processes may share.
        write_key: of the Segment source. Each has its own directories.
        max_bytes: the limit on what all processes keep for this write key.
        sync: "off", "interval" or "emit".
        group: the name of a group that shares the directory, or None.
        clock: returns the monotonic time in seconds.
    """

    perishable = 0
    refusal = None

    def __init__(
        self,
        root: str,
        write_key: str,
        *,
        max_bytes: int,
        sync: str,
        group: str | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.place = Place(root, write_key, trust_in(group))
        self.kept_in = f"the journal {self.place.path}"
        self._reporter = Reporter()
        self._quarantine = Quarantine(self.place, max_bytes // 10, self._reporter)
        self.adoption = Adoption(self.place, self._quarantine, self._reporter)
        self._writer = Writer(self.place, sync_of(sync), max_bytes=max_bytes, clock=clock)
        self._upkeep = Upkeep(self, self._reporter)
        self._ring: Callable[[], None] | None = None
        self._ring_at = _NEVER
        # For the delivery thread:
        self._outgoing = Outgoing(lanes=2)
        self._collected = Collection(_OWN)
        self._unread: list[JournalFile] = []  # own files that cannot be read now
        self._is_turn_of_adopted = True
        self._wanted_look, self._last_look = 1, 0  # numbers of looks for dead processes
        self.lost = 0
        """How many messages were in files that somebody removed or damaged."""

    def put(self, line: bytes) -> bool:
        writer = self._writer
        is_in = writer.append(line)
        if is_in and writer.size_bytes >= self._ring_at and self._ring is not None:
            self._ring_at = _NEVER
            try:
                self._ring()
            except BaseException:  # Ctrl-C during the call: the next message rings instead
                self._ring_at = 0
                raise
        return is_in

    def store(self, lines: Sequence[bytes]) -> StoredFile:
        """Write a batch of another queue into a file, which is not taken from this queue.

        Raises:
            OSError: if it cannot be written.
        """
        file = self._writer.store(lines)
        return StoredFile(
            len(lines), partial(self._remove, file), directory=os.path.basename(file.folder.path)
        )

    def expect(self, file: StoredFile) -> None:
        """Count a stored batch as one of this queue, because it is released with its directory."""
        self.adoption.expect(file.directory, file.left)

    def watch(self, ring: Callable[[], None], *, collecting: bool) -> None:
        self._ring = ring
        self._ring_at = self._writer.size_bytes + MAX_FILE_BYTES if collecting else 0

    def take(self) -> Batch | None:
        self._ring_at = _NEVER
        return self._outgoing.take(self._collect)

    def _collect(self) -> Portion | None:
        sources = [self.adoption.collect, self._collect_own]
        if not self._is_turn_of_adopted:
            sources.reverse()
        portion = sources[0]() or sources[1]()
        self._is_turn_of_adopted = portion is None or portion.lane == _OWN
        return portion

    def _collect_own(self) -> Portion | None:
        sealed = self._writer.sealed
        if not sealed:
            self._writer.seal()
        while sealed and not self._collected.is_full:
            try:
                lines = self._read(sealed[0])
            except OSError as error:
                if is_passing(error):
                    raise
                self._skip(sealed.popleft(), "read", error)
                continue
            file = sealed.popleft()
            stored = StoredFile(len(lines), partial(self._remove, file))
            if lines:
                self._collected.add(stored, lines)
            else:
                stored.settle(0, set_aside=False)
        return self._collected.take()

    def _read(self, file: JournalFile) -> list[bytes]:
        """Return the lines of a sealed file.

        Raises:
            OSError: if it cannot be read.
        """
        try:
            lines, _ = self._quarantine.lines_of(file.folder, file.name, looks_whole)
        except FileNotFoundError:
            lines = []
        # There are more lines than were counted if a signal handler raised in the middle of a
        # `put`, and fewer if somebody else removed some.
        missing, file.messages = file.messages - len(lines), len(lines)
        if missing > 0:
            self.lost += missing
            self._outgoing.skip(missing)
        else:
            with self._writer.lock:
                self._writer.written -= missing
        return lines

    def _remove(self, file: JournalFile, is_set_aside: bool) -> None:
        try:
            self._quarantine.remove(file.folder, file.name, set_aside=is_set_aside)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._skip(file, "removed", error)
        self._writer.forget(file)

    def _skip(self, file: JournalFile, what: str, error: OSError) -> None:
        """Report a file that is left where it is. One that cannot be read is tried again later."""
        if what == "read":
            self._unread.append(file)
        why = error.strerror
        self._reporter.each(
            f"skipped {what}",
            0 if file.is_reported else 1,
            lambda count: (
                f"{counted(count, 'journal file')} cannot be {what} ({why}): check {file.path}"
            ),
        )
        file.is_reported = True

    def acknowledge(self, messages: int, *, set_aside: bool = False) -> None:
        self._outgoing.acknowledge(messages, set_aside=set_aside)
        self._writer.look_again()

    def put_back(self) -> None:
        self._outgoing.put_back()

    def hold(self) -> None:
        self._outgoing.hold()

    def set_back(self) -> None:
        self._outgoing.set_back(self.accepted)

    def tend(self, now: float) -> float:
        return self._upkeep.tend(now)

    def look_around(self) -> None:
        """Find the directories of processes that are gone. The delivery thread, now and then."""
        with self._writer.lock:
            self._writer.sealed.extendleft(reversed(self._unread))
            self._unread.clear()
        this_look = self._wanted_look
        self.adoption.look_around(self._writer.directory_names)
        self._last_look = this_look  # last, because others go by it

    def look_again(self) -> None:
        self._wanted_look += 1

    def is_left_elsewhere(self) -> bool:
        known = self._writer.directory_names | self.adoption.left
        with suppress(OSError), self.place.live() as live:
            return has_messages_of_dead(live, known)
        return False

    @property
    def wants_to_look(self) -> bool:
        """Whether nobody has looked since the last release, or since a caller asked for it."""
        return self._last_look < self._wanted_look

    def release(self) -> None:
        """Release the directory, for whoever delivers what is left in it."""
        with self._writer.lock:
            directory = self._writer.let_go()
            self._outgoing.forget()
            self._collected = Collection(_OWN)
            self._unread.clear()
            if directory is not None:
                left = self._writer.written - self._outgoing.acknowledged[_OWN]
                # Expected first: rather count them twice than not at all.
                self.adoption.expect(os.path.basename(directory.path), left)
                self._writer.written -= left
        self.adoption.release()
        self.look_again()
        if directory is not None:
            directory.give_up()
            self.place.tidy()
        self._reporter.catch_up(at_last=True)

    def abandon(self) -> None:
        """In a forked child: close what belongs to the parent, and change none of it."""
        self._writer.abandon()
        self.adoption.abandon()

    @property
    def trouble(self) -> OSError | None:
        """Why the last message could not be written, or None if it could."""
        return self._writer.trouble

    @property
    def is_empty(self) -> bool:
        return not self._has_own and self._outgoing.is_empty and self.adoption.is_empty

    @property
    def _has_own(self) -> bool:
        return not self._writer.is_empty or not self._collected.is_empty

    @property
    def has_full_batch(self) -> bool:
        return (
            self._outgoing.is_due
            or bool(self._writer.sealed)
            or not self._collected.is_empty
            or not self.adoption.is_empty
        )

    @property
    def has_backlog(self) -> bool:
        return self.wants_to_look or self.adoption.has_backlog

    @property
    def lanes(self) -> tuple[tuple[int, int], ...]:
        own, adopted = self._outgoing.settled
        return ((self._writer.written, own), (self.adoption.accepted, adopted))

    @property
    def accepted(self) -> int:
        return self._writer.written + self.adoption.accepted

    @property
    def damaged(self) -> int:
        return self.adoption.damaged
