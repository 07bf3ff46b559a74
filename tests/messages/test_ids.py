"""Tests for message ids and their uniqueness."""

from __future__ import annotations

import os
import unittest
from concurrent.futures import ThreadPoolExecutor

from segment_logging._messages.ids import new_message_id
from segment_logging._messages.limits import MAX_MESSAGE_ID_CHARACTERS
from tests.builders import run_python


class TestIds(unittest.TestCase):
    def test_short_enough(self) -> None:
        """An id is well below Segment's limit and is plain ASCII."""
        self.assertLess(len(new_message_id()), MAX_MESSAGE_ID_CHARACTERS // 2)
        self.assertTrue(new_message_id().isascii())

    def test_unique_over_threads(self) -> None:
        """Threads that create ids at the same time never create the same one."""
        with ThreadPoolExecutor(8) as pool:
            made = pool.map(lambda _: [new_message_id() for _ in range(2_000)], range(8))
        self.assertEqual(len({id_ for ids in made for id_ in ids}), 16_000)

    def test_processes_differ(self) -> None:
        """Two processes create different ids."""
        program = (
            "import json; from segment_logging._messages.ids import new_message_id\n"
            "print(json.dumps(new_message_id()))"
        )
        self.assertNotEqual(run_python(program), run_python(program))

    @unittest.skipUnless(hasattr(os, "fork"), "needs fork")
    def test_fork(self) -> None:
        """After a fork, the child and its parent create different ids."""
        ids = run_python(
            """
import json, os
from segment_logging._messages.ids import new_message_id
new_message_id()
ours, theirs = os.pipe()
if os.fork() == 0:
    os.write(theirs, new_message_id().encode())
    os._exit(0)
os.wait()
print(json.dumps([os.read(ours, 100).decode(), new_message_id()]))
"""
        )
        self.assertNotEqual(ids[0], ids[1])
        self.assertNotEqual(ids[0].rsplit("-", 1)[0], ids[1].rsplit("-", 1)[0])
