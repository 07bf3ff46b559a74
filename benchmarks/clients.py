"""The clients that are measured: this package, the others, and the event that all of them send.

Each client is imported only when it is opened, so a process contains nothing but what it measures.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from itertools import repeat
from typing import Any

NAME = "Order Completed"
USER = "user-12345"
PROPERTIES = {
    "order_id": "o-881702",
    "plan": "pro",
    "source": "newsletter",
    "amount": 129.9,
    "currency": "EUR",
    "vip": True,
    "path": "/checkout/complete?step=3",
    "items": [
        {"sku": "a-1", "quantity": 2, "price": 9.5},
        {"sku": "b-2", "quantity": 1, "price": 110.9},
    ],
    "note": "leave it with the neighbours on the second floor, or ring twice and wait for me",
    "gift": False,
}
"""The properties of the event that all benchmarks send. The encoded event has about 560 bytes."""

VISITOR = {
    "ip": "203.0.113.9",
    "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "locale": "de-DE",
    "page": {
        "path": "/checkout",
        "referrer": "https://shop.example/cart",
        "search": "?step=3",
        "url": "https://shop.example/checkout?step=3",
    },
}
"""The context of an event in a request, which a program has to pass to the SDK itself."""

LABELS = {
    "nothing": "a handler that does nothing",
    "stock": "logging.handlers.QueueHandler",
    "ours": "segment-logging[speed]",
    "ours-plain": "segment-logging",
    "request": "segment-logging[speed], in a request",
    "request-plain": "segment-logging, in a request",
    "journal": "segment-logging[speed], journal",
    "journal-plain": "segment-logging, journal",
    "journal-off": "segment-logging[speed], journal, sync off",
    "segment": "segment-analytics-python",
    "segment-request": "segment-analytics-python, in a request",
    "posthog": "posthog",
    "rudder": "rudder-sdk-python",
}
SDKS = ("segment", "posthog", "rudder")


def properties_of(size_bytes: int) -> dict[str, Any]:
    """Return properties that take about this many bytes in an SDK's JSON."""
    properties: dict[str, Any] = {"order_id": "o-881702"}
    line = {"sku": "a-1", "quantity": 2, "price": 9.5, "gift": False}
    count = max(0, size_bytes - 40) // (len(json.dumps(line)) + 2)
    if count:
        properties["items"] = [dict(line) for _ in range(count)]
    return properties


class Subject:
    """An open client.

    Attributes:
        calls: makes the given number of calls in a tight loop, which adds the same cost to every
            client.
        bare: does the same with records that are not events. None if the client is not a handler.
        flush: returns when everything has been delivered.
    """

    def __init__(
        self,
        call: Callable[[], object],
        flush: Callable[[], object],
        bare: Callable[[], object] | None = None,
    ) -> None:
        self.call = call
        self.calls = _loop_of(call)
        self.bare = None if bare is None else _loop_of(bare)
        self.flush = flush


def _loop_of(call: Callable[[], object]) -> Callable[[int], None]:
    def calls(count: int) -> None:
        for _ in repeat(None, count):
            call()

    return calls


def open_subject(
    name: str,
    url: str,
    *,
    journal: str | None = None,
    properties: dict[str, Any] | None = None,
    as_shipped: bool = False,
    upload_interval: float = 0.5,
) -> Subject:
    """Open the client with this name, so that it sends to `url`.

    Args:
        name: a key of `LABELS`. A name that ends in "-plain" disables the `speed` extra in the
            whole process.
        url: the URL of a local collector.
        journal: the directory for clients with a journal.
        properties: the event's properties. None means the usual ones.
        as_shipped: if True, all options of an SDK keep their defaults. Otherwise, its queue is
            large enough for all events, and rudder does not compress, like the other clients.
        upload_interval: how long an SDK waits for more messages. The SDKs' default is 0.5.
    """
    properties = PROPERTIES if properties is None else properties
    if name in SDKS or name == "segment-request":
        return _open_sdk(name, url, properties, as_shipped, upload_interval)
    if name == "nothing":
        return _through_logging(name, Nothing(), properties, lambda: None)
    if name == "stock":
        return _open_stock(properties)
    if name.endswith("-plain"):
        sys.modules["orjson"] = None  # importing it now fails
    from segment_logging import SegmentHandler  # noqa: PLC0415

    handler = SegmentHandler(
        "bench",
        host=url,
        journal=journal if name.startswith("journal") else None,
        journal_sync="off" if name == "journal-off" else "interval",
    )
    return _through_logging(name, handler, properties, lambda: handler.drain(60))


class Nothing(logging.Handler):
    """The baseline: a handler that does nothing."""

    def emit(self, record: logging.LogRecord) -> None:
        pass


def _through_logging(
    name: str,
    handler: logging.Handler,
    properties: dict[str, Any],
    flush: Callable[[], object],
) -> Subject:
    logger = logging.getLogger(f"bench.{name}")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    info = logger.info

    def call() -> None:
        info(NAME, extra={"user_id": USER, "properties": properties})

    def bare() -> None:
        info("Served /checkout in 12 ms")

    return Subject(call, flush, bare)


def _open_stock(properties: dict[str, Any]) -> Subject:
    import queue  # noqa: PLC0415
    from logging.handlers import QueueHandler  # noqa: PLC0415

    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()

    def empty() -> None:
        while not records.empty():
            records.get()

    return _through_logging("stock", QueueHandler(records), properties, empty)


def _open_sdk(
    name: str, url: str, properties: dict[str, Any], as_shipped: bool, upload_interval: float
) -> Subject:
    options: dict[str, Any] = {"host": url}
    if not as_shipped:
        options |= {"max_queue_size": 1_000_000, "gzip": False}
        options["flush_interval" if name == "posthog" else "upload_interval"] = upload_interval
    if name == "posthog":
        return _open_posthog(options, properties)
    if name.startswith("segment"):
        from segment.analytics.client import Client  # noqa: PLC0415
    else:
        from rudderstack.analytics.client import Client  # noqa: PLC0415
    client = Client("bench", **options)
    track = client.track
    more = {"context": VISITOR} if name == "segment-request" else {}

    def call() -> None:
        track(USER, NAME, properties, **more)

    return Subject(call, client.flush)


def _open_posthog(options: dict[str, Any], properties: dict[str, Any]) -> Subject:
    from posthog import Posthog  # noqa: PLC0415

    # Without a personal key, it does not poll feature flags. Other requests are off by default.
    client = Posthog("bench", disable_geoip=True, enable_local_evaluation=False, **options)
    capture = client.capture

    def call() -> None:
        capture(NAME, distinct_id=USER, properties=properties)

    return Subject(call, lambda: client.flush(timeout_seconds=60))
