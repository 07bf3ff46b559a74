"""Tests that the page for users of the official SDK says what is so."""

from __future__ import annotations

import logging
import os
import re
import unittest
from base64 import b64decode
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from unittest import mock

import segment.analytics

from segment_logging import SegmentHandler, SegmentLogger
from segment_logging._options.delivery import DeliveryOptions
from segment_logging._options.records import RecordOptions
from segment_logging._options.table import rows_of
from segment_logging.compat import analytics
from segment_logging.testing import capture_segment

from ..docs.pages import PAGES, blocks_of, rows_under
from ..servers import ScriptedServer

PAGE = "docs/official-sdk.md"
KINDS_OF_NAMES = ("type", "event", "name", "category", "userId", "anonymousId", "previousId",
                  "groupId", "properties", "traits")  # fmt: skip


class TestPage(unittest.TestCase):
    def test_settings(self) -> None:
        """The table has every setting, and names options that exist."""
        rows = rows_under(PAGE, "Settings")
        named = [name for row in rows for name in re.findall(r"`(\w+)`", row.first)]
        self.assertEqual(sorted(named), sorted(analytics._SETTINGS))
        options = {"write_key", *rows_of(DeliveryOptions)}
        for row in rows:
            self.assertLessEqual(set(re.findall(r"`(\w+)`", row.others[0])), options)

    def test_options_without_a_setting(self) -> None:
        """The second table has every option of SegmentHandler that no setting is passed to."""
        rows = rows_under(PAGE, "Options without a setting")
        named = [name for row in rows for name in re.findall(r"`(\w+)`", row.first)]
        of_settings = {
            name
            for row in rows_under(PAGE, "Settings")
            for name in re.findall(r"`(\w+)`", row.others[0])
        }
        options = set(rows_of(DeliveryOptions, RecordOptions))
        self.assertEqual(sorted(named), sorted(options - of_settings - set(analytics._SETTINGS)))
        defaults = rows_of(DeliveryOptions)
        limits = (defaults[name].default for name in ("shutdown_timeout", "max_shutdown"))
        self.assertIn(" and ".join(f"{limit:g} s" for limit in limits), rows[0].others[0])
        self.assertEqual(defaults["max_queue_bytes"].default, 64 << 20)

    def test_without_traits(self) -> None:
        """A logging call without traits is an identify or a group only if it says so."""
        logger = logging.Logger("docs")
        logger.addHandler(SegmentHandler("key"))
        types = []
        for more in ({}, {"group_id": "g-3"}):
            a_type = {"type": "group" if more else "identify"}
            every: tuple[dict[str, Any], ...] = ({}, {"traits": {}}, a_type)
            for marks in every:
                with capture_segment() as captured:
                    logger.info("Joined", extra={"user_id": "u-17", **more, **marks})
                types.append(captured[0].to_dict()["type"])
        self.assertEqual(types, ["track", "identify", "identify", "track", "group", "group"])

    def test_calls(self) -> None:
        """Each logging call in the table sends the same message as the call that it replaces."""
        logger = logging.Logger("docs")
        logger.addHandler(SegmentHandler("key"))
        client = analytics.Client("key")
        rows = rows_under(PAGE, "Going on to logging")
        self.assertEqual(len(rows), 10)
        for row in rows:
            with self.subTest(row.first), capture_segment() as captured:
                eval(row.first.strip("`"), {"analytics": client})
                eval(row.others[0].strip("`"), {"logger": logger, "SegmentLogger": SegmentLogger})
                theirs, ours = (one.to_dict() for one in captured)
                self.assertEqual(named(ours), named(theirs))

    def test_two_sources(self) -> None:
        """In the example with two write keys, each event reaches only its own source."""
        blocks = [one.text for one in blocks_of(PAGE) if one.language == "python"]
        (example,) = (text for text in blocks if "OTHER_WRITE_KEY" in text)
        above = logging.getLogger("analytics")
        with ScriptedServer() as server, mock.patch.dict(os.environ, SEGMENT_HOST=server.host):
            above.addHandler(SegmentHandler("key-of-the-logger-above"))
            names = {"logging": logging, "SegmentHandler": SegmentHandler}
            try:
                exec(example.replace("YOUR_WRITE_KEY", "first-key"), names)
            finally:
                for logger in (above, *map(above.getChild, ("shop", "blog"))):
                    for handler in tuple(logger.handlers):
                        handler.close()
                        logger.removeHandler(handler)
                    logger.propagate = True
        arrived = {
            (b64decode(request.headers["Authorization"].split()[1]), message["event"])
            for request in server.requests
            for message in request.json["batch"]
        }
        self.assertEqual(arrived, {(b"first-key:", "Paid"), (b"OTHER_WRITE_KEY:", "Read")})

    def test_only_of_the_client(self) -> None:
        """The page names the settings that only the official client has."""
        named = set(re.findall(r"`(\w+)`", PAGES[PAGE].split("Officially, ")[1].split(" are ")[0]))
        missing = {name for name in analytics._SETTINGS if not hasattr(segment.analytics, name)}
        self.assertEqual(named, missing - {"journal", "dead_letters", "region"})

    def test_what_does_not_exist(self) -> None:
        """What the page says is missing is missing, and what it says is there is there."""
        missing = PAGES[PAGE].split("### What does not exist")[1].split("\n#")[0]
        ours = import_module("segment_logging.compat.analytics.client")
        official = import_module("segment.analytics.client")
        for name in ("consumer", "utils", "oauth_manager"):
            self.assertRegex(missing, rf"[`.]{name}`")
            self.assertIsNone(find_spec(f"segment_logging.compat.analytics.{name}"))
            self.assertIsNotNone(find_spec(f"segment.analytics.{name}"))
        for name in ("post", "stringify_id", "ID_TYPES"):
            self.assertIn(f"`{name}`", missing)
            self.assertEqual((hasattr(official, name), hasattr(ours, name)), (True, False))
        client = analytics.Client("key")
        self.assertFalse(hasattr(client, "consumers") or hasattr(client, "oauth_manager"))
        queue = {name for name in dir(client.queue) if not name.startswith("_")}
        self.assertEqual(queue, {"qsize", "empty", "full", "join", "maxsize"})

    def test_limits(self) -> None:
        """The figures on the page are the package's."""
        rows = rows_of(DeliveryOptions)
        for text, name in (
            ("after 5 s without", "shutdown_timeout"),
            ("60 s in all", "max_shutdown"),
        ):
            self.assertIn(text, PAGES[PAGE])
            self.assertIn(f" {rows[name].default:g} s", f" {text}")


def named(message: dict[str, Any]) -> dict[str, Any]:
    return {key: message[key] for key in KINDS_OF_NAMES if key in message}


if __name__ == "__main__":
    unittest.main()
