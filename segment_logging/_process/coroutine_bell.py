"""Wake-up signals for coroutines under asyncio and trio.

The delivery thread rings these bells like those of waiting threads, so a waiting coroutine needs no
thread and no polling. Neither asyncio nor trio is imported unless the program uses it.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Protocol

from .threads import LONGEST_WAIT


class CoroutineBell(Protocol):
    """A signal for the one coroutine that created it."""

    def ring(self) -> None:
        """Wake the coroutine, or make its next `wait` return at once.

        Thread-safe, also in a signal handler, and after the event loop has been closed.
        """

    async def wait(self, timeout: float) -> None:
        """Wait for a ring, or for `timeout` seconds. Several rings before a wait count as one.

        This can be cancelled. It always lets other coroutines run.
        """


def new_coroutine_bell() -> CoroutineBell:
    """Return a bell for the library that runs the calling coroutine.

    Raises:
        RuntimeError: neither asyncio nor trio is running.
    """
    return _TrioBell() if _is_trio() else _AsyncioBell()


def _is_trio() -> bool:
    """Return whether trio runs the calling coroutine.

    Both libraries can run in one thread: asyncio can host trio ("guest mode"), and trio can host
    asyncio (trio-asyncio). Each one only knows its own task while that task runs. A task of asyncio
    that trio hosts is also part of a trio task, so asyncio is asked first.
    """
    trio = sys.modules.get("trio")
    if trio is None:
        return False
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        with suppress(RuntimeError):  # no event loop is running
            if asyncio.current_task() is not None:
                return False
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True


class _AsyncioBell:
    """A bell for a coroutine under asyncio, with any event loop."""

    def __init__(self) -> None:
        import asyncio  # noqa: PLC0415  # already imported if it is running this coroutine

        self._pause = asyncio.sleep
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()  # only used in the event loop's thread
        self._is_ringing = False

    def ring(self) -> None:
        if self._is_ringing:
            return
        self._is_ringing = True
        with suppress(RuntimeError):  # the event loop has been closed
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._is_ringing = False  # first, so that a ring from now on has an effect
        self._event.set()

    async def wait(self, timeout: float) -> None:
        if timeout <= 0:
            await self._pause(0)  # without a timer, which never fires if the clock is frozen
        else:
            timer = self._loop.call_later(min(timeout, LONGEST_WAIT), self._event.set)
            try:
                await self._event.wait()
            finally:
                timer.cancel()
        self._event.clear()


class _TrioBell:
    """A bell for a coroutine under trio."""

    def __init__(self) -> None:
        import trio  # noqa: PLC0415  # already imported, because it is running this coroutine

        self._trio = trio
        self._token = trio.lowlevel.current_trio_token()
        self._event = trio.Event()  # only used in trio's thread

    def ring(self) -> None:
        with suppress(RuntimeError):  # trio's run has ended
            self._token.run_sync_soon(self._wake, idempotent=True)

    def _wake(self) -> None:
        self._event.set()

    async def wait(self, timeout: float) -> None:
        with self._trio.move_on_after(min(max(0, timeout), LONGEST_WAIT)):
            await self._event.wait()
        self._event = self._trio.Event()
