"""What tests under frameworks share."""

from __future__ import annotations

import importlib.util
import logging
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typing_extensions import override

from segment_logging._identity.binding import current_identity
from segment_logging._identity.who import NOBODY
from segment_logging.collector import Collector
from segment_logging.testing import Captured, capture_segment

logger = logging.getLogger("tests.contrib")
"""What the views of the tests log to."""

COOKIE = "ajs_anonymous_id"
MANY = 200
"""Requests at the same time."""


def has(*modules: str) -> bool:
    """Whether all of the modules can be imported."""
    return all(importlib.util.find_spec(module) is not None for module in modules)


def log(event: str = "Seen", **extra: Any) -> None:
    """Log an event that says nothing of whom it is about."""
    logger.info(event, extra={"event": event, **extra})


class CollectorTest(unittest.TestCase):
    """With a collector for what other processes send."""

    @override
    def setUp(self) -> None:
        self.collector = Collector()
        self.addCleanup(self.collector.close)


class FrameworkTest(unittest.TestCase):
    """Nobody may be bound after a test, whatever became of its requests."""

    @override
    def setUp(self) -> None:
        self.addCleanup(lambda: self.assertIs(current_identity(), NOBODY))


@contextmanager
def captured() -> Iterator[Captured]:
    """Capture what the views log, also what Segment would drop."""
    with capture_segment(logger.name, allow_invalid=True) as events:
        yield events


def who(events: Captured) -> list[tuple[str | None, str | None]]:
    """The user id and the anonymous id of each event."""
    return [(event.user.user_id, event.user.anonymous_id) for event in events]


def number_of(event: Any) -> int:
    """Which of many requests an event says that it was logged in."""
    number: int = event.properties["number"]
    return number


def context_of(events: Captured) -> dict[str, Any]:
    """The context of the only event, without the library's name."""
    (event,) = events
    return {key: value for key, value in (event.context or {}).items() if key != "library"}
