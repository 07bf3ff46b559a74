"""Dramatiq: call `connect()` once, after setting the broker and before declaring the actors.

    dramatiq.set_broker(broker)
    segment_logging.contrib.dramatiq.connect()

Events that a task logs are delivered before its message is acknowledged. All other events are
delivered before the worker shuts down.
"""

from __future__ import annotations

from typing import Any

import dramatiq
from typing_extensions import override

from .._options.checks import seconds
from ._jobs import deliver


class DeliverEvents(dramatiq.Middleware):
    """Delivers the events that tasks log.

    Args:
        timeout: the maximum time that a task waits, in seconds.

    Raises:
        ConfigurationError: if the timeout is not a number of seconds.
    """

    def __init__(self, timeout: float = 5.0) -> None:
        self._timeout = seconds("timeout", timeout)

    @override
    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        deliver(self._timeout)

    @override
    def after_skip_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        deliver(self._timeout)

    @override
    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        deliver(self._timeout)


def connect(broker: dramatiq.Broker | None = None, *, timeout: float = 5.0) -> None:
    """Deliver each task's events before its message is acknowledged.

    Calling it again has no effect.

    Args:
        broker: the tasks' broker; None for Dramatiq's global broker.
        timeout: the maximum time that a task waits, in seconds. Late events are reported, and they
            are delivered in the background while the worker is running.

    Raises:
        ConfigurationError: if the timeout is not a number of seconds.
    """
    broker = dramatiq.get_broker() if broker is None else broker
    if not any(isinstance(one, DeliverEvents) for one in broker.middleware):
        # Before the first middleware, because what is first acts last after a task. TimeLimit has
        # then stopped its clock, so a task does not fail because its delivery takes long.
        first = type(broker.middleware[0]) if broker.middleware else None
        broker.add_middleware(DeliverEvents(timeout), before=first)
