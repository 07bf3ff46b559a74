"""The counts of all handlers as totals that never decrease, for metrics.

A handler that is closed and forgotten takes its counts with it. A metric that counts up must not go
down, because that looks like a restart of the process. So its last known counts are kept.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from .._delivery.counts import Counts
from .._handlers import live_handlers
from .._process.threads import new_rlock

OUTCOMES = ("delivered", "handed_over", "dead_lettered", "dropped", "invalid")
"""The counts of messages that have an outcome. Each message has exactly one."""

MAX_HANDLERS = 20
"""The most handlers that are told apart. The others are counted together."""

OTHERS = "other"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric, independent of the library that exports it.

    Attributes:
        name: its name, in words that are separated by dots.
        sentence: what it counts.
        unit: what it counts, as OpenTelemetry writes it.
        counts: the names of the counts that it consists of.
        is_total: whether it never decreases.
    """

    name: str
    sentence: str
    unit: str
    counts: tuple[str, ...]
    is_total: bool = True


METRICS = (
    Metric("messages", "Messages, by what happened to them.", "{message}", OUTCOMES),
    Metric("messages.accepted", "Messages that were accepted.", "{message}", ("accepted",)),
    Metric(
        "messages.pending", "Messages that are not settled.", "{message}", ("pending",), False
    ),
    Metric(
        "records.ignored",
        "Records that were not events, or that the options excluded.",
        "{record}",
        ("ignored",),
    ),
    Metric("batches", "Requests that were answered with a 2xx.", "{batch}", ("batches",)),
    Metric("retries", "Attempts after the first.", "{attempt}", ("retried",)),
)  # fmt: skip


class Totals:
    """The totals of each handler in this process. Thread-safe."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._forget()

    def _forget(self) -> None:
        self._reading = new_rlock()
        self._known: dict[int, tuple[weakref.ref[Any], str]] = {}
        self._last: dict[int, Counts] = {}
        self._gone: dict[str, Counts] = {}

    def read(self) -> Iterator[tuple[str | None, Counts]]:
        """Yield the totals with the handler's name, or with None if there is only one.

        The name is the handler's own, which dictConfig sets, and otherwise "handler 1" and so on.
        """
        if self._pid != os.getpid():  # a forked child counts anew
            self._pid = os.getpid()
            self._forget()
        with self._reading:
            totals = self._totals()
        for name, counts in totals.items():
            yield (name if len(totals) > 1 else None), counts

    def _totals(self) -> dict[str, Counts]:
        for handler in live_handlers():
            known = self._known.get(id(handler))
            if known is None or known[0]() is not handler:
                self._retire(id(handler))  # of a handler that had the same place in memory
                self._known[id(handler)] = (weakref.ref(handler), self._name_of(handler))
        for key, (reference, _) in tuple(self._known.items()):
            handler = reference()
            if handler is None:
                self._retire(key)
            else:
                self._last[key] = handler.counts()
        totals = dict(self._gone)
        for key, (_, name) in self._known.items():
            totals[name] = _sum(totals.get(name, Counts()), self._last[key])
        return totals or {"handler 1": Counts()}

    def _retire(self, key: int) -> None:
        known, last = self._known.pop(key, None), self._last.pop(key, Counts())
        if known is not None:
            settled = replace(last, pending=0)
            self._gone[known[1]] = _sum(self._gone.get(known[1], Counts()), settled)

    def _name_of(self, handler: Any) -> str:
        names = {name for _, name in self._known.values()} | self._gone.keys()
        name = handler.get_name() or f"handler {len(names) + 1}"
        return name if name in names or len(names) < MAX_HANDLERS else OTHERS


def _sum(one: Counts, other: Counts) -> Counts:
    return Counts(
        **{
            field.name: getattr(one, field.name) + getattr(other, field.name)
            for field in fields(Counts)
        }
    )
