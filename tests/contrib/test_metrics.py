"""Tests for the handlers' counts as metrics of Prometheus and OpenTelemetry, and for trace ids."""

from __future__ import annotations

import gc
import os
import tempfile
import unittest
from typing import Any
from unittest import mock

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from typing_extensions import override

from segment_logging import SegmentHandler, _handlers
from segment_logging.contrib import _totals, opentelemetry, prometheus
from segment_logging.testing import FakeClient

from .. import needs
from ..builders import a_record, message_of, run_python

Values = dict[tuple[str, ...], float]


@needs.threads
class MetricsTest(unittest.TestCase):
    @override
    def setUp(self) -> None:
        gc.collect()
        _handlers.handlers.clear()  # those of other tests
        self.handlers: list[SegmentHandler] = []
        self.addCleanup(lambda: [handler.close() for handler in self.handlers])

    def a_handler(self, name: str | None = None, script: Any = ()) -> SegmentHandler:
        handler = SegmentHandler("key", client=FakeClient(script))
        handler.name = name
        self.handlers.append(handler)
        return handler

    def log(self, handler: SegmentHandler, *events: str) -> None:
        """Log events, and a record that is not an event."""
        for event in events:
            handler.handle(a_record(event, extra={"user_id": "u-17"}))
        handler.handle(a_record())
        self.assertTrue(handler.drain(10))


class TestPrometheus(MetricsTest):
    @override
    def setUp(self) -> None:
        super().setUp()
        self.registry = CollectorRegistry()
        prometheus.connect(self.registry)

    def text(self) -> str:
        return generate_latest(self.registry).decode()

    def values(self) -> Values:
        """Return the samples by name and sorted values of labels."""
        return {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
        }

    def test_one_handler(self) -> None:
        """Each message is counted under its outcome. With one handler, there is no other label."""
        handler = self.a_handler(script=[400])
        self.log(handler, "Refused")
        self.log(handler, "Signup", "Login")
        self.assertEqual(
            self.values(),
            {
                ("segment_logging_messages_total", "delivered"): 2,
                ("segment_logging_messages_total", "handed_over"): 0,
                ("segment_logging_messages_total", "dead_lettered"): 1,
                ("segment_logging_messages_total", "dropped"): 0,
                ("segment_logging_messages_total", "invalid"): 0,
                ("segment_logging_messages_accepted_total",): 3,
                ("segment_logging_messages_pending",): 0,
                ("segment_logging_records_ignored_total",): 2,
                ("segment_logging_batches_total",): 1,
                ("segment_logging_retries_total",): 0,
            },
        )

    def test_handed_over(self) -> None:
        """Messages that another process delivers are counted as handed over."""
        with tempfile.TemporaryDirectory() as journal:
            handler = SegmentHandler("a-key", journal=journal, deliver=False)
            self.addCleanup(handler.close)
            handler.handle(a_record("Signup", extra={"user_id": "u-17"}))
            self.assertTrue(handler.drain(10))
            values = self.values()
        self.assertEqual(values["segment_logging_messages_total", "handed_over"], 1)
        self.assertEqual(values["segment_logging_messages_pending",], 0)

    def test_types(self) -> None:
        """Totals are counters, and what goes up and down is a gauge."""
        text = self.text()
        self.assertIn("# TYPE segment_logging_messages_total counter", text)
        self.assertIn("# TYPE segment_logging_messages_pending gauge", text)

    def test_no_handler(self) -> None:
        """Before there is a handler, everything is 0, so that alerts have a series to look at."""
        self.assertEqual(set(self.values().values()), {0})

    def test_several_handlers(self) -> None:
        """Several handlers are told apart by their names, or by numbers."""
        for name in ("shop", None):
            self.log(self.a_handler(name), "Signup")
        values = self.values()
        for name in ("shop", "handler 2"):
            self.assertEqual(values["segment_logging_messages_total", "delivered", name], 1)

    def test_many_handlers(self) -> None:
        """However many handlers a program makes, the number of series is limited."""
        for number in range(50):
            self.a_handler(f"handler of tenant {number}")
        names = {key[-1] for key in self.values() if key[0] == "segment_logging_messages_pending"}
        self.assertEqual(len(names), _totals.MAX_HANDLERS + 1)
        self.assertIn("other", names)

    def test_never_decreases(self) -> None:
        """A handler that is gone still counts."""
        self.log(self.a_handler("shop"), "Signup")
        self.values()
        self.handlers.pop().close()
        gc.collect()
        self.log(self.a_handler("shop"), "Signup")
        self.assertEqual(self.values()["segment_logging_messages_total", "delivered"], 2)

    def test_twice(self) -> None:
        """Connecting twice changes nothing."""
        prometheus.connect(self.registry)
        self.assertEqual(self.text().count("# TYPE segment_logging_messages_total"), 1)

    def test_multiprocess(self) -> None:
        """In multiprocess mode, a report says that these metrics are missing there."""
        with (
            mock.patch.dict(os.environ, PROMETHEUS_MULTIPROC_DIR="/nowhere"),
            self.assertLogs("segment_logging") as logs,
        ):
            prometheus.connect(CollectorRegistry())
        self.assertIn("multiprocess", logs.output[0])


class TestOpenTelemetry(MetricsTest):
    @override
    def setUp(self) -> None:
        super().setUp()
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader])
        self.addCleanup(self.provider.shutdown)
        opentelemetry.connect(self.provider)

    def metrics(self) -> dict[str, Any]:
        data = self.reader.get_metrics_data()
        assert data is not None
        ((scope,),) = (resource.scope_metrics for resource in data.resource_metrics)
        self.assertEqual(scope.scope.name, "segment_logging")
        return {metric.name: metric for metric in scope.metrics}

    def values(self) -> Values:
        return {
            (name, *sorted(map(str, (point.attributes or {}).values()))): point.value
            for name, metric in self.metrics().items()
            for point in metric.data.data_points
        }

    def test_one_handler(self) -> None:
        """Each message is counted under its outcome."""
        self.log(self.a_handler(), "Signup", "Login")
        self.assertEqual(
            self.values(),
            {
                ("segment_logging.messages", "delivered"): 2,
                ("segment_logging.messages", "handed_over"): 0,
                ("segment_logging.messages", "dead_lettered"): 0,
                ("segment_logging.messages", "dropped"): 0,
                ("segment_logging.messages", "invalid"): 0,
                ("segment_logging.messages.accepted",): 2,
                ("segment_logging.messages.pending",): 0,
                ("segment_logging.records.ignored",): 1,
                ("segment_logging.batches",): 1,
                ("segment_logging.retries",): 0,
            },
        )

    def test_kinds(self) -> None:
        """Totals are monotonic sums, what is pending is not, and each has a unit."""
        self.a_handler()
        metrics = self.metrics()
        self.assertTrue(metrics["segment_logging.messages"].data.is_monotonic)
        self.assertFalse(metrics["segment_logging.messages.pending"].data.is_monotonic)
        self.assertEqual(metrics["segment_logging.messages"].unit, "{message}")

    def test_several_handlers(self) -> None:
        """Several handlers are told apart by an attribute."""
        for name in ("shop", "web"):
            self.log(self.a_handler(name), "Signup")
        values = self.values()
        for name in ("shop", "web"):
            self.assertEqual(values["segment_logging.messages", "delivered", name], 1)

    def test_attributes(self) -> None:
        """The attributes have the names of the labels of `contrib.prometheus`."""
        for name in ("shop", "web"):
            self.a_handler(name)
        for name, metric in self.metrics().items():
            expected = {"handler", "outcome"} if name == "segment_logging.messages" else {"handler"}
            for point in metric.data.data_points:
                self.assertEqual(set(point.attributes), expected)

    def test_twice(self) -> None:
        """Connecting twice counts nothing twice."""
        opentelemetry.connect(self.provider)
        self.log(self.a_handler(), "Signup")
        self.assertEqual(self.values()["segment_logging.messages", "delivered"], 1)


@needs.threads
class TestTraceContext(unittest.TestCase):
    def test_in_a_span(self) -> None:
        """A message carries the ids of the span in which it was logged, beside its own context."""
        tracer = TracerProvider().get_tracer("tests")
        record = a_record(extra={"user_id": "u-17", "context": {"ip": "192.0.2.1"}})
        with tracer.start_as_current_span("request") as span:
            message = message_of(record, before_send=opentelemetry.trace_context)
        ids = span.get_span_context()
        self.assertEqual(
            message.context["trace"],
            {"traceId": f"{ids.trace_id:032x}", "spanId": f"{ids.span_id:016x}"},
        )
        self.assertEqual(message.context["ip"], "192.0.2.1")
        self.assertEqual(message.context["library"]["name"], "segment-logging")

    def test_outside_a_span(self) -> None:
        """Outside a span, a message stays as it is."""
        record = a_record(extra={"user_id": "u-17"})
        message = message_of(record, before_send=opentelemetry.trace_context)
        self.assertNotIn("trace", message.context)


class TestForks(unittest.TestCase):
    @unittest.skipUnless(hasattr(os, "fork"), "needs os.fork")
    def test_child_counts_anew(self) -> None:
        """A forked child has its own metrics, and the parent's are not counted again."""
        seen = run_python(
            """
import json, os
from prometheus_client import REGISTRY
from segment_logging import SegmentHandler
from segment_logging.contrib.prometheus import connect
from segment_logging.testing import FakeClient
from tests.builders import a_record
connect()
handler = SegmentHandler("key", client=FakeClient())
handler.handle(a_record(extra={"user_id": "u-17"}))
assert handler.drain(10)
def delivered():
    return REGISTRY.get_sample_value("segment_logging_messages_total", {"outcome": "delivered"})
parents = delivered()
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    os.write(writing, str(delivered()).encode())
    os._exit(0)
os.waitpid(child, 0)
print(json.dumps([parents, float(os.read(reading, 100))]))
"""
        )
        self.assertEqual(seen, [1, 0])


class TestImports(unittest.TestCase):
    def test_optional(self) -> None:
        """Only these two modules import the libraries."""
        loaded = run_python(
            "import json, sys, pkgutil, segment_logging.contrib.asgi, segment_logging.handler\n"
            "print(json.dumps(sorted(sys.modules)))"
        )
        self.assertTrue({"prometheus_client", "opentelemetry"}.isdisjoint(loaded))


if __name__ == "__main__":
    unittest.main()
