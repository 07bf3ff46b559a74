"""What arrived, as JSON for programs and as server-sent events for the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Protocol

from .._clock import monotonic
from .._version import __version__
from .entries import Entry
from .explanations import EXPLANATIONS
from .filters import Filter

_MAX_CHUNK = 250  # arrivals in one server-sent event
_MAX_CHUNK_BYTES = 100_000
_COUNTS_EVERY = 0.2  # seconds between counts while messages arrive
_BEAT_EVERY = 10.0  # seconds between signs of life while nothing arrives
_MAX_SCANNED = 5_000  # arrivals that are searched under one lock

MAX_LISTED = 1_000
"""The maximum number of arrivals in one answer."""


class Source(Protocol):
    """What the answers are made of."""

    run: str
    started: str

    def state(self) -> dict[str, Any]:
        """Return the counts and the number of the last arrival."""

    def entries_after(self, number: int, limit: int) -> list[Entry]:
        """Return at most `limit` arrivals after the one with this number."""

    def await_news(self, number: int, cleared: int, timeout: float) -> tuple[int, bool]:
        """Wait for a later arrival or for a clear.

        Returns:
            How many times the collector was cleared, and whether it is closed.
        """


def listed(source: Source, chosen: Filter, after: int, limit: int) -> tuple[list[Entry], int]:
    """Return the first arrivals after a number that a filter selects.

    Returns:
        At most `limit` arrivals, and the number of the last one that was looked at.
    """
    found: list[Entry] = []
    while entries := source.entries_after(after, _MAX_SCANNED):
        for entry in entries:
            after = entry.number
            if chosen.selects(entry):
                found.append(entry)
                if len(found) == limit:
                    return found, after
    return found, after


def list_json(source: Source, chosen: Filter, after: int, limit: int) -> bytes:
    """Return arrivals as a JSON object; see the collector's page in the documentation."""
    state = source.state()
    found, position = listed(source, chosen, after if after <= state["last"] else 0, limit)
    if len(found) < limit:
        position = max(position, state["last"])
    head = json.dumps({"run": source.run, "next": position, "counts": state["counts"]})
    lines = b",".join(entry.line for entry in found)
    return b'%b,"arrivals":[%b]}' % (head[:-1].encode(), lines)


def server_sent_events(source: Source, chosen: Filter, after: int, run: str) -> Iterator[bytes]:
    """Yield what arrives, for as long as the collector runs.

    Args:
        source: the collector.
        chosen: selects the arrivals.
        after: the number of the last arrival that the client has.
        run: the run that this number is from. An empty text means this run.
    """
    state = source.state()
    position = after if run in ("", source.run) and after <= state["last"] else 0
    cleared = state["cleared"]
    hello = {
        "run": source.run, "started": source.started, "version": __version__, "after": position,
        "last": state["last"], "cleared": cleared, "counts": state["counts"],
        "explanations": {code: one._asdict() for code, one in EXPLANATIONS.items()},
    }  # fmt: skip
    yield _event("hello", json.dumps(hello))
    is_live = False
    counted_at, counted = monotonic(), state["counts"]
    while True:
        entries = source.entries_after(position, _MAX_CHUNK)
        while entries:
            skipped = entries[-1].number - position - len(entries)
            if skipped and is_live:
                yield _event("skipped", json.dumps({"count": skipped}))
            lines: list[bytes] = []
            size_bytes = 0
            for entry in entries:
                position = entry.number
                if chosen.selects(entry):
                    lines.append(entry.line)
                    size_bytes += len(lines[-1])
                    if size_bytes > _MAX_CHUNK_BYTES:
                        break
            if lines:
                yield _event("arrivals", b"\ndata: ".join(lines), position)
            if monotonic() - counted_at >= _COUNTS_EVERY:
                counted_at, counted = monotonic(), source.state()["counts"]
                yield _event("counts", json.dumps(counted))
            entries = source.entries_after(position, _MAX_CHUNK)
        if not is_live:  # what was not there by now was removed before, and is not skipped
            is_live, position = True, max(position, state["last"])
        counts = source.state()["counts"]
        wait = _BEAT_EVERY
        if counts != counted:
            wait = _COUNTS_EVERY - (monotonic() - counted_at)
            if wait <= 0:
                counted_at, counted = monotonic(), counts
                yield _event("counts", json.dumps(counts))
                wait = _BEAT_EVERY
        times, is_closed = source.await_news(position, cleared, wait)
        if is_closed:
            return
        if times != cleared:
            cleared, position = times, source.state()["last"]
            yield _event("cleared", json.dumps(source.state()["counts"]))
        elif wait == _BEAT_EVERY:
            yield b":\n\n"


def _event(name: str, data: str | bytes, number: int | None = None) -> bytes:
    data = data.encode() if isinstance(data, str) else data
    number_line = b"" if number is None else b"id: %d\n" % number
    return b"event: %b\n%bdata: %b\n\n" % (name.encode(), number_line, data)
