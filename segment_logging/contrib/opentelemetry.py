"""The counts of all handlers as OpenTelemetry metrics, and trace ids in messages.

    from segment_logging.contrib.opentelemetry import connect, trace_context

    connect()
    handler = SegmentHandler(before_send=trace_context)

The instruments are `segment_logging.messages` with the attribute `outcome`,
`segment_logging.messages.accepted`, `segment_logging.messages.pending`,
`segment_logging.records.ignored`, `segment_logging.batches` and `segment_logging.retries`. They are
read when the metrics are exported, so they cost nothing otherwise. If there are several handlers,
they also have the attribute `handler`. In Prometheus, they have the names and labels of
`contrib.prometheus`.

Needs the extra `opentelemetry`, which only consists of OpenTelemetry's API. The program chooses the
SDK and the exporter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from .._messages.calls import Call
from .._version import __version__
from ._totals import METRICS, OUTCOMES, Metric, Totals

C = TypeVar("C", bound=Call)


def connect(meter_provider: MeterProvider | None = None) -> None:
    """Create instruments for all handlers in this process, also for later ones.

    A second call for the same provider does nothing. Call it in each process that exports metrics.

    Args:
        meter_provider: where to create them; None means the global one.
    """
    provider = metrics.get_meter_provider() if meter_provider is None else meter_provider
    if any(provider is one for one in _providers):
        return
    _providers.append(provider)
    meter, totals = provider.get_meter("segment_logging", __version__), Totals()
    for metric in METRICS:
        create = (
            meter.create_observable_counter
            if metric.is_total
            else meter.create_observable_up_down_counter
        )
        create(
            f"segment_logging.{metric.name}",
            callbacks=[_observer(metric, totals)],
            unit=metric.unit,
            description=metric.sentence,
        )


_providers: list[MeterProvider] = []


def _observer(metric: Metric, totals: Totals) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(options: CallbackOptions) -> Iterable[Observation]:
        for name, counts in totals.read():
            handler = {} if name is None else {"handler": name}
            for count in metric.counts:
                outcome = {"outcome": count} if metric.counts is OUTCOMES else {}
                yield Observation(getattr(counts, count), {**outcome, **handler})

    return observe


def trace_context(message: C) -> C:
    """Return a message with the ids of the current span in its context, for `before_send`.

    They are `context.trace.traceId` and `context.trace.spanId`, in hexadecimal. Outside a span, the
    message is returned unchanged.

        SegmentHandler(before_send=trace_context)

    Args:
        message: the message of a call that was made in the current thread or task.
    """
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return message
    ids = {
        "traceId": trace.format_trace_id(span.trace_id),
        "spanId": trace.format_span_id(span.span_id),
    }
    return replace(message, context={**(message.context or {}), "trace": ids})
