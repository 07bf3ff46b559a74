"""Tests for SegmentTestCase, which captures events during each test."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import unittest
from importlib.util import find_spec

from typing_extensions import override

from segment_logging import HttpClient, SegmentHandler
from segment_logging.testing import FakeClient, SegmentTestCase
from tests import needs
from tests.builders import PROJECT, a_track, run_python

logger = logging.getLogger("tests.assertions")


def outcome_of(case: type[unittest.TestCase]) -> unittest.TestResult:
    """Run the tests of a test case, and return the result."""
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    return result


class TestCase(unittest.TestCase):
    """SegmentTestCase and its assertions."""

    def test_passes(self) -> None:
        """Events are captured starting with `setUp`, separately for each test."""

        class Case(SegmentTestCase):
            @override
            def setUp(self) -> None:
                logger.info("Begun", extra={"user_id": "u"})

            def test_one(self) -> None:
                logger.info("Signup", extra={"user_id": "u", "plan": "pro"})
                self.assertEqual(len(self.captured), 2)
                self.assertTracked("Signup", user_id="u", properties={"plan": "pro"}, times=1)
                self.assertNotTracked("Login")
                self.assertNotSent("identify")

            def test_two(self) -> None:
                logger.info("x", extra={"user_id": "u", "traits": {"a": 1}})
                self.assertTracked("Begun", times=1)
                self.assertIdentified("u", traits={"a": 1})
                self.assertSent("identify", user_id="u")

        result = outcome_of(Case)
        self.assertEqual((result.testsRun, result.failures, result.errors), (2, [], []))

    def test_shows_the_tests_line(self) -> None:
        """A failure's traceback ends in the test and does not show the assertion's own lines."""

        class Case(SegmentTestCase):
            def test(self) -> None:
                self.assertTracked("Signup")

        ((_, text),) = outcome_of(Case).failures
        self.assertEqual(text.count("  File "), 1)
        self.assertIn(f'File "{__file__}"', text)

    def test_refused(self) -> None:
        """An event that Segment would drop fails the test, and the failure shows why and where."""

        class Case(SegmentTestCase):
            def test(self) -> None:
                logger.info("Signup", extra={"user_id": ""})

        result = outcome_of(Case)
        ((_, text),) = result.failures
        self.assertIn("Segment would drop", text)
        self.assertIn(f"{__file__}:", text)
        self.assertEqual(text.count("  File "), 0)

    def test_refused_in_a_cleanup(self) -> None:
        """An invalid event that is logged in a cleanup fails the test."""

        class Case(SegmentTestCase):
            def test(self) -> None:
                self.addCleanup(logger.info, "Signup", extra={"user_id": ""})

        self.assertEqual(len(outcome_of(Case).failures), 1)

    def test_sending(self) -> None:
        """A message that is sent directly, without being captured, fails the test."""

        class Case(SegmentTestCase):
            def test(self) -> None:
                HttpClient().send("key", a_track("Signup"))

        self.assertIn("track 'Signup' user_id='u-17'", outcome_of(Case).failures[0][1])

    def test_afterwards(self) -> None:
        """After a test has passed, failed or been skipped, nothing is captured."""

        class Case(SegmentTestCase):
            def test_passed(self) -> None:
                pass

            def test_failed(self) -> None:
                self.fail()

            @unittest.skip("a reason")
            def test_skipped(self) -> None:
                pass

            def test_error(self) -> None:
                raise KeyError

        client = FakeClient()
        handler = SegmentHandler("key", client=client)
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        self.addCleanup(handler.close)
        before = list(logging.root.handlers)
        outcome_of(Case)
        logger.warning("Signup", extra={"user_id": "u"})
        handler.drain(5)
        self.assertEqual((len(client.messages), logging.root.handlers), (1, before))

    @needs.event_loop
    def test_asynchronous(self) -> None:
        """It works with `IsolatedAsyncioTestCase`."""

        class Case(SegmentTestCase, unittest.IsolatedAsyncioTestCase):
            async def test_one(self) -> None:
                logger.info("Signup", extra={"user_id": "u"})
                self.assertTracked("Signup")

            async def test_two(self) -> None:
                logger.info("Signup", extra={"user_id": ""})

        result = outcome_of(Case)
        self.assertEqual((len(result.failures), result.errors), (1, []))

    def test_one_logger(self) -> None:
        """The logger and its level can be chosen."""

        class Case(SegmentTestCase):
            segment_logger = "tests.assertions.one"
            segment_level = "WARNING"

            def test(self) -> None:
                logging.getLogger("tests.assertions.one").warning("a", extra={"user_id": "u"})
                logging.getLogger("tests.assertions.one").info("b", extra={"user_id": "u"})
                logger.warning("c", extra={"user_id": "u"})
                self.assertTracked("a")
                self.assertSent(times=1)

        self.assertEqual(outcome_of(Case).failures, [])

    def test_debug(self) -> None:
        """`debug`, which runs a test without collecting results, captures events, too."""

        class Case(SegmentTestCase):
            def runTest(self) -> None:
                logger.info("Signup", extra={"user_id": ""})
                self.assertNotTracked()

        with self.assertRaisesRegex(AssertionError, "Segment would drop"):
            Case().debug()

    def test_text_of_a_runner(self) -> None:
        """The test runner shows the lines of a failure unchanged."""

        class Case(SegmentTestCase):
            def test(self) -> None:
                logger.info("Login", extra={"user_id": "u"})
                self.assertTracked("Signup")

        shown = io.StringIO()
        unittest.TextTestRunner(shown).run(unittest.defaultTestLoader.loadTestsFromTestCase(Case))
        self.assertIn("\n  [0] track 'Login' user_id='u'\n", shown.getvalue())

    def test_class_fixtures(self) -> None:
        """Events logged by class fixtures are not sent and do not appear in the tests."""
        client = FakeClient()
        handler = SegmentHandler("key", client=client)
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)

        class Case(SegmentTestCase):
            @override
            @classmethod
            def setUpClass(cls) -> None:
                super().setUpClass()
                logger.info("Begun", extra={"user_id": "u"})

            @override
            @classmethod
            def tearDownClass(cls) -> None:
                logger.info("Ended", extra={"user_id": "u"})
                super().tearDownClass()

            def test(self) -> None:
                self.assertNotTracked()

        result = outcome_of(Case)
        self.assertEqual((result.testsRun, result.failures, result.errors), (1, [], []))
        logger.warning("Signup", extra={"user_id": "u"})
        handler.close()
        self.assertEqual([message.to_dict()["event"] for message in client.messages], ["Signup"])


@unittest.skipUnless(find_spec("django"), "needs Django")
class TestDjango(unittest.TestCase):
    def test_case(self) -> None:
        """It works with Django's test cases, whichever base class comes first."""
        seen = run_python(
            """
import json, logging, unittest
import django, django.test
from django.conf import settings
from segment_logging.testing import SegmentTestCase
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
)
django.setup()
def log(user_id):
    logging.getLogger("app").info("Signup", extra={"user_id": user_id})
class First(SegmentTestCase, django.test.TestCase):
    @classmethod
    def setUpTestData(cls):
        log("of the fixtures")
    def test_tracked(self):
        log("u")
        self.assertTracked("Signup", times=1)
    def test_refused(self):
        log("")
class Last(django.test.TransactionTestCase, SegmentTestCase):
    test_tracked, test_refused = First.test_tracked, First.test_refused
outcomes = []
for case in (First, Last):
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    outcomes.append([result.testsRun, len(result.failures), [text for _, text in result.errors]])
print(json.dumps(outcomes))
"""
        )
        self.assertEqual(seen, [[2, 1, []], [2, 1, []]])


class TestExample(unittest.TestCase):
    def test_passes(self) -> None:
        """test_with_unittest.py passes."""
        done = subprocess.run(
            [sys.executable, "-W", "error", PROJECT / "examples" / "test_with_unittest.py"],
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Ran 4 tests", done.stderr)
