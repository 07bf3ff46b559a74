"""Tests that run the pytest plugin in pytest itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import unittest
from importlib.util import find_spec
from pathlib import Path

from typing_extensions import override

from .builders import PROJECT, run_python

TESTS = """
import logging
import pytest
from segment_logging import HttpClient, SegmentHandler, Track, User
from segment_logging.testing import SegmentTestCase

logger = logging.getLogger("app")

@pytest.fixture
def events(segment_events):
    return segment_events

@pytest.fixture
def sending_at_the_end():
    yield
    send()

def send():
    HttpClient().send("key", Track(event="Signup", user=User(user_id="u")))

def test_tracked(segment_events):
    logger.info("Signup", extra={"user_id": "u", "plan": "pro"})
    segment_events.assert_tracked("Signup", user_id="u", properties={"plan": "pro"})

def test_other_name(events):
    logger.info("Signup", extra={"user_id": "u"})
    assert len(events) == 1

def test_wrong(segment_events):
    logger.info("Login", extra={"user_id": "u"})
    segment_events.assert_tracked("Signup", user_id="u")

def test_refused(segment_events):
    logger.info("Signup", extra={"user_id": ""})

def test_refused_by_other_name(events):
    logger.info("Signup", extra={"user_id": ""})

class TestCase(SegmentTestCase):
    def test_case(self):
        logger.info("Signup", extra={"user_id": "u"})
        self.assertTracked("Signup")

    def test_case_wrong(self):
        self.assertTracked("Signup")

def test_sending():
    handler = SegmentHandler("key", host="http://127.0.0.1:1")
    logging.getLogger("sending").addHandler(handler)
    logging.getLogger("sending").warning("Signup", extra={"user_id": "u"})

def test_sending_afterwards(sending_at_the_end):
    pass

def test_sending_unseen():
    try:
        send()
    except BaseException:
        pass
"""
WITHOUT_SENDING = "not sending"


@unittest.skipUnless(find_spec("pytest"), "needs pytest")
class TestPlugin(unittest.TestCase):
    @override
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def run_pytest(
        self, tests: str, *options: str, ini: str = "", version: str = ""
    ) -> tuple[int, str]:
        """Run a file of tests, and return pytest's exit status and output.

        Args:
            tests: the file's text.
            options: more command-line options.
            ini: the text of the configuration.
            version: the directory of another version of pytest in the virtual environment.
        """
        other = [str(Path(sys.prefix, version))] if version else []
        if other and not Path(other[0]).is_dir():
            self.skipTest(f"needs {version}: run make test")
        (self.directory / "test_app.py").write_text(tests, encoding="utf-8")
        (self.directory / "pytest.ini").write_text(f"[pytest]\n{ini}\n", encoding="utf-8")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA"),
                *("-p", "segment_logging.pytest_plugin", *options),
            ],
            cwd=self.directory,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([*other, str(PROJECT)]),
                # If the project is installed, its entry point would load the plugin again.
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def test_fixture(self) -> None:
        """The fixture captures events, and an invalid event fails the test, not its teardown."""
        status, shown = self.run_pytest(TESTS, "-k", WITHOUT_SENDING)
        self.assertEqual(outcomes(shown), {
            "PASSED": {"test_tracked", "test_other_name", "test_case"},
            "FAILED": {"test_wrong", "test_refused", "test_refused_by_other_name",
                       "test_case_wrong"},
        })  # fmt: skip
        self.assertEqual(status, 1)
        self.assertIn("[0] track 'Login' user_id='u'", shown)
        self.assertIn("Segment would drop these events", shown)
        # The traceback shows only the test's own lines.
        self.assertNotIn("captured.py", shown)

    def test_forbid_sending(self) -> None:
        """With the option, a test that sends fails in the phase that sends."""
        for options, ini in (
            (["--segment-forbid-sending"], ""),
            ([], "segment_forbid_sending = true"),
        ):
            with self.subTest(ini=ini):
                _, shown = self.run_pytest(TESTS, "-k", "sending or tracked", *options, ini=ini)
                self.assertEqual(outcomes(shown), {
                    "PASSED": {"test_tracked", "test_sending_afterwards"},
                    "FAILED": {"test_sending", "test_sending_unseen"},
                    "ERROR": {"test_sending_afterwards"},
                })  # fmt: skip
                self.assertIn("track 'Signup' user_id='u'", shown)

    def test_pytest_8(self) -> None:
        """The fixture and the option work with pytest 8, too."""
        options = ("-k", "tracked or sending or refused", "--segment-forbid-sending")
        _, shown = self.run_pytest(TESTS, *options, version="pytest-8")
        self.assertEqual(outcomes(shown), {
            "PASSED": {"test_tracked", "test_sending_afterwards"},
            "FAILED": {"test_sending", "test_sending_unseen", "test_refused",
                       "test_refused_by_other_name"},
            "ERROR": {"test_sending_afterwards"},
        })  # fmt: skip

    def test_pytest_7(self) -> None:
        """With pluggy 1.0, the fixture works, but an invalid event only fails its teardown."""
        options = ("-k", "tracked or wrong or refused")
        status, shown = self.run_pytest(TESTS, *options, version="pytest-7")
        self.assertEqual(outcomes(shown), {
            "PASSED": {"test_tracked", "test_refused", "test_refused_by_other_name"},
            "FAILED": {"test_wrong", "test_case_wrong"},
            "ERROR": {"test_refused", "test_refused_by_other_name"},
        })  # fmt: skip
        self.assertEqual(status, 1)

    def test_pytest_7_forbid_sending(self) -> None:
        """With pluggy 1.0, the option is refused, because nothing would be forbidden."""
        status, shown = self.run_pytest(TESTS, "--segment-forbid-sending", version="pytest-7")
        self.assertEqual(status, 4)
        self.assertIn("segment_forbid_sending needs pluggy 1.2 or newer", shown)

    def test_forbid_sending_at_import(self) -> None:
        """With the option, no test runs if a test file sends while it is imported."""
        status, shown = self.run_pytest(TESTS + "\ntest_sending()\n", "--segment-forbid-sending")
        self.assertEqual((status, outcomes(shown)), (4, {}))
        self.assertIn("ERROR: 1 message would have been sent to Segment", shown)

    def test_example(self) -> None:
        """test_with_pytest.py passes."""
        example = PROJECT / "examples" / "test_with_pytest.py"
        status, shown = self.run_pytest(example.read_text(encoding="utf-8"))
        self.assertEqual((status, len(outcomes(shown)["PASSED"])), (0, 4))

    def test_listed(self) -> None:
        """pytest's help lists the fixture and the options."""
        self.assertIn("segment_events", self.run_pytest("", "--fixtures")[1])
        shown = self.run_pytest("", "--help")[1]
        self.assertIn("--segment-forbid-sending", shown)
        self.assertIn("segment_forbid_sending (bool)", shown)

    def test_import(self) -> None:
        """Loading the plugin, which happens in every pytest run, loads no other module."""
        loaded = run_python(
            """
import json, sys
import segment_logging
before = set(sys.modules)
import pytest
with_pytest = set(sys.modules)
import segment_logging.pytest_plugin
print(json.dumps(sorted(set(sys.modules) - with_pytest)))
"""
        )
        self.assertEqual(loaded, ["segment_logging.pytest_plugin"])


def outcomes(shown: str) -> dict[str, set[str]]:
    """Return the names of tests by outcome, read from pytest's summary."""
    found: dict[str, set[str]] = {}
    for outcome, name in re.findall(r"^(PASSED|FAILED|ERROR) \S*::(\w+)", shown, re.MULTILINE):
        found.setdefault(outcome, set()).add(name)
    return found


if __name__ == "__main__":
    unittest.main()
