"""Tests with children that `os._exit`, which run no exit function.

The handlers of these programs have a long `flush_interval`, so nothing is sent unless something
delivers it on purpose.
"""

from __future__ import annotations

import os
import unittest

from .serving import HostTest

WAYS_TO_DELIVER = {
    "drain": "work(); segment_logging.drain(20)",
    "flush_after": "flush_after(work)()",
}
"""Ways in which a child that calls `os._exit` can run `work`."""

CHILDREN = """
import multiprocessing
import segment_logging
from segment_logging.contrib.aws_lambda import flush_after

attach(flush_interval=30)


def work(number=0):
    log("Child")


def end():
    {}
    os._exit(0)

"""


@unittest.skipUnless(hasattr(os, "fork"), "needs os.fork")
class TestChildren(HostTest):
    """Children that run no exit function."""

    def test_fork(self) -> None:
        """The events of a forked child that delivers them before `os._exit` arrive."""
        for name, way in WAYS_TO_DELIVER.items():
            with self.subTest(name):
                self.start_over()
                done = self.run_it(
                    CHILDREN.format(way) + "log('Parent')\n"
                    "if os.fork() == 0: end()\n"
                    "assert os.wait()[1] == 0"
                )
                self.assert_arrived(done, Parent=1, Child=1)

    def test_multiprocessing(self) -> None:
        """The same is true of a child of multiprocessing, with every start method."""
        for method in ("fork", "spawn", "forkserver"):
            with self.subTest(method):
                self.start_over()
                done = self.run_it(
                    CHILDREN.format(WAYS_TO_DELIVER["flush_after"]) + "if __name__ == '__main__':\n"
                    "    log('Parent')\n"
                    f"    context = multiprocessing.get_context({method!r})\n"
                    "    child = context.Process(target=end)\n"
                    "    child.start(); child.join()\n"
                    "    assert child.exitcode == 0"
                )
                self.assert_arrived(done, Parent=1, Child=1)

    def test_pool(self) -> None:
        """With `flush_after`, events arrive even if the pool kills its workers."""
        done = self.run_it(
            CHILDREN.format("pass") + "work = flush_after(work)\n"
            "with multiprocessing.get_context('fork').Pool(3) as pool:\n"
            "    pool.map(work, range(20))"
        )
        self.assert_arrived(done, Child=20)


if __name__ == "__main__":
    unittest.main()
