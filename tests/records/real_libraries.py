"""Programs that log events while a library's logging integration is active.

Each library is set up as its documentation says, in a process of its own, because most of them
patch `logging` for the whole process.
"""

from __future__ import annotations

import functools
from importlib.util import find_spec
from typing import Any, NamedTuple

from tests.builders import run_python


class Library(NamedTuple):
    """A library that writes logs or adds to records.

    Attributes:
        modules: what has to be installed.
        setup: the code that sets it up. It adds the library's handler to the root logger, if it has
            one, and defines `inside`, which calls a function as the library instruments it, and
            `written`, which returns all that the library has written.
        shows: what the library writes for each event.
        kept: patterns for `keep_extras`, and the names that they keep for a handler after it.
    """

    modules: tuple[str, ...]
    setup: str
    shows: tuple[str, ...]
    kept: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())


_STREAM = """
stream = io.StringIO()
def written():
    return stream.getvalue()
def inside(function):
    function()
def attach(formatter, *filters):
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    for one in filters:
        handler.addFilter(one)
    logging.getLogger().addHandler(handler)
"""

LIBRARIES = {
    "opentelemetry": Library(
        ("opentelemetry.instrumentation.logging", "opentelemetry.sdk"),
        _STREAM
        + """
from opentelemetry import trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.instrumentation.logging import LoggingInstrumentor
from opentelemetry.sdk import _logs
from opentelemetry.sdk._logs import export
from opentelemetry.sdk.trace import TracerProvider
exported = export.InMemoryLogRecordExporter()
provider = _logs.LoggerProvider()
provider.add_log_record_processor(export.SimpleLogRecordProcessor(exported))
set_logger_provider(provider)
trace.set_tracer_provider(TracerProvider())
logging.basicConfig = lambda **options: attach(logging.Formatter(options["format"]))
LoggingInstrumentor().instrument(set_logging_format=True)
def written():
    records = [one.log_record for one in exported.get_finished_logs()]
    return stream.getvalue() + "".join(f"{one.body} {one.attributes}" for one in records)
def inside(function):
    with trace.get_tracer("shop").start_as_current_span("checkout"):
        function()
""",
        ("Paid 7", "trace_id=", "'plan': 'pro'", "'ref': 'ad'"),
        (("otel*",), ("otelSpanID", "otelTraceID", "otelTraceSampled", "otelServiceName")),
    ),
    "ddtrace": Library(
        ("ddtrace",),
        _STREAM
        + """
import ddtrace
from ddtrace.trace import tracer
ddtrace.patch(logging=True)
attach(logging.Formatter("%(dd.trace_id)s %(message)s"))
attach(logging.Formatter("{dd.service} {message}", style="{"))
def inside(function):
    with tracer.trace("checkout"):
        function()
""",
        ("Paid 7", "shop-service Paid 7"),
        (("dd.*",), ("dd.trace_id", "dd.span_id", "dd.service", "dd.version", "dd.env")),
    ),
    "google-cloud-logging": Library(
        ("google.cloud.logging_v2",),
        _STREAM
        + """
from google.cloud.logging_v2.handlers import StructuredLogHandler
handler = StructuredLogHandler(stream=stream, project_id="shop", labels={"team": "a"})
logging.getLogger().addHandler(handler)
""",
        ('"message": "Paid 7"', '"python_logger": "shop"', '"team": "a"'),
        (("_labels",), ("_labels",)),
    ),
    "watchtower": Library(
        ("watchtower",),
        _STREAM
        + """
from watchtower import CloudWatchLogFormatter
attach(CloudWatchLogFormatter(add_log_record_attrs=["levelname", "filename", "name"]))
""",
        ('"msg": "Paid 7"', '"levelname": "INFO"', '"name": "shop"'),
    ),
    "asgi-correlation-id": Library(
        ("asgi_correlation_id",),
        _STREAM
        + """
from asgi_correlation_id import CorrelationIdFilter
from asgi_correlation_id.context import correlation_id
attach(logging.Formatter("[%(correlation_id)s] %(message)s"), CorrelationIdFilter(uuid_length=8))
correlation_id.set("0123456789")
""",
        ("[01234567] Paid 7",),
        (("correlation_id",), ("correlation_id",)),
    ),
    "sentry-sdk": Library(
        ("sentry_sdk",),
        """
import sentry_sdk
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.transport import Transport
class Kept(Transport):
    sent = []
    def capture_envelope(self, envelope):
        self.sent.append(envelope.serialize().decode())
sentry_sdk.init(
    dsn="http://key@127.0.0.1/1", transport=Kept, default_integrations=False, enable_logs=True,
    integrations=[LoggingIntegration(event_level=logging.INFO)],
)
def inside(function):
    with sentry_sdk.start_transaction(name="checkout"):
        function()
def written():
    sentry_sdk.flush()
    return "".join(Kept.sent)
""",
        ("Paid 7", '"plan"', '"ref"'),
    ),
    "celery": Library(
        ("celery",),
        _STREAM
        + """
from celery import Celery
from celery.app.log import TaskFormatter
app = Celery("shop", broker="memory://")
attach(TaskFormatter("[%(task_name)s] %(message)s"))
def inside(function):
    app.task(function, name="checkout").apply().get()
""",
        ("[checkout] Paid 7",),
        (("task_*",), ("task_id", "task_name")),
    ),
    "structlog": Library(
        ("structlog",),
        _STREAM
        + """
import structlog
attach(structlog.stdlib.ProcessorFormatter(
    foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.ExtraAdder()],
    processors=[
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.JSONRenderer(),
    ],
))
""",
        ('"event": "Paid"', '"level": "info"', '"plan": "pro"', '"ref": "ad"'),
    ),
    "loguru": Library(
        ("loguru",),
        _STREAM
        + """
from loguru import logger as loguru_logger
loguru_logger.remove()
loguru_logger.add(stream, format="{level} {message}")
class InterceptHandler(logging.Handler):
    def emit(self, record):
        to = loguru_logger.opt(depth=6, exception=record.exc_info)
        to.log(record.levelname, record.getMessage())
logging.getLogger().addHandler(InterceptHandler())
""",
        ("INFO Paid 7",),
    ),
    "python-json-logger": Library(
        ("pythonjsonlogger",),
        _STREAM
        + """
from pythonjsonlogger.json import JsonFormatter
attach(JsonFormatter("%(message)s"))
""",
        ('"message": "Paid 7"', '"plan": "pro"', '"ref": "ad"'),
    ),
}

_START = """
import io
import json
import logging
import os
from segment_logging import KeepIdentity, SegmentHandler
from segment_logging.testing import FakeClient
"""

_END = """
def handler_on(logger, **options):
    handler = SegmentHandler("key", client=FakeClient(), **options)
    logger.addHandler(handler)
    return handler

logging.getLogger().setLevel(logging.INFO)
logger = logging.getLogger("shop")
handlers = {
    "before": handler_on(logger),
    "twice": handler_on(logger),
    "after": handler_on(logging.getLogger()),
    "keeping": handler_on(logging.getLogger(), keep_extras=KEPT),
    "excluding": handler_on(logging.getLogger(), exclude_extras=["r?f", "plan"]),
}
handlers["before"].addFilter(KeepIdentity())
logging.getLogger().addHandler(handlers["twice"])

def log():
    logger.info("cache miss %s", "k")
    logger.info("cache miss", extra={"colour": "red"})
    logger.info("Paid %s", 7, extra={
        "user_id": "u-17", "event": "Paid", "properties": {"plan": "pro"}, "ref": "ad",
    })
    logger.info("Profile", extra={"user_id": "u-17", "traits": {"email": "a@b.c"}, "size": "L"})

inside(log)
outcome = {"written": written()}
for name, handler in handlers.items():
    handler.drain(10)
    outcome[name] = {
        "messages": [message.to_dict() for message in handler._options.client.messages],
        "ignored": handler.counts().ignored,
        "invalid": handler.counts().invalid,
    }
print(json.dumps(outcome), flush=True)
os._exit(0)  # so that no library waits for its own server
"""


@functools.cache
def outcome_of(name: str) -> dict[str, Any]:
    """Return the messages from each handler, and what the library has written."""
    library = LIBRARIES[name]
    outcome: dict[str, Any] = run_python(
        f"{_START}\n{library.setup}\nKEPT = {list(library.kept[0])!r}\n{_END}",
        options=["-W", "ignore"],  # the libraries' own warnings
        DD_SERVICE="shop-service",
        DD_INSTRUMENTATION_TELEMETRY_ENABLED="false",
        DD_TRACE_STARTUP_LOGS="false",
    )
    return outcome


def is_installed(name: str) -> bool:
    try:
        return all(find_spec(module) is not None for module in LIBRARIES[name].modules)
    except ModuleNotFoundError:  # of a parent package
        return False
