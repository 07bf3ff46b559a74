"""Tests for several handlers in one process that share a directory."""

from __future__ import annotations

from segment_logging import SegmentHandler
from segment_logging.testing import FakeClient
from tests import needs
from tests.builders import a_record
from tests.queues.cases import (
    KEY,
    JournalCase,
    a_journal,
)


class TwoHandlersTest(JournalCase):
    """Several handlers in one process that share a directory."""

    @needs.file_locks
    def test_each_message_is_delivered_once(self) -> None:
        """Two handlers that share a directory each deliver their own messages once."""
        clients = [FakeClient(), FakeClient()]
        handlers = [
            SegmentHandler(KEY, client=client, journal=str(self.root), flush_interval=0.01)
            for client in clients
        ]
        for number in range(20):
            handlers[number % 2].handle(a_record(f"Event {number}", extra={"user_id": "u"}))
        for handler in handlers:
            self.assertTrue(handler.drain(10))
            handler.close()
        events = [[message.to_dict()["event"] for message in client.messages] for client in clients]
        self.assertEqual(events[0], [f"Event {number}" for number in range(0, 20, 2)])
        self.assertEqual(events[1], [f"Event {number}" for number in range(1, 20, 2)])
        self.assertEqual(list(self.root.rglob("*")), [])

    def test_one_delivers_what_the_other_had_to_leave(self) -> None:
        """The next handler delivers the messages that a handler could not deliver before it
        closed."""
        down = SegmentHandler(
            KEY, client=FakeClient([401] * 9), journal=str(self.root), shutdown_timeout=0.1
        )
        with self.assertLogs("segment_logging"):
            down.handle(a_record("Event", extra={"user_id": "u"}))
            down.close()
        client = FakeClient()
        up = SegmentHandler(KEY, client=client, journal=str(self.root))
        self.assertTrue(up.drain(10))
        up.close()
        self.assertEqual(len(client.messages), 1)
        self.assertEqual(up.counts().delivered, 1)

    def test_drain_of_an_empty_directory(self) -> None:
        """An empty directory that an idle process left when it was killed is drained at once."""
        self.leave_behind()
        handler = SegmentHandler("key", client=FakeClient(), journal=str(self.root))
        self.assertTrue(handler.drain(10))
        handler.close()

    def test_drain_waits_for_the_old_and_the_new(self) -> None:
        """`drain` waits for messages that dead processes left and for the process's own."""
        for number in range(20):
            left = a_journal(self.root)
            left.put(b'{"type":"track","event":"Left","userId":"u"}')
            left.release()
            client = FakeClient()
            handler = SegmentHandler(KEY, client=client, journal=str(self.root))
            if number % 2:
                handler.handle(a_record("Own", extra={"user_id": "u"}))
            self.assertTrue(handler.drain(10))
            self.assertEqual(len(client.messages), 1 + number % 2)
            handler.close()

    def test_a_full_journal_is_reported(self) -> None:
        """A full journal is reported, because messages then wait only in memory."""
        handler = SegmentHandler(
            KEY, client=FakeClient(), journal=str(self.root), max_journal_bytes=1
        )
        with self.assertLogs("segment_logging") as reports:
            handler.handle(a_record("Event", extra={"user_id": "u"}))
            handler.drain(10)
        self.assertIn("max_journal_bytes", " ".join(reports.output))
        handler.close()

    def test_a_closed_handler_has_nothing_to_wait_for(self) -> None:
        """Draining a closed handler that has delivered everything returns True at once."""
        handler = SegmentHandler(KEY, client=FakeClient(), journal=str(self.root))
        handler.handle(a_record("Event", extra={"user_id": "u"}))
        handler.close()
        self.assertTrue(handler.drain(1))
        handler.close()
