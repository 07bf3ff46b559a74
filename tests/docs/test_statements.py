"""Tests that plain statements in the documentation are true: limits, versions, reports."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import tomllib
import unittest
from contextlib import redirect_stderr
from tempfile import TemporaryDirectory

from typing_extensions import override

from segment_logging import InvalidMessage, MessageTooLarge, SegmentHandler
from segment_logging._delivery.losses import text_of_kept
from segment_logging._delivery.retries import Progress, RetryPolicy
from segment_logging._options.delivery import DeliveryOptions
from segment_logging._queues.choice import queue_for
from segment_logging._queues.journal.place import Place
from segment_logging._queues.journal.sealed import Directory
from segment_logging._queues.journal.sources import Sources
from segment_logging._reports import RefusedReports, Reporter
from segment_logging._trust import OF_ANOTHER_USER, NotOurs, Trust
from segment_logging.testing import capture_segment

from ..builders import PROJECT
from .pages import PAGES, README, rows_under

KEY = "Jx0aB3kQ9ZpLw7Tn4Rs8Vd2Hy6Mc1Gfe"


def accepted_of(size_bytes: int) -> int:
    """Return how many messages of this size a queue with default options accepts."""
    queue = queue_for(KEY, DeliveryOptions())
    line = bytes(size_bytes)
    accepted = 0
    while queue.put(line):
        accepted += 1
    return accepted


class TestQueue(unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.text = " ".join(PAGES["docs/operating.md"].split())

    def test_messages(self) -> None:
        """Of small messages, a default queue holds as many as docs/operating.md states."""
        for size_bytes in (560, 671):
            with self.subTest(size_bytes=size_bytes):
                accepted = accepted_of(size_bytes)
                self.assertIn(f"holds up to {accepted:,} messages or 64 MiB", self.text)

    def test_bytes(self) -> None:
        """Of larger messages, a default queue holds as many bytes as docs/operating.md states."""
        self.assertIn("With messages of more than 671 bytes, 64 MiB", self.text)
        for size_bytes in (672, 32_000):
            with self.subTest(size_bytes=size_bytes):
                accepted = accepted_of(size_bytes)
                self.assertLess(accepted, 100_000)
                self.assertEqual(accepted, 67_108_864 // size_bytes)
        self.assertIn("(67,108,864 bytes)", self.text)

    def test_journal(self) -> None:
        """The sizes that docs/operating.md gives for files are the defaults."""
        options = DeliveryOptions()
        self.assertEqual(options.max_journal_bytes, 1 << 30)
        self.assertIn("`max_journal_bytes`, 1 GiB by default", self.text)
        self.assertEqual(round(options.max_journal_bytes / 500, -6), 2_000_000)
        text = " ".join(PAGES["docs/journal.md"].split())
        self.assertIn("(1 GiB) limits the disk space, which is enough for about two million", text)
        for page in (README, "docs/delivery.md"):
            self.assertRegex(" ".join(PAGES[page].split()), r"up to (`max_journal_bytes` \()?1 GiB")
        self.assertEqual(options.max_dead_letter_bytes, 256 << 20)
        self.assertIn("`max_dead_letter_bytes`, which is 256 MiB", self.text)

    def test_overflow(self) -> None:
        """By default, a message for which there is no room is dropped, and the caller goes on."""
        self.assertEqual(DeliveryOptions().overflow, "drop")
        self.assertIn("and more are dropped", " ".join(PAGES[README].split()))

    def test_attempts(self) -> None:
        """By default, there are as many attempts in an outage as the README states, in its time."""
        policy = RetryPolicy(max_attempts=DeliveryOptions().max_attempts)
        progress, waits = Progress().failed(None), list[float]()
        while (wait := policy.wait_before(progress, random=0.5)) is not None:
            waits.append(wait)
            progress = progress.failed(None)
        self.assertEqual(len(waits) + 1, 11)
        self.assertAlmostEqual(sum(waits) / 60, 3, delta=0.3)
        self.assertIn("eleven attempts in about three minutes", " ".join(PAGES[README].split()))

    def test_speed(self) -> None:
        """The share that the README gives for the extra `speed` is that of the measured costs."""
        rows = rows_under("docs/costs.md", "Each way to log an event")
        (usual,) = (row for row in rows if row.first == "usual")
        with_speed, without = float(usual.others[0]), float(usual.others[2])
        self.assertAlmostEqual(1 - with_speed / without, 1 / 4, delta=0.05)
        for page in (README, "docs/getting-started.md"):
            self.assertIn("calls about a quarter cheaper", PAGES[page])

    def test_other_pages(self) -> None:
        """The README and docs/troubleshooting.md give the same size."""
        for page in (README, "docs/troubleshooting.md"):
            with self.subTest(page=page):
                self.assertIn(
                    f"{accepted_of(1):,} messages or 64 MiB", " ".join(PAGES[page].split())
                )


class TestVersions(unittest.TestCase):
    def test_pythons(self) -> None:
        """docs/versions.md lists the Pythons of the package's metadata, and how CI tests them."""
        rows = rows_under("docs/versions.md", "What is tested")
        by_how = [re.findall(r"3\.(\d+)", row.first) for row in rows if "CPython" in row.first]
        project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
        classifiers = " ".join(project["project"]["classifiers"])
        self.assertEqual([*by_how[0], *by_how[1]], re.findall(r"Python :: 3\.(\d+)", classifiers))
        packages = (PROJECT / "tests" / "next" / "package.json").read_text(encoding="utf-8")
        self.assertEqual(
            [f"python-3.{minor}" for minor in by_how[1]], list(json.loads(packages)["dependencies"])
        )
        script = PROJECT / ".ci" / "run"
        if script.exists():  # not in the source distribution
            minors = re.search(r"for minor in ([\d ]+);", script.read_text(encoding="utf-8"))
            assert minors is not None
            self.assertEqual(by_how[0], minors[1].split())


class TestReports(unittest.TestCase):
    def test_texts(self) -> None:
        """Each report in docs/troubleshooting.md is in a text of the package."""
        texts = texts_of_the_package()
        rows = rows_under("docs/troubleshooting.md", "What the reports mean")
        self.assertGreater(len(rows), 10)
        for row in rows:
            with self.subTest(report=row.first):
                report = row.first.strip("`")
                self.assertTrue(any(report in text for text in texts))

    def test_losses(self) -> None:
        """The regular expressions in docs/operating.md find the reports of lost messages, with the
        logger's name before or after the message."""
        page = PAGES["docs/operating.md"]
        (name_first,) = re.findall(r"`(segment_logging\.\*\([^`]*)`", page)
        (name_last,) = re.findall(r"`([^`]*\)\.\*segment_logging)`", page)
        texts = texts_of_the_package()
        for part in (
            " lost (", " dropped; ", "their messages are lost", "the rest is lost",
            "1 message is lost", "abandoned: set dead_letters", " damaged and cannot be sent; ",
            "dead letters cannot be written (", "the oldest dead letters (", "set aside in ",
            " cannot be written to (", " cannot be searched (", " refused for the same reasons",
            " had neither a user_id nor an anonymous_id, and ",
            "no write key, so nothing is sent: ",
        ):  # fmt: skip
            with self.subTest(part):
                self.assertTrue(any(part in text for text in texts))
                text = f"3 messages were{part} reason"
                before = json.dumps({"name": "segment_logging", "message": text})
                after = json.dumps({"message": text, "name": "segment_logging"})
                for line, pattern in (
                    (f"segment_logging: {text}", name_first), (before, name_first),
                    (after, name_last),
                ):  # fmt: skip
                    self.assertRegex(line, pattern)
                    self.assertRegex(line, f"{name_first}|{name_last}")

    def test_unread(self) -> None:
        """The regular expressions find the report about messages of another user."""
        page = PAGES["docs/operating.md"]
        (name_first,) = re.findall(r"`(segment_logging\.\*\([^`]*)`", page)
        (name_last,) = re.findall(r"`([^`]*\)\.\*segment_logging)`", page)
        with TemporaryDirectory() as directory:
            place = Place(directory, KEY, Trust(group=0))
            with self.assertLogs("segment_logging") as logs:
                Sources(place, Reporter()).skip(
                    Directory("1-1-a"), None, "read", NotOurs(OF_ANOTHER_USER, directory)
                )
        (text,) = (record.getMessage() for record in logs.records)
        self.assertIn("name that user with --owner", text)
        self.assertRegex(f"segment_logging: {text}", name_first)
        self.assertRegex(f"{text} segment_logging", name_last)

    def test_left_in_a_journal(self) -> None:
        """The regular expression for journals that are deleted with their pod finds the
        reports about messages that are left, which the others do not find. A page quotes one."""
        page = PAGES["docs/operating.md"]
        (pattern,) = re.findall(r"`(remains\? in [^`]*)`", page)
        (name_first,) = re.findall(r"`(segment_logging\.\*\([^`]*)`", page)
        (name_last,) = re.findall(r"`([^`]*\)\.\*segment_logging)`", page)
        kept_in = "the journal /segment/u1000"
        for number in (1, 10):
            for key_name in (None, "0123456789ab"):
                text = text_of_kept(number, kept_in, None, is_exact=False, key_name=key_name)
                self.assertRegex(text, pattern)
                self.assertNotRegex(f"segment_logging: {text}", name_first)
                self.assertNotRegex(f"{text} segment_logging", name_last)
        quoted = text_of_kept(10, kept_in, None, is_exact=True)
        self.assertIn(f"\nsegment_logging: {quoted}\n", PAGES["docs/one-host.md"])

    def test_refused(self) -> None:
        """The regular expression for stderr finds each kind of report about a refused event, and
        not the reports about connections that are refused."""
        (name_first,) = re.findall(r"`(segment_logging\.\*\([^`]*)`", PAGES["docs/operating.md"])
        too_large, refused = MessageTooLarge(40_210, 32_768), InvalidMessage("a rule")
        for error in (too_large, refused, KeyError("a value")):
            with self.subTest(error=type(error).__name__):
                stderr = io.StringIO()
                with redirect_stderr(stderr):
                    RefusedReports().say(logging.makeLogRecord({}), error)
                self.assertRegex(stderr.getvalue().splitlines()[0], name_first)
        self.assertNotRegex("segment_logging: [Errno 111] Connection refused", name_first)


class TestValues(unittest.TestCase):
    """What docs/records.md and docs/delivery.md state about objects as values."""

    def test_other_classes(self) -> None:
        """An object is sent as its `str()`, in which `redact` removes nothing."""

        class Plain:
            pass

        class Shown:
            @override
            def __repr__(self) -> str:
                return "Shown(email='ada@example.com')"

        with capture_segment() as captured:
            log_to(SegmentHandler(KEY, redact=["email"]), plain=Plain(), shown=[Shown()])
        properties = captured[0].to_dict()["properties"]
        self.assertRegex(properties["plain"], r"^<.*Plain object at 0x\w+>$")
        self.assertEqual(properties["shown"], ["Shown(email='ada@example.com')"])

    def test_refused(self) -> None:
        """A value that contains itself, and one whose `str()` raises, make an event invalid."""

        class Raising:
            @override
            def __str__(self) -> str:
                raise ValueError

        cycle: list[object] = []
        cycle.append(cycle)
        with capture_segment(allow_invalid=True) as captured:
            log_to(SegmentHandler(KEY), value=cycle)
            log_to(SegmentHandler(KEY), value=Raising())
        self.assertEqual((len(captured), len(captured.invalid)), (0, 2))


def log_to(handler: SegmentHandler, **properties: object) -> None:
    """Log an event with these properties to a handler."""
    logger = logging.Logger("tests.docs")
    logger.addHandler(handler)
    logger.info("Signup", extra={"user_id": "u-17", "properties": properties})


def texts_of_the_package() -> set[str]:
    """Return all strings in the package's code."""
    return {
        node.value
        for path in (PROJECT / "segment_logging").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
