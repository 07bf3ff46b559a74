"""Tests of what the page for users of the official SDK says about going on to logging."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import sys
import unittest
from contextlib import redirect_stderr
from contextvars import Context
from datetime import UTC, datetime
from decimal import Decimal
from inspect import signature
from types import ModuleType
from typing import Any, cast
from unittest import mock

from segment.analytics import client as official
from typing_extensions import override

from segment_logging import InvalidMessage, SegmentHandler, SegmentLogger, identity
from segment_logging._options.delivery import DeliveryOptions
from segment_logging._options.table import rows_of
from segment_logging.collector import Collector
from segment_logging.compat import analytics
from segment_logging.errors import UnknownArgument
from segment_logging.testing import SendingForbidden, capture_segment, forbid_sending

from ..docs.pages import PAGES, Row, blocks_of, rows_under
from ..servers import ScriptedServer
from .test_differential import WRONG

PAGE = "docs/official-sdk.md"
WIRE = {"user_id": "userId", "anonymous_id": "anonymousId", "message_id": "messageId"}
OTHER_ID = {"user_id": {"anonymous_id": "a-31"}, "anonymous_id": {"user_id": "u-17"}}

ACCEPTED = [
    ("track", ("u-1",), {}),
    ("track", (0, "Signup"), {}),
    ("track", ("u-1", 7), {}),
    ("track", ("u-1", "Signup"), {"timestamp": "2020-01-02"}),
    ("screen", ("u-1", None, 7), {}),
]
"""Calls that raise an AssertionError and whose logging call sends an event, in order."""


def spans(cell: str) -> list[str]:
    return re.findall("`([^`]+)`", cell)


class GoingOnTest(unittest.TestCase):
    """Base class with both clients and a logger."""

    @override
    def setUp(self) -> None:
        self.client = analytics.Client("key")
        self.official = official.Client("key", send=False)
        self.handler = SegmentHandler("key")
        self.logger = logging.Logger("docs")
        self.logger.addHandler(self.handler)

    def logged(self, text: Any, extra: dict[str, Any]) -> dict[str, Any]:
        """Return the message of a logging call."""
        with capture_segment() as captured:
            self.logger.info(text, extra=extra)
        message: dict[str, Any] = captured[0].to_dict()
        return message

    def called(self, name: str, **named: Any) -> dict[str, Any]:
        """Return the message of a call of `analytics`."""
        with capture_segment() as captured:
            getattr(self.client, name)(**named)
        message: dict[str, Any] = captured[0].to_dict()
        return message


class TestNone(GoingOnTest):
    """The table of arguments that are None."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.rows = rows_under(PAGE, "Arguments that can be None")

    def test_table(self) -> None:
        """A None raises an error in both SDKs, or changes the type unless the type is passed."""
        self.assertEqual(len(self.rows), 4)
        for row in self.rows:
            result, extra, becomes, explicit = row.others
            with self.subTest(row.first):
                called = row.first.strip("`")
                for client in (self.official, self.client):
                    call = f"client.{called}"
                    if result == "AssertionError":
                        self.assertRaises(AssertionError, eval, call, {"client": client})
                    else:
                        with capture_segment():
                            message = eval(call, {"client": client})[1]
                        self.assertEqual(message["type"], result)
                values = ast.literal_eval(extra.strip("`"))
                self.assertEqual(self.logged("x", values)["type"], becomes.partition(",")[0])
                values["type"] = called.partition("(")[0]
                if explicit == "invalid":
                    self.assertRaises(InvalidMessage, self.logged, "x", values)
                else:
                    message = self.logged("x", values)
                    self.assertEqual((message["type"], message["traits"]), (explicit, {}))

    def test_user(self) -> None:
        """Without the type, the group's traits are those of the user, as the table says."""
        message = self.logged("x", ast.literal_eval(self.rows[0].others[1].strip("`")))
        self.assertEqual((message["userId"], message["traits"]), ("u-17", {"seats": 5}))

    def test_reported(self) -> None:
        """A missing id is counted and reported if the type is passed, and otherwise it is not."""
        extra = {"user_id": "u-17", "group_id": None, "type": "group", "traits": {"seats": 5}}
        with redirect_stderr(io.StringIO()) as stderr:
            self.logger.info("Joined", extra=extra)
        self.assertIn("group needs group_id", stderr.getvalue())
        self.assertEqual(self.handler.counts().invalid, 1)
        with redirect_stderr(io.StringIO()) as stderr:
            self.logged("Joined", {**extra, "type": None})
        self.assertEqual((stderr.getvalue(), self.handler.counts().invalid), ("", 1))

    def test_methods(self) -> None:
        """The methods of SegmentLogger set the type."""
        log: Any = SegmentLogger(self.logger).bind(user_id="u-17")
        for call, passed in (
            (log.group, {"group_id": None, "traits": {"seats": 5}}),
            (log.alias, {"previous_id": None}),
        ):
            with self.assertRaises(InvalidMessage), capture_segment():
                call(**passed)
        with capture_segment() as captured:
            log.identify(traits=None)
            log.group("g-3", traits=None)
        self.assertEqual([one.type for one in captured], ["identify", "group"])


class TestValues(GoingOnTest):
    """The table of other values."""

    def test_table(self) -> None:
        """Each value leads to what the row says, in a call and in a logging call."""
        rows = rows_under(PAGE, "Other values that differ")
        self.assertEqual(len(rows), 16)
        for row in rows:
            for argument in spans(row.first.partition(", natively")[0]):
                with self.subTest(argument):
                    self.check(row, argument)

    def check(self, row: Row, argument: str) -> None:
        passed = eval(f"dict({argument})", {"Decimal": Decimal})
        (field,) = passed
        named: dict[str, Any] = {"user_id": "u-17", "event": "Signup", **passed}
        if "with another id" in row.first:
            named |= OTHER_ID[field]
        if "without a user id" in row.first:
            del named["user_id"]
        text = named["event"] or "Signup"
        extra = {name: value for name, value in named.items() if value != text}
        ours, natively = row.others
        if ours == "AssertionError":
            for client in (self.official, self.client):
                self.assertRaises(AssertionError, client.track, **named)
        else:
            self.assert_value(self.called("track", **named), field, ours)
            if "or without this argument" in row.first:
                left_out = {name: value for name, value in named.items() if name != field}
                self.assert_value(self.called("track", **left_out), field, ours)
                self.assert_value(self.logged(text, {"user_id": "u-17"}), field, natively)
        if natively == "invalid":
            self.assertRaises(InvalidMessage, self.logged, text, extra)
        elif natively == "the bound id, or invalid if none is bound":
            self.assertRaises(InvalidMessage, self.logged, text, extra)
            with identity(user_id="u-9"):
                self.assertEqual(self.logged(text, extra)["userId"], "u-9")
        elif natively == "the bound user's id, too":
            with identity(user_id="u-9"):
                message = self.logged(text, extra)
                self.assertEqual((message["userId"], message["anonymousId"]), ("u-9", "a-31"))
                self.assertNotIn("userId", self.called("track", **named))
        else:
            self.assert_value(self.logged(text, extra), field, natively)

    def assert_value(self, message: dict[str, Any], field: str, told: str) -> None:
        value = message.get(WIRE.get(field, field))
        match told:
            case "only this id":
                self.assertEqual((value, message.get("userId")), ("a-31", None))
            case "no such id" | "no such field":
                self.assertIsNone(value)
            case "an empty object":
                own = {name for name in value or {} if name != "library"}
                self.assertEqual((type(value), own), (dict, set()))
            case "an id of its own":
                self.assertGreater(len(value or ""), 8)
            case "the text of the logging call":
                self.assertEqual(value, "Signup")
            case _ if told.startswith("the library"):
                self.assertEqual(message["context"]["library"]["name"], *spans(told))
            case _:
                self.assertEqual(value, ast.literal_eval(*spans(told)))

    def test_refused(self) -> None:
        """What raises an AssertionError or a RuntimeError is invalid, with the named exceptions."""
        accepted = []
        for name, args, named in WRONG:
            passed = signature(getattr(self.client, name)).bind(*args, **named).arguments
            text = passed.pop("event", passed.pop("name", "Signup"))
            try:
                self.logged(text, {**passed, "type": name})
            except InvalidMessage:
                continue
            accepted.append((name, args, named))
        self.assertEqual(accepted, ACCEPTED)

    def test_page_without_a_name(self) -> None:
        """A page whose text is empty has no name, as the sentence below the table says."""
        (call,) = re.findall(r"or an\nempty text: `(.+?)`", PAGES[PAGE])
        with capture_segment() as captured:
            eval(call, {"logger": self.logger})
        self.assertEqual(captured[0].type, "page")
        self.assertNotIn("name", captured[0].to_dict())

    def test_queue(self) -> None:
        """The sizes of both queues are those on the page."""
        default = rows_of(DeliveryOptions)["max_queue_messages"].default
        text = " ".join(PAGES[PAGE].split())
        self.assertIn(f"`SegmentHandler` holds {default:,} messages by default", text)
        size = analytics.Client.DefaultConfig.max_queue_size
        self.assertIn(f"and that of a client {size:,}.", text)
        self.assertIn(f"the official {size:,}, and not the handler's {default:,}", text)
        self.assertEqual(size, official.Client.DefaultConfig.max_queue_size)

    def test_ids_of_groups(self) -> None:
        """Ids of groups and previous ids are written in the same way by both."""
        for call, name in (("group", "group_id"), ("alias", "previous_id")):
            for value in (17.0, Decimal("17.0"), 1e22, 1.5):
                passed: dict[str, Any] = {"user_id": "u-17", name: value}
                wire = {"group": "groupId", "alias": "previousId"}[call]
                self.assertEqual(
                    self.called(call, **passed)[wire],
                    self.logged("x", {**passed, "type": call})[wire],
                )

    def test_objects(self) -> None:
        """An object of any class is sent as its text. The official SDK leaves it out."""

        class User:
            @override
            def __str__(self) -> str:
                return "ada@shop.example"

        properties = {"user": User(), "plan": "pro"}
        ours = self.called("track", user_id="u-17", event="Signup", properties=properties)
        with self.assertLogs("segment"):
            theirs = self.official.track("u-17", "Signup", properties)[1]
        self.assertEqual(ours["properties"], {"user": "ada@shop.example", "plan": "pro"})
        self.assertEqual(theirs["properties"], {"plan": "pro"})


class TestErrors(GoingOnTest):
    """The exceptions that logging calls raise, and the places in reports."""

    def test_raised(self) -> None:
        """The named extra and the named calls raise what the page says, and other calls nothing."""
        text = PAGES[PAGE].split("### Results and exceptions")[1].split("|")[0]
        self.assertIn('`extra={"name": …}`', text)
        self.assertRaises(KeyError, self.logger.info, "x", extra={"name": "x"})
        names = {"log": SegmentLogger(self.logger)}
        calls = re.findall(r"`(track\(.+?\))`", text)
        self.assertEqual(len(calls), 2)
        for call in calls:
            with self.subTest(call), self.assertRaises(UnknownArgument) as caught:
                eval(f"log.{call}", names)
            self.assertIsInstance(caught.exception, TypeError)

    def test_place(self) -> None:
        """With `stacklevel=2`, the place is that of the caller of the program's own function."""
        log = SegmentLogger(self.logger)

        def by_logger(**options: Any) -> None:
            self.logger.info("Signup", extra={"segment": True}, **options)

        def by_method(**options: Any) -> None:
            log.track("Signup", **options)

        for function in (by_logger, by_method):
            for options, place in (({}, function.__name__), ({"stacklevel": 2}, "test_place")):
                with self.subTest(place), redirect_stderr(io.StringIO()) as stderr:
                    function(**options)
                self.assertRegex(stderr.getvalue(), f"line [0-9]+, in {place}\n")

    def test_empty_context(self) -> None:
        """In an empty context, only what is bound to the logger or the handler is added."""
        log = SegmentLogger(self.logger).bind(user_id="u-17", context={"app": {"name": "shop"}})
        bound = identity(user_id="admin", anonymous_id="a-1", context={"ip": "192.0.2.7"})
        with bound, capture_segment() as captured:
            Context().run(self.logger.info, "Signup", extra={"anonymous_id": "an-9"})
            Context().run(log.track, "Signup", anonymous_id="an-9")
        (plain, by_method) = (one.to_dict() for one in captured)
        self.assertEqual((plain.get("userId"), plain["anonymousId"]), (None, "an-9"))
        self.assertEqual(set(plain["context"]), {"library"})
        self.assertEqual((by_method["userId"], by_method["anonymousId"]), ("u-17", "an-9"))
        self.assertEqual(set(by_method["context"]), {"library", "app"})


class TestArriving(unittest.TestCase):
    """What arrives at a server."""

    def test_differences(self) -> None:
        """Times are cut to milliseconds, and lone surrogates are replaced."""
        at = datetime(2020, 1, 2, 3, 4, 5, 678999, UTC)
        bodies = []
        for client in (official.Client, analytics.Client):
            with ScriptedServer() as server:
                made = client("key", host=server.host, sync_mode=True)
                made.track("u-17", "Signup", {"at": at, "text": "\ud800"})
                bodies.append(server.requests[0].body.decode())
        self.assertIn("05.678999+00:00", bodies[0])
        self.assertIn(r'"\ud800"', bodies[0])
        self.assertIn('05.678Z"', bodies[1])
        self.assertEqual(json.loads(bodies[1])["batch"][0]["properties"]["text"], "\ufffd")

    def test_empty(self) -> None:
        """Empty ids, names and categories are left out. Segment drops the official messages."""
        for client, dropped in ((official.Client, 4), (analytics.Client, 0)):
            with Collector() as collector:
                made = client("key", host=collector.url, upload_interval=0.05)
                made.track("", "Signup", anonymous_id="a-31")
                made.track("u-17", "Signup", anonymous_id="")
                made.page("u-17", "Docs", "")
                made.screen("u-17", "", "Home")
                made.shutdown()
                self.assertEqual(len(collector.dropped), dropped)
                self.assertEqual(len(collector.messages) + dropped, 4)

    def test_order(self) -> None:
        """Messages are in order within one handler, and not between a client and a handler."""
        with Collector() as collector:
            client = analytics.Client("any-key", collector.url, upload_interval=60)
            handler = SegmentHandler("any-key", host=collector.url, flush_interval=0.05)
            logger = logging.Logger("docs")
            logger.addHandler(handler)
            client.track("u-17", "1")
            client.track("u-17", "2")
            logger.info("3", extra={"user_id": "u-17"})
            logger.info("4", extra={"user_id": "u-17"})
            self.assertTrue(handler.drain(5))
            client.join()
            handler.close()
            self.assertEqual([one["event"] for one in collector.messages], ["3", "4", "1", "2"])


class TestPatches(unittest.TestCase):
    """The example with a patch of a name in a module of the program."""

    @override
    def setUp(self) -> None:
        (example,) = (one for one in blocks_of(PAGE) if '"tasks.analytics.track"' in one.text)
        imports, self.before, self.after = re.split("^# .*$", example.text, flags=re.MULTILINE)
        self.tasks = cast(Any, ModuleType("tasks"))
        self.tasks.analytics = analytics
        self.names = {"capture_segment": capture_segment}
        for patched in (
            mock.patch.dict(sys.modules, {"tasks": self.tasks}),
            mock.patch.multiple(analytics, write_key="key", send=False, default_client=None),
        ):
            patched.start()
            self.addCleanup(patched.stop)
        exec(imports, self.names)

    def passes(self, test: str) -> bool:
        """Run a part of the example, and return whether its assertion holds."""
        try:
            exec(test, self.names)
        except AssertionError:
            return False
        return True

    def test_analytics(self) -> None:
        """Both forms notice a call of `analytics` that should not be made."""
        for is_made in (False, True):
            self.tasks.sign_up = lambda user_id, is_new, is_made=is_made: (
                analytics.track(user_id, "Signup") if is_new or is_made else None
            )
            for test in (self.before, self.after):
                self.assertIs(self.passes(test), not is_made)

    def test_logging(self) -> None:
        """Only `capture_segment` notices a logging call. With the patch, the event is sent, unless
        sending is forbidden."""
        with ScriptedServer() as server:
            handler = SegmentHandler("key", host=server.host)
            logger = logging.getLogger("tests.going.on")
            logger.setLevel(logging.INFO)
            logger.addHandler(handler)
            self.addCleanup(logger.removeHandler, handler)
            self.tasks.sign_up = lambda user_id, is_new: logger.info(
                "Signup", extra={"user_id": user_id}
            )
            self.assertFalse(self.passes(self.after))
            with self.assertRaises(SendingForbidden), forbid_sending():
                self.assertTrue(self.passes(self.before))
            self.assertEqual(server.requests, [])
            self.assertTrue(self.passes(self.before))
            self.assertTrue(handler.drain(10))
            handler.close()
        (request,) = server.requests
        self.assertEqual([one["event"] for one in request.json["batch"]], ["Signup"])


if __name__ == "__main__":
    unittest.main()
