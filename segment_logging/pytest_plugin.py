"""The pytest plugin: the `segment_events` fixture, and an option that makes sending an error.

If the package is installed, pytest imports this module in every run. For that reason, the module
imports the rest of the package only when a fixture or an option needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from .testing import Captured

_F = TypeVar("_F", bound=Callable[..., Any])

try:
    _wrapper = pytest.hookimpl(wrapper=True)
    _HAS_WRAPPERS = True
except TypeError:  # pluggy before 1.2, which pytest 7 allows; an error here would end each run
    _HAS_WRAPPERS = False

    def _wrapper(function: _F) -> _F:
        """Have pytest call a function that never runs, instead of a wrapper."""
        return function


_SWITCH = "make it an error for a test to send anything to Segment"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("segment").addoption(
        "--segment-forbid-sending", action="store_true", default=False, help=_SWITCH
    )
    parser.addini("segment_forbid_sending", _SWITCH, type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("segment_forbid_sending") or config.getini("segment_forbid_sending"):
        if not _HAS_WRAPPERS:
            raise pytest.UsageError(
                "segment_forbid_sending needs pluggy 1.2 or newer: pip install --upgrade pluggy"
            )
        config.pluginmanager.register(_ForbidSending(), "segment_forbid_sending")


@pytest.fixture
def segment_events() -> Iterator[Captured]:
    """Capture what the test logs to Segment. Nothing is sent.

    To check for an event, call
    `segment_events.assert_tracked("Signup", user_id="u-17", properties={"plan": "pro"})`. The other
    assertions are `assert_not_tracked`, `assert_identified`, `assert_sent` and `assert_not_sent`.
    An event that Segment would drop fails the test and shows the reason.
    """
    from .testing import capture_segment  # noqa: PLC0415

    with capture_segment(allow_invalid=True) as captured:
        yield captured
    captured.assert_valid()


@_wrapper
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Make a refused event fail the test itself and not just its teardown."""
    result = yield
    captured = getattr(item, "funcargs", {}).get("segment_events")
    assert_valid = getattr(captured, "assert_valid", None)
    if assert_valid is not None:
        try:
            assert_valid()
        except AssertionError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
    return result


class _ForbidSending:
    """Forbids sending in each phase separately, so that the phase at fault fails."""

    @_wrapper
    def pytest_collection(self) -> Generator[None, Any, Any]:
        try:
            return (yield from _forbidding())
        except pytest.fail.Exception as error:  # there is no test to fail yet
            raise pytest.UsageError(str(error)) from None

    @_wrapper
    def pytest_runtest_setup(self) -> Generator[None, Any, Any]:
        return (yield from _forbidding())

    @_wrapper
    def pytest_runtest_call(self) -> Generator[None, Any, Any]:
        return (yield from _forbidding())

    @_wrapper
    def pytest_runtest_teardown(self) -> Generator[None, Any, Any]:
        return (yield from _forbidding())


def _forbidding() -> Generator[None, Any, Any]:
    from .testing import forbid_sending  # noqa: PLC0415

    ended = False
    try:
        with forbid_sending():
            result = yield
            ended = True
    except AssertionError as error:
        if not ended:
            raise
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    return result
