"""The collector: a local server that answers like Segment and stores what arrives."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from .._process.threads import new_condition, new_rlock, start_daemon
from .arrivals import Answer, Arrival, Request, arrivals_of
from .connections import Server

Script = Iterable[Answer | int | None] | Callable[[Request], Answer | int | None]
"""The answers to send: a list with one answer per POST, or a function that takes the request. A
number is an answer with that status. For None, and after the end of the list, the collector answers
like Segment."""

_MAX_IDS = 100_000  # message ids that are stored to recognise duplicates
_MAX_NEWS = 1_000  # arrivals in one answer to the web page


class Collector:
    """A local endpoint that behaves like Segment's.

        with Collector() as collector:
            HttpClient(collector.url).send("key", message)
        assert collector.messages[0]["event"] == "Signup"

    If a request is not answered with a 2xx status, its calls are in `arrivals` as refused, and they
    are not in `messages`. A collector is thread-safe.

    Args:
        port: the port to listen on, on 127.0.0.1. 0 picks a free port.
        answer: the answers to send instead of Segment's. See `Script`.
        on_arrival: called with each arrival, in the thread of its connection.
        keep: the number of arrivals and requests to keep. Older ones are removed. None keeps all.

    Raises:
        OSError: the port is already in use.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        answer: Script = (),
        on_arrival: Callable[[Arrival], None] | None = None,
        keep: int | None = None,
    ) -> None:
        self._answer = answer if callable(answer) else _function_of(answer)
        self._on_arrival = on_arrival
        self._changed = new_condition()
        self._arrivals: deque[Arrival] = deque(maxlen=keep)
        self._requests: deque[Request] = deque(maxlen=keep)
        self._ids: dict[str, None] = {}
        self._number = 0
        self._counts = {"accepted": 0, "dropped": 0, "refused": 0, "requests": 0}
        self._server = Server(port, self)
        self._thread = start_daemon(lambda: self._server.serve_forever(0.02), "collector")

    @property
    def url(self) -> str:
        """The URL to use as the host or as SEGMENT_HOST, or to open in a browser."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening and close all connections. The arrivals can still be read."""
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
        with self._changed:
            return list(self._arrivals)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The calls that Segment would accept, in order of arrival, including duplicates."""
        return [one.message for one in self.arrivals if one.outcome == "accepted"]

    @property
    def dropped(self) -> list[tuple[Any, str]]:
        """The calls that Segment would silently drop, each with its discard code."""
        return [
            (one.message, one.reason or "") for one in self.arrivals if one.outcome == "dropped"
        ]

    @property
    def requests(self) -> list[Request]:
        """All POST requests in order of arrival."""
        with self._changed:
            return list(self._requests)

    def wait_for(self, count: int, timeout: float = 10.0) -> bool:
        """Wait until `count` calls are accepted. Return False if `timeout` seconds pass first."""
        with self._changed:
            return self._changed.wait_for(lambda: self._counts["accepted"] >= count, timeout)

    # Methods for the HTTP server. ---------------------------------------------------------------

    def has_seen(self, message_id: str) -> bool:
        """Whether a call with this id was accepted."""
        with self._changed:
            return message_id in self._ids

    def take(self, request: Request) -> Answer:
        """Decide the answer to a request and store both."""
        scripted = self._answer(request)  # outside the lock, because it may take a long time
        if scripted is None:
            scripted = request.verdict.status
        answer = Answer(scripted) if isinstance(scripted, int) else scripted
        request = replace(request, status=answer.status)
        with self._changed:
            first = self._number + 1
            arrivals = [
                replace(one, number=number)
                for number, one in enumerate(arrivals_of(request), start=first)
            ]
            self._requests.append(request)
            self._counts["requests"] += 1
            for one in arrivals:
                self._remember(one)
            self._changed.notify_all()
        if self._on_arrival is not None:
            for one in arrivals:
                self._on_arrival(one)
        return answer

    def _remember(self, arrival: Arrival) -> None:
        self._number = arrival.number
        self._arrivals.append(arrival)
        self._counts[arrival.outcome] += 1
        if arrival.outcome == "accepted" and isinstance(arrival.message.get("messageId"), str):
            self._ids[arrival.message["messageId"]] = None
            if len(self._ids) > _MAX_IDS:
                del self._ids[next(iter(self._ids))]

    def since(self, number: int) -> dict[str, Any]:
        """Return what arrived after the arrival with this number, in the form the page reads."""
        with self._changed:
            if number > self._number:
                number = 0  # the number is from a previous collector on the same port
            arrivals = [one for one in self._arrivals if one.number > number]
            return {
                "next": self._number,
                "arrivals": [one.to_dict() for one in arrivals[-_MAX_NEWS:]],
                "counts": dict(self._counts),
            }


def _function_of(script: Iterable[Answer | int | None]) -> Callable[[Request], Answer | int | None]:
    answers = iter(script)
    lock = new_rlock()

    def answer(request: Request) -> Answer | int | None:
        with lock:
            return next(answers, None)

    return answer
