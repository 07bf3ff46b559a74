"""Events as lines of JSON, for an agent to ship."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import unittest
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from typing_extensions import override

from segment_logging import ConfigurationError, InvalidMessage, Message, SegmentJsonFormatter, Track
from segment_logging.formatter import OnlyEvents

from .builders import a_record, each, message_of


class TestFormatter(unittest.TestCase):
    def line(self, extra: dict[str, Any], msg: str = "Signup", **options: Any) -> Any:
        text = SegmentJsonFormatter(**options).format(a_record(msg, extra=extra))
        self.assertNotIn("\n", text)
        return json.loads(text)

    def test_event(self) -> None:
        """An event is the very message that the handler delivers."""
        record = a_record(
            extra={"user_id": 17, "properties": {"plan": "pro"}, "ref": "ad", "message_id": "m"}
        )
        line = json.loads(SegmentJsonFormatter().format(record))
        self.assertEqual(line, message_of(record).to_dict())
        self.assertEqual(line["type"], "track")
        self.assertIsInstance(Message.from_dict(line), Track)

    def test_other_records(self) -> None:
        """Any other record is what python-json-logger makes of it."""
        line = self.line({"tenant": "t"}, "cache miss", fmt="%(levelname)s %(message)s")
        self.assertEqual(line, {"levelname": "INFO", "message": "cache miss", "tenant": "t"})

    def test_options(self) -> None:
        """It has the handler's options for reading records."""
        line = self.line({"user_id": "u", "email": "a@b.c", "pin": 1}, context={"app": {"n": 1}},
                         redact=["pin"], hashed=["email"], consent={"ads": False})  # fmt: skip
        self.assertEqual(line["context"]["app"], {"n": 1})
        self.assertEqual(line["context"]["consent"], {"categoryPreferences": {"ads": False}})
        self.assertEqual(list(line["properties"]), ["email"])
        self.assertEqual(len(line["properties"]["email"]), 64)
        with self.assertRaisesRegex(ConfigurationError, "capture"):
            SegmentJsonFormatter(capture="some")

    def test_redacts_other_records(self) -> None:
        """What is redacted stays out of ordinary records as well."""
        line = self.line({"pin": 1, "a": 2}, redact=["pin"])
        self.assertEqual(line, {"message": "Signup", "a": 2})

    def test_redacts_renamed(self) -> None:
        """A key that is renamed is redacted by either name."""
        for pattern in ("password", "pw"):
            line = self.line({"password": "S3CRET", "a": 2}, rename_fields={"password": "pw"},
                             redact=[pattern])  # fmt: skip
            self.assertEqual(line, {"message": "Signup", "a": 2}, pattern)

    def test_what_cannot_be_written(self) -> None:
        """A record that cannot be written is no line, and says so without what it holds."""

        class Rude:
            @override
            def __str__(self) -> str:
                raise ValueError("S3CRET")

        cycle: dict[str, Any] = {}
        cycle["self"] = cycle
        for extra in each({"a": cycle}, {"a": Rude()}, {"user_id": "u", "a": Rude()}):
            stream = io.StringIO()
            handler = logging.StreamHandler(stream)
            handler.setFormatter(SegmentJsonFormatter(redact=["password"]))
            with redirect_stderr(io.StringIO()) as stderr:
                handler.handle(a_record(extra=extra))
            self.assertEqual(stream.getvalue(), "")
            self.assertIn("cannot be written as JSON", stderr.getvalue())
            self.assertNotIn("S3CRET", stderr.getvalue())

    def test_invalid(self) -> None:
        """An event that Segment would drop is no line, and says so by logging's own rules."""
        with self.assertRaises(InvalidMessage):
            SegmentJsonFormatter().format(a_record(extra={"user_id": ""}))
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(SegmentJsonFormatter())
        with redirect_stderr(io.StringIO()) as stderr:
            handler.handle(a_record(extra={"user_id": ""}))
        self.assertEqual(stream.getvalue(), "")
        self.assertIn("user_id is empty", stderr.getvalue())


class TestReservedNames(unittest.TestCase):
    def test_same_as_python_json_logger(self) -> None:
        """What python-json-logger keeps out of extras, the handler does, too."""
        record = a_record(extra={"user_id": "u"})
        record.__dict__.update(dict.fromkeys(RESERVED_ATTRS, None), user_id="u", plan="pro")
        record.__dict__.update(a_record().__dict__)
        self.assertEqual(message_of(record).properties, {"plan": "pro"})


class TestOnlyEvents(unittest.TestCase):
    def test_dict_config(self) -> None:
        """With the filter, stdout has events and nothing else; all of it from dictConfig."""
        stream = io.StringIO()
        logging.config.dictConfig(
            {
                "version": 1,
                "disable_existing_loggers": False,
                "filters": {"events": {"()": "segment_logging.formatter.OnlyEvents"}},
                "formatters": {"segment": {"()": "segment_logging.SegmentJsonFormatter"}},
                "handlers": {
                    "stdout": {
                        "class": "logging.StreamHandler",
                        "stream": stream,
                        "formatter": "segment",
                        "filters": ["events"],
                    }
                },
                "loggers": {"tests.formatter": {"handlers": ["stdout"], "level": "INFO"}},
            }
        )
        logger = logging.getLogger("tests.formatter")
        self.addCleanup(logger.handlers.clear)
        logger.info("cache miss", extra={"key": "k"})
        logger.info("Signup", extra={"user_id": "u"})
        (line,) = stream.getvalue().splitlines()
        self.assertEqual(json.loads(line)["event"], "Signup")

    def test_plain_records(self) -> None:
        """A record that is no event does not pass."""
        self.assertFalse(OnlyEvents().filter(a_record("x")))
        self.assertTrue(OnlyEvents().filter(a_record("x", extra={"user_id": "u"})))

    def test_never_raises(self) -> None:
        """A message that cannot be read is left to the formatter, whose errors go to stderr."""

        class Broken(Mapping[str, Any]):
            @override
            def __getitem__(self, key: str) -> Any:
                raise RuntimeError

            @override
            def __iter__(self) -> Iterator[str]:
                raise RuntimeError

            @override
            def __len__(self) -> int:
                return 1

        self.assertTrue(OnlyEvents().filter(a_record(Broken())))


if __name__ == "__main__":
    unittest.main()
