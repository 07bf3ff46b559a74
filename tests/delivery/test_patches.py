"""Tests for a delivery thread that gevent or eventlet outdates by patching the standard library.

Here, the patch is a new function in `threading`. The real ones are in `hosts.test_green_threads`.
"""

from __future__ import annotations

import threading
import unittest
from unittest import mock

from typing_extensions import override

from segment_logging import SegmentHandler
from segment_logging._messages.message import Message
from segment_logging._process.bell import Bell
from segment_logging._process.life import Life
from segment_logging._process.lifecycle import Action, Doing, Event, Stage
from segment_logging.testing import FakeClient

from .. import needs
from ..builders import a_record


class _NotingClient(FakeClient):
    """Notes the threads that send."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[threading.Thread] = []

    @override
    def send(self, write_key: str, message: Message) -> None:
        self.threads.append(threading.current_thread())
        super().send(write_key, message)


def patch_threading() -> mock._patch[object]:
    """Patch `threading` as gevent would, but with locks that are native, too."""
    original = threading.Lock
    return mock.patch.object(threading, "Lock", lambda: original())


class TestPatchedWhileRunning(unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.client = _NotingClient()
        self.handler = SegmentHandler("key", client=self.client, flush_interval=60)
        self.addCleanup(self.handler.close)

    def log(self) -> None:
        self.handler.handle(a_record(extra={"user_id": "u-17"}))

    @needs.threads
    def test_another_thread_takes_over(self) -> None:
        """After a patch, a new thread delivers the messages, the old thread's included."""
        self.log()
        self.assertTrue(self.handler.drain(10))
        self.log()
        with patch_threading():
            self.log()
            self.assertTrue(self.handler.drain(10))
        self.assertEqual(len(self.client.messages), 3)
        self.assertEqual(len(set(self.client.threads)), 2)


class TestTable(unittest.TestCase):
    def test_outdated(self) -> None:
        """An outdated thread leaves the journal to the next thread, which a flush starts."""
        for events in (), (Event.TAKEN,), (Event.CLOSE,), (Event.EXIT,):
            with self.subTest(events):
                life = Life()
                for event in (Event.MESSAGE, Event.BEGIN, *events):
                    life.on(event)
                self.assertIs(life.on(Event.OUTDATED), Action.HAND_OVER)
                self.assertIs(life.doing, Doing.STOPPED)
        life = Life()
        for event in (Event.MESSAGE, Event.BEGIN, Event.OUTDATED):
            life.on(event)
        self.assertIs(life.on(Event.FLUSH), Action.START)
        self.assertIs(life.stage, Stage.OPEN)


class TestBell(unittest.TestCase):
    def test_renew(self) -> None:
        """A renewed bell keeps a ring that nobody has waited for yet, and nothing else."""
        bell = Bell()
        bell.ring()
        bell.renew()
        self.assertFalse(bell._silence.locked())
        bell.wait()
        bell.renew()
        self.assertTrue(bell._silence.locked())


if __name__ == "__main__":
    unittest.main()
