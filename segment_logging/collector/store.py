"""The collector's memory: requests, arrivals of each kind, message ids and counts, all bounded.

This module uses no clock, thread or socket. The store is not thread-safe.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2b
from itertools import islice
from typing import Any

from .arrivals import Request
from .entries import KINDS, WARNED, Entry
from .event_counts import EventCounts

_MAX_KIND_BYTES = 48 * 1024 * 1024  # of each kind of arrival
_MAX_REQUESTS_BYTES = 16 * 1024 * 1024
_MAX_IDS = 100_000  # message ids that are stored to recognise duplicates
_MAX_ID_CHARACTERS = 100  # of a stored id; of longer ones, the hash is stored


class _Shelf:
    """The numbers and sizes of the kept arrivals of one kind, the oldest first."""

    def __init__(self) -> None:
        self.items: deque[tuple[int, int]] = deque()
        self.size_bytes = 0


class Store:
    """Everything that the collector keeps.

    Args:
        keep: the number of arrivals of each kind, and of requests, to keep. There are also limits
            in bytes. None keeps everything, and keeps it as objects.
    """

    def __init__(self, keep: int | None) -> None:
        self._keep = keep
        self._entries: dict[int, Entry] = {}
        self._ids: OrderedDict[str | bytes, None] = OrderedDict()
        self.last = 0
        self.cleared = 0
        self._reset()

    def _reset(self) -> None:
        self._shelves = {kind: _Shelf() for kind in KINDS}
        self._complete_from = self.last + 1  # every arrival from this number on is kept
        self._requests: deque[tuple[Request, int]] = deque()
        self._requests_bytes = 0
        self.counts = {"accepted": 0, "dropped": 0, "refused": 0, "warned": 0, "requests": 0}
        self.events = EventCounts()

    def clear(self) -> None:
        """Remove everything. The numbers of later arrivals continue."""
        self._entries.clear()
        self._ids.clear()
        self._reset()
        self.cleared += 1

    @property
    def requests(self) -> list[Request]:
        """The kept requests in order."""
        return [request for request, _ in self._requests]

    def pack(self, entries: list[Entry]) -> list[int]:
        """Return the entries' sizes in bytes. If there is a limit, keep only their JSON.

        This is the costly part of storing them, and may run in several threads.
        """
        return [0 if self._keep is None else entry.pack() for entry in entries]

    def add(
        self, request: Request, entries: list[Entry], messages: list[Any], sizes: list[int]
    ) -> None:
        """Store a request and its arrivals.

        Args:
            request: the answered request.
            entries: its arrivals.
            messages: the calls of the arrivals.
            sizes: the sizes of the arrivals in bytes, from `pack`.
        """
        self.counts["requests"] += 1
        self._add_request(request)
        kept, keep, number = self._entries, self._keep, self.last
        for entry, message, size_bytes in zip(entries, messages, sizes):
            number += 1
            entry.number = number
            kept[number] = entry
            kind = entry.kind
            self.counts[entry.outcome] += 1
            if kind == WARNED:
                self.counts["warned"] += 1
            outcome = kind if kind == WARNED else entry.outcome
            self.events.add(entry.type, entry.name, message, outcome)
            if entry.outcome == "accepted":
                self._remember(message.get("messageId"))
            if keep is None:
                continue
            shelf = self._shelves[kind]
            shelf.items.append((number, size_bytes))
            shelf.size_bytes += size_bytes
            while len(shelf.items) > keep or shelf.size_bytes > _MAX_KIND_BYTES:
                oldest, removed_bytes = shelf.items.popleft()
                shelf.size_bytes -= removed_bytes
                del kept[oldest]
                self._complete_from = max(self._complete_from, oldest + 1)
        self.last = number

    def _remember(self, message_id: Any) -> None:
        if isinstance(message_id, str):
            self._ids[_id_key(message_id)] = None
            if len(self._ids) > _MAX_IDS:
                self._ids.popitem(last=False)

    def _add_request(self, request: Request) -> None:
        if self._keep is None:
            self._requests.append((request, 0))
            return
        verdict = replace(request.verdict, judged=())
        size_bytes = (
            1_000
            + len(request.path)
            + sum(len(name) + len(value) for name, value in request.headers.items())
        )
        if not isinstance(verdict.sent_at, str) or len(verdict.sent_at) > _MAX_ID_CHARACTERS:
            size_bytes += 8 * request.body_bytes  # an upper limit for what `sentAt` may be
        self._requests.append((replace(request, verdict=verdict), size_bytes))
        self._requests_bytes += size_bytes
        while len(self._requests) > self._keep or self._requests_bytes > _MAX_REQUESTS_BYTES:
            self._requests_bytes -= self._requests.popleft()[1]

    def has_seen(self, message_id: str) -> bool:
        """Whether a call with this id was accepted. Any thread may call this."""
        return _id_key(message_id) in self._ids

    def get(self, number: int) -> Entry | None:
        """Return the arrival with this number, or None if it is not kept."""
        return self._entries.get(number)

    def after(self, number: int) -> Iterator[Entry]:
        """Yield the kept arrivals after the one with this number, in order.

        The store must not change during the iteration.
        """
        if number + 1 < self._complete_from:
            older = [
                kept
                for shelf in self._shelves.values()
                for kept, _ in shelf.items
                if number < kept < self._complete_from
            ]
            for kept in sorted(older):
                yield self._entries[kept]
        for kept in range(max(number + 1, self._complete_from), self.last + 1):
            yield self._entries[kept]

    def some_after(self, number: int, limit: int) -> list[Entry]:
        """Return at most `limit` arrivals after the one with this number."""
        return list(islice(self.after(number), limit))


def _id_key(message_id: str) -> str | bytes:
    if len(message_id) <= _MAX_ID_CHARACTERS:
        return message_id
    return blake2b(message_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
