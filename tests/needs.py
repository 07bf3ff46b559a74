"""What a test needs of its platform: where that is missing, the test is skipped.

A Python that was compiled for browsers has no threads, say. Processes and servers need no mark, as
`suite` skips whatever starts one.
"""

import sys
import unittest

_IS_BROWSER = sys.platform == "emscripten"

threads = unittest.skipIf(_IS_BROWSER, "needs threads")
"""The test starts a thread, or waits for one that the package starts."""

event_loop = unittest.skipIf(_IS_BROWSER, "needs an event loop")
"""The test runs a coroutine."""

file_locks = unittest.skipIf(_IS_BROWSER, "needs locks of files")
"""The test opens a file twice, and one of both is not to get the lock."""

a_limited_stack = unittest.skipIf(_IS_BROWSER, "needs Python's own limit of recursion in C")
"""The test nests values so deep that an encoder written in C gives up."""
