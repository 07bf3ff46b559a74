"""The collector: a local server that answers like Segment and stores what arrives."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from .._clock import seconds_since_epoch
from .._process.threads import new_condition, new_lock, start_daemon
from .._reports import Reporter, where
from .access import ANY, Access
from .arrivals import Answer, Arrival, Request
from .connections import Server
from .entries import Entry, entries_of
from .exchanges import Exchanges
from .faults import Script, answers_of
from .filters import Filter
from .live import listed
from .store import Store

_MAX_BATCH = 1_000  # arrivals that `stream` takes from the store at once


class Collector:
    """A local endpoint that behaves like Segment's.

        with Collector() as collector:
            HttpClient(collector.url).send("key", message)
        assert collector.messages[0]["event"] == "Signup"

    If a request is not answered with a 2xx status, its calls are in `arrivals` as refused, and they
    are not in `messages`. A collector is thread-safe.

    Args:
        port: the port to listen on. 0 picks a free port.
        answer: the answers to send instead of Segment's. See `Script`.
        on_arrival: called with each arrival, in the thread of its connection.
        keep: the number of requests to keep, and of arrivals of each of three kinds: accepted,
            accepted with a warning, and not accepted. Older ones are removed, also if they need
            more than 48 MiB for each kind. None keeps everything.
        host: the address to listen on.
        allow_hosts: more names by which clients may address the collector, such as
            "host.docker.internal".
        allow_origins: origins of web pages that may send, such as "https://app.test". Pages of this
            machine always may. "*" allows every page.

    Raises:
        OSError: the port is already in use.
        ValueError: the answers cannot be read.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        answer: Script = (),
        on_arrival: Callable[[Arrival], None] | None = None,
        keep: int | None = None,
        host: str = "127.0.0.1",
        allow_hosts: Iterable[str] = (),
        allow_origins: Iterable[str] = (),
    ) -> None:
        self.answer = answer
        self._on_arrival = on_arrival
        self._changed = new_condition()
        self._store = Store(keep)
        self.has_seen = self._store.has_seen
        self._reporter = Reporter()
        self._is_closed = False
        self.run = uuid.uuid4().hex
        self.started = _now()
        self.access = Access(host, allow_hosts, allow_origins)
        self._server = Server(host, port, self, Exchanges)
        self._host = "127.0.0.1" if host in ANY else f"[{host}]" if ":" in host else host
        self._thread = start_daemon(lambda: self._server.serve_forever(0.02), "collector")

    @property
    def answer(self) -> Script:
        """The answers to send instead of Segment's. Setting it starts over with new ones."""
        return self._script

    @answer.setter
    def answer(self, script: Script) -> None:
        self._answer = script if callable(script) else _function_of(script)
        self._script = script

    @property
    def url(self) -> str:
        """The URL to use as the host or as SEGMENT_HOST, or to open in a browser."""
        return f"http://{self._host}:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening and close all connections. The arrivals can still be read."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # Arrivals. ----------------------------------------------------------------------------------

    @property
    def arrivals(self) -> list[Arrival]:
        """Everything that arrived, in order, with its outcome."""
        return [entry.arrival() for entry in self._all()]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The calls that Segment would accept, in order of arrival, including duplicates."""
        return [one.arrival().message for one in self._all() if one.outcome == "accepted"]

    @property
    def dropped(self) -> list[tuple[Any, str]]:
        """The calls that Segment would silently drop, each with its discard code."""
        return [
            (one.arrival().message, one.reason or "")
            for one in self._all()
            if one.outcome == "dropped"
        ]

    @property
    def requests(self) -> list[Request]:
        """All POST requests in order of arrival."""
        with self._changed:
            return self._store.requests

    def find(self, *, after: int = 0, limit: int | None = None, **filters: str) -> list[Arrival]:
        """Return the arrivals that match all filters, in order.

        Args:
            after: only return arrivals after the one with this number.
            limit: the maximum number of arrivals to return.
            filters: any of `type`, `event`, `user`, `outcome`, `source` and `search`, which the
                page of the collector in the documentation describes.

        Raises:
            TypeError: there is no such filter.
            ValueError: there is no such outcome.
        """
        chosen = Filter(**filters)
        return [entry.arrival() for entry in listed(self, chosen, after, limit or 10**9)[0]]

    def stream(self, *, after: int = 0, **filters: str) -> Iterator[Arrival]:
        """Yield arrivals as they come, until the collector is closed. See `find`."""
        chosen = Filter(**filters)
        for entries in self.batches(after):
            yield from (entry.arrival() for entry in entries if chosen.selects(entry))

    def counts(self) -> dict[str, Any]:
        """Return the counts since the start or the last `clear`.

        Returns:
            `accepted`, `warned` (accepted, with a warning), `dropped`, `refused`, `requests`, and
            `events`: a list with an object for each event. It has `type`, `name`, `count`, the
            first four counts, and `properties`: a list of objects with `name`, `count`, `types`
            (the number of values of each JSON type) and `mixed` (whether it has several types).
        """
        with self._changed:
            return {**self._store.counts, "events": self._store.events.to_list()}

    def clear(self) -> None:
        """Remove everything that arrived, and set the counts to 0."""
        with self._changed:
            self._store.clear()
            self._changed.notify_all()

    def wait_for(self, count: int, timeout: float = 10.0) -> bool:
        """Wait until `count` calls are accepted. Return False if `timeout` seconds pass first."""
        with self._changed:
            return self._changed.wait_for(lambda: self._store.counts["accepted"] >= count, timeout)

    def _all(self) -> list[Entry]:
        with self._changed:
            return list(self._store.after(0))

    # Methods for the HTTP server and the command. -----------------------------------------------

    def take(self, request: Request) -> Answer:
        """Decide the answer to a request and store both."""
        answer = self._decide(request)
        request = replace(request, status=answer.status)
        parcel = self._store.parcel(entries_of(request, _now()))
        with self._changed:
            self._store.add(request, parcel)
            self._changed.notify_all()
        self._notify(parcel.entries, parcel.messages)
        return answer

    def _notify(self, entries: list[Entry], messages: list[Any]) -> None:
        """Tell the program about arrivals, of which the entries may have no message any more."""
        if self._on_arrival is not None:
            try:
                for entry in entries:
                    self._on_arrival(entry.arrival())
            except Exception as error:
                self._report("on_arrival", error)

    def _decide(self, request: Request) -> Answer:
        try:
            scripted = self._answer(request)  # outside the lock, because it may take a long time
            if scripted is None:
                scripted = request.verdict.status
            if not isinstance(scripted, (int, Answer)):
                raise TypeError(f"an answer is {type(scripted).__name__}: use a status or Answer")
        except Exception as error:
            self._report("answer", error)
            return Answer(500)
        return Answer(scripted) if isinstance(scripted, int) else scripted

    def _report(self, name: str, error: Exception) -> None:
        self._reporter.once(
            name, f"the collector's {name} raised {type(error).__name__} in {where(error)}"
        )

    def entry(self, number: int) -> Entry | None:
        """Return the arrival with this number, or None if it is not kept."""
        with self._changed:
            return self._store.get(number)

    def entries_after(self, number: int, limit: int) -> list[Entry]:
        """Return at most `limit` arrivals after the one with this number."""
        with self._changed:
            return self._store.some_after(number, limit)

    def state(self) -> dict[str, Any]:
        """Return the counts and the number of the last arrival."""
        with self._changed:
            store = self._store
            return {"last": store.last, "cleared": store.cleared, "counts": dict(store.counts)}

    def await_news(
        self, number: int, cleared: int, timeout: float | None = None
    ) -> tuple[int, bool]:
        """Wait for a later arrival or for a clear.

        Returns:
            How many times the collector was cleared, and whether it is closed.
        """
        store = self._store
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_closed or store.last > number or store.cleared != cleared, timeout
            )
            return store.cleared, self._is_closed

    def batches(self, after: int = 0) -> Iterator[list[Entry]]:
        """Yield arrivals in lists as they come, until the collector is closed."""
        while True:
            cleared, is_closed = self.await_news(after, -1, 0)
            entries = self.entries_after(after, _MAX_BATCH)
            if entries:
                after = entries[-1].number
                yield entries
            elif is_closed:
                return
            else:
                self.await_news(after, cleared)


def _now() -> str:
    moment = datetime.fromtimestamp(seconds_since_epoch(), UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _function_of(
    script: Iterable[Answer | int | str | None],
) -> Callable[[Request], Answer | int | None]:
    answers = answers_of(script)
    lock = new_lock()

    def answer(request: Request) -> Answer | int | None:
        with lock:
            return next(answers, None)

    return answer
