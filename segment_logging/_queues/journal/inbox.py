"""The queue of `segment-logging deliver`: files that other processes have written and sealed.

At most one process per write key takes files, and the others stand by: see `sources`. Small files
are merged into full batches. Directories take turns, those of the living and those of the dead, so
that fresh events do not wait for a long backlog. Within a directory, the order holds.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from ..._clock import monotonic
from ..._files import Folder
from ..._messages.batch import Batch
from ..._reports import Reporter
from ..outgoing import Outgoing
from ..pace import Pace
from .place import Place
from .quarantine import Quarantine
from .sealed import Directory
from .sources import Sources
from .stored import Collection, StoredFile, looks_whole

try:
    import resource
except ImportError:  # Windows, where there are no journals
    resource = None  # type: ignore[assignment]

POLL_EVERY = 0.25
"""Seconds between two looks for sealed files."""

_STAND_BY = 1.0  # seconds between two tries whether it is our turn
_TOO_MANY = (errno.EMFILE, errno.ENFILE)
_OTHER_FILES = 48  # that this process may have open


class Inbox:
    """Encoded messages in the sealed files of other processes. See `MessageQueue`.

    Args:
        place: where the journal is.
        max_kept_bytes: the limit on what is kept of damaged files.
        rate: how many messages may leave per second, or None for no limit. A batch contains at
            most the number that may leave in a second.
        clock: returns the monotonic time in seconds.
    """

    perishable = 0
    refusal = None
    lost = 0

    def __init__(
        self,
        place: Place,
        *,
        max_kept_bytes: int,
        rate: float | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.kept_in: str | None = f"the journal {place.path}"
        """Where the messages are, for the report at exit. None turns off that report."""
        self.place = place
        self._pace = Pace(rate)
        self._clock = clock
        self._reporter = Reporter(clock=clock)
        self._quarantine = Quarantine(place, max_kept_bytes, self._reporter)
        self._sources = Sources(place, self._reporter)
        self._collected = self._new_collection()
        self._is_cut = False  # the batch is sent as it is, because no more files can be opened
        self._held_files = 0
        self._outgoing = Outgoing()
        self._next_poll = 0.0
        self._taken_at = 0.0  # when the last batch was taken
        self.tended_at = clock()
        """When `tend` was called last, as monotonic time in seconds."""
        self.is_stopping = False
        """Whether nothing more is taken. The batch under way is finished."""
        self.accepted = 0
        self.damaged = 0

    # The listener's side. -----------------------------------------------------------------------

    def look_again(self) -> None:
        pass  # it looks several times a second

    def is_left_elsewhere(self) -> bool:
        return False

    def put(self, line: bytes) -> bool:
        return False

    def watch(self, ring: Callable[[], None], *, collecting: bool) -> None:
        """Do nothing, because `tend` finds new messages."""

    def take(self) -> Batch | None:
        if (
            not self._sources.is_still_ours()
        ):  # the lock file was removed, so another process may deliver
            self._forget()
            return None
        self._fill()
        batch = self._outgoing.take(self._collected.take)
        self._is_cut = False
        self._taken_at = self._clock()
        return batch

    def acknowledge(self, messages: int, *, set_aside: bool = False) -> None:
        self._outgoing.acknowledge(messages, set_aside=set_aside)
        # Not in `take`, or the queue would seem empty while its batch is being sent.
        self._pace.count(messages, left_at=self._taken_at)

    def put_back(self) -> None:
        self._outgoing.put_back()

    def hold(self) -> None:
        self._outgoing.hold()

    def set_back(self) -> None:
        self._outgoing.set_back(self.accepted)

    def tend(self, now: float) -> float:
        self.tended_at = now
        if self.is_stopping:
            return now + _STAND_BY
        if now >= self._next_poll:
            # During an outage there is no hurry, and there may be many directories.
            self._next_poll = now + (_STAND_BY if self._is_full else POLL_EVERY)
            try:
                if self._sources.take_turn():
                    self._sources.look(now)
                else:
                    self._next_poll = now + _STAND_BY
                self._reporter.over("search")
            except OSError as error:
                self._next_poll = now + _STAND_BY
                if error.errno not in _TOO_MANY:
                    self._reporter.once(
                        "search",
                        f"the journal in {self.place.live_path} cannot be searched "
                        f"({error.strerror}): {self.place.way_out_of(error)}; trying again",
                    )
        if self._sources.is_ours:
            with suppress(OSError):  # `take` reports it
                self._fill()
        not_before = self._pace.not_before
        return min(self._next_poll, not_before) if not_before > now else self._next_poll

    def release(self) -> None:
        """Let another process take over. It sends the messages that are not settled again."""
        self._forget()

    def abandon(self) -> None:
        """In a forked child: close what belongs to the parent."""
        self._forget()

    def _forget(self) -> None:
        """Unlock and forget everything that is not settled."""
        self._outgoing.forget()
        self.accepted = self._outgoing.acknowledged[0]
        self._collected = self._new_collection()
        self._held_files = 0
        self._sources.release()
        self._next_poll = 0.0

    def _new_collection(self) -> Collection:
        return Collection(0, max_messages=self._pace.max_messages)

    # Taking files. ------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Collect files until the batch is full, or nothing is left."""
        sources = self._sources
        while not self._is_full and sources.live is not None and (directory := sources.next()):
            try:
                with sources.live.folder(directory.name) as folder:
                    self._take_from(folder, directory)
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno in _TOO_MANY:
                    self._is_cut = True
                    if self._collected.is_empty:
                        raise
                else:
                    self._sources.skip(directory, None, "read", error)

    def _take_from(self, folder: Folder, directory: Directory) -> None:
        if not directory.files:
            directory.look_into(folder)
        while directory.files:
            if self._is_full:  # the others are next
                self._sources.wait(directory)
                return
            name = directory.files.popleft()
            try:
                if directory.take(folder, name):
                    self._held_files += 1
                    self._add(folder, directory, name)
            except FileNotFoundError:
                self._let_go(directory, name)
            except OSError as error:
                self._let_go(directory, name)
                if error.errno in _TOO_MANY:
                    directory.files.appendleft(name)
                    self._sources.wait(directory)
                    raise
                directory.left.add(name)
                self._sources.skip(directory, name, "read", error)

    def _add(self, folder: Folder, directory: Directory, name: str) -> None:
        lines, damaged = self._quarantine.lines_of(folder, name, looks_whole)
        self.damaged += damaged
        self.accepted += len(lines)
        file = StoredFile(len(lines), partial(self._remove, directory, name))
        if lines:
            self._collected.add(file, lines)
        else:
            file.settle(0, set_aside=False)

    def _remove(self, directory: Directory, name: str, is_set_aside: bool) -> None:
        """Remove a file whose messages are settled."""
        try:
            if self._sources.live is not None:
                with self._sources.live.folder(directory.name) as folder:
                    self._quarantine.remove(folder, name, set_aside=is_set_aside)
        except FileNotFoundError:
            pass  # somebody else has removed it
        except OSError as error:
            directory.left.add(name)
            self._sources.skip(directory, name, "removed", error)
        self._let_go(directory, name)

    def _let_go(self, directory: Directory, name: str) -> None:
        if name in directory.taken:
            self._held_files -= 1
            directory.release(name)

    @property
    def _is_full(self) -> bool:
        return self._is_cut or self._collected.is_full or self._held_files >= _most_files()

    # Waiting messages. ----------------------------------------------------------------------------

    @property
    def is_delivering(self) -> bool:
        """Whether it is this process's turn."""
        return self._sources.is_ours is True

    @property
    def is_standing_by(self) -> bool:
        """Whether another process delivers, as far as is known. Any thread."""
        return self._sources.is_ours is False

    @property
    def is_done(self) -> bool:
        """Whether no process writes any more, and nothing is left to send for us."""
        return self._sources.is_abandoned and not self.has_backlog

    @property
    def oldest(self) -> float | None:
        """When the oldest file that was taken and is not settled was written, since the epoch."""
        times = [at for one in tuple(self._sources.known.values()) for at in one.times]
        return min(times, default=None)

    @property
    def unreadable(self) -> int:
        """How many directories cannot be read, or have files that cannot be read or removed."""
        return self._sources.unreadable

    @property
    def is_empty(self) -> bool:
        if self.is_stopping or self._clock() < self._pace.not_before:
            return True
        return not self.has_backlog

    @property
    def has_full_batch(self) -> bool:
        return self._outgoing.is_due or self._is_full

    @property
    def has_backlog(self) -> bool:
        return not (self._sources.is_empty and self._collected.is_empty and self._outgoing.is_empty)

    @property
    def lanes(self) -> tuple[tuple[int, int], ...]:
        return ((self.accepted, self._outgoing.settled[0]),)


def _most_files() -> int:
    """Return how many files may be held at a time. Some are left for connections and others."""
    if resource is None:
        return _OTHER_FILES
    return max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHER_FILES)
