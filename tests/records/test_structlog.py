"""Tests for structlog, in its usual configurations with the standard library."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from segment_logging import SegmentHandler, User
from segment_logging.collector import Collector
from segment_logging.testing import Captured, FakeClient, capture_segment
from tests.builders import PROJECT, a_record, run_python

if TYPE_CHECKING or find_spec("structlog"):
    import structlog
    from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars
    from structlog.stdlib import ProcessorFormatter

NAME = "tests.structlog"


class StructlogCase(unittest.TestCase):
    @classmethod
    @override
    def setUpClass(cls) -> None:
        if not find_spec("structlog"):
            raise unittest.SkipTest("needs structlog")

    @override
    def setUp(self) -> None:
        self.addCleanup(logging.setLoggerClass, logging.getLoggerClass())
        self.addCleanup(structlog.reset_defaults)
        self.addCleanup(clear_contextvars)

    def configure(self, *processors: Any, wrapper: Any = None) -> Any:
        """Return a structlog logger that uses `logging`."""
        structlog.configure(
            processors=[structlog.contextvars.merge_contextvars, *processors],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=wrapper or structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=False,
        )
        return structlog.get_logger(NAME)

    def capture(self) -> Captured:
        """Capture events until the end of the test, and keep refused events."""
        capturing = capture_segment(allow_invalid=True)
        captured = capturing.__enter__()
        self.addCleanup(capturing.__exit__, None, None, None)
        return captured


def usual(timestamp: str | None = "iso") -> Sequence[Any]:
    """Return the processors of structlog's examples, which add fields to every line."""
    places = set(structlog.processors.CallsiteParameter)
    return [
        structlog.stdlib.filter_by_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_log_level_number,
        structlog.processors.TimeStamper(fmt=timestamp),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.CallsiteParameterAdder(places),
        structlog.processors.format_exc_info,
    ]


class TestForFormatter(StructlogCase):
    """`wrap_for_formatter` as the last processor: the record's message is structlog's dict."""

    def configured(self, timestamp: str | None = "iso") -> Any:
        return self.configure(*usual(timestamp), ProcessorFormatter.wrap_for_formatter)

    def test_track(self) -> None:
        """Keyword arguments become properties, but fields that structlog adds do not."""
        logger, captured = self.configured(), self.capture()
        logger.info("Signup", user_id=17, plan="pro")
        self.assertEqual(captured.assert_tracked("Signup").user, User(user_id="17"))
        self.assertEqual(captured.assert_tracked().properties, {"plan": "pro"})

    def test_reserved_names(self) -> None:
        """Names that logging refuses in `extra`, or that processors use, may be properties."""
        logger, captured = self.configure(ProcessorFormatter.wrap_for_formatter), self.capture()
        named = {"name": "Ada", "message": "hi", "args": [1], "level": 7, "filename": "a.pdf"}
        logger.info("Signup", user_id="u", **named)
        self.assertEqual(captured.assert_tracked("Signup").properties, named)

    def test_name_of_a_user(self) -> None:
        """A trait may be called `name`, nested or not."""
        logger, captured = self.configured(), self.capture()
        logger.info("Profile", user_id="u", traits={"email": "a@example.com"}, name="Ada")
        self.assertEqual(
            captured.assert_identified("u").traits, {"email": "a@example.com", "name": "Ada"}
        )

    def test_page(self) -> None:
        """A page is named after the text, or after `name` if there is one."""
        logger, captured = self.configured(), self.capture()
        logger.info("Docs", user_id="u", type="page")
        logger.info("Docs", user_id="u", type="page", name="Documentation")
        self.assertEqual(
            [message.to_dict()["name"] for message in captured], ["Docs", "Documentation"]
        )
        self.assertEqual([message.to_dict()["properties"] for message in captured], [{}, {}])

    def test_without_text(self) -> None:
        """Without its text, a record has the same time as with it, however it is written."""
        for fields in ({"event": "Profile"}, {}):
            with self.subTest(fields=fields):
                record = a_record(extra={"_logger": None, "_name": "info"})
                record.msg = {
                    "user_id": "u", "traits": {"plan": "pro"}, **fields,
                    "timestamp": "2001-01-01 10:00:00",
                }  # fmt: skip
                client = FakeClient()
                handler = SegmentHandler("key", client=client)
                self.addCleanup(handler.close)
                handler.handle(record)
                self.assertTrue(handler.drain(20))
                (message,) = client.messages
                moment = datetime.fromisoformat(str(message.to_dict()["timestamp"]))
                self.assertAlmostEqual(moment.timestamp(), record.created, places=2)

    def test_page_named_by_another_value(self) -> None:
        """A text that is not a string also names a page."""
        logger, captured = self.configured(), self.capture()
        logger.info(17, user_id="u", type="page")
        self.assertEqual([message.to_dict()["name"] for message in captured], ["17"])

    def test_bound_logger(self) -> None:
        """Values bound to a logger are treated like keyword arguments."""
        logger, captured = self.configured(), self.capture()
        logger.bind(user_id="u", plan="pro").info("Signup")
        captured.assert_tracked("Signup", user_id="u", properties={"plan": "pro"})

    def test_context_variables(self) -> None:
        """Values bound to the context variables are included in the event."""
        logger, captured = self.configured(), self.capture()
        bind_contextvars(user_id="u", request_id="r")
        logger.info("Signup", properties={"plan": "pro"})
        captured.assert_tracked(
            "Signup", user_id="u", properties={"plan": "pro", "request_id": "r"}
        )

    def test_context_makes_no_event(self) -> None:
        """Context variables do not make every line of a request an event."""
        logger, captured = self.configured(), self.capture()
        with bound_contextvars(user_id="u"):
            logger.info("cache miss", key="k")
        captured.assert_not_sent()

    def test_other_user(self) -> None:
        """A user in the call wins over the user in the context variables."""
        logger, captured = self.configured(), self.capture()
        with bound_contextvars(user_id="u"):
            logger.info("Invited", user_id="v")
        captured.assert_tracked("Invited", user_id="v", times=1)

    def test_ordinary_line(self) -> None:
        """A line without any of our keys is not an event."""
        logger, captured = self.configured(), self.capture()
        logger.info("Connected", host="x")
        captured.assert_not_sent()

    def test_arguments(self) -> None:
        """The event is named after the template, and the formatted text becomes a property."""
        logger, captured = self.configured(), self.capture()
        logger.info("Paid %s", 7, user_id="u")
        logger.info("Paid %(n)s", {"n": 7}, user_id="u")
        self.assertEqual(
            [message.to_dict()["event"] for message in captured], ["Paid %s", "Paid %(n)s"]
        )
        captured.assert_tracked(properties={"message": "Paid 7"}, times=2)

    def test_exception(self) -> None:
        """Nothing from an exception is included in the event."""
        logger, captured = self.configured(), self.capture()
        try:
            raise KeyError("secret")
        except KeyError:
            logger.exception("Payment Failed", user_id="u")
        self.assertEqual(captured.assert_tracked("Payment Failed").properties, {})

    def test_rendered_time(self) -> None:
        """A time formatted for display is not the timestamp: it lacks a time zone or a date."""
        for rendered in ("%H:%M:%S", "%Y-%m-%d %H:%M:%S", "iso", None):
            with self.subTest(rendered=rendered):
                logger, captured = self.configured(rendered), self.capture()
                before = datetime.now(UTC).timestamp()
                logger.info("Signup", user_id="u")
                timestamp = captured.assert_tracked("Signup").timestamp
                assert isinstance(timestamp, datetime)
                self.assertLess(abs(timestamp.timestamp() - before), 60)

    def test_own_time(self) -> None:
        """A timestamp in the call is used, and an invalid one is refused."""
        logger, captured = self.configure(ProcessorFormatter.wrap_for_formatter), self.capture()
        logger.info("Signup", user_id="u", timestamp="2020-01-01T00:00:00Z")
        logger.info("Login", user_id="u", timestamp="yesterday")
        captured.assert_sent("track", timestamp="2020-01-01T00:00:00Z")
        self.assertEqual(len(captured.invalid), 1)

    def test_renamed(self) -> None:
        """The text is found even if a processor has renamed it."""
        for name in ("msg", "message"):
            renamer = structlog.processors.EventRenamer(name)
            logger = self.configure(
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="%H:%M"),
                renamer,
                ProcessorFormatter.wrap_for_formatter,
            )
            captured = self.capture()
            logger.info("Signup", user_id="u", plan="pro")
            self.assertEqual(captured.assert_tracked("Signup").properties, {"plan": "pro"})

    def test_nested(self) -> None:
        """All keys may be nested in `segment`."""
        logger, captured = self.configured(), self.capture()
        logger.info("Docs", segment={"user_id": "u", "type": "page", "name": "Guide"})
        captured.assert_sent("page", name="Guide")

    def test_filtering_bound_logger(self) -> None:
        """structlog's own fast filtering logger works, too."""
        logger = self.configure(
            *usual(),
            ProcessorFormatter.wrap_for_formatter,
            wrapper=structlog.make_filtering_bound_logger(logging.INFO),
        )
        captured = self.capture()
        logger.debug("no", user_id="u")
        logger.info("Signup", user_id="u", name="Ada")
        captured.assert_tracked("Signup", user_id="u", properties={"name": "Ada"})
        self.assertEqual(len(captured), 1)

    def test_beside_a_formatter(self) -> None:
        """The handler and a ProcessorFormatter read the same record, in either order."""
        shown = io.StringIO()
        stream = logging.StreamHandler(shown)
        stream.setFormatter(
            ProcessorFormatter(
                processors=[
                    ProcessorFormatter.remove_processors_meta,
                    structlog.processors.JSONRenderer(),
                ]
            )
        )
        logger = self.configured()
        plain = logging.getLogger(NAME)
        plain.setLevel(logging.INFO)
        for handlers in ([stream, SegmentHandler], [SegmentHandler, stream]):
            client = FakeClient()
            made = [h if h is stream else SegmentHandler("key", client=client) for h in handlers]
            for handler in made:
                plain.addHandler(handler)
            logger.info("Signup", user_id="u", name="Ada")
            for handler in made:
                plain.removeHandler(handler)
                handler.close()
            self.assertEqual(client.messages[0].to_dict()["properties"], {"name": "Ada"})
        lines = [json.loads(line) for line in shown.getvalue().splitlines()]
        self.assertEqual([line["name"] for line in lines], ["Ada", "Ada"])

    def test_two_ways(self) -> None:
        """If structlog does not use `logging`, a processor can pass the events on."""

        def tell(logger: Any, method: str, event_dict: Any) -> Any:
            args, options = ProcessorFormatter.wrap_for_formatter(logger, method, dict(event_dict))
            logging.getLogger(NAME).info(*args, extra=options["extra"])
            return event_dict

        printed = io.StringIO()
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars,
                tell,
                structlog.processors.KeyValueRenderer(),
            ],
            logger_factory=structlog.PrintLoggerFactory(printed),
        )
        captured = self.capture()
        with bound_contextvars(user_id="u"):
            structlog.get_logger().info("cache miss")
        structlog.get_logger().info("Signup", user_id="u", name="Ada")
        captured.assert_tracked("Signup", properties={"name": "Ada"})
        self.assertEqual((len(captured), len(printed.getvalue().splitlines())), (1, 2))


class TestToKeywords(StructlogCase):
    """`render_to_log_kwargs` as the last processor: structlog's dict becomes `extra`."""

    def configured(self, timestamp: str | None = "iso") -> Any:
        processors = [p for p in usual(timestamp) if "Callsite" not in type(p).__name__]
        return self.configure(*processors, structlog.stdlib.render_to_log_kwargs)

    def test_track(self) -> None:
        """Fields that structlog adds do not become properties."""
        logger, captured = self.configured(), self.capture()
        logger.info("Signup", user_id="u", plan="pro")
        self.assertEqual(captured.assert_tracked("Signup").properties, {"plan": "pro"})

    def test_rendered_time(self) -> None:
        """A time formatted for display does not make the event invalid."""
        logger, captured = self.configured("%H:%M:%S"), self.capture()
        logger.info("Signup", user_id="u")
        self.assertEqual(captured.assert_tracked("Signup").properties, {})

    def test_own_level(self) -> None:
        """A property that only looks like a structlog field is kept."""
        captured = self.capture()
        logging.getLogger(NAME).info("Level Up", extra={"user_id": "u", "level": 7, "logger": "x"})
        self.assertEqual(
            captured.assert_tracked("Level Up").properties, {"level": 7, "logger": "x"}
        )

    def test_reserved_names(self) -> None:
        """Names that logging refuses in `extra` may be nested."""
        logger, captured = self.configured(), self.capture()
        logger.info("Signup", user_id="u", properties={"name": "Ada", "message": "hi"})
        captured.assert_tracked("Signup", properties={"name": "Ada", "message": "hi"})

    def test_arguments(self) -> None:
        """`render_to_log_args_and_kwargs` leaves the template to logging."""
        render = getattr(structlog.stdlib, "render_to_log_args_and_kwargs", None)
        if render is None:
            self.skipTest("needs structlog 25.1")
        logger, captured = self.configure(*usual()[:5], render), self.capture()
        logger.info("Paid %s", 7, user_id="u")
        self.assertEqual(captured.assert_tracked("Paid %s").properties, {"message": "Paid 7"})


class TestExample(StructlogCase):
    def test_runs(self) -> None:
        """structlog_app.py sends its events and prints all of its lines."""
        messages, shown = run_example("structlog_app.py")
        self.assertEqual(
            [(message["type"], message.get("event")) for message in messages],
            [("identify", None), ("track", "Signup"), ("track", "Order Completed")],
        )
        self.assertEqual({message["userId"] for message in messages}, {"u-1001"})
        self.assertEqual(messages[0]["traits"]["name"], "Ada")
        self.assertEqual(messages[1]["properties"], {"name": "Ada", "request_id": "r-1"})
        self.assertIn("Listening", shown)


def run_example(name: str) -> tuple[list[dict[str, Any]], str]:
    """Run an example against a collector. Return the messages that arrived and the output."""
    with closing(Collector()) as collector, tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            [sys.executable, "-W", "error", PROJECT / "examples" / name],
            env={
                **os.environ,
                "SEGMENT_HOST": collector.url,
                "SEGMENT_WRITE_KEY": "example-key",
                "PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")]),
            },
            cwd=directory,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        if done.returncode or done.stderr or collector.dropped:
            raise AssertionError(f"exit status {done.returncode}: {done.stderr}")
        return list(collector.messages), done.stdout


class TestWithoutStructlog(unittest.TestCase):
    def test_not_imported(self) -> None:
        """Reading their records imports neither structlog nor loguru."""
        loaded = run_python(
            """
import json, logging, sys
from segment_logging.testing import capture_segment
with capture_segment() as captured:
    logging.getLogger("app").info({"event": "Signup", "user_id": "u"})
print(json.dumps([len(captured), "structlog" in sys.modules, "loguru" in sys.modules]))
"""
        )
        self.assertEqual(loaded, [1, False, False])


if __name__ == "__main__":
    unittest.main()
