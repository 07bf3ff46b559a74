"""Tests for `drain_async` under asyncio, uvloop and trio."""

from __future__ import annotations

import asyncio
import importlib
import threading
import unittest
from collections.abc import Awaitable, Callable, Coroutine
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import trio

from segment_logging import DeliveryError, Message, SegmentHandler, drain_async
from segment_logging._handlers import drain_at_end
from segment_logging.testing import FakeClient

from .. import needs
from ..builders import a_record, run_python

Main = Callable[[], Coroutine[Any, Any, None]]

FOREVER = 60.0
"""More seconds than any of these tests may take."""


class Gate:
    """A script for a FakeClient that answers no request before `open` is called."""

    def __init__(self) -> None:
        self._is_open = threading.Event()
        self.reached = threading.Event()
        """Set when the first request has arrived."""

    def __call__(self, message: Message) -> None:
        self.reached.set()
        if not self._is_open.wait(FOREVER):
            raise DeliveryError("the gate was never opened")

    def open(self) -> None:
        self._is_open.set()


def run_asyncio(main: Main) -> None:
    asyncio.run(main())


def run_uvloop(main: Main) -> None:
    importlib.import_module("uvloop").run(main())


def run_trio(main: Main) -> None:
    trio.run(main)


async def asyncio_together(*functions: Callable[[], Awaitable[Any]]) -> None:
    await asyncio.gather(*(function() for function in functions))


async def trio_together(*functions: Callable[[], Awaitable[Any]]) -> None:
    async with trio.open_nursery() as nursery:
        for function in functions:
            nursery.start_soon(function)


async def asyncio_cancelled(function: Callable[[], Awaitable[Any]], reached: Any) -> bool:
    task = asyncio.ensure_future(function())
    await asyncio.to_thread(reached.wait, FOREVER)
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


async def trio_cancelled(function: Callable[[], Awaitable[Any]], reached: Any) -> bool:
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(function)
            await trio.to_thread.run_sync(reached.wait, FOREVER)
            scope.cancel()
    return scope.cancelled_caught


class Library(NamedTuple):
    """An asynchronous library.

    Attributes:
        run: runs a coroutine function to its end.
        together: runs coroutine functions concurrently.
        cancelled: starts a coroutine, cancels it when an event is set, and returns whether it was
            cancelled.
    """

    run: Callable[[Main], None]
    together: Callable[..., Awaitable[None]]
    cancelled: Callable[..., Awaitable[bool]]


@needs.threads
@needs.event_loop
class TestAsyncio(unittest.TestCase):
    """Tests for asyncio, which are repeated for the other libraries below."""

    library = Library(run_asyncio, asyncio_together, asyncio_cancelled)

    def a_handler(self, script: Any = (), **options: Any) -> tuple[SegmentHandler, FakeClient]:
        client = FakeClient(script)
        handler = SegmentHandler("key", client=client, **{"flush_interval": 3600, **options})
        self.addCleanup(handler.close)
        return handler, client

    def test_waits(self) -> None:
        """It returns True when everything has been delivered, without waiting for full batches."""
        handler, client = self.a_handler()

        async def main() -> None:
            handler.handle(a_record(extra={"user_id": "u-17"}))
            self.assertTrue(await drain_async(FOREVER))
            self.assertEqual(len(client.messages), 1)

        self.library.run(main)

    def test_without_timeout(self) -> None:
        """Without a timeout, it waits as long as `flush` does."""
        gate = Gate()
        self.addCleanup(gate.open)
        handler, _ = self.a_handler(gate, shutdown_timeout=0.1)

        async def main() -> None:
            handler.handle(a_record(extra={"user_id": "u-17"}))
            self.assertFalse(await drain_async())
            gate.open()
            self.assertTrue(await drain_async(FOREVER))

        self.library.run(main)

    def test_time_out(self) -> None:
        """It returns False when the time is over, and the messages are still delivered."""
        gate = Gate()
        self.addCleanup(gate.open)
        handler, client = self.a_handler(gate)

        async def main() -> None:
            handler.handle(a_record(extra={"user_id": "u-17"}))
            self.assertFalse(await drain_async(0.05))

        self.library.run(main)
        self.assertEqual(handler.counts().pending, 1)
        gate.open()
        self.assertTrue(handler.drain(FOREVER))
        self.assertEqual(len(client.messages), 1)

    def test_others_run(self) -> None:
        """Other coroutines run while it waits, and one of them can end the wait."""
        gate = Gate()
        self.addCleanup(gate.open)
        handler, _ = self.a_handler(gate)
        steps: list[str] = []

        async def waits() -> None:
            self.assertTrue(await drain_async(FOREVER))
            steps.append("drained")

        async def opens() -> None:
            steps.append("opened")
            gate.open()

        async def main() -> None:
            handler.handle(a_record(extra={"user_id": "u-17"}))
            await self.library.together(waits, opens)

        self.library.run(main)
        self.assertEqual(steps, ["opened", "drained"])

    def test_many(self) -> None:
        """A thousand coroutines wait at once, without a thread for any of them."""
        gate = Gate()
        self.addCleanup(gate.open)
        handler, client = self.a_handler(gate)
        answers: list[bool] = []
        waiting = 0
        threads = threading.active_count() + 1  # the delivery thread

        async def waits() -> None:
            nonlocal waiting
            handler.handle(a_record(extra={"user_id": "u-17"}))
            waiting += 1
            answers.append(await drain_async(FOREVER))

        async def opens() -> None:
            while waiting < 1000:
                await drain_async(0)
            self.assertLessEqual(threading.active_count(), threads)
            gate.open()

        async def main() -> None:
            await self.library.together(*[waits] * 1000, opens)

        self.library.run(main)
        self.assertEqual(answers, [True] * 1000)
        self.assertEqual(len(client.messages), 1000)

    def test_cancelled(self) -> None:
        """A cancelled wait ends at once. The messages are still delivered."""
        gate = Gate()
        self.addCleanup(gate.open)
        handler, client = self.a_handler(gate)

        async def main() -> None:
            handler.handle(a_record(extra={"user_id": "u-17"}))
            cancelled = await self.library.cancelled(lambda: drain_async(FOREVER), gate.reached)
            self.assertTrue(cancelled)
            gate.open()

        self.library.run(main)
        self.assertTrue(handler.drain(FOREVER))
        self.assertEqual(len(client.messages), 1)

    def test_several_handlers(self) -> None:
        """It waits for every handler in the process."""
        handlers = [self.a_handler()[0] for _ in range(3)]

        async def main() -> None:
            for handler in handlers:
                handler.handle(a_record(extra={"user_id": "u-17"}))
            self.assertTrue(await drain_async(FOREVER))

        self.library.run(main)
        self.assertEqual([handler.counts().delivered for handler in handlers], [1, 1, 1])

    def test_closed_meanwhile(self) -> None:
        """If another thread closes the handler during the wait, the wait still ends."""
        gate = Gate()
        self.addCleanup(gate.open)
        handler, _ = self.a_handler(gate)

        def close() -> None:
            gate.reached.wait(FOREVER)
            gate.open()
            handler.close()

        async def main() -> None:
            handler.handle(a_record(extra={"user_id": "u-17"}))
            thread = threading.Thread(target=close)
            thread.start()
            self.assertTrue(await drain_async(FOREVER))
            thread.join(FOREVER)

        self.library.run(main)

    def test_nothing_to_wait_for(self) -> None:
        """If nothing is pending, it returns True, but lets other coroutines run first."""
        ran: list[str] = []

        async def loops() -> None:
            while not ran:
                self.assertTrue(await drain_async(FOREVER))

        async def other() -> None:
            ran.append("other")

        async def main() -> None:
            await self.library.together(loops, other)

        self.library.run(main)
        self.assertEqual(ran, ["other"])


@unittest.skipUnless(find_spec("uvloop"), "needs uvloop")
class TestUvloop(TestAsyncio):
    library = Library(run_uvloop, asyncio_together, asyncio_cancelled)


class TestTrio(TestAsyncio):
    library = Library(run_trio, trio_together, trio_cancelled)

    def test_guest(self) -> None:
        """If asyncio hosts trio in one thread, tasks of both can wait."""
        handler, client = self.a_handler()
        answers: list[bool] = []

        async def waits() -> None:
            handler.handle(a_record(extra={"user_id": "u-17"}))
            answers.append(await drain_async(FOREVER))

        async def host() -> None:
            loop = asyncio.get_running_loop()
            guest_ended = asyncio.Event()
            trio.lowlevel.start_guest_run(
                waits,
                run_sync_soon_threadsafe=loop.call_soon_threadsafe,
                done_callback=lambda outcome: guest_ended.set(),
            )
            await waits()
            await guest_ended.wait()

        asyncio.run(host())
        self.assertEqual(answers, [True, True])
        self.assertEqual(len(client.messages), 2)


class TestImports(unittest.TestCase):
    def test_only_what_the_program_uses(self) -> None:
        """Under trio, asyncio is not imported for a wait, and the reverse."""
        for library, other in (("trio", "asyncio"), ("asyncio", "trio")):
            with self.subTest(library=library):
                loaded = run_python(
                    f"""
import json, sys, {library}
from segment_logging import SegmentHandler, drain_async
before = "{other}" in sys.modules
{library}.run(drain_async{"" if library == "trio" else "()"})
print(json.dumps([before, "{other}" in sys.modules]))
"""
                )
                self.assertEqual(loaded[0], loaded[1])


if __name__ == "__main__":
    unittest.main()


class TestHandOver(unittest.TestCase):
    """With `deliver=False`, there is nothing to wait for, whatever runs the coroutine."""

    def test_sealed(self) -> None:
        """Messages count as settled once they are in the journal."""
        for run in (run_asyncio, run_trio):
            with self.subTest(run.__name__), TemporaryDirectory() as journal:
                handler = SegmentHandler("a-key", journal=journal, deliver=False)
                self.addCleanup(handler.close)

                async def main(handler: SegmentHandler = handler) -> None:
                    handler.handle(a_record(extra={"user_id": "u-17"}))
                    self.assertTrue(await drain_async(FOREVER))
                    self.assertTrue(await drain_async(0))
                    await drain_at_end()

                run(main)
                self.assertEqual(handler.counts().handed_over, 1)
