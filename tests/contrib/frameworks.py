"""Helpers for the tests of the framework integrations."""

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
"""The logger of the tests' views."""

COOKIE = "ajs_anonymous_id"
MANY = 200
"""The number of concurrent requests."""


def has(*modules: str) -> bool:
    """Return whether all of the modules can be imported."""
    return all(importlib.util.find_spec(module) is not None for module in modules)


def log(event: str = "Seen", **extra: Any) -> None:
    """Log an event without ids, unless they are passed."""
    logger.info(event, extra={"event": event, **extra})


class CollectorTest(unittest.TestCase):
    """Base class with a collector, which receives the messages of other processes."""

    @override
    def setUp(self) -> None:
        self.collector = Collector()
        self.addCleanup(self.collector.close)


class FrameworkTest(unittest.TestCase):
    """Base class that checks after each test that no identity is bound."""

    @override
    def setUp(self) -> None:
        self.addCleanup(lambda: self.assertIs(current_identity(), NOBODY))


@contextmanager
def captured() -> Iterator[Captured]:
    """Capture the events that the views log, including invalid ones."""
    with capture_segment(logger.name, allow_invalid=True) as events:
        yield events


def who(events: Captured) -> list[tuple[str | None, str | None]]:
    """Return the user id and the anonymous id of each event."""
    return [(event.user.user_id, event.user.anonymous_id) for event in events]


def number_of(event: Any) -> int:
    """Return the number of the request in which an event was logged."""
    number: int = event.properties["number"]
    return number


def context_of(events: Captured) -> dict[str, Any]:
    """Return the context of the only event, without the library."""
    (event,) = events
    return {key: value for key, value in (event.context or {}).items() if key != "library"}
