"""Tests for writers: when they are made, how many are kept, and that they agree with the reference.

Each other test of records and of the handler runs through them, too.
"""

from __future__ import annotations

import logging
import pickle
import sys
import unittest
from collections import Counter
from typing import Any

from typing_extensions import override

from segment_logging import SegmentHandler, SegmentLogger, Track, identity
from segment_logging._identity.binding import current_identity, only_identity
from segment_logging._identity.who import KnownIdentity
from segment_logging._options.records import RecordOptions
from segment_logging._records.reader import RecordReader
from segment_logging._records.writers import not_an_event, unusual
from segment_logging.contrib.visitor import Visitor
from segment_logging.testing import FakeClient
from tests.builders import a_record, message_of, messages_of
from tests.records.differential import compare, run
from tests.records.test_mapping import record_factory


class TestSameResults(unittest.TestCase):
    def test_same_results(self) -> None:
        """A writer's result is the reference's, whatever is logged and whatever the options are."""
        ways = run(1_200, is_repeatable=True)
        self.assertGreater(ways["written"], ways["all"] / 10)

    def test_rendered_time(self) -> None:
        """A time that structlog rendered is left out, whether or not extras are sent."""
        for kept in (True, False):
            reader = RecordReader(RecordOptions(include_extras=kept))
            for extra in ({"properties": {"plan": "pro"}}, {"previous_id": "a"}):
                rendered = {"level": "info", "timestamp": "2026-11-23 08:00:00"}
                record = a_record(extra={"user_id": "u", **extra, **rendered})
                compare(reader, record, Counter())
                fields = reader.fields_of(record)
                line = reader.line_of(record, fields) if fields else None
                self.assertNotIn(b"2026-11-23", line or b"")

    def test_type_around_nested_extras(self) -> None:
        """A `type` beside nested extras decides like one among them."""
        reader = RecordReader(RecordOptions())
        kinds = [
            reader.writer_of(a_record(extra={"type": name, "segment": {"user_id": "u"}}))
            for name in ("page", "track", "page")
        ]
        self.assertIs(kinds[0], kinds[2])
        self.assertNotIn(unusual, kinds)
        self.assertIsNot(kinds[0], kinds[1])


class TestWriters(unittest.TestCase):
    @override
    def setUp(self) -> None:
        self.reader = RecordReader(RecordOptions())

    def writer_of(self, **extra: Any) -> Any:
        return self.reader.writer_of(a_record(extra=extra))

    def test_one_for_each_kind(self) -> None:
        """Records with the same names share a writer, whatever their values are."""
        write = self.writer_of(user_id="u", plan="pro")
        self.assertIs(self.writer_of(user_id=7, plan=None), write)
        self.assertIsNot(self.writer_of(plan="pro", user_id="u", other=1), write)

    def test_not_events(self) -> None:
        """Names alone decide that a record is not an event, unless its message is not text."""
        self.assertIs(self.writer_of(plan="pro"), not_an_event)
        self.assertIs(self.reader.writer_of(a_record({"event": "x"})), unusual)

    def test_structlog_and_loguru(self) -> None:
        """Ordinary records of structlog and loguru have writers as well, one for each kind."""
        by_structlog = {"_logger": None, "_name": "app"}
        fields = {"user_id": "u", "event": "Signup", "level": "info"}
        for message, extra in (
            (fields, by_structlog),
            ({**fields, "timestamp": "2026-11-23T08:00:00Z"}, by_structlog),
            ("Signup", {"extra": {"user_id": "u", "plan": "pro"}}),
        ):
            with self.subTest(message=message):
                record = a_record(message, extra=extra)
                write = self.reader.writer_of(record)
                self.assertIs(self.reader.writer_of(a_record(message, extra=extra)), write)
                line = write(record, record.__dict__, "m-1")
                self.assertIs(type(line), bytes)
                self.assertIn(b'"event":"Signup"', line)
        for message, extra in (
            ({"event": "Signup", "user_id": "u"}, by_structlog),  # bound to the context
            ("Signup", {"extra": {"plan": "pro"}}),
        ):
            self.assertIs(self.reader.writer_of(a_record(message, extra=extra)), not_an_event)

    def test_made_up_names(self) -> None:
        """Names that never come again have no writers beyond the first ones, and use no memory."""
        made = {self.writer_of(user_id="u", **{f"order_{number}": 1}) for number in range(3_000)}
        self.assertLessEqual(len(made), 101)
        self.assertIn(unusual, made)
        writers: Any = self.reader.writer_of
        sizes = [sys.getsizeof(value) for value in vars(writers.__self__).values()]
        self.assertLess(sum(sizes), 100_000)

    def test_made_up_nested_names(self) -> None:
        """The same applies to names inside `segment`."""
        made = {
            self.writer_of(segment={"user_id": "u", f"order_{number}": 1})
            for number in range(3_000)
        }
        self.assertLessEqual(len(made), 101)

    def test_names_that_come_again(self) -> None:
        """After many made-up names, a kind has a writer from its second record on."""
        for number in range(1_000):
            self.writer_of(user_id="u", **{f"order_{number}": 1})
        self.assertIs(self.writer_of(user_id="u", plan="pro"), unusual)
        self.assertIsNot(self.writer_of(user_id="u", plan="pro"), unusual)

    def test_many_kinds(self) -> None:
        """A program with thousands of real kinds gets all of its messages."""
        records = [
            a_record(extra={"user_id": "u", f"order_{number % 1_500}": number})
            for number in range(3_000)
        ]
        messages: list[Any] = messages_of(*records)
        self.assertEqual(
            [message.properties for message in messages],
            [{f"order_{number % 1_500}": number} for number in range(3_000)],
        )

    def test_new_record_factory(self) -> None:
        """A new record factory applies to the next record, even if its names are known."""

        class Tenant(logging.LogRecord):
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options)
                self.__dict__.setdefault("plan", "of the factory")

        client = FakeClient()
        handler = SegmentHandler("key", client=client)
        self.addCleanup(handler.close)
        record = a_record(extra={"plan": "pro", "user_id": "u"})
        handler.handle(record)
        with record_factory(Tenant):
            handler.handle(a_record(extra={"user_id": "u"}))
        self.assertTrue(handler.drain(10))
        found = [message.to_dict()["properties"] for message in client.messages]
        self.assertEqual(found, [{"plan": "pro"}, {}])

    def test_names_are_only_text(self) -> None:
        """A name that looks like code, or is not text, is only a name."""
        name = "');import os#{0}\\"
        message = message_of(a_record(extra={"user_id": "u", name: 1, 7: 2}))  # type: ignore[dict-item]
        self.assertEqual(message.properties, {name: 1, "7": 2})


class TestHook(unittest.TestCase):
    def test_called_once(self) -> None:
        """`before_send` is called once for each event, also if it raises or changes the event."""
        seen: list[str] = []

        def hook(message: Any) -> Any:
            seen.append(message.event)
            if message.event == "Bad":
                raise ValueError
            message.properties["plan"] = {"not": ("plain", 1)}
            return message

        client = FakeClient()
        handler = SegmentHandler("key", client=client, before_send=hook)
        self.addCleanup(handler.close)
        handler.handleError = lambda record: None  # type: ignore[method-assign]
        for name in ("Good", "Bad", "x" * 40_000):
            handler.handle(a_record(name, extra={"user_id": "u", "properties": {}}))
        self.assertTrue(handler.drain(10))
        self.assertEqual([name[:5] for name in seen], ["Good", "Bad", "xxxxx"])
        found = client.messages[0].to_dict()["properties"]
        self.assertEqual(found, {"plan": {"not": ["plain", 1]}})
        self.assertEqual(handler.counts().invalid, 2)

    def test_takes_a_copy(self) -> None:
        """What the hook changes in place does not change the caller's objects."""

        def hook(message: Any) -> Any:
            message.properties.setdefault("items", [{}])[0]["sku"] = "changed"
            message.integrations["All"] = message.context["app"] = "changed"
            return message

        app, integrations = {"app": {"name": "shop"}}, dict[str, Any]()
        for properties in ({"items": [{"sku": "a"}]}, dict[str, Any]()):
            before = str(properties)
            fields = {"properties": properties, "integrations": integrations}
            record = a_record(extra={"user_id": "u", **fields})
            message = message_of(record, before_send=hook, context=app)
            assert isinstance(message, Track)
            self.assertEqual(message.properties, {"items": [{"sku": "changed"}]})
            self.assertEqual((str(properties), integrations), (before, {}))
        self.assertEqual(app, {"app": {"name": "shop"}})


class TestBoundContext(unittest.TestCase):
    def test_is_a_copy(self) -> None:
        """A context that is changed after it was bound does not change later events."""
        context = {"app": {"name": "shop"}, "tags": ["a"]}
        log = SegmentLogger("app", context=context)
        options = {"context": {"page": {"path": "/"}}}
        client = FakeClient()
        handler = SegmentHandler("key", client=client, **options)  # type: ignore[arg-type]
        self.addCleanup(handler.close)
        with identity(user_id="u", context=context):
            context["app"]["name"] = options["context"]["page"]["path"] = "changed"  # type: ignore[index]
            context["tags"].append("b")  # type: ignore[attr-defined]
            handler.handle(a_record(extra={"event": "x"}))
        extra = log.process("", {"extra": {"user_id": "u"}})[1]["extra"]
        handler.handle(a_record(extra=extra))
        self.assertTrue(handler.drain(10))
        for message in client.messages:
            assert message.context is not None
            self.assertEqual(message.context["app"], {"name": "shop"})
            self.assertEqual(message.context["tags"], ["a"])
            self.assertEqual(message.context["page"], {"path": "/"})

    def test_cycles(self) -> None:
        """A context that contains itself can be bound. Its events are refused."""
        context: dict[str, Any] = {}
        context["self"] = [context, context]
        with identity(user_id="u", context=context):
            self.assertEqual(current_identity().known().user_id, "u")

    def test_several_handlers(self) -> None:
        """Each handler writes a bound context over its own, however many handlers there are."""
        clients = [FakeClient() for _ in range(12)]
        handlers = [
            SegmentHandler("key", client=client, context={"number": number})
            for number, client in enumerate(clients)
        ]
        with identity(user_id="u", context={"ip": "192.0.2.1"}):
            for handler in handlers * 2:
                handler.handle(a_record(extra={"event": "x"}))
        for number, (handler, client) in enumerate(zip(handlers, clients)):
            self.assertTrue(handler.drain(10))
            handler.close()
            for message in client.messages:
                assert message.context is not None
                self.assertEqual(message.context["ip"], "192.0.2.1")
                self.assertEqual(message.context["number"], number)

    def test_logger_binding_is_pickled(self) -> None:
        """A record with a logger's binding can be sent to another process."""
        log = SegmentLogger("app", context={"ip": "192.0.2.1"}, user_id="u")
        record = a_record(extra=log.process("", {"extra": {"event": "x"}})[1]["extra"])
        message_of(record)
        arrived = pickle.loads(pickle.dumps(record))
        del arrived.__dict__["_segment_message_id"]
        self.assertEqual(message_of(arrived).context["ip"], "192.0.2.1")


class TestVisitor(unittest.TestCase):
    def test_made_once(self) -> None:
        """A visitor's identity is made again only if the user changes."""
        users: list[Any] = ["u-1", "u-1", "u-2", None, 1, True]
        visitor = Visitor(
            users, lambda them: them.pop(0), lambda _: KnownIdentity(context={"ip": "1"})
        )
        with only_identity(visitor):
            known = [current_identity().known() for _ in range(6)]
        self.assertIs(known[0], known[1])
        # True is equal to 1, but it is not an id.
        self.assertEqual([one.user_id for one in known], ["u-1", "u-1", "u-2", None, 1, None])
