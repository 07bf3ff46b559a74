"""Tests for loguru: the handler as a sink, and records passed to and from `logging`."""

from __future__ import annotations

import inspect
import io
import logging
import unittest
from contextlib import redirect_stderr
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from segment_logging import SegmentHandler, User, identity
from segment_logging._messages.calls import Call
from segment_logging.testing import FakeClient, capture_segment
from tests.records.test_structlog import run_example

if TYPE_CHECKING or find_spec("loguru"):
    from loguru import logger


def intercept_handler() -> logging.Handler:
    """Return a handler that passes records to loguru, as in loguru's README."""

    class InterceptHandler(logging.Handler):
        @override
        def emit(self, record: logging.LogRecord) -> None:
            frame, depth = inspect.currentframe(), 0
            while frame and (depth == 0 or frame.f_code.co_filename == logging.__file__):
                frame, depth = frame.f_back, depth + 1
            options = logger.opt(depth=depth, exception=record.exc_info)
            options.log(record.levelname, record.getMessage())

    return InterceptHandler()


class LoguruCase(unittest.TestCase):
    @classmethod
    @override
    def setUpClass(cls) -> None:
        if not find_spec("loguru"):
            raise unittest.SkipTest("needs loguru")
        logger.remove()  # loguru's default sink on stderr

    @override
    def setUp(self) -> None:
        self.client = FakeClient()
        self.handler = SegmentHandler("key", client=self.client)
        self.addCleanup(self.handler.close)
        self.addCleanup(logger.remove)

    def messages(self) -> list[Call]:
        """Return the delivered messages."""
        self.assertTrue(self.handler.drain(10))
        return self.client.messages

    def message(self) -> Any:
        """Return the only delivered message."""
        (message,) = self.messages()
        return message


class TestSink(LoguruCase):
    """The handler as a sink: `logger.add(SegmentHandler(...), format="{message}")`."""

    @override
    def setUp(self) -> None:
        super().setUp()
        logger.add(self.handler, format="{message}")

    def test_bound(self) -> None:
        """Values bound to the logger set the user and become properties."""
        logger.bind(user_id=17, plan="pro").info("Signup")
        message = self.message()
        self.assertEqual((message.event, message.user), ("Signup", User(user_id="17")))
        self.assertEqual(message.properties, {"plan": "pro"})

    def test_named(self) -> None:
        """Keyword arguments of the call become properties, whatever their names are."""
        logger.info("Signup", user_id="u", name="Ada", message="hi", args=[1], level="x")
        self.assertEqual(
            self.message().properties, {"name": "Ada", "message": "hi", "args": [1], "level": "x"}
        )

    def test_ordinary_line(self) -> None:
        """A line without any of our keys is not an event."""
        logger.bind(host="x").info("Connected")
        self.assertEqual(self.messages(), [])

    def test_traits(self) -> None:
        """Traits make an identify call, and a trait may be called `name`."""
        logger.info("Profile", user_id="u", traits={"email": "a@example.com"}, name="Ada")
        message = self.message()
        self.assertEqual(message.type, "identify")
        self.assertEqual(message.traits, {"email": "a@example.com", "name": "Ada"})

    def test_page(self) -> None:
        """A page is named after the text."""
        logger.info("Docs", user_id="u", type="page")
        self.assertEqual((self.message().type, self.message().name), ("page", "Docs"))

    def test_nested(self) -> None:
        """All keys may be nested in `segment`."""
        logger.bind(segment={"user_id": "u", "type": "page", "name": "Guide"}).info("Docs")
        self.assertEqual(self.message().name, "Guide")

    def test_identity(self) -> None:
        """A bound identity fills in the user, but does not make a line an event."""
        with identity(user_id="u"):
            logger.info("Connected")
            logger.info("Signup", properties={"plan": "pro"})
        self.assertEqual(self.message().user, User(user_id="u"))

    def test_event(self) -> None:
        """An event whose text varies can be named with `event`."""
        logger.info("Paid {amount}", amount=7, user_id="u", event="Order Paid")
        message = self.message()
        self.assertEqual((message.event, message.properties), ("Order Paid", {"amount": 7}))

    def test_exception(self) -> None:
        """loguru's traceback, which includes values, is not part of the event."""
        secret = "4711"
        try:
            int(f"no number: {secret}")
        except ValueError:
            logger.exception("Payment Failed", user_id="u", properties={"plan": "pro"})
        logger.opt(exception=KeyError("x")).bind(user_id="u").error("Payment Failed")
        events = [message.to_dict()["event"] for message in self.messages()]
        self.assertEqual(events, ["Payment Failed", "Payment Failed"])

    def test_level(self) -> None:
        """Events may have loguru's own levels."""
        logger.success("Signup", user_id="u")
        self.assertEqual(self.message().event, "Signup")

    def test_captured(self) -> None:
        """A test captures events that reach the program's sink immediately."""
        with capture_segment() as captured:
            logger.info("Signup", user_id="u")
            captured.assert_tracked("Signup", user_id="u")
        self.assertEqual(self.messages(), [])

    def test_user_of_the_log(self) -> None:
        """A `user_id` from `contextualize` or `bind` turns every line into an event."""
        with logger.contextualize(user_id="u"):
            logger.info("Connected")
        logger.bind(user_id="u").info("Closed")
        events = [message.to_dict()["event"] for message in self.messages()]
        self.assertEqual(events, ["Connected", "Closed"])

    def test_values_of_the_log(self) -> None:
        """Values from `contextualize` and `bind` become properties, unless options forbid it."""
        handler = SegmentHandler(
            "key", client=(client := FakeClient()), exclude_extras=["request_id"], redact=["token"]
        )
        self.addCleanup(handler.close)
        logger.add(handler, format="{message}")
        with logger.contextualize(request_id="r-1"):
            logger.bind(token="S3CRET").info("Signup", user_id="u", plan="pro")
        self.assertEqual(
            self.message().properties, {"request_id": "r-1", "token": "S3CRET", "plan": "pro"}
        )
        self.assertTrue(handler.drain(10))
        self.assertEqual(client.messages[0].to_dict()["properties"], {"plan": "pro"})


class TestFormats(LoguruCase):
    """Other formats of the sink."""

    def test_default(self) -> None:
        """With the default format, the time, level and place are not part of the event's name."""
        logger.add(self.handler)
        logger.info("Signup", user_id="u")
        logger.info("a - b", user_id="u", properties={"plan": "pro"})
        events = [message.to_dict()["event"] for message in self.messages()]
        self.assertEqual(events, ["Signup", "a - b"])

    def test_default_exception(self) -> None:
        """With the default format, the traceback is not part of the event's name."""
        logger.add(self.handler)
        try:
            raise KeyError
        except KeyError:
            logger.exception("Payment Failed", user_id="u")
        self.assertEqual(self.message().event, "Payment Failed")

    def test_serialized(self) -> None:
        """With `serialize=True`, the event is named after the message in the JSON."""
        logger.add(self.handler, serialize=True)
        logger.info("Signup {}", "now", user_id="u", password="S3CRET")
        self.assertEqual(self.message().event, "Signup now")

    def test_function(self) -> None:
        """The format may be a function."""
        logger.add(self.handler, format=lambda record: "{message}")
        logger.info("Signup", user_id="u")
        self.assertEqual(self.message().event, "Signup")

    def test_enqueued(self) -> None:
        """With `enqueue=True`, another thread calls the handler, so the identity is lost."""
        logger.add(self.handler, format="{message}", enqueue=True)
        with redirect_stderr(io.StringIO()), identity(user_id="u", context={"ip": "192.0.2.1"}):
            logger.info("Signup", user_id="u")
            logger.info("Signup", properties={"plan": "pro"})
            logger.complete()
        message = self.message()
        self.assertEqual(message.user, User(user_id="u"))
        self.assertNotIn("ip", message.to_dict()["context"])
        self.assertEqual(self.handler.counts().invalid, 1)

    def test_filter(self) -> None:
        """The sink's filter applies."""
        logger.add(self.handler, format="{message}", filter=lambda r: "user_id" not in r["extra"])
        logger.info("Signup", user_id="u")
        self.assertEqual(self.messages(), [])


class TestTogether(LoguruCase):
    """Programs that use both loguru and `logging`."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.plain = logging.getLogger("tests.loguru")
        self.plain.setLevel(logging.INFO)
        self.plain.propagate = False
        self.addCleanup(setattr, self.plain, "propagate", True)
        self.addCleanup(self.plain.handlers.clear)

    def test_propagated(self) -> None:
        """loguru's recipe for passing its records to `logging` works."""

        class PropagateHandler(logging.Handler):
            @override
            def emit(self, record: logging.LogRecord) -> None:
                logging.getLogger("tests.loguru").handle(record)

        self.plain.addHandler(self.handler)
        logger.add(PropagateHandler(), format="{message}")
        logger.info("Signup", user_id="u", name="Ada")
        message = self.message()
        self.assertEqual((message.event, message.properties), ("Signup", {"name": "Ada"}))

    def test_intercepted(self) -> None:
        """loguru's recipe for intercepting `logging` loses the extras, so the handler is added next
        to it. It sees each event once."""
        lines: list[str] = []
        logger.add(lambda text: lines.append(text), format="{message}")
        logger.add(self.handler, format="{message}")
        self.plain.addHandler(intercept_handler())
        self.plain.addHandler(self.handler)
        self.plain.info("Signup", extra={"user_id": "u"})
        self.assertEqual(self.message().user, User(user_id="u"))
        self.assertEqual(lines, ["Signup\n"])

    def test_intercepted_report(self) -> None:
        """An intercepted report about a refused event needs the documented filter on the sink."""
        reports = logging.getLogger("segment_logging")
        intercept = intercept_handler()
        reports.addHandler(intercept)
        self.addCleanup(reports.removeHandler, intercept)
        documented: dict[str | None, str | int | bool] = {"segment_logging": False}
        for chosen, is_wrong in ((None, True), (documented, False)):
            with self.subTest(chosen):
                logger.remove()
                lines: list[str] = []
                logger.add(lines.append, format="{message}")
                handler = SegmentHandler("key", client=FakeClient())
                self.addCleanup(handler.close)
                logger.add(handler, format="{message}", filter=chosen)
                with redirect_stderr(io.StringIO()) as said:
                    logger.info("Signup", event="Signup")
                self.assertIn("neither a user_id nor an anonymous_id", lines[1])
                self.assertEqual("Could not acquire internal lock" in said.getvalue(), is_wrong)


class TestExample(LoguruCase):
    def test_runs(self) -> None:
        """loguru_app.py sends its events, including those from `logging`, and prints all lines."""
        messages, shown = run_example("loguru_app.py")
        self.assertEqual(
            [(message["type"], message.get("event")) for message in messages],
            [("identify", None), ("track", "Signup"), ("track", "Order Completed")],
        )
        self.assertEqual({message["userId"] for message in messages}, {"u-1001"})
        self.assertEqual(messages[1]["properties"], {"name": "Ada"})
        self.assertIn("Listening", shown)


if __name__ == "__main__":
    unittest.main()
