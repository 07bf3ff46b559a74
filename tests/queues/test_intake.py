"""The caller's half of the pair: what happens when the queue is full."""

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
        """With "drop" there is one try."""
        intake = self.an_intake([True, False, True])
        for _ in range(3):
            intake.enqueue(b"{}")
        self.assertEqual(intake.dropped, 1)

    def test_block(self) -> None:
        """With "block" there are several."""
        intake = self.an_intake([False, False, True], overflow="block")
        intake.enqueue(b"{}")
        self.assertEqual(intake.dropped, 0)

    def test_block_timeout(self) -> None:
        """And when block_timeout has passed, it is dropped and counted."""
        intake = self.an_intake([], overflow="block", block_timeout=0.0)
        intake.enqueue(b"{}")
        self.assertEqual(intake.dropped, 1)

    def test_prepare(self) -> None:
        """The stock handler's copying and formatting is not for encoded messages."""
        line = b"{}"
        self.assertIs(self.an_intake([]).prepare(line), line)
