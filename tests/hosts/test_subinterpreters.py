"""Tests with isolated subinterpreters, in which Python runs no daemon threads.

Each program creates a subinterpreter that runs the rest of it. The handlers have a long
`flush_interval`, so events are sent only when the code requests it or the interpreter ends.
"""

from __future__ import annotations

import signal
import sys
import unittest

from ..faults.subprocesses import SETUP, Done, run
from .serving import HostTest, has

CREATE = """
import sys
try:
    import _interpreters as interpreters
except ModuleNotFoundError:  # before Python 3.13
    import _xxsubinterpreters as interpreters

interpreter = interpreters.create()
code = f"import sys\\nsys.path[:] = {{sys.path!r}}\\n{{CODE}}"
failure = interpreters.run_string(interpreter, code)
if failure is not None:
    sys.exit(str(failure))
{then}
"""
"""A program that runs `CODE` in a subinterpreter, and then does something else."""

DESTROY = "interpreters.destroy(interpreter)"

CRASHES = sys.version_info[:2] == (3, 12)
"""Whether Python may crash after a subinterpreter has ended, if only hashlib was imported in it."""

REPORT = "segment_logging: this subinterpreter runs no daemon threads"


@unittest.skipUnless(has("_interpreters") or has("_xxsubinterpreters"), "needs subinterpreters")
class TestSubinterpreters(HostTest):
    def run_inside(self, code: str, then: str = DESTROY) -> Done:
        """Run code in a subinterpreter of a program.

        Args:
            code: the code, after the handler is attached.
            then: what the program does next.
        """
        code = f"\n{SETUP}handler = attach(flush_interval=30)\n{code}"
        program = f"CODE = {code!r}\n{CREATE.format(then=then)}"
        # Some libraries cannot be imported in subinterpreters, and requests warns about that.
        done = run(program, self.collector.url, setup="", PYTHONWARNINGS="ignore")
        if done.status != -signal.SIGABRT or not CRASHES:
            self.assertEqual(done.status, 0, done.stderr)
        return done

    def test_drain_and_flush(self) -> None:
        """`drain` and `flush` deliver in the calling thread."""
        done = self.run_inside(
            "log('Drained', 3)\nprint(handler.drain(10))\n"
            "log('Flushed', 3)\nhandler.flush()\nprint(handler.counts().pending, flush=True)",
            then="import os; os._exit(0)",
        )
        self.assertEqual(done.stdout, "True\n0\n", done.stderr)
        self.assert_arrived(done, Drained=3, Flushed=3)

    def test_end_of_the_interpreter(self) -> None:
        """When a subinterpreter is destroyed, it delivers its events first."""
        done = self.run_inside("log('Event', 3)", then=f"{DESTROY}\nimport os; os._exit(0)")
        self.assert_arrived(done, Event=3)

    def test_report(self) -> None:
        """A report says once that no threads run, and how to deliver. It blames no thread limit."""
        done = self.run_inside("log('First')\nhandler.flush()\nlog('Second')\n")
        self.assertEqual(done.stderr.count(REPORT), 1, done.stderr)
        self.assertIn("flush from time to time", done.stderr)
        self.assertNotIn("thread limit", done.stderr)


if __name__ == "__main__":
    unittest.main()
