"""Tests that what the documentation states about many processes and hosts is true."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from typing_extensions import override

from segment_logging._messages.limits import MAX_BATCH_BYTES
from segment_logging._options.delivery import DeliveryOptions
from segment_logging._queues.journal.stored import BLOCK_BYTES
from segment_logging.cli import service
from segment_logging.cli.metrics import DELIVERER, RELAY, Metrics
from segment_logging.collector import Collector

from .. import needs
from ..builders import run_python
from ..cli.cases import run_command
from .pages import PAGES, blocks, rows_under

OPERATING = "docs/operating.md"


def names_of(metrics: Metrics) -> set[str]:
    """Return the names of the metrics that a service serves."""
    return {
        f"{metrics.prefix}_{name}{'_total' if kind == 'counter' else ''}"
        for name, (kind, _) in metrics.table.items()
    }


class TestAlerts(unittest.TestCase):
    def test_names(self) -> None:
        """The conditions use metrics that the commands serve, and labels that these have."""
        known = names_of(DELIVERER) | names_of(RELAY)
        programs = rows_under("docs/metrics.md", "Prometheus")
        known |= {row.first.strip("`") for row in programs}
        for page in ("docs/one-host.md", "docs/many-hosts.md"):
            for row in rows_under(page, "What to alert on"):
                with self.subTest(row.first):
                    self.assertLessEqual(
                        set(re.findall(r"\bsegment_logging_\w+", row.first)), known
                    )


class TestSizeOfJournal(unittest.TestCase):
    """The script in docs/metrics.md."""

    @override
    def setUp(self) -> None:
        self.directory = Path(self.enterContext(TemporaryDirectory())).resolve()
        self.journal, self.written = self.directory / "journal", self.directory / "written"
        self.journal.mkdir()
        self.written.mkdir()

    def sizes(self) -> dict[str, int]:
        """Run the script, and return the value for each set of labels."""
        (block,) = (one for one in blocks("text") if one.page == "docs/metrics.md")
        script = block.text.replace("/var/lib/shop/segment", str(self.journal))
        script = script.replace("/var/lib/node_exporter", str(self.written))
        done = subprocess.run(
            ["sh", "-ec", script], check=True, timeout=60, capture_output=True, text=True
        )
        self.assertEqual(done.stdout + done.stderr, "")  # otherwise, cron sends a mail
        self.assertEqual([one.name for one in self.written.iterdir()], ["segment.prom"])
        lines = (self.written / "segment.prom").read_text(encoding="utf-8").splitlines()
        found = [re.fullmatch(r"segment_logging_journal_bytes{(.+)} (\d+)", one) for one in lines]
        return {one[1]: int(one[2]) for one in found if one is not None}

    def fill(self, *names: str, files: int) -> None:
        directory = self.journal.joinpath(*names)
        directory.mkdir(parents=True)
        for number in range(files):
            directory.joinpath(str(number)).write_bytes(b"x")

    def test_script(self) -> None:
        """It writes the size of each write key's directory, also of those in DIR/u<uid>."""
        self.fill("0123456789ab", "live", "1", files=30)
        self.fill("u1000", "0123456789ab", "live", "1", files=60)
        self.fill("u1001", "fedcba987654", "live", "1", files=90)
        for other in ("quarantine", "u1000/quarantine", "deadbeef", "x1000", "0123456789abcdef"):
            self.fill(other, files=1)
        for other in ("dead-letters.jsonl", "u1000/dead-letters.jsonl", "fedcba987654", "u7"):
            self.journal.joinpath(other).write_bytes(b"x")
        sizes = self.sizes()
        expected = {
            f'journal="{self.journal}",key="0123456789ab"': 30,
            f'journal="{self.journal}/u1000",key="0123456789ab"': 60,
            f'journal="{self.journal}/u1001",key="fedcba987654"': 90,
        }
        self.assertEqual(sizes.keys(), expected.keys())
        for labels, files in expected.items():
            self.assertIn(sizes[labels], range(files * 4_096, (files + 10) * 4_096))

    def test_empty(self) -> None:
        """If nothing waits, it writes 0 and prints nothing."""
        nothing = {f'journal="{self.journal}",key=""': 0}
        self.assertEqual(self.sizes(), nothing)
        self.fill("u1000", files=0)
        self.assertEqual(self.sizes(), nothing)

    def test_large(self) -> None:
        """Sizes above 2 GiB are written as whole numbers. Here, another `find` reports the size."""
        programs = self.directory / "programs"
        programs.mkdir()
        find = programs / "find"
        find.write_text("#!/bin/sh\necho 9000001/0123456789ab/live/1/1\n", encoding="utf-8")
        find.chmod(0o755)
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        with patch.dict(os.environ, PATH=path):
            self.assertEqual([*self.sizes().values()], [9_000_001 * 512])

    def test_limit(self) -> None:
        """The conditions compare with half of the default limit."""
        alerts = " ".join(PAGES["docs/metrics.md"].split())
        limit = DeliveryOptions().max_journal_bytes
        self.assertIn(f"segment_logging_journal_bytes > 0.5 * {limit}", alerts)
        self.assertRegex(alerts, rf"kubelet_volume_stats_used_bytes{{\S+}} > 0.5 \* {limit}`")
        messages = int(0.5 * limit / 600) // 1_000
        self.assertIn(f"{messages},000 messages of 600 bytes are half of 1 GiB", alerts)


class TestUnits(unittest.TestCase):
    def test_time_to_stop(self) -> None:
        """Each unit of a service leaves it the time that a request under way may take."""
        found = 0
        for block in blocks("ini"):
            unit = configparser.ConfigParser(interpolation=None)
            unit.read_string(block.text)
            if unit.get("Service", "Type", fallback="") == "oneshot":
                continue
            if "Service" in unit and "segment-logging" in unit["Service"]["ExecStart"]:
                found += 1
                with self.subTest(block.page, line=block.line):
                    self.assertGreater(
                        float(unit["Service"]["TimeoutStopSec"]), service.STOP_SECONDS + 1
                    )
                    self.assertEqual(unit["Unit"]["Wants"], unit["Unit"]["After"])
        self.assertEqual(found, 4)


class TestSizes(unittest.TestCase):
    def test_journal(self) -> None:
        """The table of journal sizes is the product of its numbers."""
        limit = DeliveryOptions().max_journal_bytes
        for rate, others in rows_under(OPERATING, "How large the journal must be"):
            rate_per_second = float(rate.replace(",", ""))
            per_hour = rate_per_second * 600 * 3_600 / 1e9
            day = [rate_per_second * size * 86_400 / 1e9 for size in (300, 600, 1_200)]
            lasts = limit / (rate_per_second * 600) / 3_600
            self.assertEqual(
                [float(cell.split()[0]) for cell in others],
                [
                    round(per_hour, 2 if per_hour < 0.1 else 1),
                    *(round(one, 1) for one in day),
                    round(lasts, 1),
                ],
            )

    def test_files(self) -> None:
        """The table of files follows from the default limit, and from blocks of 4 KiB."""
        text = " ".join(PAGES[OPERATING].split())
        options = DeliveryOptions()
        self.assertEqual(options.flush_interval, 1.0)
        self.assertIn(f"1 GiB is at most {options.max_journal_bytes // BLOCK_BYTES:,} files", text)
        for interval, files, size, lasts in (
            (row.first, *row.others) for row in rows_under(OPERATING, "With `deliver=False`")
        ):
            seconds = float(interval.split()[0])
            most = int(40 * 86_400 / seconds)
            self.assertEqual(files, f"{most:,}")
            self.assertEqual(size, f"{most * BLOCK_BYTES / 1e9:.1f} GB")
            hours = options.max_journal_bytes / BLOCK_BYTES * seconds / 40 / 3_600
            self.assertEqual(lasts, f"{hours:.1f} hours")

    def test_catching_up(self) -> None:
        """The times for catching up follow from the numbers next to them."""
        text = " ".join(PAGES[OPERATING].split())
        rate = MAX_BATCH_BYTES // 600 / 0.15
        self.assertIn(f"about {rate:,.0f}"[:-2] + "00 events per second", text)
        backlog = 100 * 86_400
        self.assertIn(f"which is {backlog / 1e6:.1f} million events", text)
        self.assertIn(f"in about {backlog / rate / 60:.0f} minutes", text)
        self.assertIn(f"takes {24 * 10 / (1_000 / 40 - 10):.0f} hours to catch up", text)


class TestWithoutKey(unittest.TestCase):
    def test_counts(self) -> None:
        """Without a write key, everything is counted as ignored, and nothing as accepted."""
        with TemporaryDirectory() as directory:
            counts = run_python(
                "import logging\n"
                "from segment_logging import SegmentHandler\n"
                f"handler = SegmentHandler(journal={directory!r}, deliver=False)\n"
                "logger = logging.Logger('shop')\n"
                "logger.addHandler(handler)\n"
                "for number in range(3): logger.info('Paid', extra={'user_id': 'u-17'})\n"
                "print([handler.counts().accepted, handler.counts().ignored])\n",
                SEGMENT_WRITE_KEY="",
            )
        self.assertEqual(counts, [0, 3])


@needs.file_locks
class TestOldKey(unittest.TestCase):
    def test_sent_with_the_new_one(self) -> None:
        """What waits for a key that was revoked can be imported with another key."""
        with TemporaryDirectory() as directory, Collector() as collector:
            journal, backlog = Path(directory, "journal"), Path(directory, "backlog.jsonl")
            run_python(
                "import logging, sys\n"
                "from segment_logging import SegmentHandler\n"
                "logger = logging.Logger('shop')\n"
                f"handler = SegmentHandler('old', journal={str(journal)!r}, deliver=False)\n"
                "logger.addHandler(handler)\n"
                "for number in range(3): logger.info('Paid', extra={'user_id': 'u-17'})\n"
                "print(1)\n"
            )
            with backlog.open("wb") as copy:
                for path in sorted(journal.glob("*/live/*/*.jsonl")):
                    with path.open("rb") as file:
                        shutil.copyfileobj(file, copy)
            os.chmod(backlog, 0o600)
            key = Path(directory, "new-key")
            key.write_text("new\n", encoding="utf-8")
            code, _, said = run_command(
                "import", str(backlog), "--host", collector.url, "--write-key-file", str(key)
            )
            self.assertEqual(code, 0, said)
            self.assertEqual(len(collector.messages), 3)
            self.assertEqual({one.write_key for one in collector.requests}, {"new"})
