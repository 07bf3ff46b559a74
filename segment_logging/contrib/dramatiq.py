"""Dramatiq: call `connect()` once, where the broker is set and before the actors are declared.

    dramatiq.set_broker(broker)
    segment_logging.contrib.dramatiq.connect()

What a task has logged is delivered before its message is acknowledged, and the rest before the
worker ends.
"""

from __future__ import annotations

from typing import Any

import dramatiq
from typing_extensions import override

from .._options.checks import seconds
from ._jobs import deliver


class DeliverEvents(dramatiq.Middleware):
    """Delivers what tasks have logged.

    Args:
        timeout: seconds that a task waits at most.

    Raises:
        ConfigurationError: the timeout is not a number of seconds.
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
    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        deliver(self._timeout)


def connect(broker: dramatiq.Broker | None = None, *, timeout: float = 5.0) -> None:
    """Have every task's events delivered before its message is acknowledged. Twice is once.

    Args:
        broker: of the tasks; None for Dramatiq's own.
        timeout: seconds that a task waits at most. What is late is reported, and delivered in the
            background for as long as the worker lives.

    Raises:
        ConfigurationError: the timeout is not a number of seconds.
    """
    broker = dramatiq.get_broker() if broker is None else broker
    if not any(isinstance(one, DeliverEvents) for one in broker.middleware):
        broker.add_middleware(DeliverEvents(timeout))
