"""Tests with a small file system that is really full, so that writes fail with ENOSPC."""

from __future__ import annotations

import errno
import os
import subprocess
import unittest
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from typing_extensions import override

from segment_logging.collector import Collector

from ..servers import dead_host
from .delivering import Deliverer, wait_until
from .programs import Program, deliver_journal, numbers_in

LOG_ON_REQUEST = """
number = 0
for count in sys.stdin:
    for _ in range(int(count)):
        log(number)
        number += 1
    counts = handler.counts()
    print(counts.accepted, counts.dropped, flush=True)
"""


class FullDiskTest(unittest.TestCase):
    """A journal on a file system of 1 MB."""

    @override
    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.disk = Path(directory.name) / "disk"
        self.disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(self.disk)]
        try:
            subprocess.run(mount, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            self.skipTest("only root can mount a file system, and not in every container")
        self.addCleanup(subprocess.run, ["umount", "--lazy", str(self.disk)], check=True)
        self.journal = self.disk / "journal"
        self.filler = self.disk / "filler"
        self.collector = Collector()
        self.addCleanup(self.collector.close)

    def fill(self) -> None:
        """Write until nothing fits any more."""
        with self.filler.open("ab", buffering=0) as file:
            for size_bytes in (65_536, 4_096, 1):
                with suppress(OSError):
                    while file.write(b"x" * size_bytes) == size_bytes:
                        pass
            with self.assertRaises(OSError) as caught:
                file.write(b"x")
        self.assertEqual(caught.exception.errno, errno.ENOSPC)

    def free(self) -> None:
        self.filler.unlink()

    def on_disk(self) -> int:
        """Return how many messages are in the journal."""
        count = 0
        for file in self.journal.glob("*/live/*/*.jsonl"):
            with suppress(FileNotFoundError):
                count += file.read_bytes().count(b"\n")
        return count

    def log(self, program: Program, count: int) -> None:
        program.write_line(str(count))
        self.assertRegex(program.read_line(), " 0$")  # nothing was dropped

    def test_written_later(self) -> None:
        """What waited in memory is written when there is room, and survives a kill from then on."""
        self.check_written_later(20)

    def test_written_later_without_a_directory(self) -> None:
        """So is a batch that the delivery thread has already taken, if there was no room at all."""
        self.check_written_later(0)

    def check_written_later(self, before: int) -> None:
        with Program(LOG_ON_REQUEST, journal=self.journal, host=dead_host()) as program:
            self.log(program, before)
            self.fill()
            self.log(program, 200)
            self.assertLess(self.on_disk(), before + 200)
            self.free()
            wait_until(lambda: self.on_disk() == before + 200)
            program.kill()
        deliver_journal(self.journal, self.collector.url)
        self.assertEqual(sorted(numbers_in(self.collector)), list(range(before + 200)))
        self.assertEqual(list(self.journal.glob("*/live/*")), [])

    def test_handed_over_later(self) -> None:
        """With `deliver=False`, the same holds, and the order is kept."""
        with Program(LOG_ON_REQUEST, journal=self.journal, deliver=False) as program:
            self.log(program, 20)
            self.fill()
            self.log(program, 200)
            self.free()
            wait_until(lambda: self.on_disk() == 220)
            program.kill()
        with Deliverer(self.journal, "--host", self.collector.url):
            wait_until(lambda: len(self.collector.messages) >= 220)
        self.assertEqual(numbers_in(self.collector), list(range(220)))

    def test_again_and_again(self) -> None:
        """While the disk is filled and freed many times, each event is delivered once."""
        with Program(
            LOG_ON_REQUEST + "print(handler.drain(30), handler.counts().pending)",
            journal=self.journal,
            host=self.collector.url,
        ) as program:
            for _ in range(10):
                self.log(program, 100)
                self.fill()
                self.log(program, 300)
                self.free()
            self.assertEqual(program.end(), "True 0")
        self.assertEqual(sorted(numbers_in(self.collector)), list(range(4_000)))
        self.assertEqual(list(self.journal.glob("*/live/*")), [])

    def test_delivered_while_it_is_full(self) -> None:
        """What a full disk contains is delivered and removed, also if the disk stays full."""
        with Program(LOG_ON_REQUEST, journal=self.journal, host=dead_host()) as program:
            self.log(program, 50)
            program.kill()
        self.fill()
        deliver_journal(self.journal, self.collector.url)
        self.assertEqual(numbers_in(self.collector), list(range(50)))
        self.assertEqual(os.listdir(self.journal), [])

    def test_lost_at_exit(self) -> None:
        """What the disk has not taken when the process ends is lost, and its number is reported."""
        with Program(
            LOG_ON_REQUEST, journal=self.journal, host=dead_host(), shutdown_timeout=0.2
        ) as program:
            self.fill()
            self.log(program, 7)
            program.end()
        self.assertIn("7 messages were not delivered before the process ended", program.stderr)
        self.assertIn("cannot be written to (No space left on device)", program.stderr)

    def test_written_at_exit(self) -> None:
        """What the disk takes again is not lost at exit, even if that was only just now."""
        with Program(
            LOG_ON_REQUEST, journal=self.journal, host=dead_host(), shutdown_timeout=0.2
        ) as program:
            self.fill()
            self.log(program, 7)
            self.free()
            program.end()
        self.assertNotIn("lost", program.stderr)
        deliver_journal(self.journal, self.collector.url)
        self.assertEqual(sorted(numbers_in(self.collector)), list(range(7)))
