"""The counts of all handlers as Prometheus metrics. Needs the extra `prometheus`.

    from segment_logging.contrib.prometheus import connect

    connect()

The metrics are `segment_logging_messages_total` with the label `outcome`,
`segment_logging_messages_accepted_total`, `segment_logging_messages_pending`,
`segment_logging_records_ignored_total`, `segment_logging_batches_total` and
`segment_logging_retries_total`. They are read when Prometheus asks for them, so they cost nothing
otherwise. If there are several handlers, they also have the label `handler`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from .._reports import report
from ._totals import METRICS, OUTCOMES, Totals


def connect(registry: CollectorRegistry = REGISTRY) -> None:
    """Add the metrics of all handlers in this process, also of later ones, to a registry.

    A second call for the same registry does nothing. In prometheus_client's multiprocess mode, its
    library only exports metrics of its own types, so this reports that the metrics are missing
    there.

    Args:
        registry: where to add them.
    """
    if registry in _registries:
        return
    _registries.append(registry)
    registry.register(_Handlers())
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR") or os.environ.get("prometheus_multiproc_dir"):  # noqa: SIM112
        report(
            "PROMETHEUS_MULTIPROC_DIR is set, and prometheus_client's multiprocess mode leaves out "
            "the metrics of segment_logging: have each process export its own registry, or use "
            "segment_logging.contrib.opentelemetry"
        )


_registries: list[CollectorRegistry] = []


class _Handlers(Collector):
    def __init__(self) -> None:
        self._totals = Totals()

    def describe(self) -> Iterator[Metric]:
        return self._families(labels=())

    @override
    def collect(self) -> Iterator[Metric]:
        totals = list(self._totals.read())
        has_names = any(name is not None for name, _ in totals)
        for metric, family in zip(METRICS, self._families(("handler",) if has_names else ())):
            for name, counts in totals:
                for count in metric.counts:
                    labels = ([count] if metric.counts is OUTCOMES else []) + (
                        [] if name is None else [name]
                    )
                    family.add_metric(labels, getattr(counts, count))
            yield family

    def _families(
        self, labels: tuple[str, ...]
    ) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        for metric in METRICS:
            kind = CounterMetricFamily if metric.is_total else GaugeMetricFamily
            own = ("outcome",) if metric.counts is OUTCOMES else ()
            name = f"segment_logging_{metric.name.replace('.', '_')}"
            yield kind(name, metric.sentence, labels=(*own, *labels))
