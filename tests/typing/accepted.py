# pyright: strict
"""Code that type checkers accept and that runs: every call, argument and kind of value."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypedDict
from uuid import UUID

from segment_logging import SegmentExtra, SegmentLogger


class Event(Enum):
    """Event names that are kept in one place."""

    SIGNUP = "Signup"


class Order(TypedDict):
    """Properties with their own type."""

    order_id: str
    revenue: float


class ShopExtra(SegmentExtra, total=False):
    """A program's own extras in addition to Segment's."""

    request_id: str


class ShopLogger(SegmentLogger):
    """A logger with a program's own call."""

    def order(self, order: Order) -> None:
        """Track a completed order."""
        self.track("Order Completed", properties=order, stacklevel=2)


logger = logging.getLogger("tests.typing")
adapters: list[SegmentLogger] = [
    SegmentLogger(),
    SegmentLogger("tests.typing"),
    SegmentLogger(logger, {"request_id": "r-1"}),
    SegmentLogger(logger, user_id=17, anonymous_id="a", context={}, properties={}, integrations={}),
]
log: logging.LoggerAdapter[logging.Logger] = adapters[-1]  # a SegmentLogger is a LoggerAdapter
own: ShopLogger = ShopLogger(logger).bind(user_id="u", extra={"request_id": "r-2"})
own.order({"order_id": "o-1", "revenue": 29.0})

bound = adapters[-1].bind(user_id=UUID(int=7), context={"ip": "192.0.2.1"})
bound.track("Signup")
bound.track(Event.SIGNUP, properties=None, user_id=None, level=logging.WARNING)
bound.track(
    "Signup",
    user_id=17,
    anonymous_id="a",
    properties={"name": "Mia", "message": 1, "args": [1, {"a": None}]},
    context={"ip": "192.0.2.1"},
    integrations={"All": False, "Mixpanel": {"key": 1}},
    timestamp=datetime.now(UTC),
    message_id="m-1",
    level=logging.DEBUG,
    stacklevel=2,
)
bound.identify(user_id="u", traits={"email": "mia@example.com"})
bound.identify(traits={"plan": "pro"}, timestamp="2026-11-23T08:00:00Z")
bound.page()
bound.page("Docs", category="Help", properties={"path": "/docs"}, timestamp=1.5)
bound.screen("Home", category="App", properties={}, user_id=17)
bound.group("c-7", traits={"name": "Teapots & Sons"})
bound.group(7, user_id="u")
bound.alias(user_id="new", previous_id="old")
bound.alias(previous_id=7)
bound.info("cache %s", "miss", extra={"anything": 1})

parsed: Any = {"plan": "pro"}
bound.track("Signup", user_id=parsed["plan"], properties=parsed)
typed: Mapping[str, int] = {"seats": 3}
bound.track("Signup", properties=typed)

extra: SegmentExtra = {"user_id": "u", "properties": {"plan": "pro"}, "context": {"ip": "x"}}
logger.info("Signup", extra=extra)
bound.info("Signup", extra=extra)
logger.info("Signup", extra=SegmentExtra(user_id=17, event=Event.SIGNUP))
logger.info("Docs", extra=SegmentExtra(type="page", anonymous_id="a", category="Help"))
logger.info("Docs", extra=SegmentExtra(segment={"type": "page", "name": "Docs", "user_id": 7}))
logger.info("Signup", extra=SegmentExtra(segment=True, user_id="u", traits={}, group_id=7))
logger.info("Signup", extra=ShopExtra(user_id="u", request_id="r-1"))
