"""Tests for isolated subinterpreters, which allow no daemon threads."""

from __future__ import annotations

import unittest

from .serving import HostTest, has

PROGRAM = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

INSIDE = '''
import logging
import sys

sys.path[:0] = {path!r}
from segment_logging import SegmentHandler

handler = SegmentHandler("the-write-key", flush_interval=30)
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
logger.addHandler(handler)

def log(event):
    logger.info(event, extra={{"user_id": "u-17"}})

{body}
'''
for body in BODIES:
    interpreter = interpreters.create()
    failure = interpreters.run_string(interpreter, INSIDE.format(path=sys.path, body=body))
    if failure is not None:
        print(failure, file=sys.stderr)
    interpreters.destroy(interpreter)
"""


@unittest.skipUnless(
    has("_interpreters") or has("_xxsubinterpreters"), "needs a Python with subinterpreters"
)
class TestSubinterpreters(HostTest):
    def run_inside(self, *bodies: str) -> str:
        """Run each of these in a subinterpreter of its own, and return what they print."""
        done = self.run_it(f"BODIES = {bodies!r}\n{PROGRAM}")
        self.assertEqual(done.status, 0, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.stderr = done.stderr
        return done.stdout

    def test_drain(self) -> None:
        """`drain`, `flush` and `close` deliver in the calling thread."""
        printed = self.run_inside(
            "log('Drained')\nprint(handler.drain(10), handler.counts().delivered, flush=True)",
            "log('Flushed')\nhandler.flush()\nprint(handler.counts().delivered, flush=True)",
            "log('Closed')\nhandler.close()\nprint(handler.counts().delivered, flush=True)",
        )
        self.assertEqual(printed, "True 1\n1\n1\n")
        self.assert_arrived(Drained=1, Flushed=1, Closed=1)

    def test_end(self) -> None:
        """What is waiting when the subinterpreter ends is delivered."""
        self.run_inside("log('Ended')\n" * 3)
        self.assert_arrived(Ended=3)

    def test_report(self) -> None:
        """One report says that there is no thread here, and what to do about it."""
        self.run_inside("log('Event')\n" * 3)
        self.assertEqual(self.stderr.count("segment_logging:"), 1, self.stderr)
        self.assertIn("subinterpreter runs no daemon threads", self.stderr)
        self.assertIn("flush from time to time", self.stderr)


if __name__ == "__main__":
    unittest.main()
