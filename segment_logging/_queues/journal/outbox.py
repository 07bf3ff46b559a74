"""The queue of a handler that does not deliver: messages are written, sealed and forgotten.

Another process, `segment-logging deliver`, sends the sealed files and removes them. A file is
sealed when it is as large as a batch, when it is older than `flush_interval`, when somebody
flushes, and by the death of this process.

Messages that the disk refuses wait in memory, in order, until the disk accepts them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress

from typing_extensions import override

from ..._clock import monotonic
from ..._files import Folder
from .directory import HANDED_OVER
from .place import Place
from .stored import on_disk
from .sync import Sync, sync_of
from .writer import Writer


class Outbox:
    """Messages that are handed over to another process. Any thread.

    Args:
        place: where the journal is.
        max_bytes: the limit on what all processes keep for this write key.
        max_waiting_messages: the limit on the number of messages in memory.
        max_waiting_bytes: the limit on their size.
        sync: "off", "interval" or "emit".
        seal_after: after how many seconds a file is sealed.
        wake: called when the thread has something to do: there is a new file, or there are
            messages in memory.
        clock: returns the monotonic time in seconds.
    """

    def __init__(
        self,
        place: Place,
        *,
        max_bytes: int,
        max_waiting_messages: int,
        max_waiting_bytes: int,
        sync: str,
        seal_after: float,
        wake: Callable[[], object],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.place = place
        self._sync = sync_of(sync)
        self._writer = _HandingWriter(place, self._sync, max_bytes=max_bytes, clock=clock)
        self._lock = self._writer.lock
        self._writer.on_new_file = wake
        self._seal_after = seal_after
        self._wake = wake
        self._clock = clock
        self._waiting: deque[bytes] = deque()  # messages that the disk refused
        self._waiting_bytes = 0
        self._max_waiting = (max_waiting_messages, max_waiting_bytes)
        self._is_moving = False

    def put(self, line: bytes) -> bool:
        """Write a message, or keep it in memory if the disk refuses it. False if there is no room.

        May be called from a signal handler or a `__del__` in the middle of another `put`.
        """
        writer = self._writer
        if self._waiting or not writer.append(line):
            return self._keep(line)
        if self._clock() - writer.began_at >= self._seal_after:
            writer.seal()
        return True

    def _keep(self, line: bytes) -> bool:
        if self._waiting:
            self._move()  # the disk may accept them again
        messages, size_bytes = self._max_waiting
        if len(self._waiting) >= messages or self._waiting_bytes + len(line) > size_bytes:
            return False
        self._waiting_bytes += len(line)
        self._waiting.append(line)
        if len(self._waiting) == 1:
            self._move()
        if self._waiting:
            self._wake()
        return True

    def _move(self) -> None:
        """Write the messages that are waiting in memory, as long as the disk accepts them."""
        if not self._lock.acquire(timeout=_MOMENT):
            return
        try:
            if self._is_moving:
                return  # a signal handler interrupted the lines below
            self._is_moving = True
            try:
                while self._waiting and self._writer.append(self._waiting[0]):
                    self._waiting_bytes -= len(self._waiting.popleft())
            finally:
                self._is_moving = False
        finally:
            self._lock.release()

    def tend(self, now: float) -> float | None:
        """Seal the file if it is due, and write the messages that are waiting in memory.

        Args:
            now: the monotonic time in seconds.

        Returns:
            When to call this again, or None if it is not needed.
        """
        if self._waiting:
            self._move()
        due_at = self._writer.began_at + self._seal_after
        if due_at <= now:
            self._writer.seal()
            due_at = self._writer.began_at + self._seal_after
        if self._waiting:
            return min(due_at, now + _MOVE_EVERY)
        return None if due_at == _NEVER else due_at

    def hand_over(self, *, is_exit: bool = False) -> bool:
        """Seal everything, and sync it if that was asked for.

        Args:
            is_exit: whether the process is exiting. Then at most one file is synced. A file that
                cannot be sealed within a moment is sealed by the end of the process.

        Returns:
            False if some messages are not in a sealed file yet.
        """
        self._writer.try_at_once()
        self._move()
        is_sealed = self._lock.acquire(timeout=_MOMENT)
        if is_sealed:
            try:
                self._writer.seal()
            finally:
                self._lock.release()
        self._sync.catch_up(at_most=_MOMENT if is_exit else None)
        return is_sealed and not self._waiting

    def release(self) -> None:
        """Release the directory, for whoever delivers what is left in it."""
        if not self._lock.acquire(timeout=_MOMENT):
            return
        try:
            directory = self._writer.let_go()
        finally:
            self._lock.release()
        if directory is not None:
            directory.give_up()

    def abandon(self) -> None:
        """In a forked child: close what belongs to the parent, and change none of it."""
        self._writer.abandon()

    @property
    def written(self) -> int:
        """How many messages were written to the journal."""
        return self._writer.written

    @property
    def handed_over(self) -> int:
        """How many of them are in sealed files."""
        return self._writer.handed_over

    @property
    def waiting(self) -> int:
        """How many messages wait in memory, and would be lost if the process died."""
        return len(self._waiting)

    @property
    def trouble(self) -> OSError | None:
        """Why the last message could not be written, or None if it could."""
        return self._writer.trouble


class _HandingWriter(Writer):
    """A writer whose sealed files belong to the process that delivers them."""

    _suffix = HANDED_OVER

    def __init__(
        self, place: Place, sync: Sync, *, max_bytes: int, clock: Callable[[], float]
    ) -> None:
        super().__init__(place, sync, max_bytes=max_bytes, clock=clock)
        self.handed_over = 0
        self.began_at = _NEVER
        """When the current file was made."""
        self.on_new_file: Callable[[], object] = lambda: None

    @override
    def _began_file(self) -> None:
        self.began_at = self._clock()
        self.on_new_file()

    @override
    def seal(self) -> None:
        with self.lock:
            self.began_at = _NEVER
            super().seal()
            while self.sealed:
                file = self.sealed.popleft()
                self.handed_over += file.messages
                for directory in (self._directory, *self._former):
                    if directory is not None and directory.folder is file.folder:
                        directory.unsettled -= 1
            self._close_former()

    @override
    def _measured(self) -> int:
        """Look at the files, because others remove them."""
        self.size_bytes = sum(
            sum(on_disk(size) for _, size in _sizes(one.folder))
            for one in (self._directory, *self._former)
            if one is not None
        )
        return self.size_bytes


def _sizes(folder: Folder) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    with suppress(OSError):
        found.extend(folder.sizes())
    return found


_NEVER = float("inf")
_MOMENT = 0.05  # seconds to wait for a lock that an interrupted thread may hold
_MOVE_EVERY = 0.5  # seconds between two tries to write the messages in memory
