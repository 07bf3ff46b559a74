"""Helpers for tests of queues, with defaults."""

from __future__ import annotations

import hashlib
import unittest
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from typing_extensions import override

from segment_logging._queues.journal.journal import Journal
from segment_logging._queues.memory import MemoryQueue
from segment_logging._queues.message_queue import MessageQueue

KEY = "key"


def a_line(number: int = 0, *, size_bytes: int = 0) -> bytes:
    """Return the shortest line with this number or, if given, a line of exactly `size_bytes`."""
    head = b'{"number":%d,"pad":"' % number
    return head + b"x" * (size_bytes - len(head) - 2) + b'"}'


WHOLE = frozenset(map(a_line, range(10)))


def taken_from(queue: MessageQueue) -> list[bytes]:
    """Take and acknowledge everything in a queue, and return the lines."""
    lines: list[bytes] = []
    while (batch := queue.take()) is not None:
        lines.extend(batch.lines)
        queue.acknowledge(len(batch))
    return lines


def acknowledge(queue: MessageQueue) -> None:
    """Acknowledge all messages of the batch that was taken last."""
    queue.put_back()
    batch = queue.take()
    assert batch is not None
    queue.acknowledge(len(batch))


def acknowledged(queue: MessageQueue) -> int:
    """Return how many messages were acknowledged, in all lanes."""
    return sum(done for _, done in queue.lanes)


def a_memory_queue(ring: Callable[[], None] | None = None, **options: int) -> MemoryQueue:
    """Return an empty memory queue that calls `ring` at the first message."""
    queue = MemoryQueue(**{"max_messages": 100_000, "max_bytes": 1 << 30, **options})
    if ring is not None:
        queue.watch(ring, collecting=False)
    return queue


def a_journal(root: Path, ring: Callable[[], None] | None = None, **options: Any) -> Journal:
    """Return a journal that calls `ring` at the first message."""
    write_key = options.pop("write_key", KEY)
    journal = Journal(str(root), write_key, **{"max_bytes": 1 << 30, "sync": "off", **options})
    if ring is not None:
        journal.watch(ring, collecting=False)
    return journal


class Rings:
    """A callback that counts how many times the listener was woken."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


class JournalCase(unittest.TestCase):
    """A test case with a directory for the journal, and helpers."""

    @override
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name) / "journal"

    @property
    def live(self) -> Path:
        return self.root / hashlib.sha256(KEY.encode()).hexdigest()[:12] / "live"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine" / "damaged-lines"

    def files(self) -> list[Path]:
        """Return the journal's files, sorted by directory and name."""
        return sorted(self.live.glob("*/*.jsonl"))

    def leave_behind(self, *contents: bytes, name: str = "00000000000000000001-1-dead") -> Path:
        """Create the directory of a dead process, with files and a lock that nobody holds."""
        directory = self.live / name
        directory.mkdir(mode=0o700, parents=True)
        (directory / "owner.lock").touch(0o600)
        for number, content in enumerate(contents, start=1):
            (directory / f"{number:08d}.jsonl").write_bytes(content)
        return directory

    def adopted_by(self, journal: Journal) -> list[bytes]:
        journal.look_around()
        return taken_from(journal)
