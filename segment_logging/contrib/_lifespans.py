"""The lifespan of an ASGI application, kept open until everything it logged is delivered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .._handlers import drain_at_end

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Lifespan:
    """Passes lifespan messages between a server and an application.

    Everything is delivered before the server is told that the application has shut down. After
    that, servers such as uvicorn end the process without running exit functions. Some applications,
    such as Django's, do not support lifespans. For these, this class answers the server itself.

    Args:
        receive: the server's `receive` function.
        send: the server's `send` function.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive_from_server = receive
        self._send_to_server = send
        self._received: set[str] = set()  # "startup" and "shutdown"
        self._answered: set[str] = set()
        self._has_failed = False

    async def run(self, app: Application, scope: Scope) -> None:
        """Run the application, then handle the lifespan events that it left unanswered."""
        try:
            await app(scope, self._receive, self._send)
        except Exception:
            if "shutdown" in self._received:
                await drain_at_end()
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
            await drain_at_end()
        self._has_failed = message["type"].endswith(".failed")
        self._answered.add(event)
        await self._send_to_server(message)


def _event_of(message: MutableMapping[str, Any]) -> str:
    """Return the event of a lifespan message: "startup" or "shutdown"."""
    _, event, *_ = message["type"].split(".")
    return str(event)
