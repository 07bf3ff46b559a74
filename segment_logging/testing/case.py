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

__unittest = True  # makes unittest show the line of the test and none of this module


class _Forwarded(Generic[P, R]):
    """An assertion of `Captured` as a method of a test case, with its signature and docstring."""

    def __init__(self, assertion: Callable[Concatenate[Captured, P], R]) -> None:
        self._assertion = assertion

    def __get__(self, case: SegmentTestCase | None, owner: object) -> Callable[P, R]:
        assertion: Any = self._assertion
        # Tools that make documentation ask the class, which has captured nothing.
        method: Callable[P, R] = assertion if case is None else assertion.__get__(case.captured)
        return method


class SegmentTestCase(unittest.TestCase):
    """Captures what each test logs, from before `setUp` until after `tearDown`; nothing is sent.

        class SignUp(SegmentTestCase):
            def test_event(self):
                sign_up("u-17")
                self.assertTracked("Signup", user_id="u-17", properties={"plan": "pro"})

    This class goes before other test cases, such as `unittest.IsolatedAsyncioTestCase`:
    `class SignUp(SegmentTestCase, django.test.TestCase)`. An event that Segment would drop fails
    the test with the reason, and so does any attempt to send. What is logged while a class is set
    up, for example in Django's `setUpTestData`, is not sent and belongs to no test. A `setUpClass`
    of your own must call `super().setUpClass()` first.

    Attributes:
        captured: what the test has logged so far.
        segment_logger: name of the logger to capture from; None for all.
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
        """Capture until the last cleanup of the test, so that a refused event fails the test.

        A test that is skipped runs no cleanups: there, the end of the `with` block ends it.
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
