"""The collector's memory: requests, arrivals of each kind, message ids and counts, all bounded.

This module uses no clock, thread or socket. The store is not thread-safe.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from .arrivals import Request
from .entries import KINDS, WARNED, Entry
from .event_counts import EventCounts, Shape, shape_of

_MAX_KIND_BYTES = 48 * 1024 * 1024  # of each kind of arrival
_MAX_REQUESTS_BYTES = 16 * 1024 * 1024
_MAX_IDS = 100_000  # message ids that are stored to recognise duplicates
_MAX_SENT_AT = 100  # characters of a usual `sentAt`


class Parcel:
    """The arrivals of a request, ready to be stored. Making one takes longer than storing it.

    Attributes:
        entries: the arrivals.
        messages: their calls. A packed entry holds only the JSON of its call.
        shapes: the number of calls of each shape.
    """

    def __init__(self, entries: Iterable[Entry], *, is_packed: bool) -> None:
        self.entries: list[Entry] = []
        self.messages: list[Any] = []
        shapes: list[Shape] = []
        # One loop is faster than several: the message is still in the processor's cache.
        for entry in entries:
            message = entry.message
            outcome = WARNED if entry.kind == WARNED else entry.outcome
            shapes.append(shape_of(entry.type, entry.name, message, outcome))
            if is_packed:
                entry.pack()
            self.entries.append(entry)
            self.messages.append(message)
        self.shapes = Counter(shapes)


class _Shelf:
    """The kept arrivals of one kind, the oldest first."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
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
        self._seen: set[int] = set()  # hashes of message ids, which differ in each process
        self._seen_in_order: deque[int] = deque()
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
        self._seen.clear()
        self._seen_in_order.clear()
        self._reset()
        self.cleared += 1

    @property
    def requests(self) -> list[Request]:
        """The kept requests in order."""
        return [request for request, _ in self._requests]

    def parcel(self, entries: Iterable[Entry]) -> Parcel:
        """Return arrivals ready to be stored. Any thread may call this."""
        return Parcel(entries, is_packed=self._keep is not None)

    def add(self, request: Request, parcel: Parcel) -> None:
        """Store an answered request and its arrivals."""
        self.counts["requests"] += 1
        self._add_request(request)
        for shape, count in parcel.shapes.items():
            self.events.add(shape, count)
        number = self.last
        for entry, message in zip(parcel.entries, parcel.messages):
            number += 1
            entry.number = number
            self._entries[number] = entry
            self.counts[entry.outcome] += 1
            if entry.kind == WARNED:
                self.counts[WARNED] += 1
            if entry.outcome == "accepted":
                message_id = message.get("messageId")
                if message_id.__class__ is str and (hashed := hash(message_id)) not in self._seen:
                    self._seen.add(hashed)
                    self._seen_in_order.append(hashed)
        self.last = number
        while len(self._seen_in_order) > _MAX_IDS:
            self._seen.discard(self._seen_in_order.popleft())
        if self._keep is not None:
            for kind, shelf in self._shelves.items():
                added = [entry for entry in parcel.entries if entry.kind == kind]
                shelf.entries += added
                shelf.size_bytes += sum(entry.size_bytes for entry in added)
                self._trim(shelf, self._keep)

    def _trim(self, shelf: _Shelf, keep: int) -> None:
        while len(shelf.entries) > keep or shelf.size_bytes > _MAX_KIND_BYTES:
            oldest = shelf.entries.popleft()
            shelf.size_bytes -= oldest.size_bytes
            del self._entries[oldest.number]
            self._complete_from = max(self._complete_from, oldest.number + 1)

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
        if not isinstance(verdict.sent_at, str) or len(verdict.sent_at) > _MAX_SENT_AT:
            size_bytes += 8 * request.body_bytes  # an upper limit for what `sentAt` may be
        self._requests.append((replace(request, verdict=verdict), size_bytes))
        self._requests_bytes += size_bytes
        while len(self._requests) > self._keep or self._requests_bytes > _MAX_REQUESTS_BYTES:
            self._requests_bytes -= self._requests.popleft()[1]

    def has_seen(self, message_id: str) -> bool:
        """Whether a call with this id was accepted. Any thread may call this."""
        return hash(message_id) in self._seen

    def get(self, number: int) -> Entry | None:
        """Return the arrival with this number, or None if it is not kept."""
        return self._entries.get(number)

    def after(self, number: int) -> Iterator[Entry]:
        """Yield the kept arrivals after the one with this number, in order.

        The store must not change during the iteration.
        """
        if number + 1 < self._complete_from:
            older = [
                entry
                for shelf in self._shelves.values()
                for entry in shelf.entries
                if number < entry.number < self._complete_from
            ]
            yield from sorted(older, key=lambda entry: entry.number)
        for kept in range(max(number + 1, self._complete_from), self.last + 1):
            yield self._entries[kept]

    def some_after(self, number: int, limit: int) -> list[Entry]:
        """Return at most `limit` arrivals after the one with this number."""
        return list(islice(self.after(number), limit))
