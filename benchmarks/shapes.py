"""The ways in which programs log events, and the budget for each."""

from __future__ import annotations

import datetime
import logging
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .clients import NAME, PROPERTIES, USER

Call = Callable[[], object]

CONTEXT = {"ip": "203.0.113.9", "locale": "de-DE", "app": {"name": "shop", "version": "1.4.0"}}
ORDER_ID = uuid.UUID("6f2f2c0e-8f0f-4f5e-9a35-0d6f5b0e7a11")
WHEN = datetime.datetime(2026, 11, 27, 8, 0, tzinfo=datetime.UTC)
VALUES = {**PROPERTIES, "amount": Decimal("129.90"), "at": WHEN, "id": ORDER_ID}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One way to log an event.

    Attributes:
        group: the key in `GROUPS`.
        own_budgets: the budgets, if they are not the group's.
        extra: the extras of the call.
        arguments: the message and its arguments.
        options: the handler's options.
        within: returns the context manager in which the calls are made. It imports the package.
        through: takes the logger and returns a function that makes the call. None means
            `logger.info` with the extras, which is always used for the no-op handler.
        sdk: takes segment-analytics-python's client and returns a function that makes the same
            call. None means that the client has no such call.
    """

    group: str
    own_budgets: tuple[float, float] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[Any, ...] = (NAME,)
    options: Mapping[str, Any] = field(default_factory=dict)
    within: Callable[[], AbstractContextManager[Any]] = nullcontext
    through: Callable[[logging.Logger], Call] | None = None
    sdk: Callable[[Any], Call] | None = None

    @property
    def budgets(self) -> tuple[float, float]:
        """The highest cost relative to a no-op handler, with and without the `speed` extra."""
        return self.own_budgets or GROUPS[self.group]

    def call(self, logger: logging.Logger) -> Call:
        """Return a function that makes one call."""
        return self.plain_call(logger) if self.through is None else self.through(logger)

    def plain_call(self, logger: logging.Logger) -> Call:
        """Return a function that makes one call with `logger.info`."""
        info, arguments, extra = logger.info, self.arguments, self.extra
        return lambda: info(*arguments, extra=extra)


def _bound() -> AbstractContextManager[Any]:
    from segment_logging import identity  # noqa: PLC0415

    return identity(user_id=USER, context=CONTEXT)


def request() -> AbstractContextManager[Any]:
    """Bind the identity that the WSGI middleware binds during a request."""
    from segment_logging._identity.binding import only_identity  # noqa: PLC0415
    from segment_logging.contrib import wsgi  # noqa: PLC0415

    bound: list[Any] = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        from segment_logging._identity.binding import current_identity  # noqa: PLC0415

        bound.append(current_identity())
        return []

    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/checkout", "QUERY_STRING": "step=3",
        "wsgi.url_scheme": "https", "HTTP_HOST": "shop.example", "REMOTE_ADDR": "203.0.113.9",
        "HTTP_COOKIE": "ajs_anonymous_id=visitor-31", "HTTP_ACCEPT_LANGUAGE": "de-DE,de;q=0.9",
        "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "HTTP_REFERER": "https://shop.example/cart",
    }  # fmt: skip
    middleware = wsgi.SegmentMiddleware(application, user_id=lambda _: USER)
    list(middleware(environ, lambda *_: None))
    return only_identity(bound[0])


def _logger_track(logger: logging.Logger) -> Call:
    from segment_logging import SegmentLogger  # noqa: PLC0415

    track = SegmentLogger(logger).track
    return lambda: track(NAME, user_id=USER, properties=PROPERTIES)


def _bound_logger_track(logger: logging.Logger) -> Call:
    from segment_logging import SegmentLogger  # noqa: PLC0415

    track = SegmentLogger(logger, context=CONTEXT).bind(user_id=USER).track
    return lambda: track(NAME, properties=PROPERTIES)


def _keep(message: Any) -> Any:
    return message


def _track(**options: Any) -> Callable[[Any], Call]:
    """Return a factory for the SDK's track call with these options."""

    def make(client: Any) -> Call:
        track = client.track
        given = {"user_id": USER, "event": NAME, "properties": PROPERTIES, **options}
        return lambda: track(**given)

    return make


def _of(method: str, *arguments: Any) -> Callable[[Any], Call]:
    """Return a factory for another one of the SDK's calls."""

    def make(client: Any) -> Call:
        call = getattr(client, method)
        return lambda: call(*arguments)

    return make


USUAL = {"user_id": USER, "properties": PROPERTIES}
LOOSE = {"order_id": "o-881702", "plan": "pro", "amount": 129.9, "vip": True, "currency": "EUR",
         "source": "newsletter", "path": "/checkout/complete?step=3"}  # fmt: skip
TWO = {"plan": "pro", "amount": 129.9}
ORDINARY = "an ordinary event: properties, loose extras, any type of call and of id"
WITH_MORE = "with a context, arguments or a bound identity; with patterns or sampling"
TO_CONVERT = "with a timestamp and an id, or values such as Decimal and UUID"
REQUEST = "in a framework's request"
BOUND = "through a `SegmentLogger`"
AT_WORK = "with `redact`, `hashed` or `before_send` at work"

GROUPS = {
    ORDINARY: (1.7, 2.3),
    WITH_MORE: (1.8, 2.6),
    TO_CONVERT: (2.8, 3.7),
    REQUEST: (2.0, 2.8),
    BOUND: (2.5, 3.4),
    AT_WORK: (4.0, 5.0),
}
"""The budgets with and without the `speed` extra, for each group of shapes."""

SHAPES: dict[str, Shape] = {
    "usual": Shape(group=ORDINARY, extra=USUAL, sdk=_track()),
    "seven loose extras": Shape(
        group=ORDINARY, extra={"user_id": USER, **LOOSE}, sdk=_track(properties=LOOSE)
    ),
    "two loose extras": Shape(
        group=ORDINARY, extra={"user_id": USER, **TWO}, sdk=_track(properties=TWO)
    ),
    "a number as id": Shape(
        group=ORDINARY, extra={**USUAL, "user_id": 12345}, sdk=_track(user_id=12345)
    ),
    "event": Shape(group=ORDINARY, extra={**USUAL, "event": NAME}, sdk=_track()),
    "anonymous id": Shape(
        group=ORDINARY,
        extra={"anonymous_id": USER, "properties": PROPERTIES},
        sdk=_track(user_id=None, anonymous_id=USER),
    ),
    "both ids": Shape(
        group=ORDINARY, extra={**USUAL, "anonymous_id": "a-1"}, sdk=_track(anonymous_id="a-1")
    ),
    "integrations": Shape(
        group=ORDINARY,
        extra={**USUAL, "integrations": {"All": True}},
        sdk=_track(integrations={"All": True}),
    ),
    "page": Shape(
        group=ORDINARY,
        extra={**USUAL, "type": "page"},
        sdk=_of("page", USER, None, NAME, PROPERTIES),
    ),
    "identify": Shape(
        group=ORDINARY,
        extra={"user_id": USER, "traits": PROPERTIES},
        sdk=_of("identify", USER, PROPERTIES),
    ),
    "group": Shape(
        group=ORDINARY,
        extra={"user_id": USER, "group_id": "g-1", "traits": PROPERTIES},
        sdk=_of("group", USER, "g-1", PROPERTIES),
    ),
    "nested": Shape(
        group=WITH_MORE, own_budgets=(1.8, 2.4), extra={"segment": USUAL}, sdk=_track()
    ),
    "context": Shape(
        group=WITH_MORE, extra={**USUAL, "context": CONTEXT}, sdk=_track(context=CONTEXT)
    ),
    "arguments": Shape(
        group=WITH_MORE,
        extra=USUAL,
        arguments=("Paid %s", 129.9),
        sdk=_track(properties={**PROPERTIES, "message": "Paid 129.9"}),
    ),
    "identity()": Shape(
        group=WITH_MORE,
        extra={"properties": PROPERTIES},
        within=_bound,
        sdk=_track(context=CONTEXT),
    ),
    "deny_events": Shape(
        group=WITH_MORE, extra=USUAL, options={"deny_events": ["Debug *"]}, sdk=_track()
    ),
    "allow_events": Shape(
        group=WITH_MORE, extra=USUAL, options={"allow_events": ["Order *"]}, sdk=_track()
    ),
    "sample_rate": Shape(
        group=WITH_MORE, extra=USUAL, options={"sample_rate": 0.999999}, sdk=_track()
    ),
    "timestamp and message id": Shape(
        group=TO_CONVERT,
        own_budgets=(2.1, 2.7),
        extra={**USUAL, "timestamp": WHEN, "message_id": "m-1"},
        sdk=_track(timestamp=WHEN, message_id="m-1"),
    ),
    "Decimal, datetime, UUID": Shape(
        group=TO_CONVERT,
        extra={"user_id": USER, "properties": VALUES},
        sdk=_track(properties={**VALUES, "id": str(ORDER_ID)}),  # the SDK cannot encode UUIDs
    ),
    "a request": Shape(
        group=REQUEST,
        extra={"properties": PROPERTIES},
        within=request,
        sdk=_track(context=CONTEXT),
    ),
    "a request, two loose extras": Shape(
        group=REQUEST,
        extra={"segment": True, **TWO},
        within=request,
        sdk=_track(properties=TWO, context=CONTEXT),
    ),
    "SegmentLogger.track": Shape(group=BOUND, extra=USUAL, through=_logger_track, sdk=_track()),
    "SegmentLogger, bound": Shape(
        group=BOUND, extra=USUAL, through=_bound_logger_track, sdk=_track(context=CONTEXT)
    ),
    "redact": Shape(group=AT_WORK, extra=USUAL, options={"redact": ["note"]}, sdk=_track()),
    "hashed": Shape(group=AT_WORK, extra=USUAL, options={"hashed": ["note"]}, sdk=_track()),
    "before_send": Shape(group=AT_WORK, extra=USUAL, options={"before_send": _keep}, sdk=_track()),
}
"""All shapes that occur in users' programs, and no others."""
