"""Tests that what docs/testing.md says about Django's test runner holds."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from importlib.util import find_spec

from typing_extensions import override

from .pages import NO_RUN, blocks_of
from .test_blocks import ProgramTest

PAGE = "docs/testing.md"

SETTINGS = """
SECRET_KEY = "test-secret"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"segment": {"class": "segment_logging.SegmentHandler"}},
    "loggers": {"shop": {"level": "INFO", "handlers": ["segment"]}},
}
"""

RUNNER = """
TEST_RUNNER = "proj.runner.Runner"
"""

RUNNER_MODULE = """
from django.test.runner import DiscoverRunner
from segment_logging.testing import forbid_sending
class Runner(DiscoverRunner):
    def run_tests(self, *args, **options):
        with forbid_sending():
            return super().run_tests(*args, **options)
"""

MANAGE = """
import multiprocessing, sys
from django.core.management import execute_from_command_line
if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    execute_from_command_line(sys.argv)
"""

TESTS = """
import logging
import segment_logging
from django.test import SimpleTestCase
from segment_logging.testing import SegmentTestCase
from proj.base import SendsNothing
def log(name):
    logging.getLogger("shop").info(name, extra={"user_id": "u-17", "properties": {}})
    assert segment_logging.drain(10)
class TestOne(BASES):
    def test_event(self):
        log("One")
class TestTwo(BASES):
    def test_event(self):
        log("Two")
SETUP
class TestCaptured(SendsNothing, SegmentTestCase, SimpleTestCase):
    def test_event(self):
        log("Three")
        self.assertTracked("Three", user_id="u-17")
"""


SET_UP_CLASS = """
class TestSetUp(SendsNothing, SimpleTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        logging.getLogger("shop").info("Four", extra={"user_id": "u-17"})
    def test_event(self):
        pass
"""


@unittest.skipUnless(find_spec("django"), "needs Django")
@unittest.skipUnless(hasattr(os, "fork"), "needs fork")
class TestRunner(ProgramTest):
    @override
    def setUp(self) -> None:
        super().setUp()
        blocks = [one for one in blocks_of(PAGE) if one.language == "python"]
        (settings,) = (one.text for one in blocks if one.mark == NO_RUN)
        (base,) = (one.text for one in blocks if "class SendsNothing" in one.text)
        directory = self.directory / "proj"
        directory.mkdir()
        for name, text in (
            ("__init__", ""),
            ("settings", SETTINGS),
            ("test_settings", settings),
            ("runner_settings", SETTINGS + RUNNER),
            ("runner", RUNNER_MODULE),
            ("base", base),
        ):
            (directory / f"{name}.py").write_text(text)
        (self.directory / "manage.py").write_text(MANAGE)

    def run_tests(
        self,
        settings: str,
        bases: str = "SimpleTestCase",
        *,
        processes: int = 2,
        setup: str = "",
    ) -> tuple[int, str]:
        """Run the project's tests, and return the exit code and what the runner prints."""
        tests = TESTS.replace("BASES", bases).replace("SETUP", setup)
        (self.directory / "test_shop.py").write_text(tests)
        options = ("--parallel", str(processes), "--settings", f"proj.{settings}")
        done = subprocess.run(
            [sys.executable, "manage.py", "test", *options],
            cwd=self.directory,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stderr

    def assert_passes(self, settings: str) -> None:
        code, shown = self.run_tests(settings)
        self.assertEqual(code, 0, shown)
        self.assertIn("\nOK\n", shown)
        self.assertIn("Ran 3 tests", shown)

    def events(self) -> set[str]:
        return {one["event"] for one in self.collector.messages}

    def test_default(self) -> None:
        """Without any of this, the tests send their events."""
        self.assert_passes("settings")
        self.assertEqual(self.events(), {"One", "Two"})

    def test_null_handler(self) -> None:
        """With the settings for tests, nothing is sent, and events can be captured."""
        self.assert_passes("test_settings")
        self.assertEqual(self.events(), set())

    def test_base_class(self) -> None:
        """With the base class, the tests that send something fail, and send nothing."""
        for processes in (1, 2):  # without tblib, Django cannot show the failures of children
            with self.subTest(processes=processes):
                code, shown = self.run_tests(
                    "settings", "SendsNothing, SimpleTestCase", processes=processes
                )
                self.assertEqual(code, 1, shown)
                self.assertIn("1 message would have been sent to Segment", shown)
                if processes == 1 or find_spec("tblib"):
                    self.assertIn("FAILED (failures=2)", shown)
                self.assertEqual(self.events(), set())

    def test_set_up_of_a_class(self) -> None:
        """What a class logs in its own set-up is not sent either, and is an error."""
        code, shown = self.run_tests(
            "settings", "SendsNothing, SimpleTestCase", processes=1, setup=SET_UP_CLASS
        )
        self.assertEqual(code, 1, shown)
        self.assertIn("tearDownClass (test_shop.TestSetUp", shown)
        self.assertEqual(self.events(), set())

    def test_around_the_run(self) -> None:
        """A block around the whole run sends nothing, but the run ends with OK."""
        self.assert_passes("runner_settings")
        self.assertEqual(self.events(), set())


if __name__ == "__main__":
    unittest.main()
