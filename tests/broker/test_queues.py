"""Tests for the queues that are declared, and for those that the documentation shows."""

from __future__ import annotations

import json
import re
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from typing_extensions import override

from segment_logging import Batch, DeliveryError
from segment_logging._broker.address import DEFAULT_QUEUE, address_of
from segment_logging._broker.client import BrokerClient, failure_of
from segment_logging._broker.connection import Connection, Received, arguments_of
from segment_logging._relay.dead_queue import DeadQueue
from tests.builders import a_track
from tests.docs.pages import blocks_of, rows_under
from tests.rabbitmq import BrokerCase, received_from

PAGE = "docs/many-hosts.md"


def documented() -> dict[str, Any]:
    """Return the definitions in the documentation."""
    (block,) = (one for one in blocks_of(PAGE) if one.language == "json")
    found: dict[str, Any] = json.loads(block.text)
    return found


class TestDocumented(unittest.TestCase):
    def test_arguments(self) -> None:
        """The documented queues have exactly the arguments with which queues are declared."""
        address = address_of("amqp://shop/events")
        again = arguments_of(address.dead_queue_address)  # of a relay that reads the dead letters
        declared = {**again, **arguments_of(address)}
        self.assertEqual(
            {one["name"]: one["arguments"] for one in documented()["queues"]}, declared
        )

    def test_reasons(self) -> None:
        """The table has the reason for each argument."""
        rows = rows_under(PAGE, "The queues")
        names = [name for row in rows for name in re.findall(r"`([\w-]+)`", row.first)]
        declared = arguments_of(address_of("amqp://shop/events"))[DEFAULT_QUEUE]
        self.assertCountEqual(names, declared)


class TestLoaded(BrokerCase):
    """The queues of the documentation, in a virtual host of their own."""

    @override
    def setUp(self) -> None:
        super().setUp()
        file = Path(self.enterContext(TemporaryDirectory()), "definitions.json")
        file.write_text(json.dumps(documented()), encoding="ascii")
        self.broker.control("import_definitions", str(file))
        self.addCleanup(self.broker.control, "delete_vhost", "events")
        self.url = self.url_for("guest", ".*", ".*", ".*")

    def url_for(self, user: str, *permissions: str) -> str:
        """Return the URL for a user with permissions to configure, write and read."""
        if user != "guest":
            self.broker.control("add_user", user, "guest")
            self.addCleanup(self.broker.control, "delete_user", user)
        self.broker.control("set_permissions", "-p", "events", user, *permissions)
        server = self.broker.url.removesuffix("//").replace("guest:", f"{user}:")
        return f"{server}/events"

    def listed(self) -> list[list[str]]:
        """Return the queues as the broker shows them, with their arguments sorted."""
        shown = self.broker.control(
            "list_queues", "-p", "events", "name", "type", "durable", "auto_delete", "arguments"
        )
        return sorted(
            [line.partition("[")[0], *sorted(re.findall(r"\{.*?\}", line))]
            for line in shown.splitlines()
            if line.startswith(DEFAULT_QUEUE)
        )

    def test_same(self) -> None:
        """The broker shows the same for loaded queues as for those that the package declares."""
        loaded = self.listed()
        self.assertEqual(len(loaded), 3)
        for suffix in ("", ".dead", ".dead.dead"):
            self.broker.control("delete_queue", "-p", "events", f"{DEFAULT_QUEUE}{suffix}")
        for queue in (DEFAULT_QUEUE, f"{DEFAULT_QUEUE}.dead"):
            connection = Connection(address_of(self.url, queue))
            connection.declare()
            connection.close()
        self.assertEqual(self.listed(), loaded)

    def test_permissions(self) -> None:
        """The documented permissions are enough to publish, to consume, and to move dead letters,
        but not to declare a queue."""
        rows = rows_under(PAGE, "Permissions")
        program, relay = ([cell.strip("`") for cell in row.others] for row in rows)
        client = BrokerClient(self.url_for("program", *program))
        self.addCleanup(client.close)
        client.send("key", Batch([a_track("Signup")]))
        url = self.url_for("relay", *relay)
        self.assertEqual(len(received_from(url, DEFAULT_QUEUE, at_least=1)), 1)
        for queue in (DEFAULT_QUEUE, f"{DEFAULT_QUEUE}.dead"):
            letters = DeadQueue(address_of(url, queue))
            self.addCleanup(letters.close)
            letters.publish([b"{}"], DeliveryError("refused"), None)
            connection, found = Connection(address_of(url, letters.name)), list[Received]()
            self.addCleanup(connection.close)
            connection.consume(found.append, prefetch=1)
            connection.pump(10)
            self.assertEqual(len(found), 1)
        with self.assertRaises(DeliveryError) as caught:
            BrokerClient(url, "another").send("key", Batch([a_track()]))
        self.assertIn("queue another.dead of", str(caught.exception))
        self.assertIn("does not exist and cannot be declared", str(caught.exception))

    def test_missing_queue_is_named(self) -> None:
        """A relay of dead letters reports the name of the queue that it lacks."""
        queue = f"{DEFAULT_QUEUE}.dead"
        self.broker.control("delete_queue", "-p", "events", f"{queue}.dead")
        _, relay = (
            [cell.strip("`") for cell in row.others] for row in rows_under(PAGE, "Permissions")
        )
        address = address_of(self.url_for("relay", *relay), queue)
        connection = Connection(address)
        self.addCleanup(connection.drop)
        with self.assertRaises(Exception) as caught:
            connection.declare()
        text = str(failure_of(caught.exception, address))
        self.assertTrue(text.startswith(f"queue {queue}.dead of amqp://"), text)
        self.assertIn("does not exist and cannot be declared", text)
