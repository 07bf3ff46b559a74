"""Tests for events while the logging integrations of other libraries are active."""

from __future__ import annotations

import logging
import unittest
from collections.abc import Iterator
from typing import Any

from typing_extensions import override

from segment_logging import SegmentHandler, User, identity
from segment_logging.testing import FakeClient
from tests.records.real_libraries import LIBRARIES, is_installed, outcome_of

PAID = {"plan": "pro", "ref": "ad", "message": "Paid 7"}
PROFILE = {"email": "a@b.c", "size": "L"}


class TestLibraries(unittest.TestCase):
    def outcomes(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each library's name and outcome, with a subtest."""
        for name in LIBRARIES:
            with self.subTest(name):
                if not is_installed(name):
                    self.skipTest(f"needs {name}")
                yield name, outcome_of(name)

    def assert_sent(self, messages: Any, *, properties: Any, traits: Any) -> None:
        """Assert that the messages are the two events of the program, and nothing else."""
        self.assertEqual([message["type"] for message in messages], ["track", "identify"])
        self.assertEqual({message["userId"] for message in messages}, {"u-17"})
        self.assertEqual(messages[0]["event"], "Paid")
        self.assertEqual((messages[0]["properties"], messages[1]["traits"]), (properties, traits))

    def test_only_what_the_caller_passed(self) -> None:
        """Events carry what the caller passed, and nothing that the library adds to records."""
        for name, outcome in self.outcomes():
            self.assert_sent(outcome["before"]["messages"], properties=PAID, traits=PROFILE)
            # watchtower's formatter replaces the message with a dict, in which the arguments are
            # already filled in.
            after = {**PAID}
            if name == "watchtower":
                del after["message"]
            self.assert_sent(outcome["after"]["messages"], properties=after, traits=PROFILE)

    def test_other_records(self) -> None:
        """A record that is not an event is ignored, whatever the library adds to it."""
        for _, outcome in self.outcomes():
            for handler in ("before", "after"):
                self.assertEqual(outcome[handler]["invalid"], 0)
                self.assertGreaterEqual(outcome[handler]["ignored"], 2)

    def test_one_id(self) -> None:
        """The handlers of one record send one message id."""
        for _, outcome in self.outcomes():
            ids = [
                tuple(message["messageId"] for message in outcome[handler]["messages"])
                for handler in ("before", "twice", "after", "keeping", "excluding")
            ]
            self.assertEqual(len(set(ids)), 1, ids)

    def test_second_meeting(self) -> None:
        """A handler on a logger and on the root logger sends each record once."""
        for _, outcome in self.outcomes():
            self.assertEqual(len(outcome["twice"]["messages"]), 2)
            # It gets the other two records on both loggers, and both events for a second time.
            more = outcome["twice"]["ignored"] - outcome["after"]["ignored"]
            self.assertEqual(more, 2 + 2)

    def test_what_the_library_writes(self) -> None:
        """The library still writes the records that our handlers have read before it."""
        for name, outcome in self.outcomes():
            for text in LIBRARIES[name].shows:
                self.assertIn(text, outcome["written"])

    def test_no_complaints(self) -> None:
        """No library complains about the attributes that this package puts on a record."""
        for _, outcome in self.outcomes():
            self.assertNotIn("Invalid", outcome["written"])
            self.assertNotIn("KnownIdentity", outcome["written"])

    def test_keep_extras(self) -> None:
        """With keep_extras, the names that the library adds become properties and traits."""
        for name, outcome in self.outcomes():
            for message, own in zip(outcome["keeping"]["messages"], (PAID, PROFILE), strict=True):
                values = message.get("properties", message.get("traits"))
                self.assertEqual(set(values) - own.keys(), set(LIBRARIES[name].kept[1]))

    def test_exclude_extras(self) -> None:
        """With exclude_extras, an extra is left out, but a key in `properties` stays."""
        for _, outcome in self.outcomes():
            track, identify = outcome["excluding"]["messages"]
            self.assertEqual(track["properties"].keys() - {"message"}, {"plan"})
            self.assertEqual(identify["traits"], PROFILE)


class TestFiltersOfOthers(unittest.TestCase):
    """A filter of another handler on the root logger that adds the user to every record."""

    @override
    def setUp(self) -> None:
        self.logger = logging.Logger("shop")
        self.logger.parent = self.root = logging.Logger("root")

    def attach(self, to: logging.Logger, **options: Any) -> SegmentHandler:
        handler = SegmentHandler("key", client=FakeClient(), **options)
        self.addCleanup(handler.close)
        to.addHandler(handler)
        return handler

    def attach_other(self) -> None:
        def add_user(record: logging.LogRecord) -> bool:
            record.user_id, record.request_id = "u-9", "r-1"
            return True

        other = logging.NullHandler()
        other.handle = other.filter  # type: ignore[method-assign]
        other.addFilter(add_user)
        self.root.addHandler(other)

    def sent(self, handler: SegmentHandler) -> list[Any]:
        """Return the messages that the handler sends for an ordinary record and an event."""
        with identity(user_id="u-17"):
            self.logger.info("cache miss")
            self.logger.info("Paid", extra={"properties": {"plan": "pro"}})
        self.assertTrue(handler.drain(10))
        client: Any = handler._options.client
        return list(client.messages)

    def test_handler_on_the_logger(self) -> None:
        """A handler on the logger itself reads the record before the filter changes it."""
        self.attach_other()
        (message,) = self.sent(self.attach(self.logger))
        self.assertEqual(
            (message.user, message.properties), (User(user_id="u-17"), {"plan": "pro"})
        )

    def test_handler_before(self) -> None:
        """A root handler that was added before the other one reads the record unchanged."""
        handler = self.attach(self.root)
        self.attach_other()
        (message,) = self.sent(handler)
        self.assertEqual(
            (message.user, message.properties), (User(user_id="u-17"), {"plan": "pro"})
        )

    def test_handler_after(self) -> None:
        """A root handler that was added after the other one takes every record for an event."""
        self.attach_other()
        messages = self.sent(self.attach(self.root))
        self.assertEqual([message.event for message in messages], ["cache miss", "Paid"])
        self.assertEqual({message.user.user_id for message in messages}, {"u-9"})

    def test_exclude_extras(self) -> None:
        """With the filter's names in exclude_extras, a root handler ignores what it adds."""
        self.attach_other()
        handler = self.attach(self.root, exclude_extras=["user_id", "request_*"])
        (message,) = self.sent(handler)
        self.assertEqual(
            (message.user, message.properties), (User(user_id="u-17"), {"plan": "pro"})
        )


if __name__ == "__main__":
    unittest.main()
