"""Sample tests with every possible outcome, for the tests of the test runner."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import unittest


class Plain(unittest.TestCase):
    def test_passes(self) -> None:
        """This test passes."""

    def test_fails(self) -> None:
        """This test fails."""
        print("before it fails")
        self.assertEqual(1, 2)

    def test_raises(self) -> None:
        """This test raises."""
        raise LookupError

    @unittest.skip("never runs")
    def test_is_skipped(self) -> None:
        """This test never runs."""

    def test_parts_are_skipped(self) -> None:
        """Two of this test's three parts never run."""
        for part in range(3):
            with self.subTest(part=part):
                if part:
                    self.skipTest("never runs")


class Starting(unittest.TestCase):
    def test_process(self) -> None:
        """This test starts a process."""
        subprocess.run([sys.executable, "-c", ""], check=True)

    def test_fork(self) -> None:
        """This test forks."""
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)

    def test_server(self) -> None:
        """This test starts a server."""
        socket.create_server(("127.0.0.1", 0)).close()


class Dying(unittest.TestCase):
    def test_dies(self) -> None:
        """This test ends its process."""
        os._exit(3)
