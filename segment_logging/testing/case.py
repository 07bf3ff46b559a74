"""A unittest.TestCase that captures what each test logs to Segment."""

from __future__ import annotations

import logging
import unittest
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar, Concatenate, Generic, ParamSpec, TypeVar

from typing_extensions import override

from .captured import Captured
from .capturing import capture_segment
from .forbidding import forbid_sending

P = ParamSpec("P")
R = TypeVar("R")

__unittest = True  # makes unittest leave this module's frames out of tracebacks


class _Forwarded(Generic[P, R]):
    """A `Captured` assertion as a test case method, with the same signature and docstring."""

    def __init__(self, assertion: Callable[Concatenate[Captured, P], R]) -> None:
        self._assertion = assertion

    def __get__(self, case: SegmentTestCase | None, owner: object) -> Callable[P, R]:
        assertion: Any = self._assertion
        # Documentation tools look the method up on the class, which has no `captured`.
        method: Callable[P, R] = assertion if case is None else assertion.__get__(case.captured)
        return method


class SegmentTestCase(unittest.TestCase):
    """A TestCase that captures what each test logs to Segment. Nothing is sent.

        class SignUp(SegmentTestCase):
            def test_event(self):
                sign_up("u-17")
                self.assertTracked("Signup", user_id="u-17", properties={"plan": "pro"})

    Capturing starts before `setUp` and ends after `tearDown`. An event that Segment would drop
    fails the test and shows the reason. An attempt to send something also fails the test.

    List this class before other test cases, such as `unittest.IsolatedAsyncioTestCase`:
    `class SignUp(SegmentTestCase, django.test.TestCase)`. If you define `setUpClass`, call
    `super().setUpClass()` first. Events that are logged during class setup, for example in Django's
    `setUpTestData`, are not sent, and they do not show up in any test.

    Attributes:
        captured: the messages that the test has logged so far.
        segment_logger: the name of the logger to capture from. None means all loggers.
        segment_level: during a test, that logger lets records of this level and above through.
    """

    captured: Captured
    segment_logger: ClassVar[str | None] = None
    segment_level: ClassVar[int | str] = logging.INFO

    @override
    @classmethod
    def setUpClass(cls) -> None:
        stack = ExitStack()
        stack.enter_context(cls._forbidding_and_capturing())
        cls.addClassCleanup(stack.close)  # after tearDownClass
        super().setUpClass()

    @classmethod
    @contextmanager
    def _forbidding_and_capturing(cls) -> Iterator[Captured]:
        with (
            forbid_sending(),
            capture_segment(
                cls.segment_logger, level=cls.segment_level, allow_invalid=True
            ) as captured,
        ):
            yield captured

    @override
    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        with self._capturing():
            return super().run(result)

    @override
    def debug(self) -> None:
        with self._capturing():
            super().debug()

    @contextmanager
    def _capturing(self) -> Iterator[None]:
        """Capture until the test's last cleanup, so that a refused event fails the test.

        A skipped test runs no cleanups, so the end of the `with` block also ends the capture.
        """
        with ExitStack() as stack:
            self.captured = stack.enter_context(self._forbidding_and_capturing())
            self.addCleanup(self._end, stack)
            yield

    def _end(self, stack: ExitStack) -> None:
        stack.close()
        self.captured.assert_valid()

    assertTracked = _Forwarded(Captured.assert_tracked)
    assertNotTracked = _Forwarded(Captured.assert_not_tracked)
    assertIdentified = _Forwarded(Captured.assert_identified)
    assertSent = _Forwarded(Captured.assert_sent)
    assertNotSent = _Forwarded(Captured.assert_not_sent)
