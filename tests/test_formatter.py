"""Tests for the formatter, which writes events as lines of JSON for a log shipper."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import unittest
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr
from hashlib import sha256
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from typing_extensions import override

from segment_logging import ConfigurationError, Message, SegmentJsonFormatter, Track
from segment_logging.formatter import OnlyEvents

from .builders import a_record, each, message_of


class TestFormatter(unittest.TestCase):
    def line(self, extra: dict[str, Any], msg: str = "Signup", **options: Any) -> Any:
        text = SegmentJsonFormatter(**options).format(a_record(msg, extra=extra))
        self.assertNotIn("\n", text)
        return json.loads(text)

    def test_event(self) -> None:
        """An event is formatted as the same message that the handler delivers."""
        record = a_record(
            extra={"user_id": 17, "properties": {"plan": "pro"}, "ref": "ad", "message_id": "m"}
        )
        line = json.loads(SegmentJsonFormatter().format(record))
        self.assertEqual(line, message_of(record).to_dict())
        self.assertEqual(line["type"], "track")
        self.assertIsInstance(Message.from_dict(line), Track)

    def test_other_records(self) -> None:
        """Any other record is formatted by python-json-logger."""
        line = self.line({"tenant": "t"}, "cache miss", fmt="%(levelname)s %(message)s")
        self.assertEqual(line, {"levelname": "INFO", "message": "cache miss", "tenant": "t"})

    def test_options(self) -> None:
        """The formatter accepts the handler's options for reading records."""
        line = self.line({"user_id": "u", "email": "a@b.c", "pin": 1}, context={"app": {"n": 1}},
                         redact=["pin"], hashed=["email"], consent={"ads": False})  # fmt: skip
        self.assertEqual(line["context"]["app"], {"n": 1})
        self.assertEqual(line["context"]["consent"], {"categoryPreferences": {"ads": False}})
        self.assertEqual(list(line["properties"]), ["email"])
        self.assertEqual(len(line["properties"]["email"]), 64)
        with self.assertRaisesRegex(ConfigurationError, "capture"):
            SegmentJsonFormatter(capture="some")

    def test_redacts_other_records(self) -> None:
        """Redacted extras are removed from ordinary records as well."""
        line = self.line({"pin": 1, "a": 2}, redact=["pin"])
        self.assertEqual(line, {"message": "Signup", "a": 2})

    def test_hashed_once(self) -> None:
        """A value in an ordinary record is hashed exactly once, even if its key is renamed."""
        for renamed in ({}, {"email": "mail"}):
            line = self.line({"email": "a@b"}, rename_fields=renamed, hashed=["email"])
            self.assertEqual(line[renamed.get("email", "email")], sha256(b"a@b").hexdigest())

    def test_broken_record(self) -> None:
        """A record from which a filter removed standard attributes is still formatted."""
        record = a_record(extra={"user_id": ""})
        for name in ("levelno", "created", "funcName", "msecs", "pathname", "name"):
            del record.__dict__[name]
        self.assertEqual(self.lines(record)[0], [{"message": "Signup"}])

    def test_same_patterns(self) -> None:
        """A pattern matches the extras of an ordinary record like the properties of an event."""
        for pattern in ("*.pin", "properties.pin", "pin"):
            for more in ({}, {"user_id": "u"}):
                line = self.line({"pin": 1, "a": 2, **more}, redact=[pattern])
                self.assertEqual(line.get("properties", line).get("a"), 2)
                self.assertNotIn("pin", line.get("properties", line), pattern)

    def test_redacts_renamed(self) -> None:
        """A renamed key is redacted under both its old and its new name."""
        for pattern in ("password", "pw"):
            line = self.line({"password": "S3CRET", "a": 2}, rename_fields={"password": "pw"},
                             redact=[pattern])  # fmt: skip
            self.assertEqual(line, {"message": "Signup", "a": 2}, pattern)

    def lines(self, *records: logging.LogRecord, **options: Any) -> tuple[list[Any], str]:
        """Return the lines that a StreamHandler writes for the records, and the stderr output."""
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(SegmentJsonFormatter(**options))
        with redirect_stderr(io.StringIO()) as stderr:
            for record in records:
                handler.handle(record)
        return list(map(json.loads, stream.getvalue().splitlines())), stderr.getvalue()

    def test_what_cannot_be_written(self) -> None:
        """A record that cannot be encoded is reduced to its message, and stderr reports it."""

        class Rude:
            @override
            def __str__(self) -> str:
                raise ValueError("S3CRET")

        cycle: dict[str, Any] = {}
        cycle["self"] = cycle
        for extra in each({"a": cycle}, {"a": Rude()}, {"user_id": "u", "a": Rude()}):
            lines, said = self.lines(a_record(extra=extra), redact=["password"])
            self.assertEqual(lines, [{"message": "Signup"}])
            self.assertIn("cannot be written as JSON", said)
            self.assertNotIn("S3CRET", said)

    def test_invalid(self) -> None:
        """An invalid event is reduced to its message, and stderr shows the reason."""
        lines, said = self.lines(a_record(extra={"user_id": "", "plan": "pro"}))
        self.assertEqual(lines, [{"message": "Signup"}])
        self.assertIn("user_id is empty", said)
        self.assertIn("builders.py", said)

    def test_refused_and_redacted(self) -> None:
        """A redacted value in a refused event appears neither in the line nor on stderr."""
        secret = {"password": "S3CRET"}
        for record in (
            a_record({"event": "Signup", "properties": secret, "user_id": ""}),
            a_record("%(password)s", secret, extra={"event": "x"}),
            a_record("%d", "S3CRET"),
        ):
            lines, said = self.lines(record, redact=["password"])
            self.assertEqual(len(lines), 1)
            self.assertNotIn("S3CRET", f"{lines}{said}")
            self.assertTrue(said)

    def test_raise_exceptions(self) -> None:
        """Nothing is reported if `logging.raiseExceptions` is False."""
        self.addCleanup(setattr, logging, "raiseExceptions", logging.raiseExceptions)
        logging.raiseExceptions = False
        self.assertEqual(self.lines(a_record(extra={"user_id": ""}))[1], "")


class TestReservedNames(unittest.TestCase):
    def test_same_as_python_json_logger(self) -> None:
        """The handler excludes the same attributes from extras as python-json-logger."""
        record = a_record(extra={"user_id": "u"})
        record.__dict__.update(dict.fromkeys(RESERVED_ATTRS, None), user_id="u", plan="pro")
        record.__dict__.update(a_record().__dict__)
        self.assertEqual(message_of(record).properties, {"plan": "pro"})


class TestOnlyEvents(unittest.TestCase):
    def test_dict_config(self) -> None:
        """With OnlyEvents, set up by dictConfig, a handler writes only events."""
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

    def test_size_is_the_formatters(self) -> None:
        """The filter ignores an event's size, which depends on the formatter's options."""
        record = a_record(extra={"user_id": "u", "blob": "x" * 40_000})
        self.assertTrue(OnlyEvents().filter(record))

    def test_plain_records(self) -> None:
        """A record that is not an event does not pass the filter."""
        self.assertFalse(OnlyEvents().filter(a_record("x")))
        self.assertTrue(OnlyEvents().filter(a_record("x", extra={"user_id": "u"})))

    def test_refused(self) -> None:
        """An invalid event does not pass the filter; stderr reports it without its values."""

        class Broken(Mapping[str, Any]):
            @override
            def __getitem__(self, key: str) -> Any:
                raise RuntimeError("S3CRET")

            @override
            def __iter__(self) -> Iterator[str]:
                raise RuntimeError("S3CRET")

            @override
            def __len__(self) -> int:
                return 1

        for record in (a_record(Broken()), a_record({"event": "x", "user_id": "", "a": "S3CRET"})):
            with redirect_stderr(io.StringIO()) as stderr:
                self.assertFalse(OnlyEvents().filter(record))
            self.assertIn("builders.py", stderr.getvalue())
            self.assertNotIn("S3CRET", stderr.getvalue())


if __name__ == "__main__":
    unittest.main()
