"""The lifespan of an ASGI application, held open until everything it logged is delivered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .._handlers import drain_at_end

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Lifespan:
    """Stands between a server and an application while they speak of the lifespan.

    It delivers before the server is told that the application has shut down. After that, servers
    such as uvicorn end the process in a way that runs no exit function. An application that knows
    nothing of lifespans, as Django's, need not: then this answers the server.

    Args:
        receive: the server's.
        send: the server's.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive_from_server = receive
        self._send_to_server = send
        self._received: set[str] = set()  # "startup" and "shutdown"
        self._answered: set[str] = set()
        self._has_failed = False

    async def run(self, app: Application, scope: Scope) -> None:
        """Run the application's part of it, and what it leaves undone."""
        try:
            await app(scope, self._receive, self._send)
        except Exception:
            if "shutdown" in self._received:
                await drain_at_end()
            if self._received:  # it knows of lifespans, and has failed
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
    """Return "startup" or "shutdown"."""
    _, event, *_ = message["type"].split(".")
    return str(event)
