"""The lifespan of an ASGI application, kept open until everything it logged is delivered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .._clock import is_replaced, monotonic
from .._handlers import drain_at_end
from .._process.coroutine_bell import CoroutineBell, new_coroutine_bell

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LATE_REQUESTS = 2.0
"""The most seconds to wait for requests that are still open when the server shuts down."""


class OpenRequests:
    """The requests that an application is handling. For the event loop's thread only."""

    def __init__(self) -> None:
        self._number = 0
        self._bell: CoroutineBell | None = None

    def begin_one(self) -> None:
        """Note that a request has begun."""
        self._number += 1

    def end_one(self) -> None:
        """Note that a request has ended."""
        self._number -= 1
        if self._bell is not None:
            self._bell.ring()

    async def wait(self) -> None:
        """Wait until all of them have ended, for `LATE_REQUESTS` at most.

        A server cancels requests that take too long, and shuts down the application before they
        have ended. What they log while they are cancelled is still to be delivered.
        """
        ends_at, self._bell = monotonic() + LATE_REQUESTS, new_coroutine_bell()
        # If the clock is frozen, the event loop's timers would never fire.
        while self._number and (left := ends_at - monotonic()) > 0 and not is_replaced():
            await self._bell.wait(left)


class Lifespan:
    """Passes lifespan messages between a server and an application.

    Everything is delivered before the server is told that the application has shut down. After
    that, servers such as uvicorn end the process without running exit functions. Some applications,
    such as Django's, do not support lifespans. For these, this class answers the server itself.

    Args:
        receive: the server's `receive` function.
        send: the server's `send` function.
        requests: the application's open requests.
    """

    def __init__(self, receive: Receive, send: Send, requests: OpenRequests) -> None:
        self._receive_from_server = receive
        self._send_to_server = send
        self._requests = requests
        self._received: set[str] = set()  # "startup" and "shutdown"
        self._answered: set[str] = set()
        self._has_failed = False

    async def run(self, app: Application, scope: Scope) -> None:
        """Run the application, then handle the lifespan events that it left unanswered."""
        try:
            await app(scope, self._receive, self._send)
        except Exception:
            if "shutdown" in self._received:
                await self._drain()
            if self._received:  # it supports lifespans, so this is a real failure
                raise
        for event in ("startup", "shutdown"):
            if self._has_failed:
                return
            if event not in self._received:
                await self._receive()
            if event not in self._answered:
                await self._send({"type": f"lifespan.{event}.complete"})

    async def _receive(self) -> MutableMapping[str, Any]:
        message = await self._receive_from_server()
        self._received.add(_event_of(message))
        return message

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        event = _event_of(message)
        if event == "shutdown":
            await self._drain()
        self._has_failed = message["type"].endswith(".failed")
        self._answered.add(event)
        await self._send_to_server(message)

    async def _drain(self) -> None:
        await self._requests.wait()
        await drain_at_end()


def _event_of(message: MutableMapping[str, Any]) -> str:
    """Return the event of a lifespan message: "startup" or "shutdown"."""
    _, event, *_ = message["type"].split(".")
    return str(event)
