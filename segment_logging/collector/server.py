"""The collector: a local server that answers as Segment does and remembers what arrived."""

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
"""What to answer instead: one for each POST in turn, or a function of the request. None, and a
script used up, leave the answer to Segment's rules; a number is an answer of that status."""

_MAX_IDS = 100_000  # remembered, to tell repetitions
_MAX_NEWS = 1_000  # arrivals in one answer to the page


class Collector:
    """A Segment-shaped endpoint on this machine.

        with Collector() as collector:
            HttpClient(collector.url).send("key", message)
        assert collector.messages[0]["event"] == "Signup"

    What a request's answer in the 4xx or 5xx held does not count as arrived: it is in `arrivals`
    as refused, and not in `messages`. May be used from any thread.

    Args:
        port: to listen on, always of 127.0.0.1; 0 takes a free one.
        answer: what to answer instead of what Segment would; see `Script`.
        on_arrival: called with every arrival, in the thread of its connection.
        keep: how many arrivals and requests to remember, the latest; None for all of them.

    Raises:
        OSError: the port is taken.
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
        """What to set as host or SEGMENT_HOST, or to open in a browser."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening and end the connections; what arrived can still be read."""
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

    # What arrived. ------------------------------------------------------------------------------

    @property
    def arrivals(self) -> list[Arrival]:
        """All that arrived, in order, with what became of it."""
        with self._changed:
            return list(self._arrivals)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The calls that Segment would accept, in order of arrival; repetitions included."""
        return [one.message for one in self.arrivals if one.outcome == "accepted"]

    @property
    def dropped(self) -> list[tuple[Any, str]]:
        """The calls that Segment would drop without a word, each with its discard code."""
        return [
            (one.message, one.reason or "") for one in self.arrivals if one.outcome == "dropped"
        ]

    @property
    def requests(self) -> list[Request]:
        """The POSTs, in order of arrival, whatever was answered."""
        with self._changed:
            return list(self._requests)

    def wait_for(self, count: int, timeout: float = 10.0) -> bool:
        """Wait until `count` calls were accepted. False: `timeout` seconds passed first."""
        with self._changed:
            return self._changed.wait_for(lambda: self._counts["accepted"] >= count, timeout)

    # What the server asks. ----------------------------------------------------------------------

    def has_seen(self, message_id: str) -> bool:
        """Whether a call with this id was accepted."""
        with self._changed:
            return message_id in self._ids

    def take(self, request: Request) -> Answer:
        """Decide the answer to a request and remember both."""
        asked = self._answer(request)  # without the lock: it may take as long as it likes
        if asked is None:
            asked = request.verdict.status
        answer = Answer(asked) if isinstance(asked, int) else asked
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
        """Return what arrived after the arrival of that number, as the page reads it."""
        with self._changed:
            if number > self._number:
                number = 0  # counted by a collector that ran here before
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
