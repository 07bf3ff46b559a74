"""Tests for messages that the queue had no room for: dead letters, `on_error` and counts."""

from __future__ import annotations

import io
import json
import logging
import threading
import unittest
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

from typing_extensions import override

from segment_logging import Batch, DeliveryError, Message, SegmentError, SegmentHandler
from segment_logging._broker.bundles import key_name_of
from segment_logging._delivery.abandoned import Abandoned
from segment_logging._delivery.hand_over import HandOver
from segment_logging._delivery.losses import Losses
from segment_logging._delivery.overflowed import Overflowed, advice_on_room
from segment_logging._options.delivery import DeliveryOptions
from segment_logging._queues.message_queue import Refusal
from segment_logging._reports import Reporter
from segment_logging.errors import Cause
from tests.builders import a_record


class Stuck:
    """A client that delivers nothing until it is told to."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.began = threading.Event()
        self.lines = 0

    def send(self, write_key: str, message: Message) -> None:
        self.began.set()
        self.go.wait(30)
        assert isinstance(message, Batch)
        self.lines += len(message.lines)

    def close(self) -> None:
        pass


class TestOverflow(unittest.TestCase):
    @override
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "dead.jsonl"
        self.client = Stuck()
        self.stderr = self.enterContext(redirect_stderr(io.StringIO()))
        self.told: list[tuple[SegmentError, str]] = []

    def handler(self, **options: Any) -> SegmentHandler:
        handler = SegmentHandler(
            "a-key", client=self.client, max_queue_messages=3, flush_interval=0, **options
        )
        self.addCleanup(handler.close)
        self.addCleanup(self.client.go.set)
        return handler

    def log(self, handler: SegmentHandler, count: int) -> None:
        for number in range(count):
            handler.handle(a_record(f"E{number}", extra={"user_id": "u"}))
            if number == 0:
                self.client.began.wait(30)

    def on_error(self, error: SegmentError, messages: Sequence[Message]) -> None:
        for message in messages:
            self.told.append((error, message.to_dict()["event"]))

    def test_all_that_was_dropped(self) -> None:
        """Dropped messages are in the dead letters and passed to `on_error`, each exactly once."""
        handler = self.handler(dead_letters=self.path, on_error=self.on_error)
        self.log(handler, 10)
        self.client.go.set()
        handler.close()
        letters = [json.loads(line) for line in self.path.read_text().splitlines()]
        dropped = [f"E{number}" for number in range(3, 10)]
        self.assertEqual([letter["message"]["event"] for letter in letters], dropped)
        self.assertEqual([event for _, event in self.told], dropped)
        self.assertIn("the queue was full", letters[0]["reason"])
        self.assertIn("the queue was full", str(self.told[0][0]))
        counts = handler.counts()
        self.assertEqual((counts.dropped, counts.dead_lettered, counts.delivered), (7, 0, 3))
        self.assertEqual(self.stderr.getvalue().count("dropped"), 1)
        self.assertIn("set overflow to 'block', or set a journal", self.stderr.getvalue())

    def test_written_while_stuck(self) -> None:
        """`close` writes them even if the delivery thread is stuck in a request."""
        handler = self.handler(dead_letters=self.path, shutdown_timeout=0.1)
        self.log(handler, 10)
        handler.close()
        self.assertEqual(len(self.path.read_text().splitlines()), 7)
        self.assertEqual(self.client.lines, 0)

    def test_nobody_wants_them(self) -> None:
        """Without dead letters and `on_error`, dropped messages are only counted."""
        handler = self.handler()
        self.log(handler, 10)
        self.client.go.set()
        handler.close()
        self.assertEqual(handler.counts().dropped, 7)


class TestBounds(unittest.TestCase):
    def test_limits(self) -> None:
        """Only so many messages and bytes are held until they are written."""
        for line, least, most in ((b'"x"', 9_000, 10_000), (b'"' + b"x" * 30_000 + b'"', 200, 300)):
            with self.subTest(size=len(line)):
                letters, rings = Letters(), Counted()
                held = Overflowed(Abandoned(letters, None, Reporter()), rings, lambda: "raise it")
                for _ in range(20_000):
                    held.add(line)
                held.write_out()
                self.assertTrue(least <= sum(letters.sizes) <= most, sum(letters.sizes))
                self.assertEqual(rings.calls, 1)
                held.add(line)
                held.write_out()
                self.assertEqual(letters.sizes[-1], 1)


class TestAdvice(unittest.TestCase):
    def test_options(self) -> None:
        """The advice depends on the options, and never names what has been done already."""
        more = "raise max_queue_messages and max_queue_bytes"
        refused = Refusal("the journal could not be written to: Permission denied", "correct it")
        for options, refusal, advice in (
            ({}, None, f"{more}, set overflow to 'block', or set a journal"),
            (
                {"overflow": "block", "block_timeout": 2.5},
                None,
                f"{more}, raise block_timeout (2.5 s), or set a journal",
            ),
            ({"journal": "waiting"}, refused, f"correct it, {more}, or set overflow to 'block'"),
            ({"journal": "waiting"}, None, f"{more}, or set overflow to 'block'"),
            (
                {"journal": "waiting", "overflow": "block"},
                refused,
                f"correct it, {more}, or raise block_timeout (10 s)",
            ),
            (
                {"journal": "waiting", "deliver": False},
                None,
                "start `segment-logging deliver`, or raise max_journal_bytes",
            ),
        ):
            with self.subTest(options):
                made = DeliveryOptions(**cast(Any, options))
                self.assertEqual(advice_on_room(made, refusal), advice)

    def test_blocked(self) -> None:
        """A message that was dropped although the caller blocked is reported with other advice."""
        client = Stuck()
        options: Any = {"overflow": "block", "block_timeout": 0.0, "max_queue_messages": 1}
        with redirect_stderr(io.StringIO()) as stderr:
            handler = SegmentHandler("a-key", client=client, flush_interval=0, **options)
            for number in range(3):
                handler.handle(a_record(f"E{number}", extra={"user_id": "u"}))
                client.began.wait(30)
            client.go.set()
            handler.close()
        self.assertGreater(handler.counts().dropped, 0)
        self.assertIn("raise block_timeout (0 s), or set a journal", stderr.getvalue())
        self.assertNotIn("overflow", stderr.getvalue())

    def test_handed_over(self) -> None:
        """With `deliver=False`, the report says whether the journal is full, or why it takes no
        messages, and what to do about that."""
        makes: Any = (
            (
                {"max_journal_bytes": 1},
                "are full: 2 messages were dropped; start `segment-logging deliver`, or raise",
            ),
            (
                {},
                "take no more messages (Not a directory): 2 messages were dropped; check the "
                "journal's directory and its file system",
            ),
        )
        for make, said in makes:
            with self.subTest(said), TemporaryDirectory() as journal:
                if not make:
                    Path(journal, key_name_of("a-key")).touch()  # where a directory has to be
                options: Any = {"journal": journal, "deliver": False, "max_queue_messages": 1}
                with redirect_stderr(io.StringIO()) as stderr:
                    made = HandOver(DeliveryOptions(**options, **make), "a-key")
                    for _ in range(3):
                        made.enqueue(b'{"userId":"u"}')
                    made.end_exit()
                    made._outbox._waiting.clear()  # nothing may be left for later tests to drain
                    made.close()
                    self.assertTrue(made.draining.drain(0))
                self.assertIn(f"the journal and the memory queue {said}", stderr.getvalue())

    def test_lost_at_exit(self) -> None:
        """For messages that a journal did not store, the report says why it did not, and what helps
        against that, both at the exit and when an application shuts down."""
        more = "raise shutdown_timeout (5 s)"
        refusal = Refusal("the journal in a could not be written to: Denied", "correct it")
        for options, refused, why, way in (
            ({}, None, "", f"{more}, or set a journal to keep"),
            ({"journal": "a"}, refusal, f"; {refusal.why}", f"correct it, or {more}\n"),
            ({"journal": "a"}, None, "", f"{more}, or log no events in signal handlers\n"),
        ):
            queue: Any = SimpleNamespace(perishable=1, kept_in=None, refusal=refused)
            admission: Any = SimpleNamespace(dropped=0)
            for tell, when in (
                (Losses.tell, "before the process ended, and is lost (no answer in time"),
                (Losses.foretell, "when the application shut down, and is lost if the process ends "
                 "now (no answer in time"),
            ):  # fmt: skip
                losses = Losses(queue, admission, DeliveryOptions(**cast(Any, options)))
                with self.subTest(options, when=when), redirect_stderr(io.StringIO()) as stderr:
                    tell(losses, 1, None)
                    self.assertIn(
                        f"1 message was not delivered {when}{why}): {way}", stderr.getvalue()
                    )

    def test_refused_at_exit(self) -> None:
        """If the server refused the requests, the report does not advise a longer wait, or promise
        delivery without a correction. A client's error of any length is cut short."""
        admission: Any = SimpleNamespace(dropped=0)
        refusal = Refusal("the journal in a could not be written to: Denied", "correct it")
        queue: Any = SimpleNamespace(
            perishable=1, kept_in="the journal a", has_backlog=False, refusal=refusal
        )
        losses = Losses(queue, admission, DeliveryOptions(journal="a"))
        error = DeliveryError("answered 401: check\n" + "x" * 10_000, status=401, retryable=False)
        with redirect_stderr(io.StringIO()) as stderr:
            losses.tell(3, error)
        lost, kept = stderr.getvalue().splitlines()
        self.assertTrue(lost.endswith(f" …; {refusal.why}): correct it"), lost)
        self.assertIn("will deliver them, once this is corrected: answered 401: check xxx", kept)
        self.assertLess(max(len(lost), len(kept)), 900)

    def test_full_beside_a_journal(self) -> None:
        """The report of dropped messages, and their dead letters, name the journal's trouble."""
        refusal = Refusal("the journal in a could not be written to: Denied", "correct it")
        queue: Any = SimpleNamespace(perishable=0, kept_in=None, refusal=refusal)
        losses = Losses(queue, cast(Any, SimpleNamespace(dropped=2)), DeliveryOptions(journal="a"))
        with redirect_stderr(io.StringIO()) as stderr:
            losses.tell_of_drops(0.0)
        self.assertIn(
            f"the queue is full, and {refusal.why}: 2 messages were dropped; correct it, raise "
            "max_queue_messages and max_queue_bytes, or set overflow to 'block'\n",
            stderr.getvalue(),
        )
        self.assertTrue(losses.advice.startswith("correct it, raise"))

    def test_accepted_too_slowly(self) -> None:
        """If the server was still accepting batches, the report names the limit that ended the
        wait, unless that is the time after a SIGTERM, which is not an option."""
        queue: Any = SimpleNamespace(perishable=1, kept_in=None, refusal=None)
        admission: Any = SimpleNamespace(dropped=0)
        accepted = "although batches were still accepted): "
        untried = DeliveryError("not tried", cause=Cause.NO_TIME)
        for tell, limit, trouble, way in (
            (Losses.tell, 60, None, f"{accepted}raise max_shutdown (60 s), or set a journal"),
            (Losses.foretell, 60, None, f"{accepted}set a journal"),
            (Losses.foretell, None, None, f"{accepted}set a journal"),
            (Losses.foretell, 8, None, f"{accepted}raise max_shutdown (8 s), or set a journal"),
            (Losses.tell, 60, untried, f"{accepted}raise max_shutdown (60 s), or set a journal"),
            (Losses.tell, 60, SegmentError("refused"), "(refused): raise shutdown_timeout (5 s), "),
        ):
            options = DeliveryOptions(max_shutdown=limit)
            losses = Losses(queue, admission, options, is_accepting=lambda: True)
            with self.subTest(way), redirect_stderr(io.StringIO()) as stderr:
                tell(losses, 1, trouble)
                self.assertIn(way, stderr.getvalue())

    def test_shutdown_of_an_application(self) -> None:
        """Logging still works when an application shuts down, so what is lost or remains in the
        journal is logged then. At the exit, it is printed, because logging may be shut down."""
        for perishable, kept_in in ((1, None), (0, "the journal")):
            queue: Any = SimpleNamespace(
                perishable=perishable, kept_in=kept_in, has_backlog=False, refusal=None
            )
            admission: Any = SimpleNamespace(dropped=0)
            for tell, is_logged in ((Losses.foretell, True), (Losses.tell, False)):
                losses = Losses(queue, admission, DeliveryOptions())
                with self.subTest(kept_in, is_logged=is_logged):
                    with (
                        redirect_stderr(io.StringIO()) as stderr,
                        self.assertLogs("segment_logging") as logs,
                    ):
                        logging.getLogger("segment_logging").warning("another report")
                        tell(losses, 1, None)
                    self.assertEqual(len(logs.records), 1 + is_logged)
                    self.assertEqual(stderr.getvalue() == "", is_logged)

    def test_shutdown_with_another_deliverer(self) -> None:
        """With deliver=False, too, what could not be written is logged if an application shuts
        down."""
        with TemporaryDirectory() as folder:
            hand_over = HandOver(DeliveryOptions(journal=folder, deliver=False), "a-key")
            self.addCleanup(hand_over.close)
            unwritten = SimpleNamespace(
                waiting=1, trouble=None, place=SimpleNamespace(live_path="live")
            )
            with (
                patch.object(hand_over, "_outbox", unwritten),
                redirect_stderr(io.StringIO()) as stderr,
                self.assertLogs("segment_logging") as logs,
            ):
                hand_over.tell_unfinished()
            self.assertIn("1 message could not be written", logs.records[0].getMessage())
            self.assertEqual(stderr.getvalue(), "")


class Letters:
    """Stores how many messages were written at a time."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def write(self, messages: Sequence[Any], error: SegmentError, *, sync: bool = True) -> None:
        self.sizes.append(len(messages))


class Counted:
    """A function that counts its calls."""

    calls = 0

    def __call__(self) -> None:
        self.calls += 1
