"""Decorators that skip a test on platforms that lack what it needs.

For example, a Python that was compiled for browsers has no threads. Tests that start a process or
a server need no decorator, because `suite` skips them.
"""

import sys
import unittest

_IS_BROWSER = sys.platform == "emscripten"

threads = unittest.skipIf(_IS_BROWSER, "needs threads")
"""The test starts a thread, or waits for one that the package starts."""

event_loop = unittest.skipIf(_IS_BROWSER, "needs an event loop")
"""The test runs a coroutine."""

file_locks = unittest.skipIf(_IS_BROWSER, "needs file locks")
"""The test opens a file twice and expects only one of the two to get the lock."""

a_limited_stack = unittest.skipIf(_IS_BROWSER, "needs Python's own limit on C recursion")
"""The test nests values so deeply that an encoder written in C fails."""

a_real_disk = unittest.skipIf(_IS_BROWSER, "needs a real disk")
"""The test depends on links, modes, pipes or inodes."""

kombu = unittest.skipIf(_IS_BROWSER, "needs kombu")
"""The test creates a client of a broker."""
