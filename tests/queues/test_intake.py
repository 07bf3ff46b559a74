"""Tests for the intake, which decides what callers do when the queue is full."""

from __future__ import annotations

import unittest
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from segment_logging._queues.intake import Intake
from segment_logging._queues.memory import MemoryQueue


class TestIntake(unittest.TestCase):
    def an_intake(self, accepts: Sequence[bool], **options: Any) -> Intake:
        answers = iter(accepts)

        class Choosy(MemoryQueue):
            @override
            def put(self, line: bytes) -> bool:
                return next(answers, False)

        queue = Choosy(max_messages=1, max_bytes=1)
        return Intake(queue, **{"overflow": "drop", "block_timeout": 10.0, **options})

    def test_drop(self) -> None:
        """With "drop", the queue is tried once."""
        intake = self.an_intake([True, False, True])
        for _ in range(3):
            intake.enqueue(b"{}")
        self.assertEqual(intake.dropped, 1)

    def test_block(self) -> None:
        """With "block", the queue is tried several times."""
        intake = self.an_intake([False, False, True], overflow="block")
        intake.enqueue(b"{}")
        self.assertEqual(intake.dropped, 0)

    def test_block_timeout(self) -> None:
        """After block_timeout, the message is dropped and counted."""
        intake = self.an_intake([], overflow="block", block_timeout=0.0)
        intake.enqueue(b"{}")
        self.assertEqual(intake.dropped, 1)

    def test_prepare(self) -> None:
        """`prepare` does not copy or format, because messages are already encoded."""
        line = b"{}"
        self.assertIs(self.an_intake([]).prepare(line), line)
