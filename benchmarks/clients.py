"""What is measured: this package, the clients it is compared with, and the event that all send.

Each client is imported only when it is opened: a process must hold nothing but what it measures.
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
"""The properties of the event that is measured everywhere, which has about 560 bytes encoded."""

LABELS = {
    "nothing": "a handler that does nothing",
    "stock": "logging.handlers.QueueHandler",
    "ours": "segment-logging[speed]",
    "ours-plain": "segment-logging",
    "journal": "segment-logging[speed], journal",
    "journal-plain": "segment-logging, journal",
    "journal-off": "segment-logging[speed], journal, sync off",
    "segment": "segment-analytics-python",
    "posthog": "posthog",
    "rudder": "rudder-sdk-python",
}
SDKS = ("segment", "posthog", "rudder")


def properties_of(size_bytes: int) -> dict[str, Any]:
    """Return properties made of order lines that take about this many bytes in an SDK's JSON."""
    properties: dict[str, Any] = {"order_id": "o-881702"}
    line = {"sku": "a-1", "quantity": 2, "price": 9.5, "gift": False}
    count = max(0, size_bytes - 40) // (len(json.dumps(line)) + 2)
    if count:
        properties["items"] = [dict(line) for _ in range(count)]
    return properties


class Subject:
    """One client, open and ready.

    Attributes:
        calls: makes the given number of calls in a tight loop, which costs each client the same.
        bare: the same with records that are not events; None if the client is not a log handler.
        flush: returns once everything is delivered.
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
    """Return the client with that name, ready to send to `url`.

    Args:
        name: a key of `LABELS`. A name that ends in "-plain" runs without the `speed` extra, and
            from then on, so does all of this package in the process.
        url: the URL of a collector on this machine.
        journal: the directory for clients with a journal.
        properties: the properties of the event; None takes the usual ones.
        as_shipped: leave every option of an SDK at its default. Otherwise, its queue is large
            enough to lose nothing, and rudder does not compress, as the others do not either.
        upload_interval: how long an SDK waits for more messages; 0.5 is the SDKs' default.
    """
    properties = PROPERTIES if properties is None else properties
    if name in SDKS:
        return _open_sdk(name, url, properties, as_shipped, upload_interval)
    if name == "nothing":
        return _through_logging(name, Nothing(), properties, lambda: None)
    if name == "stock":
        return _open_stock(properties)
    if name.endswith("-plain"):
        sys.modules["orjson"] = None  # an import of it now fails
    from segment_logging import SegmentHandler  # noqa: PLC0415

    handler = SegmentHandler(
        "bench",
        host=url,
        journal=journal if name.startswith("journal") else None,
        journal_sync="off" if name == "journal-off" else "interval",
    )
    return _through_logging(name, handler, properties, lambda: handler.drain(60))


class Nothing(logging.Handler):
    """The floor: what logging itself costs."""

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
    if name == "segment":
        from segment.analytics.client import Client  # noqa: PLC0415
    else:
        from rudderstack.analytics.client import Client  # noqa: PLC0415
    client = Client("bench", **options)
    track = client.track

    def call() -> None:
        track(USER, NAME, properties)

    return Subject(call, client.flush)


def _open_posthog(options: dict[str, Any], properties: dict[str, Any]) -> Subject:
    from posthog import Posthog  # noqa: PLC0415

    # Without a personal key, it polls no feature flags. Its other requests are off by default.
    client = Posthog("bench", disable_geoip=True, enable_local_evaluation=False, **options)
    capture = client.capture

    def call() -> None:
        capture(NAME, distinct_id=USER, properties=properties)

    return Subject(call, lambda: client.flush(timeout_seconds=60))
