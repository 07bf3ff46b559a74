"""Tests for which records are events and how they are read."""

from __future__ import annotations

import logging
import sys
import unittest
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from segment_logging import (
    Alias,
    Batch,
    Message,
    Track,
    User,
    __version__,
    identity,
)
from segment_logging._options.records import RecordOptions
from segment_logging._records.reader import RecordReader
from segment_logging.testing import capture_segment
from tests.builders import a_record, each, message_of, messages_of, refusal_of

LIBRARY = {"name": "segment-logging", "version": __version__}


WHEN = datetime(2026, 11, 23, 8, 0, 0, 123_000, UTC)


def event_of(msg: Any = "Signup", *args: Any, extra: Mapping[str, Any], **options: Any) -> Any:
    """Return the message of a record with these extras, for user u-17."""
    return message_of(a_record(msg, *args, extra={"user_id": "u-17", **extra}), **options)


@contextmanager
def record_factory(factory: Any) -> Iterator[None]:
    """Use a record factory inside the block."""
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(factory)
    try:
        yield
    finally:
        logging.setLogRecordFactory(before)


class TestMarks(unittest.TestCase):
    def test_plain_records(self) -> None:
        """Plain records and records with other extras are not events."""
        self.assertEqual(messages_of(a_record(), a_record(extra={"colour": "red"})), [])

    def test_each_mark(self) -> None:
        """Any analytics key makes a record an event."""
        for extra in each(
            {"user_id": "u"}, {"anonymous_id": "a"}, {"event": "E"}, {"properties": {}},
            {"traits": {}}, {"previous_id": "p"}, {"type": "track"}, {"integrations": {}},
            {"message_id": "m"}, {"group_id": "g"}, {"segment": {}}, {"segment": True},
        ):  # fmt: skip
            with self.subTest(extra=extra), identity(user_id="u"):
                self.assertEqual(len(messages_of(a_record(extra=extra))), 1)

    def test_no_marks(self) -> None:
        """Names that other libraries use for extras do not make a record an event."""
        for extra in each(
            {"context": {}}, {"timestamp": 1.0}, {"category": "x"}, {"segment": "north"},
            {"segment": False}, {"extra": {"colour": "red"}}, {"extra": "x"},
        ):  # fmt: skip
            with self.subTest(extra=extra), identity(user_id="u"):
                self.assertEqual(messages_of(a_record(extra=extra)), [])

    def test_none(self) -> None:
        """An analytics key that is None counts as absent and is not sent."""
        nothing = dict.fromkeys(
            ("group_id", "traits", "previous_id", "category", "segment", "event", "integrations")
        )
        message = event_of(extra={**nothing, "colour": None})
        self.assertEqual(message.properties, {"colour": None})
        self.assertEqual(event_of(extra={**nothing, "traits": {"a": 1}}).traits, {"a": 1})

    def test_capture_all(self) -> None:
        """With capture="all", every record is an event, named after its template."""
        with identity(user_id="u"):
            messages: list[Any] = messages_of(
                a_record("a"), a_record("b %s", 1, extra={"colour": "red"}), capture="all"
            )
        self.assertEqual([message.event for message in messages], ["a", "b %s"])
        self.assertEqual(messages[1].properties, {"colour": "red", "message": "b 1"})

    def test_own_reports(self) -> None:
        """The package's own reports are never events, even with capture="all"."""
        with identity(user_id="u"):
            record = a_record("x", name="segment_logging")
            self.assertEqual(messages_of(record, capture="all"), [])

    def test_lazy_text(self) -> None:
        """A record that is not an event is not formatted."""

        class Rude:
            def __str__(self) -> str:  # type: ignore[explicit-override]
                raise RuntimeError

        self.assertEqual(messages_of(a_record("%s", Rude())), [])


class TestNested(unittest.TestCase):
    def test_segment(self) -> None:
        """The same keys may be nested in one dict, and win over those outside."""
        message = message_of(
            a_record(extra={"event": "outside", "colour": "red",
                            "segment": {"user_id": 17, "event": "inside", "size": "L"}})
        )  # fmt: skip
        self.assertEqual((message.event, message.user), ("inside", User(user_id="17")))
        self.assertEqual(message.properties, {"colour": "red", "size": "L"})

    def test_reserved_names(self) -> None:
        """`name` and `message`, which logging does not allow as extras, may be nested."""
        message = message_of(
            a_record(extra={"segment": {"user_id": "u", "type": "page", "name": "Docs"}})
        )
        self.assertEqual(message.name, "Docs")
        message = message_of(a_record(extra={"segment": {"user_id": "u", "message": "m"}}))
        self.assertEqual(message.properties, {"message": "m"})

    def test_mapping_of_any_kind(self) -> None:
        """The nested keys may be in a read-only mapping."""
        nested = MappingProxyType({"user_id": "u"})
        self.assertEqual(message_of(a_record(extra={"segment": nested})).user, User(user_id="u"))

    def test_structlog(self) -> None:
        """The record's message may be a structlog dict, whose text is in `event`."""
        message = message_of(
            a_record({"event": "Signup", "user_id": "u", "plan": "pro", "level": "info"})
        )
        self.assertEqual((message.event, message.user), ("Signup", User(user_id="u")))
        self.assertEqual(message.properties, {"plan": "pro"})

    def test_structlog_line(self) -> None:
        """`event`, which every structlog line has, does not make the line an event."""
        with identity(user_id="u"):
            self.assertEqual(messages_of(a_record({"event": "Connected", "host": "x"})), [])

    def test_structlog_page(self) -> None:
        """A page is named after structlog's text."""
        message = message_of(a_record({"event": "Docs", "user_id": "u", "type": "page"}))
        self.assertEqual(message.name, "Docs")

    def test_loguru(self) -> None:
        """The record may have a dict `extra` with the values bound to loguru's logger."""
        message = message_of(a_record("Signup", extra={"extra": {"user_id": "u", "plan": "pro"}}))
        self.assertEqual((message.event, message.user), ("Signup", User(user_id="u")))
        self.assertEqual(message.properties, {"plan": "pro"})

    def test_loguru_segment(self) -> None:
        """loguru's `extra` may have the keys nested in `segment`."""
        message = message_of(a_record(extra={"extra": {"segment": {"user_id": "u"}, "a": 1}}))
        self.assertEqual(message.user, User(user_id="u"))
        self.assertEqual(message.properties, {"a": 1})


class TestRecords(unittest.TestCase):
    def test_logging_attributes(self) -> None:
        """Attributes that logging sets on every record do not become properties."""
        record = a_record("Paid %s", 7, extra={"user_id": "u"})
        record.exc_info = (ValueError, ValueError("x"), None)
        record.exc_text = record.stack_info = "Traceback"
        self.assertEqual(message_of(record).properties, {"message": "Paid 7"})

    def test_formatted_before(self) -> None:
        """Another handler's formatter, which adds `message` and `asctime`, changes nothing."""
        record = a_record("Paid %s", 7, extra={"user_id": "u", "plan": "pro"})
        logging.Formatter("%(asctime)s %(message)s").format(record)
        self.assertEqual(message_of(record).properties, {"plan": "pro", "message": "Paid 7"})

    def test_formatted_plain_record(self) -> None:
        """Another handler's formatter does not make a plain record an event."""
        record = a_record("x")
        logging.Formatter("%(asctime)s %(message)s").format(record)
        with identity(user_id="u"):
            self.assertEqual(messages_of(record), [])

    def test_task_name(self) -> None:
        """A `taskName` that a filter adds after the extras, like backports do, hides no event."""
        record = a_record(extra={"user_id": "u"})
        record.__dict__.pop("taskName", None)
        record.__dict__["taskName"] = "Task-1"
        if sys.version_info < (3, 12):
            self.assertEqual(message_of(record).event, "Signup")

    def test_factory_that_adds(self) -> None:
        """Attributes that a record factory adds to every record are not sent by default."""
        usual = logging.getLogRecordFactory()

        def factory(*args: Any, **options: Any) -> logging.LogRecord:
            record = usual(*args, **options)
            record.tenant = "t-1"
            return record

        with record_factory(factory), identity(user_id="u"):
            message = message_of(a_record(extra={"event": "E", "plan": "pro"}))
            self.assertEqual(message.properties, {"plan": "pro"})
            self.assertEqual(messages_of(a_record()), [])
            kept = message_of(a_record(extra={"event": "E"}), keep_extras=["tenant"])
            self.assertEqual(kept.properties, {"tenant": "t-1"})

    def test_factory_that_adds_before(self) -> None:
        """A record class may set its own attributes before the usual ones."""

        class Record(logging.LogRecord):
            def __init__(self, *args: Any, **options: Any) -> None:
                self.tenant = "t-1"
                super().__init__(*args, **options)

        with record_factory(Record), identity(user_id="u"):
            message = message_of(a_record("Paid %s", 7, extra={"event": "E", "plan": "pro"}))
            self.assertEqual(message.properties, {"plan": "pro", "message": "Paid 7"})
            self.assertEqual(messages_of(a_record()), [])

    def test_factory_that_marks(self) -> None:
        """A factory that adds the user to every record sets the user but makes no events."""

        class Record(logging.LogRecord):
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options)
                self.user_id = "u-9"

        with record_factory(Record):
            self.assertEqual(messages_of(a_record()), [])
            message = message_of(a_record(extra={"properties": {}}))
            self.assertEqual(message.user, User(user_id="u-9"))

    def test_another_factory(self) -> None:
        """A factory is called once to find out what it adds, even after the first event."""
        made: list[logging.LogRecord] = []
        usual = logging.getLogRecordFactory()

        def factory(*args: Any, **options: Any) -> logging.LogRecord:
            made.append(usual(*args, **options))
            made[-1].tenant = "t-1"
            return made[-1]

        reader = RecordReader(RecordOptions())

        def fields() -> dict[str, Any] | None:
            return reader.fields_of(a_record(extra={"user_id": "u", "plan": "pro"}))

        before = fields()
        with record_factory(factory):
            self.assertEqual([fields(), fields(), fields()], [before] * 3)
            self.assertEqual(len(made), 4)
        self.assertEqual(fields(), before)

    def test_factory_that_raises(self) -> None:
        """A factory that raises when it is tried out counts as adding no attributes."""
        usual = logging.getLogRecordFactory()

        def factory(name: str, *args: Any, **options: Any) -> logging.LogRecord:
            if name == "segment_logging":
                raise LookupError("no request")
            return usual(name, *args, **options)

        with record_factory(factory):
            message = message_of(a_record(extra={"user_id": "u", "plan": "pro"}))
            self.assertEqual(message.properties, {"plan": "pro"})

    def test_made_from_a_dict(self) -> None:
        """A record that was sent over a socket and rebuilt is read like any other."""
        attributes = dict(a_record("Paid", extra={"user_id": "u", "plan": "pro"}).__dict__)
        reordered = dict(sorted(attributes.items()))
        for form in (attributes, reordered):
            message = message_of(logging.makeLogRecord(form))
            self.assertEqual((message.event, message.properties), ("Paid", {"plan": "pro"}))

    def test_too_large(self) -> None:
        """A message above 32,000 bytes is refused. The error gives its size, not its content."""
        big = a_record(extra={"user_id": "u", "properties": {"t": "x" * 40_000}})
        self.assertIn("above the limit of 32,000", refusal_of(big))
        refusal = refusal_of(big)
        self.assertNotIn("xxx", refusal)

    def test_rude_values(self) -> None:
        """A record with a value that cannot be written is refused. The exception is not shown."""

        class Rude:
            def __str__(self) -> str:  # type: ignore[explicit-override]
                raise RuntimeError("secret")

        cycle: list[Any] = []
        cycle.append(cycle)
        for value in (Rude(), cycle):
            refusal = refusal_of(a_record(extra={"user_id": "u", "properties": {"x": value}}))
            self.assertIn("cannot be written as JSON", refusal)
            self.assertNotIn("secret", refusal)

    names = st.sampled_from(
        ["type", "user_id", "anonymous_id", "event", "properties", "traits", "group_id", "extra",
         "previous_id", "integrations", "message_id", "timestamp", "context", "category", "segment",
         "colour"]
    )  # fmt: skip
    values = st.sampled_from(
        [None, "", "x", "track", "page", "identify", 7, True, 1.5, float("nan"), [], {}, [1], b"x",
         {"a": 1}, {"user_id": 7}, {"type": "group"}, {"event": None}, WHEN, object(), {1: 2}, "é"]
    )  # fmt: skip

    @given(extra=st.dictionaries(names, values), msg=st.sampled_from(["x", "", "%s", 7, {"a": 1}]))
    @settings(max_examples=200, deadline=None)
    def test_whatever_is_logged(self, extra: dict[str, Any], msg: Any) -> None:
        """Any record is ignored, becomes a valid message, or is refused with one of our errors."""
        with capture_segment(allow_invalid=True) as captured:
            logging.getLogger("tests.records").info(msg, extra=extra)
        for message in captured:
            self.assertEqual(Message.from_dict(message.to_dict()), message)
        for error in captured.invalid:
            self.assertTrue(type(error).__module__.startswith("segment_logging"), repr(error))


class TestBeforeSend(unittest.TestCase):
    def test_changes(self) -> None:
        """`before_send` gets the message as an object and returns the message to send."""

        def rename(message: Message) -> Message:
            assert isinstance(message, Track)
            return Track(user=message.user, event=message.event.upper())

        self.assertEqual(event_of(extra={}, before_send=rename).event, "SIGNUP")

    def test_new_message(self) -> None:
        """A new message from `before_send` keeps the id and the timestamp of the original."""

        def anew(message: Message) -> Message:
            return Track(user=User(user_id="u"), event="New")

        message = event_of(extra={"message_id": "m"}, before_send=anew, context={"a": 1})
        self.assertEqual(message.message_id, "m")
        self.assertEqual(message.context, {"library": LIBRARY})
        self.assertIsNotNone(message.timestamp)

    def test_removed_context(self) -> None:
        """A context that `before_send` removes is not restored, since it may contain an address."""
        message = event_of(
            extra={"context": {"ip": "192.0.2.1"}}, before_send=lambda m: replace(m, context=None)
        )
        self.assertEqual(message.context, {"library": LIBRARY})

    def test_type_first(self) -> None:
        """A message that `before_send` returns is written with `type` first, like any other."""
        for hook in each(lambda m: m, lambda m: Track(user=m.user, event="New")):
            reader = RecordReader(RecordOptions(before_send=hook))
            record = a_record(extra={"user_id": "u"})
            line = reader.line_of(record, reader.fields_of(record) or {})
            assert line is not None
            self.assertTrue(line.startswith(b'{"type":"track"'))

    def test_invalid(self) -> None:
        """If `before_send` returns an invalid message, the error says what is wrong."""

        def rename(message: Any) -> Any:
            return replace(message, event="")

        self.assertIn("event is empty", refusal_of(a_record(extra={"user_id": "u"}),
                                                   before_send=rename))  # fmt: skip

    def test_changes_nothing_else(self) -> None:
        """Changes that `before_send` makes inside a message affect no other objects."""
        properties, options = {"email": "a@b.c"}, {"context": {"app": {"n": 1}}}

        def change(message: Any) -> Any:
            message.context["ip"] = message.context["app"]["n"] = "1.1.1.1"
            del message.properties["email"]
            return message

        extra = {"user_id": "u", "properties": properties}
        messages_of(a_record(extra=extra), before_send=change, **options)
        self.assertEqual(properties, {"email": "a@b.c"})
        self.assertEqual(options, {"context": {"app": {"n": 1}}})
        self.assertEqual(
            event_of(extra={}, **options).context, {"library": LIBRARY, "app": {"n": 1}}
        )

    def test_none(self) -> None:
        """If `before_send` returns None, nothing is sent."""
        record = a_record(extra={"user_id": "u"})
        self.assertEqual(messages_of(record, before_send=lambda message: None), [])

    def test_raises(self) -> None:
        """If `before_send` raises, the record is refused and reported. The program continues."""

        def broken(message: Message) -> Message:
            raise KeyError("secret")

        refusal = refusal_of(a_record(extra={"user_id": "u"}), before_send=broken)
        self.assertIn("before_send raised KeyError (test_reader.py, line ", refusal)
        self.assertNotIn("secret", refusal)

    def test_returns_nonsense(self) -> None:
        """If `before_send` does not return a call, the record is refused."""
        batch = Batch([Alias(user=User(user_id="u"), previous_id="p")])
        results: tuple[Any, ...] = (True, {"type": "track"}, batch)
        for result in results:
            before_send = partial(lambda result, message: result, result)
            refusal = refusal_of(a_record(extra={"user_id": "u"}), before_send=before_send)
            self.assertIn("before_send must return a message or None, not", refusal)
            self.assertIn(type(result).__name__, refusal)
            self.assertIn("dataclasses.replace", refusal)

    def test_sees_valid_messages(self) -> None:
        """`before_send` sees the message as it is sent, with id, timestamp and context."""
        seen: list[Any] = []

        def look(message: Message) -> Message:
            seen.append(message)
            return message

        sent = event_of(extra={}, before_send=look)
        self.assertEqual(seen, [sent])
        self.assertTrue(sent.message_id)
        self.assertEqual(sent.context, {"library": LIBRARY})
